//! The server's side of SMTP: one session on one connection.
//!
//! The driver owns the connection, and a buffer with the octets read from it. It calls [`Session::poll`] with what the buffer
//! holds, drops the octets that were taken, and does what the [`Output`] says; it calls [`Session::handle`] with what it found out.
//! Replies collect in [`Session::replies`], so that a group of pipelined commands is answered by one write.
//!
//! ```text
//! loop {
//!     let step = session.poll(&buffer);                 // step.output may borrow from the buffer
//!     match step.output {
//!         Append(octets)   => store octets,             // then drop step.taken octets, as always
//!         Read(phase)      => write replies, read more within the time that phase allows (Timeout, Eof),
//!         Flush            => write replies,
//!         Ask(question)    => session.handle(Input::Answer(…)),
//!         Begin, Discard   => open the message, throw it away,
//!         Commit           => session.handle(Input::Committed(…)),
//!         StartTls         => write replies, shake hands, session.handle(Input::TlsStarted),
//!         Refused(refusal) => log it,
//!         Close            => write replies, close,
//!         Pending          => a question is still open; nothing is consumed until it is answered,
//!     }
//! }
//! ```
//!
//! A session cannot accept a message by itself: the last 250 needs an `R`, and only the driver can have one.

mod auth;
mod bdat;
mod body;
mod config;
mod data;
mod ehlo;
mod etrn;
mod expn;
mod helo;
mod help;
mod io;
mod mail;
mod noop;
mod pair;
mod print;
mod quit;
mod rcpt;
mod rset;
mod starttls;
mod step;
mod vrfy;

#[cfg(test)]
mod tests;

pub use config::{AuthConfig, Config, Extensions, Mechanism, Privacy, Role, Tls};
pub use io::{Ask, Credentials, Input, Mail, Output, Phase, Refusal, Step, Transaction};
pub use pair::LIST_LINES;

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use lib_mail::{Class, Protocol, Recipient, Status};

use crate::forward::Forward;
use crate::line::Lines;
use auth::Exchange;
use bdat::Chunk;
use body::Message;
use print::Reply;

/// Octets that a driver's buffer must be able to hold: the longest line that is taken whole, and then some.
pub const MIN_BUFFER: usize = 16 * 1024;
/// Octets of replies that may wait before the session stops for [`Output::Flush`].
const MAX_UNSENT: usize = 8 * 1024;

/// What may come next.
#[derive(Debug)]
enum State {
    /// Nothing was said yet.
    Greeting,
    /// A command.
    Command,
    /// A line of AUTH.
    Auth(Exchange),
    /// The octets of DATA.
    Data(crate::data::Unstuffer),
    /// The octets of BDAT.
    Chunk(Chunk),
    /// An answer of the driver.
    Asked(Question),
    /// [`Input::Committed`].
    Committing,
    /// [`Input::TlsStarted`].
    Handshake,
    /// Nothing.
    Closed,
}

/// What was asked, and what is needed when the answer comes.
#[derive(Debug)]
enum Question {
    Mail(Mail),
    Rcpt(Recipient),
    Auth,
    /// AUTH EXTERNAL of this peer.
    Pair(String),
    /// VRFY, EXPN, ETRN: the answer is the reply.
    Told,
    Content,
}

/// A session with one client, from the greeting to the end.
#[derive(Debug)]
pub struct Session<R> {
    config: Arc<Config>,
    out: Vec<u8>,
    state: State,
    /// What goes to the driver before anything more is consumed.
    queue: VecDeque<Output<'static>>,
    lines: Lines,
    /// `None` before HELO; then whether it was EHLO.
    extended: Option<bool>,
    helo: String,
    tls: bool,
    account: Option<String>,
    /// The peer whose key the handshake showed.
    shown: Option<String>,
    /// The peer that said AUTH EXTERNAL, too.
    pair: Option<String>,
    /// What XFORWARD said of the next message.
    forward: Option<Forward>,
    transaction: Option<Transaction>,
    /// The message of the transaction: from DATA or the first BDAT to its reply.
    message: Option<Message>,
    errors: u32,
    refusals: u32,
    draining: bool,
    receipt: PhantomData<fn(R)>,
}

impl<R: fmt::Display> Session<R> {
    /// A session whose first output is the greeting.
    pub fn new(config: Arc<Config>) -> Self {
        let tls = config.tls == Tls::Active;
        Session {
            config,
            out: Vec::new(),
            state: State::Greeting,
            queue: VecDeque::new(),
            lines: Lines::default(),
            extended: None,
            helo: String::new(),
            tls,
            account: None,
            shown: None,
            pair: None,
            forward: None,
            transaction: None,
            message: None,
            errors: 0,
            refusals: 0,
            draining: false,
            receipt: PhantomData,
        }
    }

    /// A session that only says why it refuses (421, 550 or 554) and closes.
    pub fn refusing(config: Arc<Config>, status: &Status) -> Self {
        let mut session = Session::new(config);
        session.say(&Reply::from(status));
        session.close();
        session
    }

    /// The octets to write to the client, in order; the driver takes them from the front (mostly: writes all, then clears).
    pub fn replies(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// The transaction under way: from the accepted MAIL until the reply to the message.
    pub fn transaction(&self) -> Option<&Transaction> {
        self.transaction.as_ref()
    }

    /// The argument of the last EHLO or HELO, printable; empty before one.
    pub fn helo(&self) -> &str {
        &self.helo
    }

    /// How the client speaks, for the trace header.
    pub fn protocol(&self) -> Protocol {
        Protocol {
            extended: self.extended == Some(true),
            tls: self.tls,
            auth: self.account.is_some() || self.pair.is_some(),
            utf8: self.transaction.as_ref().is_some_and(|transaction| transaction.mail.utf8),
            local: false,
        }
    }

    /// The account that authenticated.
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// The peer of a pair that authenticated.
    pub fn pair(&self) -> Option<&str> {
        self.pair.as_deref()
    }

    /// What the peer said of the client that it had the message from: of the transaction, or of the one that begins.
    pub fn forwarded(&self) -> Option<&Forward> {
        self.transaction.as_ref().map_or(self.forward.as_ref(), |transaction| transaction.forward.as_ref())
    }

    /// Whether the session is under TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Takes what the driver found out. What answers no open question is ignored.
    pub fn handle(&mut self, input: Input<R>) {
        match input {
            Input::Answer(status) => self.answer(status),
            Input::Members(members) => self.members(&members),
            Input::Lines(lines) => self.listed(&lines),
            Input::Shown(peer) => self.shown(peer),
            Input::Authenticated { account } => self.authenticated(account),
            Input::Content(verdict) => self.content(&verdict),
            Input::Committed(receipt) => self.committed(receipt),
            Input::Broken(status) => self.broken(&status),
            Input::TlsStarted => self.tls_started(),
            Input::Drain => self.draining = true,
            Input::Timeout => self.abandon(Some(Reply::new(421, 4, 2, "You are too slow; closing the connection"))),
            Input::Eof => self.abandon(None),
        }
    }

    fn answer(&mut self, status: Status) {
        if !matches!(self.state, State::Asked(ref question) if !matches!(question, Question::Content)) {
            return;
        }
        let asked = std::mem::replace(&mut self.state, State::Command);
        let counts = status.class() == Class::Permanent && !matches!(asked, State::Asked(Question::Auth));
        match asked {
            State::Asked(Question::Mail(mail)) => self.mail_answered(mail, &status),
            State::Asked(Question::Rcpt(recipient)) => self.rcpt_answered(recipient, &status),
            State::Asked(Question::Auth) => self.auth_refused(&status),
            State::Asked(Question::Pair(peer)) => self.pair_answered(peer, &status),
            _ => self.tell(Reply::from(&status)),
        }
        if counts {
            self.count_refusal();
        }
    }

    /// The connection is over, in the middle of whatever it was.
    fn abandon(&mut self, last_words: Option<Reply>) {
        if matches!(self.state, State::Closed) {
            return;
        }
        // What the driver has not been told yet need not be told any more: the answer would find nobody.
        self.queue.clear();
        self.drop_message();
        if let Some(reply) = last_words {
            self.refuse("", reply);
        }
        self.close();
    }

    /// Ends the transaction, if there is one.
    fn reset(&mut self) {
        self.drop_message();
        self.transaction = None;
        self.forward = None;
    }

    fn ask(&mut self, question: Question, ask: Ask) {
        self.state = State::Asked(question);
        self.queue.push_back(Output::Ask(ask));
    }

    fn say(&mut self, reply: &Reply) {
        print::reply(&mut self.out, reply);
    }

    /// A reply that the driver decided on. 421 ends the session (RFC 5321 §3.8).
    fn tell(&mut self, reply: Reply) {
        self.say(&reply);
        if reply.code == 421 {
            self.reset();
            self.close();
        }
    }

    /// A reply that an administrator wants to read of, too.
    fn refuse(&mut self, stage: &'static str, reply: Reply) {
        self.say(&reply);
        let Reply { code, enhanced, text } = reply;
        self.queue.push_back(Output::Refused(Refusal { stage, code, enhanced, text: text.into_owned() }));
    }

    /// A reply to a bad command. Too many of them end the session (R1.14).
    fn complain(&mut self, reply: Reply) {
        self.say(&reply);
        self.errors += 1;
        if self.errors >= self.config.max_errors {
            self.hang_up(Reply::new(421, 7, 0, "Too many errors; closing the connection"));
        }
    }

    /// Counts a sender, a recipient or a user that was refused for good. One by one they are no bad commands: a list has its dead
    /// addresses. Without end they are somebody who tries names (R1.14). What is refused for now (452 4.5.3) does not count.
    fn count_refusal(&mut self) {
        self.refusals += 1;
        if self.refusals >= self.config.max_refusals {
            self.hang_up(Reply::new(421, 7, 0, "Too many refusals; closing the connection"));
        }
    }

    fn close(&mut self) {
        self.state = State::Closed;
        self.queue.push_back(Output::Close);
    }
}
