//! The archive: a tar file of message files as they lie in the spool, between two marks.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use lib_mail::{QueueId, Timestamp};
use lib_spool::{Arrival, Arrived, Departing, Departure, Place, Queue, Spool};

/// The directory that all entries lie in.
const ROOT: &str = "bongsu-queue";
/// The first entry, and the first line in it.
const FORMAT: &str = "bongsu-queue/FORMAT";
const FORMAT_LINE: &str = "bongsu-queue 1";
/// The last entry: without it the export was broken off.
const END: &str = "bongsu-queue/END";
/// Messages that are locked at one time, until the archive is synced.
const BATCH: usize = 200;
/// How long messages in work are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What became of a message on its way out.
pub(super) enum Fate {
    /// In the archive.
    Copied,
    /// In the archive, durably, and no longer here.
    Moved,
    /// It was finished meanwhile.
    Gone,
    /// Here, and why.
    Stays(String),
}

/// Where messages go, and how.
pub(super) struct Leaving<'a> {
    pub(super) file: File,
    pub(super) host: &'a str,
    pub(super) remove: bool,
}

struct Writer<'a, 'b> {
    builder: tar::Builder<BufWriter<File>>,
    remove: bool,
    /// In the archive, locked, and to be removed once it is synced.
    leaving: Vec<Departing>,
    tell: &'a mut (dyn FnMut(&QueueId, Fate) + 'b),
}

/// Writes the messages. With `remove`, each is removed only after the archive with it in it was synced; until then it is locked.
///
/// # Errors
/// The archive's disk, or the queue's. The archive then lacks its end mark; what was told as moved is in it.
pub(super) fn write(
    spool: &Spool,
    messages: &[(QueueId, Queue, Place)],
    leaving: Leaving<'_>,
    tell: &mut dyn FnMut(&QueueId, Fate),
) -> Result<()> {
    let Leaving { file, host, remove } = leaving;
    let builder = tar::Builder::new(BufWriter::with_capacity(256 * 1024, file));
    let mut writer = Writer { builder, remove, leaving: Vec::new(), tell };
    let about = format!("{FORMAT_LINE}\nfrom {host}\nTake it in on another node with: bongsu queue import FILE\n");
    writer.mark(FORMAT, &about)?;
    let mut busy = Vec::new();
    for message in messages {
        if !writer.one(spool, message)? {
            busy.push(*message);
        }
    }
    let until = Instant::now() + PATIENCE;
    while !busy.is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(50));
        let mut still = Vec::new();
        for message in busy {
            if !writer.one(spool, &message)? {
                still.push(message);
            }
        }
        busy = still;
    }
    writer.settle()?;
    for (id, ..) in busy {
        (writer.tell)(&id, Fate::Stays("it is being worked on; export it again later".into()));
    }
    writer.mark(END, "the whole archive\n")?;
    let mut out = writer.builder.into_inner()?;
    out.flush()?;
    sync(out.get_ref())?;
    Ok(())
}

/// A pipe has nothing to sync; what is written to it is a copy.
fn sync(file: &File) -> io::Result<()> {
    if file.metadata()?.is_file() { file.sync_all() } else { Ok(()) }
}

impl Writer<'_, '_> {
    fn mark(&mut self, name: &str, text: &str) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        self.builder.append_data(&mut header, name, text.as_bytes())
    }

    /// `false` where it is in work.
    fn one(&mut self, spool: &Spool, (id, queue, place): &(QueueId, Queue, Place)) -> Result<bool> {
        // An order may have moved it since it was chosen, and move it between two looks.
        let mut looks = [*place, Place::Held, Place::Queued].into_iter();
        let (mut departing, place) = loop {
            let Some(place) = looks.next() else {
                (self.tell)(id, Fate::Gone);
                return Ok(true);
            };
            match spool.depart(*queue, place, id, self.remove) {
                Ok(Departure::Ready(departing)) => break (departing, place),
                Ok(Departure::Busy) => return Ok(false),
                Ok(Departure::Gone) => {}
                Err(error) => {
                    (self.tell)(id, Fate::Stays(error.to_string()));
                    return Ok(true);
                }
            }
        };
        let hold = if place == Place::Held { "hold/" } else { "" };
        let mut header = tar::Header::new_gnu();
        header.set_size(departing.left());
        header.set_mode(0o600);
        // Rounded up: a moment early would be an attempt too many.
        header.set_mtime(u64::try_from(departing.listing().due.0.max(0)).unwrap_or(0).div_ceil(1000));
        self.builder
            .append_data(&mut header, format!("{ROOT}/{hold}{queue}/{id}"), &mut *departing)
            .context("cannot write the archive")?;
        if !self.remove {
            (self.tell)(id, Fate::Copied);
            return Ok(true);
        }
        self.leaving.push(*departing);
        if self.leaving.len() >= BATCH {
            self.settle()?;
        }
        Ok(true)
    }

    /// Syncs the archive, and removes what is in it.
    fn settle(&mut self) -> Result<()> {
        if self.leaving.is_empty() {
            return Ok(());
        }
        let out = self.builder.get_mut();
        out.flush().and_then(|()| sync(out.get_ref())).context("cannot write the archive")?;
        for departing in self.leaving.drain(..) {
            let id = departing.listing().id;
            departing.remove()?;
            (self.tell)(&id, Fate::Moved);
        }
        Ok(())
    }
}

/// An archive to be read.
pub(super) struct Reader(tar::Archive<BufReader<Box<dyn Read>>>);

impl Reader {
    pub(super) fn new(input: Box<dyn Read>) -> Reader {
        Reader(tar::Archive::new(BufReader::with_capacity(256 * 1024, input)))
    }
}

/// A message in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) queue: Queue,
    pub(super) place: Place,
    pub(super) id: QueueId,
}

impl Found {
    /// Reads the name of an entry.
    fn named(name: &str) -> Option<Found> {
        let mut parts = name.strip_prefix(ROOT)?.strip_prefix('/')?.split('/').peekable();
        let place = if parts.next_if_eq(&"hold").is_some() { Place::Held } else { Place::Queued };
        let queue = parts.next()?;
        let queue = Queue::ALL.into_iter().find(|of| of.name() == queue)?;
        let id = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Found { queue, place, id })
    }
}

/// Commits the messages of an archive one by one, and tells of each.
///
/// # Errors
/// It is no archive of ours, it is torn (the text names the entry), or the disk refused. What was told before is committed.
pub(super) fn read(spool: &Spool, mut reader: Reader, tell: &mut dyn FnMut(&Found, &Arrived)) -> Result<()> {
    let (mut begun, mut last) = (false, String::new());
    for entry in reader.0.entries()? {
        let mut entry = entry.with_context(|| match begun {
            true => format!("it is cut off or damaged behind the entry {last}"),
            false => "it is no archive of a queue, as `bongsu queue export` writes".to_owned(),
        })?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let (len, mtime) = (entry.size(), entry.header().mtime().unwrap_or(0));
        last.clone_from(&name);
        if !std::mem::replace(&mut begun, true) {
            let mut text = String::new();
            if name == FORMAT {
                entry.by_ref().take(1000).read_to_string(&mut text)?;
            }
            match text.lines().next() {
                Some(FORMAT_LINE) => continue,
                Some(other) if other.starts_with("bongsu-queue ") => {
                    bail!("it has a newer format than this version knows: {other}")
                }
                _ => bail!("it is no archive of a queue: it does not begin with {FORMAT}"),
            }
        }
        if name == END {
            return Ok(());
        }
        let Some(found) = Found::named(&name) else { bail!("the entry {name} is no message of a queue") };
        if !spool.space()?.admits(len) {
            bail!("there is no room for the entry {name}: {}", spool.space()?);
        }
        let due = Timestamp(i64::try_from(mtime).unwrap_or(0).saturating_mul(1000));
        let Found { queue, place, id } = found;
        let arrived = spool.arrive(Arrival { queue, place, id, due, len }, &mut entry);
        tell(&found, &arrived.with_context(|| format!("at the entry {name}"))?);
    }
    if begun {
        bail!("it ends behind the entry {last}, before its end mark: the export was broken off");
    }
    bail!("it is empty");
}

#[cfg(test)]
mod tests;
