//! Moving messages to the spool of another node: a file leaves as it lies, and arrives by the same steps as any commit.

use std::io::{self, ErrorKind, Read};

use lib_host::{Access, File};
use lib_mail::{QueueId, Timestamp};

use crate::envelope::{self, MAX_ENVELOPE};
use crate::error::{Corruption, Doing, Error, Fault};
use crate::first_line::{BLANK, FIRST_LINE, FirstLine, Lengths, Sum};
use crate::incoming::Draft;
use crate::layout::{Shared, Spot};
use crate::listing;
use crate::lock::{Taken, take};
use crate::stored::{self, Care, Content};
use crate::{Listing, Place, Queue, family};

/// Octets copied at a time.
const STRETCH: usize = 256 * 1024;

/// What came of a try to take a message out.
#[derive(Debug)]
pub enum Departure {
    /// It is gone, or being written.
    Gone,
    /// Its consumer is at work on it, or it waits for the message that caused it.
    Busy,
    /// Here it is.
    Ready(Box<Departing>),
}

/// A message on its way out; checked. Where it was taken to be removed, it is locked as long as this lives.
#[derive(Debug)]
pub struct Departing {
    shared: std::sync::Arc<Shared>,
    spot: Spot,
    file: File,
    locked: bool,
    len: u64,
    at: u64,
    listing: Listing,
}

impl Departing {
    /// Octets to be read.
    pub fn left(&self) -> u64 {
        self.len - self.at
    }

    /// The message as listed; its `due` goes with it.
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// Removes it here. Durable on return. Only after what was read is durable where it went. `Misuse` where it was not taken.
    pub fn remove(self) -> Result<(), Error> {
        if !self.locked {
            return Err(Error::Misuse("only a message that was taken can be removed"));
        }
        self.shared.remove(self.spot).doing("remove a message")
    }
}

impl Read for Departing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.left()).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..want], self.at)?;
        if count == 0 && want > 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.at += count as u64;
        Ok(count)
    }
}

/// Opens a message for its way out; `take`: locks it, so that it can be removed.
pub(crate) fn depart(shared: &std::sync::Arc<Shared>, spot: Spot, take_it: bool) -> Result<Departure, Error> {
    const READ: &str = "read a message";
    let file = if take_it {
        match take(shared, spot).doing("take a message")? {
            Taken::Gone => return Ok(Departure::Gone),
            Taken::Busy(_) => return Ok(Departure::Busy),
            Taken::Ours(file, _) => file,
        }
    } else {
        match shared.shard(spot).and_then(|shard| shard.open(spot.id.as_str(), Access::Read)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Departure::Gone),
            opened => opened.doing(READ)?,
        }
    };
    let meta = file.meta().doing(READ)?;
    let stored = match stored::read(&file, meta.len, &spot.id, Care::Sum).doing(READ)? {
        Content::Blank => return Ok(Departure::Gone),
        Content::Newer => return Err(Error::Newer { queue: spot.queue, id: spot.id }),
        Content::Wrong(fault) => {
            return Err(Error::Corrupt(Corruption { id: spot.id, queue: spot.queue, fault, set_aside: false }));
        }
        Content::Good(stored) => *stored,
    };
    // An unnamed child is made anew by its parent, here; elsewhere it would be a second message.
    if let (Some(parent), Some(queue)) = (stored.envelope.parent, stored.parent_queue)
        && !family::released(shared, &spot.id, parent, queue)?
    {
        return Ok(Departure::Busy);
    }
    let listing = listing::of(spot, meta, stored);
    let departing = Departing { shared: shared.clone(), spot, file, locked: take_it, len: meta.len, at: 0, listing };
    Ok(Departure::Ready(Box::new(departing)))
}

/// What came of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// It is durable in the queue.
    Committed,
    /// A message of this id lies in that queue already, and was left as it is.
    There,
    /// It is not what was committed where it came from. Nothing was kept.
    Damaged(Fault),
    /// Of a format that this version does not know. Nothing was kept.
    Newer,
}

/// Where a message arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its queue.
    pub queue: Queue,
    /// `Queued` or `Held`.
    pub place: Place,
    /// Its id.
    pub id: QueueId,
    /// The next attempt.
    pub due: Timestamp,
    /// Octets that follow.
    pub len: u64,
}

/// Reads a message's file and commits it under its own id.
pub(crate) fn arrive(shared: &Shared, arrival: Arrival, from: &mut dyn Read) -> Result<Arrived, Error> {
    let Arrival { queue, place, id, due, len } = arrival;
    let spot = Spot { queue, place, id };
    if place == Place::Corrupt {
        return Err(Error::Misuse("a message arrives in its queue or on hold"));
    }
    for place in Place::ALL {
        let there = Spot { place, ..spot };
        if shared.shard(there).and_then(|shard| shard.stat(id.as_str())).doing("look at a message")?.is_some() {
            return Ok(Arrived::There);
        }
    }
    let mut first = [0; FIRST_LINE];
    let count = usize::try_from(len).unwrap_or(FIRST_LINE).min(FIRST_LINE);
    from.read_exact(&mut first[..count]).doing(ARCHIVE)?;
    let (lengths, stated) = match FirstLine::read(&first[..count]) {
        FirstLine::Good(lengths, sum) => (lengths, sum),
        FirstLine::Newer => return Ok(Arrived::Newer),
        FirstLine::Blank | FirstLine::Wrong => return Ok(Arrived::Damaged(Fault::FirstLine)),
    };
    if lengths.history_at() > len {
        return Ok(Arrived::Damaged(Fault::Short));
    }
    if lengths.envelope > MAX_ENVELOPE as u64 {
        return Ok(Arrived::Newer);
    }
    let mut draft = match Draft::create(shared, spot) {
        Err(Error::Disk { source, .. }) if source.kind() == ErrorKind::AlreadyExists => return Ok(Arrived::There),
        draft => draft?,
    };
    match fill(shared, &mut draft, from, &Filling { lengths, stated, len }) {
        Ok(Arrived::Committed) => {}
        other => {
            draft.unlink(shared);
            return other;
        }
    }
    match draft.commit(shared, &first, due) {
        Ok(()) => Ok(Arrived::Committed),
        Err(error) => {
            draft.abandon(shared);
            Err(error)
        }
    }
}

const ARCHIVE: &str = "read the archive";

struct Filling {
    lengths: Lengths,
    stated: u32,
    len: u64,
}

/// Writes all behind line 1, and checks it on the way.
fn fill(shared: &Shared, draft: &mut Draft, from: &mut dyn Read, filling: &Filling) -> Result<Arrived, Error> {
    let Filling { lengths, stated, len } = filling;
    draft.write(shared, &BLANK)?;
    let mut sum = Sum::new(&draft.id());
    let mut envelope = Vec::new();
    let parts = [lengths.message, lengths.envelope, len - lengths.history_at()];
    let mut stretch = vec![0; STRETCH];
    for (part, octets) in parts.into_iter().enumerate() {
        let mut left = octets;
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(STRETCH).min(STRETCH);
            from.read_exact(&mut stretch[..want]).doing(ARCHIVE)?;
            draft.write(shared, &stretch[..want])?;
            if part < 2 {
                sum.add(&stretch[..want]);
            }
            if part == 1 {
                envelope.extend_from_slice(&stretch[..want]);
            }
            left -= want as u64;
        }
    }
    if lengths.sum(sum) != *stated {
        return Ok(Arrived::Damaged(Fault::Sum));
    }
    let readable = std::str::from_utf8(&envelope).ok().and_then(envelope::parse).is_some();
    Ok(if readable { Arrived::Committed } else { Arrived::Newer })
}
