//! What became of each recipient, as recorded behind the envelope.
#![allow(clippy::unimplemented, unused_variables, missing_docs, dead_code)]

use lib_mail::{QueueId, Status, Timestamp};

/// One of those into whom a recipient was expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The index of the recipient (or member) that was expanded.
    pub of: usize,
    /// What the consumer wrote, as `mailbox minji@example.kr`; the spool does not read it.
    pub target: String,
}

/// What happened to a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A copy is durable in a mailbox. Final.
    Delivered,
    /// A peer took it with a 250. Final.
    Relayed,
    /// A child message carries it on. Final.
    Forwarded(QueueId),
    /// It stands for these now, which get the indexes behind all that exist so far. Final. Recorded once, and synced before any
    /// member is attempted.
    Expanded(Vec<String>),
    /// Swallowed by rule. Final.
    Discarded,
    /// Try again later.
    Deferred,
    /// Never try again; the sender is still to be told.
    Failed,
    /// The sender was told by that child message, or `None`: need not be told. Ends a failure; after any other outcome (a delay, a
    /// delivery) it changes nothing but the record.
    Notified(Option<QueueId>),
}

/// What became of a recipient, and in whose words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What happened.
    pub what: What,
    /// The words and the moment.
    pub status: Status,
}

/// One line of the history: one outcome of one or more recipients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Indexes, ascending.
    pub recipients: Vec<usize>,
    /// What became of them all. Its `status.at` is the moment.
    pub outcome: Outcome,
}

/// Where a recipient stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// To be attempted.
    Pending,
    /// Failed, and the sender is still to be told.
    Failed,
    /// Nothing is left to do.
    Done,
}

/// All recipients of a message and where they stand: first those of the envelope, then the members of expansions in the order of
/// their recording.
#[derive(Debug, Clone, Default)]
pub struct Recipients {
    fates: Vec<Fate>,
    members: Vec<Member>,
    lines: Vec<Line>,
    envelope: usize,
}

impl Recipients {
    /// How many there are, members included.
    pub fn len(&self) -> usize {
        unimplemented!()
    }

    /// Never true for a committed message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a recipient stands; `None` beyond the last.
    pub fn fate(&self, index: usize) -> Option<Fate> {
        unimplemented!()
    }

    /// Those to be attempted, ascending.
    pub fn pending(&self) -> Vec<usize> {
        unimplemented!()
    }

    /// Those that failed and of whom the sender is still to be told, ascending.
    pub fn failed(&self) -> Vec<usize> {
        unimplemented!()
    }

    /// The member that an index beyond the envelope's recipients names.
    pub fn member(&self, index: usize) -> Option<&Member> {
        unimplemented!()
    }

    /// The envelope's recipient behind an index: itself, or the one from whom the member came.
    pub fn origin(&self, index: usize) -> Option<usize> {
        unimplemented!()
    }

    /// The last status of a recipient, notifications aside.
    pub fn last(&self, index: usize) -> Option<&Outcome> {
        unimplemented!()
    }

    /// Whether the sender was told of a recipient already, by whatever kind of notification, since `since`.
    pub fn notified(&self, index: usize) -> bool {
        unimplemented!()
    }

    /// How often a recipient was deferred.
    pub fn deferrals(&self, index: usize) -> usize {
        unimplemented!()
    }

    /// All lines, oldest first.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// When the last line was recorded.
    pub fn last_at(&self) -> Option<Timestamp> {
        unimplemented!()
    }
}
