//! A maildrop: the mailbox as one POP3 session sees it, under an exclusive lock.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use lib_host::{Access, Dir, File, Purpose};

use crate::home::{CUR, HomeName, LOCK, NEW, disk_size, find_in};
use crate::ledger::{self, Change, Ledger};
use crate::listing::{Listing, Listings, Message};
use crate::wire::ToWire;
use crate::{Error, Usage};

/// Octets of a file read at a time.
const READ: usize = 64 * 1024;

/// A locked maildrop: what one POP3 session sees. The listing is fixed; dropping it gives the lock back.
#[derive(Debug)]
pub struct Maildrop {
    account: Box<str>,
    home: Dir,
    listing: Arc<Listing>,
    /// Held, not used: the lock lives as long as it.
    _lock: File,
}

impl Maildrop {
    pub(crate) fn open(mail: &Dir, listings: &Listings, account: &str) -> Result<Maildrop, Error> {
        let disk = |doing| move |source| Error::Disk { doing, account: account.to_owned(), source };
        let name = HomeName::of(account).ok_or_else(|| Error::Name(account.to_owned()))?;
        let home = name.open_or_make(mail).map_err(disk("open directories"))?;
        let lock = home.open_or_create(LOCK).map_err(disk("open the lock"))?;
        if !lock.try_lock().map_err(disk("take the lock"))? {
            return Err(Error::InUse);
        }
        let listing = listings.list(account, &home).map_err(disk("list directories"))?;
        Ok(Maildrop { account: account.into(), home, listing, _lock: lock })
    }

    /// Number of messages; they are named by index, `0..len`, in order of arrival.
    pub fn len(&self) -> usize {
        self.listing.messages.len()
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets of the message in wire form, without dot-stuffing; 0 for an index that there is not.
    pub fn size(&self, index: usize) -> u64 {
        self.listing.messages.get(index).map_or(0, |message| message.wire)
    }

    /// The unique id: 1 to 70 characters of `!`…`~`, the same in every session; empty for an index that there is not.
    pub fn uid(&self, index: usize) -> &str {
        self.listing.messages.get(index).map_or("", |message| &message.uid)
    }

    /// Octets of all messages in wire form.
    pub fn total(&self) -> u64 {
        self.listing.total
    }

    /// Opens a message.
    ///
    /// # Errors
    /// [`Error::Gone`] when another tool removed it, or there never was such an index.
    pub fn read(&self, index: usize) -> Result<Body, Error> {
        let message = self.listing.messages.get(index).ok_or(Error::Gone)?;
        let file = match self.home.open(message.path(), Access::Read) {
            Err(error) if error.kind() == ErrorKind::NotFound => self.open_renamed(message),
            opened => opened,
        };
        match file {
            Ok(file) => Ok(Body::new(file, self.account.clone())),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::Gone),
            Err(error) => Err(self.disk("open a message", error)),
        }
    }

    /// Opens a message that another tool has moved or flagged since the listing.
    fn open_renamed(&self, message: &Message) -> io::Result<File> {
        let found = find_in(&self.home, &[CUR, NEW], &message.base())?.ok_or(ErrorKind::NotFound)?;
        self.home.open(Path::new(&found.dir).join(found.name), Access::Read)
    }

    /// Removes these messages (QUIT) and syncs. One that is gone already counts as removed.
    ///
    /// # Errors
    /// Some of them were not removed, or it is not certain; all that could be removed are.
    pub fn remove(&self, indices: &[usize]) -> Result<(), Error> {
        if indices.is_empty() {
            return Ok(());
        }
        // Removing works on a full disk too, where the ledger may not.
        let ledger = Ledger::lock_for_client(&self.home);
        let mut removal = Removal::default();
        for message in indices.iter().filter_map(|index| self.listing.messages.get(*index)) {
            removal.remove(&self.home, message);
        }
        match ledger {
            Ok(ledger) if ledger.is_fresh() => {}
            Ok(ledger) => drop(ledger.note(Change::Removed, removal.removed)),
            Err(error) if error.kind() == ErrorKind::TimedOut => ledger::discard(&self.home),
            Err(_) => {}
        }
        removal.sync(&self.home).map_err(|error| self.disk("remove messages", error))
    }

    fn disk(&self, doing: &'static str, source: io::Error) -> Error {
        Error::Disk { doing, account: self.account.as_ref().to_owned(), source }
    }
}

/// Messages being removed.
#[derive(Default)]
struct Removal {
    removed: Usage,
    /// Whether something was removed from `new/` and from `cur/`.
    new: bool,
    cur: bool,
    failed: Option<io::Error>,
}

impl Removal {
    fn remove(&mut self, home: &Dir, message: &Message) {
        let mut place = (message.dir().to_owned(), message.name().to_owned());
        let size = disk_size(home, &place.0, &place.1, message.disk).unwrap_or(0);
        let mut gone = home.unlink(message.path());
        if gone.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            match find_in(home, &[CUR, NEW], &message.base()) {
                Ok(None) => return,
                Ok(Some(found)) => {
                    place = (found.dir, found.name);
                    gone = home.unlink(Path::new(&place.0).join(&place.1));
                }
                Err(error) => gone = Err(error),
            }
        }
        match gone {
            Ok(()) => {
                self.removed = Usage { bytes: self.removed.bytes.saturating_add(size), messages: self.removed.messages + 1 };
                self.new |= place.0 == NEW;
                self.cur |= place.0 == CUR;
            }
            Err(error) => self.failed = Some(error),
        }
    }

    fn sync(self, home: &Dir) -> io::Result<()> {
        for (dir, _) in [(NEW, self.new), (CUR, self.cur)].into_iter().filter(|(_, touched)| *touched) {
            home.dir(dir)?.sync(Purpose::MaildirDirectory)?;
        }
        self.failed.map_or(Ok(()), Err)
    }
}

/// A message being read, block by block. It stays readable when the maildrop is dropped or the message removed.
#[derive(Debug)]
pub struct Body {
    account: Box<str>,
    file: File,
    at: u64,
    raw: Vec<u8>,
    /// `None` once the end was seen.
    form: Option<ToWire>,
}

impl Body {
    fn new(file: File, account: Box<str>) -> Body {
        Body { account, file, at: 0, raw: Vec::new(), form: Some(ToWire::default()) }
    }

    /// Replaces `block` with the next part of the wire form: CRLF line ends, not dot-stuffed, up to about 128 KiB, cut anywhere.
    /// Returns false, and leaves `block` empty, at the end. The message ends with CRLF even where the file does not.
    ///
    /// # Errors
    /// [`Error::Disk`]: the session cannot take back what it has sent, and must end without the final dot.
    pub fn block(&mut self, block: &mut Vec<u8>) -> Result<bool, Error> {
        block.clear();
        let Some(form) = &mut self.form else { return Ok(false) };
        self.raw.resize(READ, 0);
        let count = match self.file.read_at(&mut self.raw, self.at) {
            Ok(count) => count,
            Err(source) => return Err(Error::Disk { doing: "read a message", account: self.account.clone().into(), source }),
        };
        self.at += count as u64;
        block.reserve(count + count / 16);
        form.push(&self.raw[..count], block);
        if count < READ {
            // Fewer only at the file's end.
            if let Some(form) = self.form.take() {
                form.finish(block);
            }
        }
        Ok(!block.is_empty())
    }
}
