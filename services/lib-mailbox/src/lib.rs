//! Mailboxes: Maildir, usage ledger, maildrop lock. docs/mailbox.md specifies what lies on disk and in which order it gets there.
//!
//! The only crate that touches `mail/`. Every call blocks; none belongs on an event loop. Accounts are named by their key
//! ([`lib_mail::Address::key`]: `user@domain` in lower case); whether such an account exists is not asked here. No path, file or
//! descriptor leaves this crate.

mod batch;
mod delivery;
mod group;
mod home;
mod ledger;
mod listing;
mod maildrop;
mod name;
mod seat;
mod wire;

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use lib_host::{Dir, Disk, Together};
use lib_mail::QueueId;

use group::Group;
use home::{HomeName, Lasting};
use listing::Listings;
pub use maildrop::{Body, Maildrop};
use seat::Seats;

/// Copies that are gathered at most for one sync.
const MOST_TOGETHER: usize = 64;

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

impl Error {
    /// Whether the disk, or the user's share of it, has no room.
    pub fn is_full(&self) -> bool {
        let full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
        matches!(self, Error::Disk { source, .. } if full.contains(&source.kind()))
    }
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
pub struct Mailboxes(Arc<Shared>);

struct Shared {
    mail: Dir,
    seats: Seats,
    together: Together,
    listings: Listings,
}

impl Mailboxes {
    /// The mailboxes below the directory `mail`, which must exist.
    ///
    /// # Errors
    /// The system's, where the directory cannot be opened.
    pub fn open(mail: &Path) -> io::Result<Mailboxes> {
        Mailboxes::open_on(&Disk::real(), mail)
    }

    /// As [`Mailboxes::open`], on any disk.
    ///
    /// # Errors
    /// As [`Mailboxes::open`].
    pub fn open_on(disk: &Disk, mail: &Path) -> io::Result<Mailboxes> {
        let mail = disk.dir(mail)?;
        let together = Together::on(&mail)?;
        let shared = Shared { mail, seats: Seats::default(), together, listings: Listings::default() };
        Ok(Mailboxes(Arc::new(shared)))
    }

    /// Puts a copy into the account's mailbox, which is made if it does not exist, and returns once it is durable. Concurrent
    /// deliveries to one mailbox share a sync, so call this from many threads.
    ///
    /// # Errors
    /// On any error it is not certain that there is a copy; a later call with `repeat` is safe.
    pub fn deliver(&self, account: &str, delivery: Delivery<'_>) -> Result<Delivered, Error> {
        let mut delivered = self.deliver_all(&mut [(account, delivery)]);
        // There is a result for each.
        delivered.pop().unwrap_or(Err(Error::Gone))
    }

    /// As [`Mailboxes::deliver`] for several copies, each with its account, that share their syncs where the file system allows; a
    /// result for each, in their order. No two may be the same message for the same account. It takes as long as all of them, so
    /// they should be about [`Mailboxes::together`] at the most.
    pub fn deliver_all<'a>(&'a self, deliveries: &mut [(&'a str, Delivery<'_>)]) -> Vec<Result<Delivered, Error>> {
        Group::deliver(&self.0, deliveries)
    }

    /// How many deliveries are worth gathering for one call of [`Mailboxes::deliver_all`] now: one where each has syncs of its own, which
    /// share their costs with those of other threads.
    pub fn together(&self) -> usize {
        if self.0.together.is_of_use() { MOST_TOGETHER } else { 1 }
    }

    /// Locks the account's maildrop and lists it. A mailbox that does not exist yet is empty.
    ///
    /// # Errors
    /// [`Error::InUse`] when another session has it.
    pub fn maildrop(&self, account: &str) -> Result<Maildrop, Error> {
        Maildrop::open(&self.0.mail, &self.0.listings, account)
    }

    /// What the account's mailbox holds by its ledger; nothing where there is none. Takes no lock and lists nothing.
    ///
    /// # Errors
    /// [`Error::Disk`] and [`Error::Name`].
    pub fn usage(&self, account: &str) -> Result<Usage, Error> {
        self.at_home(account, "read the ledger", ledger::read)
    }

    /// Counts the mailbox anew and rewrites its ledger.
    ///
    /// # Errors
    /// As [`Mailboxes::usage`].
    pub fn recount(&self, account: &str) -> Result<Usage, Error> {
        self.at_home(account, "recount", |home| home::recount(home, Lasting::Now))
    }

    /// The keys of all accounts that have a home here, sorted. (Whether the account still exists is not asked.)
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn accounts(&self) -> Result<Vec<String>, Error> {
        home::accounts(&self.0.mail).map_err(|source| Error::Disk { doing: "list mailboxes", account: "all".into(), source })
    }

    /// Does something in a home; where there is none, nothing is used.
    fn at_home(&self, account: &str, doing: &'static str, act: fn(&Dir) -> io::Result<Usage>) -> Result<Usage, Error> {
        let name = HomeName::of(account).ok_or_else(|| Error::Name(account.to_owned()))?;
        match name.open(&self.0.mail).and_then(|home| act(&home)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Usage::default()),
            other => other.map_err(|source| Error::Disk { doing, account: account.to_owned(), source }),
        }
    }
}

#[cfg(test)]
mod tests;
