//! What can go wrong, grouped by who must act.

use std::io;

use lib_mail::QueueId;

use crate::Queue;

/// A call on the spool failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// We cannot now: the disk refused. Answer 451 4.3.0 (452 4.3.1 where [`is_full`](Error::is_full)), or try the message later.
    #[error("cannot {doing}: {source}")]
    Disk {
        /// What was tried, as `write the message`.
        doing: &'static str,
        /// The system's words.
        source: io::Error,
    },
    /// The operator must know: the message was damaged on disk and has been set aside. Log it; nothing else can be done with it.
    #[error("{0}")]
    Corrupt(Corruption),
    /// The operator must act: a newer version wrote this message. It is left untouched; a version that knows it will take it.
    #[error("message {id} in {queue} has a newer format than this version knows")]
    Newer {
        /// The queue in whose name it lies.
        queue: Queue,
        /// The message.
        id: QueueId,
    },
    /// The operator must act: the directory cannot be used. Refuse to start.
    #[error("the spool cannot be used: {doing}: {source}")]
    Layout {
        /// What was tried, and on which name.
        doing: String,
        /// The system's words.
        source: io::Error,
    },
    /// Our bug: the caller asked for what a caller must not, as finishing a message with recipients pending. Temporary for the message.
    #[error("{0}")]
    Misuse(&'static str),
}

/// A message that is not what was committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("message {id} in {queue} is damaged ({fault}); {}", if *.set_aside { "it is kept in corrupt/" } else { "it stays where it is" })]
pub struct Corruption {
    /// The message.
    pub id: QueueId,
    /// The queue it was in.
    pub queue: Queue,
    /// What is wrong with it.
    pub fault: Fault,
    /// It now lies in `corrupt/`. `false` where the move failed; the next claim tries again.
    pub set_aside: bool,
}

/// What is wrong with a message file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Line 1 is neither blank nor of our form.
    #[error("its first line is not ours")]
    FirstLine,
    /// Shorter than line 1 says.
    #[error("it is shorter than its first line says")]
    Short,
    /// The check sum over message and envelope differs.
    #[error("its check sum differs")]
    Sum,
}

impl Error {
    /// Whether the disk had no room or no quota left.
    pub fn is_full(&self) -> bool {
        match self {
            Error::Disk { source, .. } | Error::Layout { source, .. } => full(source),
            _ => false,
        }
    }
}

/// Whether a disk error says that there is no room.
pub(crate) fn full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Names what was tried when the disk refused.
pub(crate) trait Doing<T> {
    fn doing(self, what: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|source| Error::Disk { doing: what, source })
    }
}
