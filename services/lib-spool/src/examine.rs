//! All that can be told of one message, for a person: also of one that is damaged, or being written.

use std::io::ErrorKind;
use std::sync::Arc;

use lib_host::{Access, File, Locked};
use lib_mail::{QueueId, Timestamp};

use crate::error::{Doing, Error, Fault};
use crate::first_line::FIRST_LINE;
use crate::layout::{Shared, Spot, queues_and_places};
use crate::stored::{self, Care, Content, MAX_HISTORY};
use crate::tail::{self, Entry};
use crate::{BodyReader, Command, Listing, Place, Queue, listing};

/// One of a message's files as it lay there a moment ago.
#[derive(Debug)]
pub struct Examined {
    file: Arc<File>,
    message_len: u64,
    /// The queue in whose name it lies.
    pub queue: Queue,
    /// Where it lies.
    pub place: Place,
    /// Somebody was at work on it.
    pub in_work: bool,
    /// What it is.
    pub contents: Contents,
    /// The orders that were left for its consumer, oldest first.
    pub orders: Vec<(Timestamp, Command)>,
}

/// What a file is by its content.
#[derive(Debug)]
pub enum Contents {
    /// A committed message.
    Good(Box<Listing>),
    /// Not what was committed; with what can still be read of it.
    Damaged(Fault, Option<Box<Listing>>),
    /// Of a format that this version does not know.
    Newer,
    /// Being written, or left by a crash before its commit.
    Unfinished,
}

impl Examined {
    /// The message's octets as received; of a damaged one whose lengths are unknown, all that lies behind line 1.
    pub fn body(&self) -> BodyReader {
        BodyReader::new(&self.file, None, self.message_len)
    }

    /// What could be read of envelope and history.
    pub fn listing(&self) -> Option<&Listing> {
        match &self.contents {
            Contents::Good(listing) | Contents::Damaged(_, Some(listing)) => Some(listing),
            _ => None,
        }
    }
}

pub(crate) fn examine(shared: &Shared, id: &QueueId) -> Result<Vec<Examined>, Error> {
    let locked = Locked::now();
    let spots = queues_and_places().map(|(queue, place)| Spot { queue, place, id: *id });
    spots.filter_map(|spot| one(shared, spot, &locked).transpose()).collect()
}

fn one(shared: &Shared, spot: Spot, locked: &Locked) -> Result<Option<Examined>, Error> {
    const LOOK: &str = "look at a message";
    let file = match shared.shard(spot).and_then(|shard| shard.open(spot.id.as_str(), Access::Read)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened.doing(LOOK)?,
    };
    let meta = file.meta().doing(LOOK)?;
    let contents = match stored::read(&file, meta.len, &spot.id, Care::Sum).doing(LOOK)? {
        Content::Blank => Contents::Unfinished,
        Content::Newer => Contents::Newer,
        Content::Good(stored) => Contents::Good(Box::new(listing::of(spot, meta, *stored))),
        // Where the sum alone is wrong, the rest may still be told.
        Content::Wrong(fault) => {
            let read = stored::read(&file, meta.len, &spot.id, Care::Look).doing(LOOK)?;
            let left = if let Content::Good(stored) = read { Some(Box::new(listing::of(spot, meta, *stored))) } else { None };
            Contents::Damaged(fault, left)
        }
    };
    let listing = match &contents {
        Contents::Good(listing) | Contents::Damaged(_, Some(listing)) => Some(listing),
        _ => None,
    };
    let mut orders = Vec::new();
    if let Some(listing) = listing {
        let history = file.read_from(listing.history_at, MAX_HISTORY).doing(LOOK)?;
        orders.extend(tail::parse(&spot.id, &history).filter_map(|(at, entry)| match entry {
            Entry::Want(_, command) => Some((at, command)),
            _ => None,
        }));
    }
    let message_len = listing.map_or(meta.len.saturating_sub(FIRST_LINE as u64), |listing| listing.message_len);
    let Spot { queue, place, .. } = spot;
    Ok(Some(Examined { queue, place, in_work: locked.has(&meta), contents, orders, file: Arc::new(file), message_len }))
}
