//! A look at the queue without a lock.
#![allow(clippy::unimplemented, unused_variables, missing_docs, dead_code)]

use lib_mail::{Envelope, QueueId, Timestamp};

use crate::{Error, Place, Queue, Recipients};

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
}

/// Messages of a queue, in no order; those that vanish meanwhile or are still being written are left out.
#[derive(Debug)]
pub struct Listings {}

impl Iterator for Listings {
    type Item = Result<Listing, Error>;
    fn next(&mut self) -> Option<Self::Item> {
        unimplemented!()
    }
}
