//! What goes into a session and what comes out of it.

use std::fmt;

use lib_mail::{Domain, Enhanced, Recipient, Status};

pub use crate::command::Mail;
use crate::forward::Forward;

/// What the driver found out. `R` is the receipt of a stored message; its `Display` is the id that the client is told.
#[derive(Debug)]
pub enum Input<R> {
    /// The answer to [`Ask::Mail`], [`Ask::Rcpt`], [`Ask::Vrfy`], [`Ask::Expn`], [`Ask::Etrn`], or a refused [`Ask::Auth`]. It is
    /// printed as it is; 2yz accepts.
    Answer(Status),
    /// The answer to [`Ask::Expn`] where it is a success: the members, each a text of ASCII that becomes one line of the reply.
    Members(Vec<String>),
    /// The answer to [`Ask::List`] where it is a success: the lines of one reply, of any printable letters.
    Lines(Vec<String>),
    /// After [`Input::TlsStarted`]: the handshake showed the key of this peer of a pair, so AUTH EXTERNAL is offered.
    Shown(String),
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
    /// A question; nothing more is consumed until [`super::Session::handle`] has its answer.
    Ask(Ask),
    /// A question is open: poll was called too early.
    Pending,
    /// A message begins: [`super::Session::transaction`] says whose.
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
    /// Is this recipient taken? `<postmaster>` comes with [`super::Config::postmaster_domain`].
    Rcpt(Recipient),
    /// Are these credentials good? Answered by [`Input::Authenticated`] or a refusal (535 5.7.8, 454 4.7.0).
    Auth(Credentials),
    /// This peer, whose key the handshake showed, asks for its rights. Answered by [`Input::Answer`].
    Pair(String),
    /// Who has mail here? Only a peer asks. Answered by [`Input::Lines`] or a refusal.
    List {
        /// The digest of the list that the peer has, or `-`.
        have: String,
        /// The line to go on from, where it reads a list of over [`super::LIST_LINES`].
        from: Option<usize>,
    },
    /// What is known of a user (252 where nothing is to be told). The argument as given, printable.
    Vrfy(String),
    /// The members of a list. The argument as given, printable. Answered by [`Input::Members`] or a refusal.
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

/// The transaction under way: what the envelope is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    /// MAIL.
    pub mail: Mail,
    /// The recipients that were accepted, in the order of their RCPT. A repeated one stands once.
    pub recipients: Vec<Recipient>,
    /// Who the client was that a peer hands the message over for.
    pub forward: Option<Forward>,
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
