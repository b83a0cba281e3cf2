//! POP3 as values and a session, without input or output of their own (RFC 1939, RFC 2449, RFC 2595, RFC 3206, RFC 5034).
//!
//! Floor 1. The wire is [`Command`], [`Lines`] and [`Stuffer`]; the session is [`Session`]: octets and answers in, replies and
//! questions out. It opens no socket and no mailbox, and it knows no time: the RFC wants an idle client cut off without a word
//! and without removing anything, so the driver just stops calling.

mod command;
pub mod fuzzing;
mod line;
mod session;
mod stuff;

pub use command::{Command, CommandError, Sasl, Verb};
pub use line::{Line, Lines};
pub use session::{Answer, Ask, Maildrop, Next, NotOpened, Password, Rules, Session, Verdict};
pub use stuff::{Stuffer, TopCut};

/// Octets of a command with its line end (RFC 2449 §4).
pub const MAX_COMMAND: usize = 255;
/// Octets of a SASL response with its line end: base64 of two names and a password of 255 octets each, and room to spare.
/// RFC 5034 §4 lets a server set its own limit.
pub const MAX_SASL: usize = 2048;
/// Octets of one line that are skipped before the client is given up.
pub const MAX_SKIPPED: usize = 64 * 1024;
/// Octets that a listing appends before it lets the driver send them.
pub const LISTING_PIECE: usize = 32 * 1024;
