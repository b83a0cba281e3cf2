//! The session's step: from octets to the next output.

use std::fmt;

use super::print::{self, Reply};
use super::{MAX_UNSENT, Output, Phase, Session, State, Step};
use crate::command::{Command, Problem};
use crate::line::{Cut, LineFault, MAX_AUTH, MAX_COMMAND};

impl<R: fmt::Display> Session<R> {
    /// Does the next step with the octets that the driver has. Octets that were not taken must be passed again, in front of what came
    /// since; the driver's buffer must be able to hold [`MIN_BUFFER`](super::MIN_BUFFER) octets.
    pub fn poll<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        let mut taken = 0;
        loop {
            if let Some(output) = self.queue.pop_front() {
                return Step { taken, output };
            }
            if self.out.len() > MAX_UNSENT {
                return Step { taken, output: Output::Flush };
            }
            let rest = &input[taken..];
            let (used, output) = match self.state {
                State::Greeting => self.greet(),
                State::Command | State::Auth(_) if self.draining => self.drain(),
                State::Command => self.line(rest, MAX_COMMAND),
                State::Auth(_) => self.line(rest, MAX_AUTH),
                State::Data(_) => self.data_octets(rest),
                State::Chunk(_) => self.chunk_octets(rest),
                State::Asked(_) | State::Committing | State::Handshake => (0, Some(Output::Pending)),
                State::Closed => (0, Some(Output::Close)),
            };
            taken += used;
            if let Some(output) = output {
                return Step { taken, output };
            }
        }
    }

    fn greet<'a>(&mut self) -> (usize, Option<Output<'a>>) {
        print::lines(&mut self.out, 220, &[self.config.greeting.as_str().into()]);
        self.state = State::Command;
        (0, None)
    }

    fn drain<'a>(&mut self) -> (usize, Option<Output<'a>>) {
        self.say(&Reply::new(421, 3, 2, "The service is stopping; try again later"));
        self.reset();
        self.close();
        (0, None)
    }

    fn line<'a>(&mut self, input: &'a [u8], limit: usize) -> (usize, Option<Output<'a>>) {
        match self.lines.cut(input, limit) {
            Cut::More { taken } => (taken, Some(Output::Read(Phase::Command))),
            Cut::Line { line, taken } => {
                if matches!(self.state, State::Auth(_)) {
                    self.auth_line(line);
                } else {
                    self.command(line, taken < input.len());
                }
                (taken, None)
            }
            Cut::Fault { fault, taken } => {
                self.bad_line(fault);
                (taken, None)
            }
        }
    }

    /// `pending`: octets stand behind the line.
    fn command(&mut self, line: &[u8], pending: bool) {
        match Command::parse(line) {
            Ok(Command::Ehlo(name)) => self.ehlo(name),
            Ok(Command::Helo(name)) => self.helo_command(name),
            Ok(Command::Mail(mail)) => self.mail(mail),
            Ok(Command::Rcpt(rcpt)) => self.rcpt(rcpt),
            Ok(Command::Data) => self.data(),
            Ok(Command::Bdat { size, last }) => self.bdat(size, last),
            Ok(Command::Rset) => self.rset(),
            Ok(Command::Noop) => self.noop(),
            Ok(Command::Quit) => self.quit(),
            Ok(Command::Vrfy(user)) => self.vrfy(user),
            Ok(Command::Expn(list)) => self.expn(list),
            Ok(Command::Help) => self.help(),
            Ok(Command::StartTls) => self.starttls(pending),
            Ok(Command::Auth { mechanism, initial }) => self.auth(&mechanism, initial.as_deref()),
            Ok(Command::XForward(forward)) => self.forward(forward),
            Ok(Command::XList { have, from }) => self.list(have, from),
            Ok(Command::Etrn { domain, subdomains }) => self.etrn(domain, subdomains),
            Err(problem) => self.bad_command(line, problem),
        }
    }

    fn bad_line(&mut self, fault: LineFault) {
        let in_auth = matches!(self.state, State::Auth(_));
        self.state = State::Command;
        match fault {
            // RFC 4954 §4.
            LineFault::TooLong if in_auth => self.complain(Reply::new(500, 5, 6, "The line is too long")),
            LineFault::TooLong => self.complain(Reply::new(500, 5, 2, "The line is too long")),
            LineFault::Endless => self.hang_up(Reply::new(500, 5, 2, "The line does not end; closing the connection")),
            LineFault::BareLf => {
                self.hang_up(Reply::new(500, 5, 2, "Lines end with CR LF, not with LF alone; closing the connection"));
            }
        }
    }

    /// Refuses and closes: what follows on the connection cannot be understood.
    pub(super) fn hang_up(&mut self, reply: Reply) {
        self.refuse("", reply);
        self.reset();
        self.close();
    }

    fn bad_command(&mut self, line: &[u8], problem: Problem) {
        let reply = match problem {
            Problem::Octets if line.contains(&b'\r') => Reply::new(500, 5, 2, "Lines end with CR LF; there is a bare CR"),
            Problem::Octets => Reply::new(500, 5, 2, "The line holds control characters or is no UTF-8"),
            Problem::Unknown => Reply::new(500, 5, 1, "The command is not known"),
            Problem::Http => return self.hang_up(Reply::new(421, 7, 0, "This is not HTTP; closing the connection")),
            Problem::Argument("no argument") => Reply::new(501, 5, 4, "The command takes no argument"),
            Problem::Argument(expected) => Reply::new(501, 5, 4, format!("Expected: {expected}")),
            Problem::Sender => Reply::new(501, 1, 7, "The sender is not an address of the form <local@domain>"),
            Problem::Recipient => Reply::new(501, 1, 3, "The recipient is not an address of the form <local@domain>"),
            // RFC 6531 §3.5: 550 to MAIL, 553 to RCPT.
            Problem::NeedsUtf8 => Reply::new(550, 6, 7, "An address beyond ASCII needs SMTPUTF8"),
            Problem::Parameter => Reply::new(501, 5, 4, "A parameter is of the wrong form or stands twice"),
            Problem::UnknownParameter => Reply::new(555, 5, 4, "A parameter is not known"),
            Problem::BinaryMime => Reply::new(555, 5, 4, "BINARYMIME is not supported"),
            Problem::ChunkSize => {
                return self.hang_up(Reply::new(501, 5, 4, "Expected: BDAT size [LAST]; closing the connection"));
            }
            Problem::ChunkTooLarge => {
                return self.hang_up(Reply::new(552, 3, 4, "The chunk is too large; closing the connection"));
            }
        };
        self.complain(reply);
    }
}
