//! A copy on its way into a mailbox: looked for, written to `tmp/`, named in `new/` (docs/mailbox.md, *Delivery*). When it is synced
//! is for its [`Group`](crate::group::Group) to say.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use lib_host::{Dir, File, Purpose};
use lib_mail::Timestamp;

use crate::home::{self, Found, HomeName, Lasting, NEW, TMP};
use crate::ledger::{Change, Ledger};
use crate::seat::{Prepared, Seat, Seats};
use crate::wire::{ToDisk, WireSize};
use crate::{Delivered, Delivery, Error, Usage, name};

/// Octets read from the source at a time.
const READ: usize = 64 * 1024;
/// Octets of disk form gathered before they are written: a small message is one write.
const WRITE: usize = 256 * 1024;

/// Where a copy goes, and what it takes to get there.
pub(crate) struct Depositor<'a> {
    mail: &'a Dir,
    account: &'a str,
    home: HomeName,
    seat: Arc<Seat>,
    /// When the mailbox must be durable: later where a sync for all follows before the copy gets its name.
    lasting: Lasting,
}

/// What came of the first half of a delivery.
pub(crate) enum Written {
    /// A whole copy in `tmp/`, not synced.
    Copy(Draft),
    /// The copy of an earlier attempt, durable.
    Earlier(Delivered),
}

/// A copy that has its name in `tmp/` and is to have one in `new/`.
pub(crate) struct Draft {
    pub(crate) home: Dir,
    pub(crate) file: File,
    /// Its name until it is synced, relative to the home.
    tmp: String,
    /// Its name from then on.
    path: String,
    disk: u64,
    pub(crate) wire: u64,
    /// How far the mailbox was prepared then.
    prepared: Prepared,
}

/// Memory that the copies of a group are written through, one after the other.
pub(crate) struct Buffers {
    part: Vec<u8>,
    disk: Vec<u8>,
}

impl Default for Buffers {
    fn default() -> Self {
        Buffers { part: vec![0; READ], disk: Vec::new() }
    }
}

impl<'a> Depositor<'a> {
    pub(crate) fn new(mail: &'a Dir, seats: &Seats, account: &'a str, lasting: Lasting) -> Result<Depositor<'a>, Error> {
        let home = HomeName::of(account).ok_or_else(|| Error::Name(account.to_owned()))?;
        Ok(Depositor { mail, account, home, seat: seats.of(account), lasting })
    }

    pub(crate) fn account(&self) -> &'a str {
        self.account
    }

    /// Writes the copy to `tmp/`, unless an earlier attempt is found to have delivered it.
    pub(crate) fn write(&self, delivery: &mut Delivery<'_>, buffers: &mut Buffers) -> Result<Written, Error> {
        if delivery.repeat
            && let Some(found) = self.find_earlier(delivery.id.as_str())?
        {
            return Ok(Written::Earlier(found));
        }
        let tmp = format!("{TMP}/{}", delivery.id);
        let (home, file) = self.create(&tmp).map_err(|error| self.disk("create a file", error))?;
        let prepared = *self.seat.prepared();
        match self.fill(&file, delivery, buffers) {
            Ok((disk, wire)) => {
                let path = format!("{NEW}/{}", name::delivered(delivery.id, disk, wire));
                Ok(Written::Copy(Draft { home, file, tmp, path, disk, wire, prepared }))
            }
            Err(error) => {
                // Best effort: what stays is swept, or overwritten by the next attempt.
                let _ = home.unlink(&tmp);
                Err(error)
            }
        }
    }

    /// Gives drafts of this mailbox, which are synced, their names in `new/`, and notes them; what came of each. Those that fail are gone.
    pub(crate) fn place(&self, drafts: &[&Draft]) -> Vec<io::Result<()>> {
        let Some(first) = drafts.first() else { return Vec::new() };
        self.noted(&first.home, Change::Added, drafts, |draft| {
            draft.home.rename(&draft.tmp, &draft.home, &draft.path).inspect_err(|_| draft.discard())
        })
    }

    /// The sync for all has succeeded that followed the draft.
    pub(crate) fn synced_all(&self, draft: &Draft) {
        self.seat.synced(draft.prepared);
    }

    /// Makes the names durable that were given in this mailbox: the commit.
    pub(crate) fn sync_names(&self, home: &Dir) -> io::Result<()> {
        self.seat.new.sync(|| home.dir(NEW)?.sync(Purpose::MaildirDirectory))
    }

    /// Takes back a draft that was placed and may not last. It is never synced again: the next attempt writes a new one.
    pub(crate) fn withdraw(&self, draft: &Draft) {
        // What stays although it could not be removed is found by the next attempt.
        self.noted(&draft.home, Change::Removed, &[draft], |draft| draft.home.unlink(&draft.path));
    }

    pub(crate) fn disk(&self, doing: &'static str, source: io::Error) -> Error {
        Error::Disk { doing, account: self.account.to_owned(), source }
    }

    /// Makes the file in `tmp/`, in place of what an attempt before a crash has left under the name.
    fn create(&self, tmp: &str) -> io::Result<(Dir, File)> {
        let home = self.prepared_home(self.lasting)?;
        match home.create(tmp) {
            // Somebody removed the mailbox under us: it is made anew.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.seat.forget();
                let home = self.prepared_home(self.lasting)?;
                home.create(tmp).map(|file| (home, file))
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                home.unlink(tmp)?;
                home.create(tmp).map(|file| (home, file))
            }
            created => created.map(|file| (home, file)),
        }
    }

    /// The home, ready for deliveries: the first time in this process it is made and counted, and synced unless that may come later.
    fn prepared_home(&self, lasting: Lasting) -> io::Result<Dir> {
        if is_ready(*self.seat.prepared(), lasting) {
            match self.home.open(self.mail) {
                Err(error) if error.kind() == ErrorKind::NotFound => self.seat.forget(),
                opened => return opened,
            }
        }
        let mut prepared = self.seat.prepared();
        if is_ready(*prepared, lasting) {
            return self.home.open(self.mail);
        }
        let home = self.home.make(self.mail, lasting)?;
        // A mailbox is worth more than its count: where counting fails (no space), it is tried again with the next delivery.
        let counted = home::recount(&home, lasting).is_ok();
        *prepared = match lasting {
            _ if !counted => Prepared::Not,
            Lasting::Later => Prepared::made(),
            Lasting::Now => Prepared::Lasts,
        };
        home::sweep(&home, now());
        Ok(home)
    }

    /// The copy that an earlier attempt has left, made as durable as if this one had written it.
    fn find_earlier(&self, base: &str) -> Result<Option<Delivered>, Error> {
        // It is found durable now, so its directories must be.
        let home = self.prepared_home(Lasting::Now).map_err(|error| self.disk("make directories", error))?;
        let Some(Found { dir, name }) = home::find(&home, base).map_err(|error| self.disk("list directories", error))? else {
            return Ok(None);
        };
        let synced = home.dir(&dir).and_then(|dir| dir.sync(Purpose::MaildirDirectory));
        synced.map_err(|error| self.disk("sync a directory", error))?;
        let wire = name::parse(&name.to_string_lossy()).and_then(|parsed| parsed.wire);
        Ok(Some(Delivered { size: wire.unwrap_or(0), repeated: true }))
    }

    /// Writes the copy in disk form; its octets on disk and on the wire.
    fn fill(&self, file: &File, delivery: &mut Delivery<'_>, buffers: &mut Buffers) -> Result<(u64, u64), Error> {
        let Buffers { part, disk } = buffers;
        disk.clear();
        let (mut form, mut size, mut at) = (ToDisk::default(), WireSize::default(), 0);
        let mut flush = |disk: &mut Vec<u8>| {
            size.push(disk);
            let written = file.write_at(disk, at);
            at += disk.len() as u64;
            disk.clear();
            written.map_err(|error| self.disk("write a file", error))
        };
        form.push(delivery.trace, disk);
        loop {
            let count = match delivery.body.read(part) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Source(error)),
            };
            form.push(&part[..count], disk);
            if disk.len() >= WRITE {
                flush(disk)?;
            }
        }
        form.finish(disk);
        flush(disk)?;
        Ok((at, size.finish()))
    }

    /// Changes the mailbox and notes what succeeded, both under the ledger's lock. Without a ledger (no space for one) the change is made
    /// all the same.
    fn noted(
        &self,
        home: &Dir,
        change: Change,
        drafts: &[&Draft],
        act: impl Fn(&Draft) -> io::Result<()>,
    ) -> Vec<io::Result<()>> {
        let ledger = Ledger::lock(home);
        let done: Vec<_> = drafts.iter().map(|draft| act(draft)).collect();
        let changed = drafts.iter().zip(&done).filter(|(_, done)| done.is_ok()).map(|(draft, _)| draft.disk);
        let by = changed.fold(Usage::default(), |usage, disk| Usage {
            bytes: usage.bytes.saturating_add(disk),
            messages: usage.messages + 1,
        });
        if by.messages > 0 {
            let noted = ledger
                .and_then(|ledger| if ledger.is_fresh() { Err(ErrorKind::NotFound.into()) } else { ledger.note(change, by) });
            if noted.is_err() {
                self.seat.forget();
            }
        }
        done
    }
}

fn is_ready(prepared: Prepared, lasting: Lasting) -> bool {
    match prepared {
        Prepared::Not => false,
        Prepared::Made(_) => lasting == Lasting::Later,
        Prepared::Lasts => true,
    }
}

impl Draft {
    /// Removes a draft that has no name in `new/`. Best effort: what stays is swept, or overwritten by the next attempt.
    pub(crate) fn discard(&self) {
        let _ = self.home.unlink(&self.tmp);
    }
}

/// The moment by the system's clock, by which modification times are.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
