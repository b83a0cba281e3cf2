//! One client's session with a peer: what is usual, and the script's deeds in its place.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use socket2::SockRef;

use super::script::Deed;
use super::tls::{HOST, Wire};
use super::{Shared, Taken};
use crate::Result;

/// A connection that says nothing for so long is dropped.
const IDLE: Duration = Duration::from_secs(30);
/// Between two looks, while a reply never comes, whether the peer has ended.
const LOOK: Duration = Duration::from_millis(100);
/// Longest line that is read.
const LINE: u64 = 1024 * 1024;
/// What comes where TLS is broken.
const NO_TLS: &[u8] = b"this is no handshake\r\n";

/// How a session ends by the script, which is no failure.
const THE_END: &str = "the script ends the session";

/// What was done at a command.
struct Done {
    code: u16,
    deed: Option<Deed>,
}

struct Session<'a> {
    reader: BufReader<Wire>,
    shared: &'a Shared,
    connection: usize,
    mail: String,
    recipients: Vec<String>,
}

/// Serves one client until it leaves, fails, or the script has it.
pub(super) fn serve(stream: TcpStream, connection: usize, shared: &Shared) -> Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    let reader = BufReader::new(Wire::Plain(stream));
    Session { reader, shared, connection, mail: String::new(), recipients: Vec::new() }.run()
}

impl Session<'_> {
    fn run(&mut self) -> Result<()> {
        self.perform("CONNECT", format!("220 {HOST} ESMTP"))?;
        while let Some(line) = self.line()? {
            self.shared.state().commands.push(line.clone());
            let verb = line.get(..4).unwrap_or(&line).to_ascii_uppercase();
            let done = self.perform(&line, self.usual(&verb))?;
            match verb.as_str() {
                "MAIL" if done.code == 250 => self.mail = line,
                "RCPT" if done.code / 100 == 2 => self.recipients.push(line),
                "RSET" | "EHLO" => self.recipients.clear(),
                "DATA" if done.code == 354 => self.message(done.deed)?,
                "STAR" if done.code == 220 => self.secure(done.deed)?,
                "QUIT" => return Ok(()),
                _ => {}
            }
        }
        Ok(())
    }

    fn usual(&self, verb: &str) -> String {
        let state = self.shared.state();
        match verb {
            "EHLO" => ehlo(&state.keywords, state.tls.is_some() && self.reader.get_ref().tls().is_none()),
            "DATA" if self.recipients.is_empty() => "503 5.5.1 no recipients".into(),
            "DATA" => "354 go on".into(),
            "QUIT" => "221 2.0.0 bye".into(),
            "STAR" if state.tls.is_some() => "220 2.0.0 go on".into(),
            "STAR" => "502 5.5.1 no TLS here".into(),
            _ => "250 2.0.0 ok".into(),
        }
    }

    /// Does what the script says at `line`, or the usual.
    fn perform(&mut self, line: &str, usual: String) -> Result<Done> {
        let deed = self.shared.state().script.at(line);
        self.carry_out(deed, usual)
    }

    fn carry_out(&mut self, deed: Option<Deed>, usual: String) -> Result<Done> {
        let code = match &deed {
            None | Some(Deed::DropAfter(_) | Deed::Forget) => self.say(&usual)?,
            Some(Deed::BreakTls) => self.say("220 2.0.0 go on")?,
            Some(Deed::Reply(text) | Deed::Keep(text)) => self.say(text)?,
            Some(Deed::Close | Deed::Swallow) => anyhow::bail!(THE_END),
            Some(Deed::Reset) => {
                SockRef::from(self.reader.get_ref().socket()).set_linger(Some(Duration::ZERO))?;
                anyhow::bail!(THE_END)
            }
            Some(Deed::Farewell(text)) => {
                self.say(text)?;
                anyhow::bail!(THE_END)
            }
            Some(Deed::Late(time)) => {
                std::thread::sleep(*time);
                self.say(&usual)?
            }
            Some(Deed::Dribble(time)) => {
                for octet in format!("{usual}\r\n").bytes() {
                    std::thread::sleep(*time);
                    self.send(&[octet])?;
                }
                code(&usual)
            }
            Some(Deed::Stall) => return self.stall(),
        };
        Ok(Done { code, deed })
    }

    fn message(&mut self, deed: Option<Deed>) -> Result<()> {
        let most = match deed {
            Some(Deed::DropAfter(octets)) => octets,
            _ => usize::MAX,
        };
        let mut message = Vec::new();
        let whole = self.read_message(&mut message, most);
        let taken = Taken {
            mail: self.mail.clone(),
            recipients: std::mem::take(&mut self.recipients),
            message,
            tls: self.reader.get_ref().tls(),
            connection: self.connection,
        };
        if let Err(error) = whole {
            self.shared.state().unfinished.push(taken);
            return Err(error);
        }
        // It is kept before the client can know, as a server does that syncs first.
        let deed = {
            let mut state = self.shared.state();
            state.commands.push(".".into());
            let deed = state.script.at(".");
            if keeps(deed.as_ref()) {
                state.taken.push(taken);
            }
            deed
        };
        self.carry_out(deed, "250 2.0.0 queued as PEER".into()).map(|_| ())
    }

    /// The octets up to the line of one dot, unstuffed. Fails where there are none, or over `most` on the wire.
    fn read_message(&mut self, message: &mut Vec<u8>, most: usize) -> Result<()> {
        let mut left = u64::try_from(most).unwrap_or(u64::MAX);
        loop {
            let mut line = Vec::new();
            let read = (&mut self.reader).take(left).read_until(b'\n', &mut line);
            let whole = line == b".\r\n";
            if !whole {
                message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            }
            let read = read?;
            left -= read as u64;
            anyhow::ensure!(left > 0, THE_END);
            anyhow::ensure!(read > 0, "the connection ended within a message");
            if whole {
                return Ok(());
            }
        }
    }

    fn secure(&mut self, deed: Option<Deed>) -> Result<()> {
        if deed == Some(Deed::BreakTls) {
            self.send(NO_TLS)?;
            anyhow::bail!(THE_END);
        }
        let Some(config) = self.shared.state().tls.clone() else { return Ok(()) };
        let stream = self.reader.get_ref().socket().try_clone()?;
        // What was said in the clear ahead of the handshake is dropped with the old buffer.
        self.reader = BufReader::new(Wire::Plain(stream).secure(config)?);
        self.mail.clear();
        self.recipients.clear();
        Ok(())
    }

    /// Hears the client out until it leaves or the peer ends.
    fn stall(&mut self) -> Result<Done> {
        self.reader.get_ref().socket().set_read_timeout(Some(LOOK))?;
        let mut octets = [0; 4096];
        while !self.shared.has_ended() {
            match self.reader.read(&mut octets) {
                Ok(0) => break,
                Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
                _ => {}
            }
        }
        anyhow::bail!(THE_END)
    }

    fn say(&mut self, text: &str) -> Result<u16> {
        self.send(format!("{text}\r\n").as_bytes())?;
        Ok(code(text))
    }

    fn send(&mut self, octets: &[u8]) -> Result<()> {
        let wire = self.reader.get_mut();
        wire.write_all(octets)?;
        Ok(wire.flush()?)
    }

    fn line(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        if (&mut self.reader).take(LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
    }
}

/// Whether a message is kept where this is done at its end.
fn keeps(deed: Option<&Deed>) -> bool {
    match deed {
        None | Some(Deed::Late(_) | Deed::Dribble(_) | Deed::DropAfter(_) | Deed::Keep(_) | Deed::Swallow) => true,
        Some(Deed::Reply(text) | Deed::Farewell(text)) => code(text) == 250,
        Some(Deed::Forget | Deed::Close | Deed::Reset | Deed::Stall | Deed::BreakTls) => false,
    }
}

fn code(reply: &str) -> u16 {
    reply.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0)
}

fn ehlo(keywords: &[String], tls: bool) -> String {
    let mut lines = vec![HOST.to_owned()];
    lines.extend(keywords.iter().cloned());
    lines.extend(tls.then(|| "STARTTLS".to_owned()));
    let last = lines.len() - 1;
    let printed: Vec<String> =
        lines.iter().enumerate().map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' })).collect();
    printed.join("\r\n")
}
