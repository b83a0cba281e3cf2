//! What a program implements to have its sessions driven: the [`Service`] that answers a port and the [`Conversation`] with one client.
//!
//! The driver owns the socket, the clock of the session and every buffer; a conversation sees octets and writes octets. It must never
//! block: what takes time goes into [`Conversation::work`].
//!
//! The life of a conversation, as the driver sees it:
//! ```text
//! open → turn(no input: the greeting) → Read → turn(octets) → Again … → Read
//!                                       Work: replies so far are sent, work() runs to its end, then turn again
//!                                       Write: replies so far are sent, then turn again
//!                                       StartTls: replies so far are sent, handshake, secured(), then turn again
//!                                       Close: replies so far are sent, the connection ends
//! the time is up, a drain → interrupted() → what it wrote is sent, the connection ends
//! in every case → ended()
//! ```

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lib_mail::Peer;

/// Why a client was turned away before a conversation began; its `Display` is the cause in words, for the log.
pub use lib_policy::Turned as Refusal;

use crate::bounds::Bounds;
use crate::listen::Port;
use crate::tls::TlsInfo;

/// The octets that one call of [`Conversation::turn`] can be given, at most. A unit (a line with its end) must be shorter.
pub const INPUT_LIMIT: usize = 64 * 1024;

/// Replies that may gather before the driver sends them and waits until the client has taken them.
pub const OUTPUT_LIMIT: usize = 64 * 1024;

/// What a conversation wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It took something and may be able to go on with the rest of the input: call `turn` again.
    Again,
    /// What is left of the input is not a whole unit. The driver sends the replies, waits for more, and gives the rest again with
    /// the new octets behind it.
    Read,
    /// Send the replies, wait until the client has taken them, then call `turn` again: for replies too long to gather.
    Write,
    /// Run [`Conversation::work`] to its end, then call `turn` again.
    Work,
    /// Send the replies, then speak TLS. Octets that the client sent behind its command are thrown away: nothing said in the clear may
    /// count under TLS (CVE-2011-0411).
    StartTls,
    /// Send the replies, then end the connection.
    Close,
}

/// What [`Conversation::turn`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Octets taken from the front of the input: `taken <= input.len()`.
    pub taken: usize,
    /// What it wants next.
    pub next: Next,
}

impl Turn {
    /// `taken` octets were taken; go on with `next`.
    pub const fn new(taken: usize, next: Next) -> Self {
        Turn { taken, next }
    }
}

/// Why the driver ends a conversation that the conversation would not have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// The client said nothing for as long as [`Conversation::patience`] allows.
    Idle,
    /// The session has lasted as long as a session may.
    Total,
    /// The program stops, and the conversation is at rest or has used up its grace.
    Drain,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The conversation closed it.
    Closed,
    /// The client closed it, or the network did.
    Gone,
    /// The driver did, after [`Conversation::interrupted`].
    Interrupted(Interruption),
    /// The client did not take replies within the write time-out.
    SlowReader,
    /// The TLS handshake failed, or took too long; in words.
    Tls(String),
    /// The conversation took nothing from a full input: a mistake of ours, ended rather than looped over.
    Stuck,
}

/// One client's session, as the driver needs it. Kept small: a thousand idle ones lie in memory.
pub trait Conversation: Send + 'static {
    /// Takes at most one unit (a line, a run of message octets) from the front of `input`, and appends replies to `output`.
    ///
    /// The first call has no input and lets the conversation greet. It is called again after each [`Next`] but `Close`, with the input
    /// that is left, which may be empty.
    fn turn(&mut self, input: &[u8], output: &mut Vec<u8>) -> Turn;

    /// Does what takes time: asks another process, goes to the disk (in the blocking pool). Called after [`Next::Work`]; the client is
    /// not read from meanwhile. The future is dropped unfinished only when the process ends.
    fn work(&mut self) -> impl Future<Output = ()> + Send;

    /// How long the next octet may take, given the state of the session.
    fn patience(&self) -> Duration;

    /// Whether no transaction is under way, so that a drain may end the session now.
    fn at_rest(&self) -> bool;

    /// TLS is up. What the client said before must be forgotten (RFC 3207 §4.2).
    fn secured(&mut self, tls: &TlsInfo);

    /// The session ends for the reason given; `output` takes the last words, such as `421 4.4.2 …`.
    fn interrupted(&mut self, why: Interruption, output: &mut Vec<u8>);

    /// The connection is closed. The place to release locks and to record the end; nothing can be said any more.
    fn ended(&mut self, end: &End);
}

/// A client that connected and was let in.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// Who.
    pub peer: Peer,
    /// To which listener.
    pub port: Arc<Port>,
    /// TLS, where the listener speaks it from the first octet.
    pub tls: Option<TlsInfo>,
}

/// A protocol on a port: makes the conversations and says what clients are told that cannot have one.
pub trait Service: Send + Sync + 'static {
    /// The session of one client.
    type Conversation: Conversation;

    /// Begins a conversation, with the settings in force now; it keeps them to its end.
    fn open(&self, arrival: Arrival) -> Self::Conversation;

    /// The one line with CRLF that a refused client is told, as `421 4.7.0 …`. Not sent where the port speaks TLS from the first octet.
    fn refusal(&self, why: Refusal) -> Cow<'static, str>;

    /// A client was refused; `times` counts those of this cause and address since the last call. Called at a bounded rate, so it may log.
    fn refused(&self, peer: Peer, why: Refusal, times: u64);

    /// The time limits in force now; a session keeps those it began with.
    fn bounds(&self) -> Bounds;
}
