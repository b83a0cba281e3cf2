//! Mailboxes: Maildir, usage ledger, maildrop lock. docs/mailbox.md specifies what lies on disk and in which order it gets there.
//!
//! The only crate that touches `mail/`. Every call blocks; none belongs on an event loop. Accounts are named by their key
//! ([`lib_mail::Address::key`]: `user@domain` in lower case); whether such an account exists is not asked here. No path, file or
//! descriptor leaves this crate.

#![allow(dead_code, clippy::unimplemented)] // while the bodies are being written

mod name;
mod wire;

use std::io::Read;
use std::path::Path;

use lib_mail::QueueId;

/// Why a mailbox could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another session holds the maildrop. The client is told `[IN-USE]`.
    #[error("the maildrop is in use by another session")]
    InUse,
    /// The account's name cannot name a directory: too long, or no `user@domain`. No retry helps.
    #[error("no mailbox can have the name {0:?}")]
    Name(String),
    /// The message was removed by another tool since the listing.
    #[error("the message is gone")]
    Gone,
    /// The message could not be read from its source (the spool); nothing was delivered.
    #[error("cannot read the message: {0}")]
    Source(#[source] std::io::Error),
    /// The disk refused: full, failing, or not permitted. Temporary for the sender; the operator must look where it lasts.
    #[error("cannot {doing} in the mailbox of {account}: {source}")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// The account's key.
        account: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A message to be delivered.
pub struct Delivery<'a> {
    /// The message's id; it becomes the name of the copy and its UIDL.
    pub id: &'a QueueId,
    /// Header lines to put in front, each with CRLF; may be empty.
    pub trace: &'a [u8],
    /// The message in wire form (CRLF).
    pub body: &'a mut dyn Read,
    /// An earlier attempt may have delivered this message already (a crash before its outcome was on disk): look for it first.
    pub repeat: bool,
}

/// What a delivery did. Exists only once the copy is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivered {
    /// Octets of the copy in wire form, trace included.
    pub size: u64,
    /// An earlier attempt had delivered it; nothing was written now.
    pub repeated: bool,
}

/// What a mailbox holds, folders included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Octets on disk.
    pub bytes: u64,
    /// Messages.
    pub messages: u64,
}

/// All mailboxes of this node. Clones share their caches.
#[derive(Clone)]
pub struct Mailboxes;

impl Mailboxes {
    /// The mailboxes below the directory `mail`. Opens nothing yet.
    pub fn open(_mail: &Path) -> Mailboxes {
        unimplemented!()
    }

    /// Puts a copy into the account's mailbox, which is made if it does not exist, and returns once it is durable. Concurrent
    /// deliveries to one mailbox share a sync, so call this from many threads.
    ///
    /// # Errors
    /// On any error it is not certain that there is a copy; a later call with `repeat` is safe.
    pub fn deliver(&self, _account: &str, _delivery: Delivery<'_>) -> Result<Delivered, Error> {
        unimplemented!()
    }

    /// Locks the account's maildrop and lists it. A mailbox that does not exist yet is empty.
    ///
    /// # Errors
    /// [`Error::InUse`] when another session has it.
    pub fn maildrop(&self, _account: &str) -> Result<Maildrop, Error> {
        unimplemented!()
    }

    /// What the account's mailbox holds by its ledger; nothing where there is none. Takes no lock and lists nothing.
    pub fn usage(&self, _account: &str) -> Result<Usage, Error> {
        unimplemented!()
    }

    /// Counts the mailbox anew and rewrites its ledger.
    pub fn recount(&self, _account: &str) -> Result<Usage, Error> {
        unimplemented!()
    }

    /// The keys of all accounts that have a home here, in no order. (Whether the account still exists is not asked.)
    pub fn accounts(&self) -> Result<Vec<String>, Error> {
        unimplemented!()
    }
}

/// A locked maildrop: what one POP3 session sees. The listing is fixed; dropping it gives the lock back.
pub struct Maildrop;

impl Maildrop {
    /// Number of messages; they are named by index, `0..len`, in order of arrival.
    pub fn len(&self) -> usize {
        unimplemented!()
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets of the message in wire form, without dot-stuffing.
    pub fn size(&self, _index: usize) -> u64 {
        unimplemented!()
    }

    /// The unique id: 1 to 70 characters of `!`…`~`, the same in every session.
    pub fn uid(&self, _index: usize) -> &str {
        unimplemented!()
    }

    /// Octets of all messages in wire form.
    pub fn total(&self) -> u64 {
        unimplemented!()
    }

    /// Opens a message.
    ///
    /// # Errors
    /// [`Error::Gone`] when another tool removed it.
    pub fn read(&self, _index: usize) -> Result<Body, Error> {
        unimplemented!()
    }

    /// Removes these messages (QUIT) and syncs. One that is gone already counts as removed.
    ///
    /// # Errors
    /// Some of them were not removed, or it is not certain; all that could be removed are.
    pub fn remove(&self, _indices: &[usize]) -> Result<(), Error> {
        unimplemented!()
    }
}

/// A message being read, block by block. It stays readable when the maildrop is dropped or the message removed.
pub struct Body;

impl Body {
    /// Replaces `block` with the next part of the wire form: CRLF line ends, not dot-stuffed, up to about 128 KiB, cut anywhere.
    /// Returns false, and leaves `block` empty, at the end. The message ends with CRLF even where the file does not.
    pub fn block(&mut self, _block: &mut Vec<u8>) -> Result<bool, Error> {
        unimplemented!()
    }
}
