//! A delivery: tmp, sync, rename, directory sync (docs/mailbox.md, *Delivery*).

use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use lib_host::{Dir, File, Purpose};
use lib_mail::Timestamp;

use crate::batch::Batcher;
use crate::home::{self, Found, HomeName, NEW, TMP};
use crate::ledger::{Change, Ledger};
use crate::wire::{ToDisk, WireSize};
use crate::{Delivered, Delivery, Error, Usage, name};

/// Octets read from the source at a time.
const READ: usize = 64 * 1024;
/// Octets of disk form gathered before they are written: a small message is one write.
const WRITE: usize = 256 * 1024;
/// Mailboxes that are remembered as prepared. When there are more, all are forgotten, which costs each one preparation.
const MAX_SEATS: usize = 50_000;

/// What this process knows of a mailbox that it delivers to.
#[derive(Default)]
pub(crate) struct Seat {
    /// Its directories last, and its ledger is true.
    prepared: Mutex<bool>,
    /// The syncs of `new/`.
    new: Batcher,
}

/// The seats of all mailboxes that this process has delivered to.
#[derive(Default)]
pub(crate) struct Seats(Mutex<HashMap<String, Arc<Seat>>>);

impl Seats {
    fn of(&self, account: &str) -> Arc<Seat> {
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = seats.get(account) {
            return Arc::clone(seat);
        }
        if seats.len() >= MAX_SEATS {
            seats.clear();
        }
        Arc::clone(seats.entry(account.to_owned()).or_default())
    }
}

/// Where a copy goes, and what it takes to get there.
pub(crate) struct Depositor<'a> {
    mail: &'a Dir,
    account: &'a str,
    home: HomeName,
    seat: Arc<Seat>,
}

/// A copy in `tmp/`, whole and synced.
struct Written {
    disk: u64,
    wire: u64,
}

impl<'a> Depositor<'a> {
    pub(crate) fn new(mail: &'a Dir, seats: &Seats, account: &'a str) -> Result<Depositor<'a>, Error> {
        let home = HomeName::of(account).ok_or_else(|| Error::Name(account.to_owned()))?;
        Ok(Depositor { mail, account, home, seat: seats.of(account) })
    }

    pub(crate) fn deliver(&self, delivery: &mut Delivery<'_>) -> Result<Delivered, Error> {
        if delivery.repeat
            && let Some(found) = self.find_earlier(delivery.id.as_str())?
        {
            return Ok(found);
        }
        let tmp = format!("{TMP}/{}", delivery.id);
        let (home, file) = self.create(&tmp).map_err(|error| self.disk("create a file", error))?;
        let placed = self.fill(&file, delivery).and_then(|written| {
            self.place(&home, &tmp, delivery, &written)?;
            Ok(Delivered { size: written.wire, repeated: false })
        });
        if placed.is_err() {
            // Best effort: what stays is swept, or overwritten by the next attempt.
            let _ = home.unlink(&tmp);
        }
        placed
    }

    /// Makes the file in `tmp/`, in place of what an attempt before a crash has left under the name.
    fn create(&self, tmp: &str) -> io::Result<(Dir, File)> {
        let home = self.prepared_home()?;
        match home.create(tmp) {
            // Somebody removed the mailbox under us: it is made anew.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.forget();
                let home = self.prepared_home()?;
                home.create(tmp).map(|file| (home, file))
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                home.unlink(tmp)?;
                home.create(tmp).map(|file| (home, file))
            }
            created => created.map(|file| (home, file)),
        }
    }

    /// The home, ready for deliveries: the first time in this process it is made, synced and counted.
    fn prepared_home(&self) -> io::Result<Dir> {
        if *self.prepared() {
            match self.home.open(self.mail) {
                Err(error) if error.kind() == ErrorKind::NotFound => self.forget(),
                opened => return opened,
            }
        }
        let mut prepared = self.prepared();
        if *prepared {
            return self.home.open(self.mail);
        }
        let home = self.home.make(self.mail)?;
        // A mailbox is worth more than its count: where counting fails (no space), it is tried again with the next delivery.
        *prepared = home::recount(&home).is_ok();
        home::sweep(&home, now());
        Ok(home)
    }

    fn prepared(&self) -> MutexGuard<'_, bool> {
        self.seat.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self) {
        *self.prepared() = false;
    }

    /// The copy that an earlier attempt has left, made as durable as if this one had written it.
    fn find_earlier(&self, base: &str) -> Result<Option<Delivered>, Error> {
        let home = self.prepared_home().map_err(|error| self.disk("make directories", error))?;
        let Some(Found { dir, name }) = home::find(&home, base).map_err(|error| self.disk("list directories", error))? else {
            return Ok(None);
        };
        let synced = home.dir(&dir).and_then(|dir| dir.sync(Purpose::MaildirDirectory));
        synced.map_err(|error| self.disk("sync a directory", error))?;
        let wire = name::parse(&name.to_string_lossy()).and_then(|parsed| parsed.wire);
        Ok(Some(Delivered { size: wire.unwrap_or(0), repeated: true }))
    }

    /// Writes the copy in disk form and syncs it.
    fn fill(&self, file: &File, delivery: &mut Delivery<'_>) -> Result<Written, Error> {
        let (mut form, mut disk, mut size, mut at) = (ToDisk::default(), Vec::with_capacity(READ), WireSize::default(), 0);
        let mut flush = |disk: &mut Vec<u8>| {
            size.push(disk);
            let written = file.write_at(disk, at);
            at += disk.len() as u64;
            disk.clear();
            written.map_err(|error| self.disk("write a file", error))
        };
        form.push(delivery.trace, &mut disk);
        let mut part = vec![0; READ];
        loop {
            let count = match delivery.body.read(&mut part) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Source(error)),
            };
            form.push(&part[..count], &mut disk);
            if disk.len() >= WRITE {
                flush(&mut disk)?;
            }
        }
        form.finish(&mut disk);
        flush(&mut disk)?;
        file.sync(Purpose::MaildirFile).map_err(|error| self.disk("sync a file", error))?;
        Ok(Written { disk: at, wire: size.finish() })
    }

    /// Gives the synced copy its name in `new/` and makes that durable: the commit.
    fn place(&self, home: &Dir, tmp: &str, delivery: &Delivery<'_>, written: &Written) -> Result<(), Error> {
        let path = format!("{NEW}/{}", name::delivered(delivery.id, written.disk, written.wire));
        let usage = Usage { bytes: written.disk, messages: 1 };
        self.noted(home, Change::Added, usage, || home.rename(tmp, home, &path))
            .map_err(|error| self.disk("rename a file", error))?;
        let synced = self.seat.new.sync(|| home.dir(NEW)?.sync(Purpose::MaildirDirectory));
        synced.map_err(|error| {
            // Never synced again: the copy is withdrawn, and the next attempt writes a new one.
            let _ = self.noted(home, Change::Removed, usage, || home.unlink(&path));
            self.disk("sync a directory", error)
        })
    }

    /// Changes the mailbox and notes it, both under the ledger's lock. Without a ledger (no space for one) the change is made all the same.
    fn noted(&self, home: &Dir, change: Change, by: Usage, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let ledger = Ledger::lock(home);
        act()?;
        let noted =
            ledger.and_then(|ledger| if ledger.is_fresh() { Err(ErrorKind::NotFound.into()) } else { ledger.note(change, by) });
        if noted.is_err() {
            self.forget();
        }
        Ok(())
    }

    fn disk(&self, doing: &'static str, source: io::Error) -> Error {
        Error::Disk { doing, account: self.account.to_owned(), source }
    }
}

/// The moment by the system's clock, by which modification times are.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
