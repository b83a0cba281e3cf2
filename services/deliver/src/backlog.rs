//! Which messages are to be attempted next: each once, in the order in which they became known.

use std::collections::{HashSet, VecDeque};

use lib_mail::{QueueId, Timestamp};

/// Messages that are known at one time; a scan finds the others when there is room again.
const MAX_KNOWN: usize = 100_000;

/// What an attempt says of the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// None is needed, or only a scan can tell.
    None,
    /// Due at that moment.
    At(Timestamp),
}

/// Messages that wait for a thread, and those that have one.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    waiting: VecDeque<QueueId>,
    /// Waiting or in work.
    known: HashSet<QueueId>,
    /// The earliest moment at which another message is known to be due.
    next: Option<Timestamp>,
    /// A scan found, or a wake named, more than there was room for.
    overflowed: bool,
}

impl Backlog {
    /// Adds a message, unless it waits or is in work already. Whether it was added.
    pub(crate) fn add(&mut self, id: QueueId) -> bool {
        if self.known.len() >= MAX_KNOWN {
            self.overflowed = true;
            return false;
        }
        let new = self.known.insert(id);
        if new {
            self.waiting.push_back(id);
        }
        new
    }

    /// The next message to attempt.
    pub(crate) fn take(&mut self) -> Option<QueueId> {
        self.waiting.pop_front()
    }

    /// An attempt ended.
    pub(crate) fn done(&mut self, id: QueueId, next: Next) {
        self.known.remove(&id);
        if let Next::At(at) = next {
            self.note_due(at);
        }
    }

    /// Another message is due at that moment.
    pub(crate) fn note_due(&mut self, at: Timestamp) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// When the queue should be scanned, if that is known: at once where messages had to be left out and the others are in work.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        if self.overflowed && self.waiting.is_empty() { Some(Timestamp(0)) } else { self.next }
    }

    /// A scan begins.
    pub(crate) fn scanning(&mut self) {
        self.overflowed = false;
        self.next = None;
    }

    /// Messages that wait for a thread.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Messages in work or waiting.
    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(serial: u32) -> QueueId {
        QueueId::new(Timestamp(1), 0, serial)
    }

    #[test]
    fn each_message_is_in_work_once() {
        let mut backlog = Backlog::default();
        assert!(backlog.add(id(1)) && !backlog.add(id(1)) && backlog.add(id(2)));
        assert_eq!(backlog.take(), Some(id(1)));
        assert!(!backlog.add(id(1)), "it is in work");
        backlog.done(id(1), Next::None);
        assert!(backlog.add(id(1)));
        assert_eq!([backlog.take(), backlog.take(), backlog.take()], [Some(id(2)), Some(id(1)), None]);
        assert_eq!(backlog.len(), 2);
    }

    #[test]
    fn the_earliest_moment_counts() {
        let mut backlog = Backlog::default();
        for at in [50, 30, 40] {
            backlog.add(id(at));
            backlog.done(id(at), Next::At(Timestamp(i64::from(at))));
        }
        assert_eq!(backlog.next_due(), Some(Timestamp(30)));
        backlog.scanning();
        assert_eq!(backlog.next_due(), None);
    }

    #[test]
    fn what_found_no_room_makes_a_scan_due_when_there_is() {
        let mut backlog = Backlog::default();
        for serial in 0..=MAX_KNOWN as u32 {
            backlog.add(id(serial));
        }
        assert_eq!(backlog.len(), MAX_KNOWN);
        assert_eq!(backlog.next_due(), None);
        while backlog.take().is_some() {}
        assert_eq!(backlog.next_due(), Some(Timestamp(0)));
    }
}
