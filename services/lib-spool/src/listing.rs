//! A look at the queue without a lock.

use std::io::ErrorKind;
use std::sync::Arc;

use lib_host::{Access, Locked, Meta};
use lib_mail::{Envelope, QueueId, Timestamp};

use crate::error::{Corruption, Doing, Error};
use crate::layout::{Shared, Spot};
use crate::stored::{self, Care, Content, Stored};
use crate::{Place, Queue, Recipients};

/// A message as it lay there a moment ago.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The message.
    pub id: QueueId,
    /// Its queue.
    pub queue: Queue,
    /// Queued or held.
    pub place: Place,
    /// The next attempt.
    pub due: Timestamp,
    /// Octets of the message.
    pub message_len: u64,
    /// Its envelope.
    pub envelope: Envelope,
    /// What became of its recipients so far.
    pub recipients: Recipients,
    pub(crate) meta: Meta,
    pub(crate) history_at: u64,
}

/// The messages that somebody was at work on a moment ago: those whose lock was held. A look without a lock, which disturbs nobody.
#[derive(Debug, Clone)]
pub struct InWork(pub(crate) Locked);

impl InWork {
    /// Whether the message is among them.
    pub fn has(&self, listing: &Listing) -> bool {
        self.0.has(&listing.meta)
    }
}

/// Messages of a queue, in no order; those that vanish meanwhile or are still being written are left out.
#[derive(Debug)]
pub struct Listings {
    shared: Arc<Shared>,
    queue: Queue,
    /// Directories not read yet.
    shards: Vec<(Place, char)>,
    /// Read, and not looked at yet.
    ids: Vec<(Place, QueueId)>,
}

impl Listings {
    pub(crate) fn new(shared: Arc<Shared>, queue: Queue) -> Listings {
        let places = [Place::Held, Place::Queued];
        let shards = places.into_iter().flat_map(|place| QueueId::shards().map(move |shard| (place, shard))).collect();
        Listings { shared, queue, shards, ids: Vec::new() }
    }
}

impl Iterator for Listings {
    type Item = Result<Listing, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((place, id)) = self.ids.pop() {
                if let Some(listing) = look(&self.shared, Spot { queue: self.queue, place, id }).transpose() {
                    return Some(listing);
                }
                continue;
            }
            let (place, shard) = self.shards.pop()?;
            match self.shared.ids(self.queue, place, shard).doing("list a queue") {
                Ok(ids) => self.ids.extend(ids.into_iter().map(|id| (place, id))),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// Reads one message; `None` where there is none, or none yet.
pub(crate) fn look(shared: &Shared, spot: Spot) -> Result<Option<Listing>, Error> {
    let Spot { queue, id, .. } = spot;
    let file = match shared.shard(spot).and_then(|shard| shard.open(id.as_str(), Access::Read)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.doing("look at a message")?,
    };
    let meta = file.meta().doing("look at a message")?;
    match stored::read(&file, meta.len, &id, Care::Look).doing("look at a message")? {
        Content::Blank => Ok(None),
        Content::Newer => Err(Error::Newer { queue, id }),
        Content::Wrong(fault) => Err(Error::Corrupt(Corruption { id, queue, fault, set_aside: false })),
        Content::Good(stored) => Ok(Some(of(spot, meta, *stored))),
    }
}

/// What is shown of a message that was read.
pub(crate) fn of(Spot { queue, place, id }: Spot, meta: Meta, stored: Stored) -> Listing {
    Listing {
        id,
        queue,
        place,
        due: meta.mtime,
        message_len: stored.lengths.message,
        envelope: stored.envelope,
        recipients: stored.history.recipients,
        meta,
        history_at: stored.lengths.history_at(),
    }
}
