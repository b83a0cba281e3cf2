//! What a maildrop shows: the messages of `new/` and `cur/`, from their names alone where these tell enough, and kept while the
//! directories do not change.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lib_host::{Access, Dir};
use lib_mail::Timestamp;

use crate::delivery::now;
use crate::home::{CUR, NEW, messages};
use crate::name;
use crate::wire::WireSize;

/// Listings are kept for as many mailboxes as have this many messages in all; then the longest unused go.
const MAX_KEPT: usize = 200_000;
/// What a kept listing costs besides its messages, counted in messages.
const LISTING_COST: usize = 4;
/// A directory's time advances in ticks. So an unchanged one is believed only if at the listing it was older than the coarsest tick.
const SETTLED: Duration = Duration::from_secs(2);
/// Octets read at a time to find a size.
const READ: usize = 64 * 1024;

/// A message of a maildrop.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its file's name.
    name: OsString,
    /// In `new/`, or in `cur/`.
    is_new: bool,
    /// Octets in wire form.
    pub(crate) wire: u64,
    /// Octets on disk, where the name tells.
    pub(crate) disk: Option<u64>,
    /// The UIDL.
    pub(crate) uid: Box<str>,
}

impl Message {
    /// Its directory, relative to the home.
    pub(crate) fn dir(&self) -> &'static str {
        if self.is_new { NEW } else { CUR }
    }

    /// Its file's name.
    pub(crate) fn name(&self) -> &OsStr {
        &self.name
    }

    /// Its file, relative to the home.
    pub(crate) fn path(&self) -> PathBuf {
        Path::new(self.dir()).join(&self.name)
    }

    /// The base of its name.
    pub(crate) fn base(&self) -> String {
        base(&self.name)
    }
}

/// The messages in order, and their sum.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) messages: Vec<Message>,
    /// Octets of all in wire form.
    pub(crate) total: u64,
}

/// What tells whether a directory has changed.
type Stamp = Option<(u64, Timestamp)>;

/// Listings of mailboxes that may not have changed since.
#[derive(Default)]
pub(crate) struct Listings(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    by_account: HashMap<String, Entry>,
    /// Sum of the costs of all listings.
    cost: usize,
    /// Counts uses, to know the longest unused.
    uses: u64,
}

struct Entry {
    /// `None` while the directories had not settled when they were listed.
    stamps: Option<[Stamp; 2]>,
    listing: Arc<Listing>,
    used: u64,
}

impl Listings {
    /// The listing of the account whose home this is.
    pub(crate) fn list(&self, account: &str, home: &Dir) -> io::Result<Arc<Listing>> {
        // The stamps are taken before the listing, so that a change meanwhile makes them differ next time.
        let stamps = [stamp(home, NEW)?, stamp(home, CUR)?];
        let old = self.kept(account);
        if let Some((kept, listing)) = &old
            && *kept == Some(stamps)
        {
            return Ok(Arc::clone(listing));
        }
        let taken = now();
        let listing = Arc::new(Listing::read(home, old.as_ref().map(|(_, listing)| &**listing))?);
        // An unsettled listing is kept too, for the sizes it has found.
        let settled = stamps.iter().flatten().all(|(_, changed)| taken.since(*changed) > SETTLED);
        self.keep(account, settled.then_some(stamps), &listing);
        Ok(listing)
    }

    fn kept(&self, account: &str) -> Option<(Option<[Stamp; 2]>, Arc<Listing>)> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let uses = kept.uses;
        let entry = kept.by_account.get_mut(account)?;
        entry.used = uses;
        Some((entry.stamps, Arc::clone(&entry.listing)))
    }

    fn keep(&self, account: &str, stamps: Option<[Stamp; 2]>, listing: &Arc<Listing>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let entry = Entry { stamps, listing: Arc::clone(listing), used: kept.uses };
        kept.cost += cost(listing);
        if let Some(old) = kept.by_account.insert(account.to_owned(), entry) {
            kept.cost -= cost(&old.listing);
        }
        if kept.cost > MAX_KEPT {
            kept.forget_longest_unused();
        }
    }
}

impl Kept {
    /// Lets go of the older half, so that this look at all of them is rare.
    fn forget_longest_unused(&mut self) {
        let mut uses: Vec<u64> = self.by_account.values().map(|entry| entry.used).collect();
        uses.sort_unstable();
        let middle = uses.get(uses.len() / 2).copied().unwrap_or(0);
        self.by_account.retain(|_, entry| entry.used > middle);
        self.cost = self.by_account.values().map(|entry| cost(&entry.listing)).sum();
    }
}

fn cost(listing: &Listing) -> usize {
    LISTING_COST + listing.messages.len()
}

/// `None` for a directory that does not exist.
fn stamp(home: &Dir, dir: &str) -> io::Result<Stamp> {
    Ok(home.stat(dir)?.map(|meta| (meta.inode, meta.mtime)))
}

fn base(name: &OsStr) -> String {
    let text = name.to_string_lossy();
    name::parse(&text).map_or("", |parsed| parsed.base).to_owned()
}

impl Listing {
    /// Lists the mailbox; sizes that only reading a file tells are taken from `old`, where it has the same file.
    fn read(home: &Dir, old: Option<&Listing>) -> io::Result<Listing> {
        let mut files: HashMap<String, (OsString, bool)> = HashMap::new();
        // Tools move messages from new to cur only, so in this order none is missed, and of two with one base the later counts.
        for (dir, is_new) in [(NEW, true), (CUR, false)] {
            for entry in messages(home, dir)? {
                files.insert(base(&entry.name), (entry.name, is_new));
            }
        }
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut sizes = KnownSizes { old, by_name: None };
        let mut listing = Listing { messages: Vec::with_capacity(files.len()), total: 0 };
        for (base, (name, is_new)) in files {
            let parsed = name::parse(&name.to_string_lossy()).map(|parsed| (parsed.wire, parsed.disk));
            let (wire, disk) = parsed.unwrap_or_default();
            let mut message = Message { name, is_new, wire: 0, disk, uid: name::uid(&base).into() };
            let Some(wire) = wire.map_or_else(|| sizes.find(home, &message), |wire| Ok(Some(wire)))? else { continue };
            message.wire = wire;
            listing.total = listing.total.saturating_add(wire);
            listing.messages.push(message);
        }
        Ok(listing)
    }
}

/// The sizes that an earlier listing found by reading.
struct KnownSizes<'a> {
    old: Option<&'a Listing>,
    /// Made when the first is asked for: our own messages never ask.
    by_name: Option<HashMap<&'a OsStr, u64>>,
}

impl KnownSizes<'_> {
    /// The message's size in wire form; `None` where its file has just gone.
    fn find(&mut self, home: &Dir, message: &Message) -> io::Result<Option<u64>> {
        let old = self.old;
        let by_name = self.by_name.get_or_insert_with(|| {
            old.iter().flat_map(|old| &old.messages).map(|message| (message.name(), message.wire)).collect()
        });
        match by_name.get(message.name()) {
            Some(size) => Ok(Some(*size)),
            None => wire_size(home, &message.path()),
        }
    }
}

fn wire_size(home: &Dir, path: &Path) -> io::Result<Option<u64>> {
    let file = match home.open(path, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let (mut size, mut block, mut at) = (WireSize::default(), vec![0; READ], 0);
    loop {
        let count = file.read_at(&mut block, at)?;
        size.push(&block[..count]);
        at += count as u64;
        if count < block.len() {
            return Ok(Some(size.finish()));
        }
    }
}
