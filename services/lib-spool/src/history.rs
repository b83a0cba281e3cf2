//! What became of each recipient: the outcomes, and where they leave a message.

use std::sync::Arc;

use lib_mail::{QueueId, Status, Timestamp};

/// The most recipients and members that a message can come to have.
const MAX_RECIPIENTS: usize = 1_000_000;

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

impl What {
    /// The child message that it names.
    pub(crate) fn child(&self) -> Option<&QueueId> {
        match self {
            What::Forwarded(child) | What::Notified(Some(child)) => Some(child),
            _ => None,
        }
    }
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
#[derive(Debug, Clone)]
pub struct Recipients {
    /// One for each recipient and member.
    fates: Vec<Fate>,
    /// `members.len() + envelope == fates.len()`
    members: Vec<Member>,
    /// Shared by copies until one takes another line.
    lines: Arc<Vec<Line>>,
    /// Lines before a fresh start: they tell what happened, and no longer count as attempts.
    past: usize,
    envelope: usize,
}

impl Recipients {
    pub(crate) fn new(envelope: usize) -> Recipients {
        Recipients { fates: vec![Fate::Pending; envelope], members: Vec::new(), lines: Arc::default(), past: 0, envelope }
    }

    /// Takes a line in; `false`, and no change, where it names nobody or one who does not exist.
    pub(crate) fn take(&mut self, line: Line) -> bool {
        let known = line.recipients.iter().all(|index| *index < self.fates.len());
        let grows = if let What::Expanded(members) = &line.outcome.what { members.len() } else { 0 };
        if line.recipients.is_empty() || !known || self.fates.len().saturating_add(grows) > MAX_RECIPIENTS {
            return false;
        }
        for index in &line.recipients {
            self.fates[*index] = match (&line.outcome.what, self.fates[*index]) {
                (What::Deferred, Fate::Pending) => Fate::Pending,
                (What::Failed, Fate::Pending) => Fate::Failed,
                (What::Notified(_), Fate::Failed) => Fate::Done,
                (What::Deferred | What::Failed | What::Notified(_), fate) => fate,
                _ => Fate::Done,
            };
        }
        if let What::Expanded(targets) = &line.outcome.what {
            let of = line.recipients[0];
            self.members.extend(targets.iter().map(|target| Member { of, target: target.clone() }));
            self.fates.extend(targets.iter().map(|_| Fate::Pending));
        }
        Arc::make_mut(&mut self.lines).push(line);
        true
    }

    /// How many there are, members included.
    pub fn len(&self) -> usize {
        self.fates.len()
    }

    /// Never true for a committed message.
    pub fn is_empty(&self) -> bool {
        self.fates.is_empty()
    }

    /// Where a recipient stands; `None` beyond the last.
    pub fn fate(&self, index: usize) -> Option<Fate> {
        self.fates.get(index).copied()
    }

    fn with(&self, fate: Fate) -> Vec<usize> {
        (0..self.fates.len()).filter(|index| self.fates[*index] == fate).collect()
    }

    /// Those to be attempted, ascending.
    pub fn pending(&self) -> Vec<usize> {
        self.with(Fate::Pending)
    }

    /// Those that failed and of whom the sender is still to be told, ascending.
    pub fn failed(&self) -> Vec<usize> {
        self.with(Fate::Failed)
    }

    /// Whether nothing is left to do.
    pub fn all_done(&self) -> bool {
        self.fates.iter().all(|fate| *fate == Fate::Done)
    }

    /// The member that an index beyond the envelope's recipients names.
    pub fn member(&self, index: usize) -> Option<&Member> {
        self.members.get(index.checked_sub(self.envelope)?)
    }

    /// The envelope's recipient behind an index: itself, or the one from whom the member came.
    pub fn origin(&self, index: usize) -> Option<usize> {
        let mut at = index;
        // A member is always of an earlier index, so this ends.
        while at >= self.envelope {
            at = self.member(at)?.of;
        }
        Some(at)
    }

    fn outcomes_of(&self, index: usize) -> impl Iterator<Item = &Outcome> {
        let hits = move |line: &&Line| line.recipients.binary_search(&index).is_ok();
        self.lines.iter().rev().filter(hits).map(|line| &line.outcome)
    }

    /// The last outcome of a recipient, notifications aside.
    pub fn last(&self, index: usize) -> Option<&Outcome> {
        self.outcomes_of(index).find(|outcome| !matches!(outcome.what, What::Notified(_)))
    }

    /// Whether the sender was told of a recipient already, by whatever kind of notification.
    pub fn notified(&self, index: usize) -> bool {
        self.outcomes_of(index).any(|outcome| matches!(outcome.what, What::Notified(_)))
    }

    /// How often a recipient was deferred since the last fresh start ([`Command::Requeue`](crate::Command::Requeue)).
    pub fn deferrals(&self, index: usize) -> usize {
        let since = self.lines.get(self.past..).unwrap_or_default();
        let hits = |line: &&Line| line.outcome.what == What::Deferred && line.recipients.binary_search(&index).is_ok();
        since.iter().filter(hits).count()
    }

    /// From here on attempts are counted anew.
    pub(crate) fn start_afresh(&mut self) {
        self.past = self.lines.len();
    }

    /// All lines, oldest first.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// When the last line since a fresh start was recorded.
    pub fn last_at(&self) -> Option<Timestamp> {
        self.lines.get(self.past..)?.last().map(|line| line.outcome.status.at)
    }

    /// When the last deferral was recorded.
    pub(crate) fn last_deferral(&self) -> Option<Timestamp> {
        let last = self.lines.iter().rev().find(|line| line.outcome.what == What::Deferred);
        last.map(|line| line.outcome.status.at)
    }

    /// Whether there may be so many as these lines would make.
    pub(crate) fn has_room(&self, lines: &[Line]) -> bool {
        let members = lines.iter().map(|line| if let What::Expanded(members) = &line.outcome.what { members.len() } else { 0 });
        members.fold(self.fates.len(), usize::saturating_add) <= MAX_RECIPIENTS
    }

    /// Whether a line names that child.
    pub(crate) fn names(&self, child: &QueueId) -> bool {
        self.lines.iter().any(|line| line.outcome.what.child() == Some(child))
    }
}

#[cfg(test)]
mod tests;
