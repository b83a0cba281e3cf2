//! One client's session: which command may come now, what is answered, what must be asked of the program.
//!
//! ```text
//! Authorization ──USER, PASS or AUTH──► Ask::Login ──verified──► Ask::Open ──opened──► Transaction ──QUIT──► Ask::Commit ──► end
//!       ▲  └──STLS──► Next::StartTls ──secured()──┐   │ refused       │ locked              │ RETR, TOP
//!       └─────────────────────────────────────────┴───┴───────────────┘                     └──► Ask::Read, Ask::More
//! ```
//! Nothing is removed but by the answer to [`Ask::Commit`]: whoever drops the session leaves the maildrop as it was (RFC 1939 §6).

mod authorization;
mod capa;
mod listing;
mod retrieve;
mod transaction;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use crate::command::{Command, CommandError};
use crate::line::{Line, Lines};
use crate::{MAX_COMMAND, MAX_SASL, MAX_SKIPPED};

use transaction::Transaction;

/// What differs between listeners and changes with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The words behind the `+OK` of the greeting: no product name, no angle bracket (a client would take it for an APOP challenge).
    pub greeting: String,
    /// STLS is possible on this listener.
    pub stls: bool,
    /// A password may come before TLS: this client is on loopback, or the operator allows it to all (R5.1).
    pub clear_passwords: bool,
    /// Commands that are none, or not now, before the client is given up; 0 stands for 1.
    pub bad_commands: u32,
    /// Failed logins before the client is given up; 0 stands for 1.
    pub failed_logins: u32,
}

/// A maildrop that was opened: the messages that were there, in an order that stays. Indexes count from 0.
pub trait Maildrop {
    /// How many messages.
    fn count(&self) -> usize;
    /// Octets of the message on the wire, CRLF line ends and no stuffing counted. `index < count()`.
    fn size(&self, index: usize) -> u64;
    /// The unique id: 1 to 70 octets of `!` to `~` (RFC 1939 §7). `index < count()`.
    fn uid(&self, index: usize) -> &str;
}

/// A password on its way to whoever verifies it. It shows itself to nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// What the session wants next. Replies that it appended are to be sent before anything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Call [`Session::turn`] again; there may be more in the input.
    Again,
    /// What is left of the input is no whole line.
    Read,
    /// Send the replies, wait until the client has taken them, call [`Session::turn`] again.
    Write,
    /// Find the answer, and call [`Session::answer`] with it.
    Ask(Ask),
    /// Send the replies, throw away what the client sent behind its command, shake hands, call [`Session::secured`].
    StartTls,
    /// Send the replies and close.
    Close,
}

/// A question to the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Is this login right? Answer: [`Answer::Login`].
    Login {
        /// As the client gave it, not empty.
        user: String,
        /// As the client gave it.
        password: Password,
    },
    /// Open the maildrop of the account that was verified. Answer: [`Answer::Opened`] or [`Answer::NotOpened`].
    Open,
    /// Read a message from its beginning. Answer: [`Answer::Piece`] or [`Answer::Unreadable`].
    Read {
        /// Its index in the maildrop.
        index: usize,
        /// Of the body, only so many lines are needed; `None` for all.
        lines: Option<u64>,
    },
    /// Read on. Answer as to [`Ask::Read`]. Any other question or command means that the rest is not needed.
    More,
    /// Remove these messages, then let the maildrop go. Answer: [`Answer::Committed`].
    Commit {
        /// Their indexes, ascending; empty where only the lock is to be released.
        deleted: Vec<usize>,
    },
}

/// What a login came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Right.
    Verified,
    /// Wrong name or password.
    Refused,
    /// Right, but the account may not use POP3.
    Forbidden,
    /// Nobody could say.
    Unavailable,
}

/// Why a maildrop was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotOpened {
    /// Another session holds it (R5.2).
    InUse,
    /// It cannot be read now.
    Unavailable,
}

/// The answer to an [`Ask`].
#[derive(Debug)]
pub enum Answer<'a, M> {
    /// To [`Ask::Login`].
    Login(Verdict),
    /// To [`Ask::Open`].
    Opened(M),
    /// To [`Ask::Open`].
    NotOpened(NotOpened),
    /// To [`Ask::Read`] and [`Ask::More`]: the next octets of the message in wire form (CRLF line ends, no stuffing).
    Piece {
        /// May be empty where `last`.
        octets: &'a [u8],
        /// The message ends with them.
        last: bool,
    },
    /// To [`Ask::Read`] and [`Ask::More`].
    Unreadable,
    /// To [`Ask::Commit`]: whether every message is gone that was to go.
    Committed {
        /// False where at least one is still there.
        complete: bool,
    },
}

/// Named by what may come next.
enum State<M> {
    /// Our greeting.
    Greeting,
    /// A login, STLS or QUIT; `user` is the name of a USER that was taken.
    Authorization { user: Option<Box<str>> },
    /// The client's SASL response.
    Response,
    /// The verdict on a login.
    Verifying,
    /// The maildrop.
    Opening,
    /// The handshake, or a failure of it, which ends the connection.
    Securing,
    /// Commands on messages.
    Transaction(Box<Transaction<M>>),
    /// The answer to the commit.
    Committing,
    /// Nothing.
    Ended,
}

/// A session. See the module's picture.
pub struct Session<M> {
    rules: Arc<Rules>,
    state: State<M>,
    tls: bool,
    lines: Lines,
    bad_commands: u32,
    failed_logins: u32,
}

impl<M: Maildrop> Session<M> {
    /// A session that has not greeted; `tls` where the connection began with a handshake.
    pub fn new(rules: Arc<Rules>, tls: bool) -> Self {
        Session { rules, state: State::Greeting, tls, lines: Lines::default(), bad_commands: 0, failed_logins: 0 }
    }

    /// Takes at most one line from the front of `input` and appends the reply to `output`. Returns the octets taken. The first call, and each
    /// after [`Next::Write`], takes none.
    pub fn turn(&mut self, input: &[u8], output: &mut Vec<u8>) -> (usize, Next) {
        match &mut self.state {
            State::Greeting => {
                reply(output, true, &self.rules.greeting);
                self.state = State::Authorization { user: None };
                (0, Next::Again)
            }
            State::Transaction(transaction) if transaction.is_listing() => (0, transaction.list_on(output)),
            State::Response => self.line(input, MAX_SASL, output),
            State::Authorization { .. } | State::Transaction(_) => self.line(input, MAX_COMMAND, output),
            State::Ended => (0, Next::Close),
            // A question is open and its answer did not come: a mistake of the driver.
            State::Verifying | State::Opening | State::Securing | State::Committing => (0, self.end()),
        }
    }

    /// Takes the answer to the question that [`Next::Ask`] put. An answer to no open question ends the session.
    pub fn answer(&mut self, answer: Answer<'_, M>, output: &mut Vec<u8>) -> Next {
        match (&mut self.state, answer) {
            (State::Verifying, Answer::Login(verdict)) => self.verified(verdict, output),
            (State::Opening, Answer::Opened(maildrop)) => self.opened(maildrop, output),
            (State::Opening, Answer::NotOpened(why)) => self.not_opened(why, output),
            (State::Transaction(transaction), Answer::Piece { octets, last }) if transaction.is_reading() => {
                transaction.piece(octets, last, output)
            }
            (State::Transaction(transaction), Answer::Unreadable) if transaction.is_reading() => {
                let next = transaction.unreadable(output);
                if next == Next::Close { self.end() } else { next }
            }
            (State::Committing, Answer::Committed { complete }) => {
                if complete {
                    reply(output, true, "Bye");
                } else {
                    reply(output, false, "[SYS/TEMP] Some deleted messages were not removed");
                }
                self.end()
            }
            _ => self.end(),
        }
    }

    /// TLS is up. What was said before it counts no more (RFC 2595 §4).
    pub fn secured(&mut self) {
        if matches!(self.state, State::Securing) {
            self.tls = true;
            self.lines = Lines::default();
            self.state = State::Authorization { user: None };
        }
    }

    /// The connection is gone: nothing is removed, and the maildrop is let go.
    pub fn cut_off(&mut self) {
        self.state = State::Ended;
    }

    /// The maildrop is open.
    pub fn is_transaction(&self) -> bool {
        matches!(self.state, State::Transaction(_))
    }

    /// Whoever stops now takes no work from the client: it has not logged in, or has neither read nor deleted a message.
    pub fn is_at_rest(&self) -> bool {
        match &self.state {
            State::Greeting | State::Authorization { .. } | State::Response | State::Ended => true,
            State::Verifying | State::Opening | State::Securing | State::Committing => false,
            State::Transaction(transaction) => transaction.is_untouched(),
        }
    }

    fn line(&mut self, input: &[u8], limit: usize, output: &mut Vec<u8>) -> (usize, Next) {
        match self.lines.next(input, limit) {
            Line::Partial => (0, Next::Read),
            Line::Whole { text, taken } if matches!(self.state, State::Response) => (taken, self.response(text, output)),
            Line::Whole { text, taken } => (taken, self.command(text, output)),
            Line::Skipped { taken: 0 } => (0, Next::Read),
            Line::Skipped { taken } if self.lines.skipped() > MAX_SKIPPED => {
                reply(output, false, "The line is endless");
                (taken, self.end())
            }
            Line::Skipped { taken } => (taken, Next::Again),
            Line::TooLong { taken } => {
                if matches!(self.state, State::Response) {
                    self.state = State::Authorization { user: None };
                }
                (taken, self.bad(&format!("The line is longer than {limit} octets"), output))
            }
        }
    }

    fn command(&mut self, text: &[u8], output: &mut Vec<u8>) -> Next {
        match Command::parse(text) {
            Err(why @ (CommandError::Unknown | CommandError::Arguments(_))) => self.bad(&why.to_string(), output),
            Ok(Command::Capa) => {
                self.capa(output);
                Next::Again
            }
            Ok(command) if self.is_transaction() => self.in_transaction(command, output),
            Ok(command) => self.in_authorization(command, output),
        }
    }

    /// A command that is none, or not now.
    fn bad(&mut self, words: &str, output: &mut Vec<u8>) -> Next {
        self.bad_commands += 1;
        if self.bad_commands < self.rules.bad_commands {
            reply(output, false, words);
            return Next::Again;
        }
        reply(output, false, "Too many bad commands");
        self.end()
    }

    fn end(&mut self) -> Next {
        self.state = State::Ended;
        Next::Close
    }
}

/// Appends a one-line reply.
fn reply(output: &mut Vec<u8>, ok: bool, words: &str) {
    output.extend_from_slice(if ok { b"+OK " } else { b"-ERR " });
    output.extend_from_slice(words.as_bytes());
    output.extend_from_slice(b"\r\n");
}

/// Appends a number in digits. A listing of 10,000 messages writes 20,000 of them, for which `write!` takes several times as long.
fn digits(output: &mut Vec<u8>, mut number: u64) {
    let mut text = [0; 20];
    let mut start = text.len();
    loop {
        start -= 1;
        text[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    output.extend_from_slice(&text[start..]);
}
