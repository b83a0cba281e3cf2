//! A message on its way in.
#![allow(clippy::unimplemented, unused_variables, missing_docs, dead_code)]

use lib_mail::{Envelope, QueueId, Timestamp};

use crate::{Error, Queue};

/// What is to be committed.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The envelope for the queue `local`, with its recipients only.
    pub local: Option<Envelope>,
    /// The envelope for the queue `relay`, with its recipients only. At least one of the two is given.
    pub relay: Option<Envelope>,
    /// Put it on hold instead of into the queue.
    pub held: bool,
    /// The first attempt; now, in general.
    pub due: Timestamp,
}

/// The receipt: the message is durable, or was swallowed on purpose. Only the spool makes one, so only then a session can say 250.
#[derive(Debug)]
pub struct Committed {
    id: QueueId,
    queues: [bool; 2],
}

impl Committed {
    /// The message's id.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Whether it lies in that queue, ready to be attempted, so that the consumer should be woken.
    pub fn wakes(&self, queue: Queue) -> bool {
        self.queues[queue as usize]
    }
}

/// A message being received. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Incoming {
    id: QueueId,
}

/// A message that another caused.
#[derive(Debug)]
pub enum Child {
    /// To be written and committed now.
    New(Incoming),
    /// It was committed before, by an attempt that did not come to record it: record it now under this id.
    Made(QueueId),
}

impl Child {
    /// Its id, which is the same for the same parent, cause and member.
    pub fn id(&self) -> QueueId {
        unimplemented!()
    }
}

impl Incoming {
    /// The id the message will have.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Says for which queues the message is probably meant. A long message is then written in the right place from the start; a wrong
    /// guess costs one directory sync, none is needed for correctness.
    pub fn expect(&mut self, queue: Queue) {}

    /// Adds octets of the message, as received and dot-unstuffed. The first 64 KiB stay in memory.
    pub fn append(&mut self, octets: &[u8]) -> Result<(), Error> {
        unimplemented!()
    }

    /// Whether an append of so many octets will touch the disk, and so belongs in the pool.
    pub fn blocks(&self, octets: usize) -> bool {
        unimplemented!()
    }

    /// Octets so far.
    pub fn len(&self) -> u64 {
        unimplemented!()
    }

    /// No octet so far.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes the message durable in its queues: all of them, or an error and none. After a crash in here it may be in either, both or
    /// none; no 250 was sent.
    pub fn commit(self, commit: Commit) -> Result<Committed, Error> {
        unimplemented!()
    }

    /// Swallows the message on purpose (a rule said DISCARD): nothing is kept, and the receipt still allows 250.
    pub fn discard(self) -> Committed {
        unimplemented!()
    }
}
