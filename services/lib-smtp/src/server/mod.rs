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

mod config;

pub use config::{AuthConfig, Config, Extensions, Mechanism, Privacy, Role, Tls};

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use lib_mail::{BodyType, Domain, Enhanced, Protocol, Recipient, Return, ReversePath, Status};

/// What the driver found out. `R` is the receipt of a stored message; its `Display` is the id that the client is told.
#[derive(Debug)]
pub enum Input<R> {
    /// The answer to [`Ask::Mail`], [`Ask::Rcpt`], [`Ask::Vrfy`], [`Ask::Expn`], [`Ask::Etrn`], or a refused [`Ask::Auth`]. It is
    /// printed as it is; 2yz accepts.
    Answer(Status),
    /// The answer to [`Ask::Auth`]: the client is this account.
    Authenticated {
        /// The account's full address.
        account: String,
    },
    /// The answer to [`Ask::Content`]: one status for each recipient of the transaction, in its order. Where any is 2yz, the session
    /// goes on to [`Output::Commit`], and what becomes of the others is the driver's; else it says [`Output::Discard`] and replies
    /// with the first temporary status, or the first.
    Content(Vec<Status>),
    /// The end of [`Output::Commit`].
    Committed(Result<R, Status>),
    /// The message cannot be kept (no room, a write failed). Between [`Output::Begin`] and [`Ask::Content`] only. The rest of it is
    /// read and dropped, then the client is told; [`Output::Discard`] follows.
    Broken(Status),
    /// The handshake after [`Output::StartTls`] is done. (One that failed ends the connection.)
    TlsStarted,
    /// Nothing came in the time that the phase allows.
    Timeout,
    /// The node stops: the session says 421 as soon as no message is under way.
    Drain,
    /// The client closed its side.
    Eof,
}

/// What the driver is to do next.
#[derive(Debug, PartialEq)]
pub enum Output<'a> {
    /// Write the replies, then read more octets; `Phase` says how long the client may take.
    Read(Phase),
    /// Write the replies before going on: a client that sends and never reads must not fill the memory.
    Flush,
    /// A question; nothing more is consumed until [`Session::handle`] has its answer.
    Ask(Ask),
    /// A question is open: poll was called too early.
    Pending,
    /// A message begins: [`Session::transaction`] says whose.
    Begin,
    /// Octets of the message, with CRLF line ends and without dot-stuffing.
    Append(&'a [u8]),
    /// The message is whole and was found good: make it durable, then [`Input::Committed`].
    Commit,
    /// The message that was begun is not to be kept.
    Discard,
    /// Write the replies, then shake hands. Every octet that came in clear was taken, so none outlives the handshake.
    StartTls,
    /// The session itself refused something that an administrator wants to read of.
    Refused(Refusal),
    /// Write the replies, then close.
    Close,
}

/// One step of a session.
#[derive(Debug, PartialEq)]
pub struct Step<'a> {
    /// How many octets from the front of the input are used up, those of [`Output::Append`] included.
    pub taken: usize,
    /// What to do.
    pub output: Output<'a>,
}

/// What the session waits for, so that the driver can choose the time-out (RFC 5321 §4.5.3.2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A command, or a line of AUTH.
    Command,
    /// Octets of a message.
    Message,
}

/// A question that the session cannot answer by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// May this client send this? Rights, room on disk (R1.5), sender rules.
    Mail(Mail),
    /// Is this recipient taken? `<postmaster>` comes with [`Config::postmaster_domain`].
    Rcpt(Recipient),
    /// Are these credentials good? Answered by [`Input::Authenticated`] or a refusal (535 5.7.8, 454 4.7.0).
    Auth(Credentials),
    /// What is known of a user (252 where nothing is to be told). The argument as given, printable.
    Vrfy(String),
    /// The members of a list. The argument as given, printable.
    Expn(String),
    /// Start the queue of a domain (RFC 1985). Answered by 250, 251, 252, 253, 458 or 459.
    Etrn {
        /// The domain.
        domain: Domain,
        /// `@domain`: its subdomains too.
        subdomains: bool,
    },
    /// The last octet came: what is the verdict on the content? Answered by [`Input::Content`].
    Content,
}

/// MAIL with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Mail {
    /// The reverse-path.
    pub sender: ReversePath,
    /// SIZE=, in octets on the wire; not over the limit.
    pub size: Option<u64>,
    /// BODY=.
    pub body: BodyType,
    /// SMTPUTF8.
    pub utf8: bool,
    /// RET=.
    pub ret: Option<Return>,
    /// ENVID= in wire form.
    pub envid: Option<String>,
    /// AUTH= in wire form (RFC 4954 §5); `<>` where the submitter is not known.
    pub auth: Option<String>,
}

/// The transaction under way: what the envelope is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    /// MAIL.
    pub mail: Mail,
    /// The recipients that were accepted, in the order of their RCPT. A repeated one stands once.
    pub recipients: Vec<Recipient>,
}

/// A login name and a password, as AUTH gave them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The login name: a full address, or a bare name.
    pub user: String,
    /// The password. `Debug` hides it.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Something the session refused without asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The command during which it was refused, as `DATA`; empty outside of one.
    pub stage: &'static str,
    /// The reply code.
    pub code: u16,
    /// The enhanced code.
    pub enhanced: Enhanced,
    /// The words of the reply.
    pub text: String,
}

/// A session with one client, from the greeting to the end.
#[derive(Debug)]
#[allow(dead_code)]
pub struct Session<R> {
    config: Arc<Config>,
    out: Vec<u8>,
    receipt: PhantomData<fn(R)>,
}

#[allow(clippy::unimplemented, unused_variables, missing_docs)]
impl<R: fmt::Display> Session<R> {
    /// A session whose first output is the greeting.
    pub fn new(config: Arc<Config>) -> Self {
        Session { config, out: Vec::new(), receipt: PhantomData }
    }

    /// A session that only says why it refuses (421, 550 or 554) and closes.
    pub fn refusing(config: Arc<Config>, status: &Status) -> Self {
        unimplemented!()
    }

    /// Does the next step with the octets that the driver has. Octets that were not taken must be passed again, in front of what came
    /// since; the driver's buffer must be able to hold [`MIN_BUFFER`] octets.
    pub fn poll<'a>(&mut self, input: &'a [u8]) -> Step<'a> {
        unimplemented!()
    }

    /// Takes what the driver found out. What answers no open question is ignored.
    pub fn handle(&mut self, input: Input<R>) {
        unimplemented!()
    }

    /// The octets to write to the client, in order; the driver takes them from the front (mostly: writes all, then clears).
    pub fn replies(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// The transaction under way: from the accepted MAIL until the reply to the message.
    pub fn transaction(&self) -> Option<&Transaction> {
        unimplemented!()
    }

    /// The argument of the last EHLO or HELO, printable; empty before one.
    pub fn helo(&self) -> &str {
        unimplemented!()
    }

    /// How the client speaks, for the trace header.
    pub fn protocol(&self) -> Protocol {
        unimplemented!()
    }

    /// The account that authenticated.
    pub fn account(&self) -> Option<&str> {
        unimplemented!()
    }

    /// Whether the session is under TLS.
    pub fn is_tls(&self) -> bool {
        unimplemented!()
    }
}

/// Octets that a driver's buffer must be able to hold: the longest line that is taken whole, and then some.
pub const MIN_BUFFER: usize = 16 * 1024;
