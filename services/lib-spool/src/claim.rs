//! A message in the hands of its consumer.
#![allow(clippy::unimplemented, unused_variables, missing_docs, dead_code)]

use std::io::{self, Read};

use lib_mail::{Envelope, QueueId, Timestamp};

use crate::{Error, Outcome, Queue, Recipients};

/// The exclusive right to a message: nobody else attempts, moves or removes it. It goes with this value and with the process. Shared
/// between threads, records do not mix.
#[derive(Debug)]
pub struct Claim {
    id: QueueId,
}

/// How a claim ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It waits until that moment.
    Deferred(Timestamp),
    /// A command came meanwhile: it is due at once (`retry`, or `bounce`, see [`Claim::bounce_wanted`]).
    Due,
    /// A command came meanwhile: it is on hold.
    Held,
    /// A command came meanwhile: it is gone, without a word to the sender.
    Deleted,
    /// Nothing was left to do, and it is gone.
    Finished,
}

/// The octets of a message, from the first. `Send`, and independent of other readers of the same message. While one lives, the
/// file is open but not claimed.
#[derive(Debug)]
pub struct BodyReader {}

impl Read for BodyReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        unimplemented!()
    }
}

impl Claim {
    /// The message.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// The queue it lies in.
    pub fn queue(&self) -> Queue {
        unimplemented!()
    }

    /// The envelope, with this queue's recipients only.
    pub fn envelope(&self) -> &Envelope {
        unimplemented!()
    }

    /// A copy of the recipients' state, with what was recorded so far.
    pub fn recipients(&self) -> Recipients {
        unimplemented!()
    }

    /// The history's lines so far.
    pub fn history(&self) -> Vec<crate::Line> {
        self.recipients().lines().to_vec()
    }

    /// Indexes of those to be attempted, ascending; beyond the envelope's recipients they name members.
    pub fn pending(&self) -> Vec<usize> {
        unimplemented!()
    }

    /// Whether this is surely the first attempt: no earlier claim can have left a copy anywhere.
    pub fn first_attempt(&self) -> bool {
        unimplemented!()
    }

    /// The message's octets as received, without the header lines that we add.
    pub fn body(&self) -> BodyReader {
        unimplemented!()
    }

    /// Octets of the message as received.
    pub fn message_len(&self) -> u64 {
        unimplemented!()
    }

    /// Whether a person asked, before this claim or since, to return the message now: treat what is pending as failed.
    pub fn bounce_wanted(&self) -> Result<bool, Error> {
        unimplemented!()
    }

    /// Appends outcomes, in one write. Equal outcomes of several recipients share a line. Not durable before [`sync`](Self::sync).
    pub fn record(&self, outcomes: &[(usize, Outcome)]) -> Result<(), Error> {
        unimplemented!()
    }

    /// Makes what was recorded durable, and then lets go the children that it names. Does nothing where nothing needs it:
    /// a deferral that a power cut takes back costs an attempt, no mail.
    pub fn sync(&self) -> Result<(), Error> {
        unimplemented!()
    }

    /// Lets the message wait until that moment, or obeys a command that came meanwhile. Syncs first where that is needed.
    pub fn defer(self, until: Timestamp) -> Result<Ended, Error> {
        unimplemented!()
    }

    /// Removes the message. Syncs first where that is needed. `Misuse` while a recipient is pending or a sender is to be told.
    pub fn finish(self) -> Result<Ended, Error> {
        unimplemented!()
    }

    /// Puts the message on hold.
    pub fn hold(self) -> Result<Ended, Error> {
        unimplemented!()
    }
}
