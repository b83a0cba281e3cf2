//! The usage ledger: how much a mailbox holds, kept by appended deltas (docs/mailbox.md, *The usage ledger*).
//!
//! A count, not a record: whatever a crash does to it, a recount makes it true again. So an append is not synced, and one that
//! fails does not fail the delivery.

use std::io::{self, ErrorKind};
use std::time::Duration;

use lib_host::{Access, Dir, File, Purpose};

use crate::Usage;
use crate::home::Lasting;

const NAME: &str = "usage";
const FIRST_LINE: &str = "bongsu-usage 1";
const MODE: u32 = 0o660;
/// A ledger over this is written anew with one line.
const COMPACT_OVER: u64 = 64 * 1024;
/// A ledger over this is not ours; it would not be read into memory.
const MAX_LEN: usize = 16 * 1024 * 1024;
/// A ledger that is replaced each time it is opened, this often in a row, is not opened.
const MAX_REOPENS: usize = 100;
/// How long a client's removal waits for the lock.
const PATIENCE: Duration = Duration::from_secs(2);

/// A ledger, locked: nobody else delivers into the mailbox, removes from it or counts it.
pub(crate) struct Ledger<'a> {
    home: &'a Dir,
    file: File,
    /// Octets; nobody else appends while it is locked.
    len: u64,
}

/// A change of the mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Removed,
}

impl<'a> Ledger<'a> {
    /// Waits for the ledger's lock. A missing ledger is made, empty: [`Ledger::is_fresh`] then says that it must be counted.
    pub(crate) fn lock(home: &'a Dir) -> io::Result<Ledger<'a>> {
        Ledger::open(home, |file| file.lock())
    }

    /// Waits for the lock as long as a client can be kept waiting. Who holds it longer stands still (stopped, or on a disk that
    /// hangs); [`discard`] then makes the ledger be counted anew.
    pub(crate) fn lock_for_client(home: &'a Dir) -> io::Result<Ledger<'a>> {
        Ledger::open(home, |file| match file.lock_within(PATIENCE) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ErrorKind::TimedOut.into()),
            Err(error) => Err(error),
        })
    }

    fn open(home: &'a Dir, lock: impl Fn(&File) -> io::Result<()>) -> io::Result<Ledger<'a>> {
        for _ in 0..MAX_REOPENS {
            let file = home.open_or_create(NAME)?;
            lock(&file)?;
            let meta = file.meta()?;
            // Compaction may have put another file under the name while this one waited.
            if home.stat(NAME)?.is_some_and(|named| meta.same_file(&named)) {
                return Ok(Ledger { home, file, len: meta.len });
            }
        }
        Err(io::Error::other("the ledger is replaced again and again"))
    }

    /// Whether there was no ledger: nothing has been counted.
    pub(crate) fn is_fresh(&self) -> bool {
        self.len == 0
    }

    /// Notes a change, and compacts where the ledger has grown long. The last use of this value.
    pub(crate) fn note(self, change: Change, by: Usage) -> io::Result<()> {
        let sign = if change == Change::Added { '+' } else { '-' };
        let line = format!("\n{sign}{} {}.", by.bytes, by.messages);
        self.file.append(line.as_bytes())?;
        if self.len + line.len() as u64 > COMPACT_OVER {
            let usage = parse(&self.file.read_from(0, MAX_LEN)?);
            self.set(usage, Lasting::Now)?;
        }
        Ok(())
    }

    /// Replaces the ledger by one that says this. Consumes nothing: the lock is on the replaced file and goes with it.
    /// Where it need not last yet, a power cut may leave it empty or away, which the next process's recount puts right.
    pub(crate) fn set(&self, usage: Usage, lasting: Lasting) -> io::Result<()> {
        let text = format!("{FIRST_LINE}\n={} {}.", usage.bytes, usage.messages);
        match lasting {
            Lasting::Now => self.home.replace(NAME, text.as_bytes(), MODE, Purpose::Ledger),
            Lasting::Later => self.home.replace_unsynced(NAME, text.as_bytes(), MODE),
        }
    }
}

/// Takes a ledger away that missed a change: whoever notes the next one finds none, and counts.
pub(crate) fn discard(home: &Dir) {
    let _ = home.unlink(NAME);
}

/// What the ledger says, without its lock; nothing where there is none.
pub(crate) fn read(home: &Dir) -> io::Result<Usage> {
    match home.open(NAME, Access::Read) {
        Ok(file) => Ok(parse(&file.read_from(0, MAX_LEN)?)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Usage::default()),
        Err(error) => Err(error),
    }
}

/// Adds up the lines that are whole. What others took out unseen cannot bring the sum below zero.
fn parse(text: &[u8]) -> Usage {
    let mut usage = Usage::default();
    for line in text.split(|byte| *byte == b'\n') {
        let Some((sign, by)) = parse_line(line) else { continue };
        usage = match sign {
            b'=' => by,
            b'+' => Usage { bytes: usage.bytes.saturating_add(by.bytes), messages: usage.messages.saturating_add(by.messages) },
            _ => Usage { bytes: usage.bytes.saturating_sub(by.bytes), messages: usage.messages.saturating_sub(by.messages) },
        };
    }
    usage
}

fn parse_line(line: &[u8]) -> Option<(u8, Usage)> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('.')?;
    let sign = *text.as_bytes().first().filter(|sign| b"=+-".contains(sign))?;
    let (bytes, messages) = text[1..].split_once(' ')?;
    let number = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?;
    Some((sign, Usage { bytes: number(bytes)?, messages: number(messages)? }))
}

#[cfg(test)]
mod tests {
    use lib_host::Disk;

    use super::*;

    #[test]
    fn lines() {
        for (text, bytes, messages) in [
            ("", 0, 0),
            ("bongsu-usage 1\n=100 2.", 100, 2),
            ("bongsu-usage 1\n=100 2.\n+50 1.\n-100 2.", 50, 1),
            ("=100 2.\n+50 1", 100, 2),
            ("=100 2.\n+5\n+50 1.", 150, 3),
            ("=100 2.\n+50 x.\n\0\0\0\n+-5 1.\n++5 1.\n+5 1 1.", 100, 2),
            ("=100 2.\n-500 9.", 0, 0),
            ("=100 2.\n=7 1.", 7, 1),
            ("=100 2.\n+99999999999999999999999 1.", 100, 2),
            ("=18446744073709551615 1.\n+1 1.", u64::MAX, 2),
            ("=100 2.\n\u{ff}.", 100, 2),
        ] {
            assert_eq!(parse(text.as_bytes()), Usage { bytes, messages }, "{text:?}");
        }
    }

    #[test]
    fn a_torn_line_never_counts_as_another_number() {
        let whole = "bongsu-usage 1\n=100 2.\n-4620 12.";
        for cut in 0..whole.len() {
            let usage = parse(&whole.as_bytes()[..cut]);
            let counted = if cut < 22 { Usage::default() } else { Usage { bytes: 100, messages: 2 } };
            assert!(usage == counted || cut >= whole.len() - 1, "{cut}: {usage:?}");
            let followed = format!("{}\n+1 1.", &whole[..cut]);
            assert_eq!(parse(followed.as_bytes()).messages, counted.messages + 1, "{cut}");
        }
    }

    #[test]
    fn a_long_ledger_is_compacted_under_everyones_eyes() {
        let dir = tempfile::tempdir().unwrap();
        let home = Disk::real().dir(dir.path()).unwrap();
        let one = Usage { bytes: 10, messages: 1 };
        assert!(Ledger::lock(&home).unwrap().is_fresh());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..3000 {
                        Ledger::lock(&home).unwrap().note(Change::Added, one).unwrap();
                    }
                });
            }
        });
        assert_eq!(read(&home).unwrap(), Usage { bytes: 120_000, messages: 12_000 });
        assert!(home.stat(NAME).unwrap().unwrap().len <= COMPACT_OVER);
        Ledger::lock(&home).unwrap().note(Change::Removed, one).unwrap();
        assert_eq!(read(&home).unwrap().messages, 11_999);
    }
}
