//! Where a message file lies.

use std::fmt;

/// Who is to consume a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// The role `deliver`.
    Local,
    /// The role `relay-out`.
    Relay,
}

impl Queue {
    /// Both.
    pub const ALL: [Queue; 2] = [Queue::Local, Queue::Relay];

    /// `local` or `relay`.
    pub fn name(self) -> &'static str {
        match self {
            Queue::Local => "local",
            Queue::Relay => "relay",
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Whether a message may be attempted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In its queue: attempted when due.
    Queued,
    /// Held: left alone until released.
    Held,
    /// Its content is not what was committed: kept for a person to look at.
    Corrupt,
}

impl Place {
    /// All three.
    pub const ALL: [Place; 3] = [Place::Queued, Place::Held, Place::Corrupt];

    /// `queued`, `held` or `corrupt`.
    pub fn name(self) -> &'static str {
        match self {
            Place::Queued => "queued",
            Place::Held => "held",
            Place::Corrupt => "corrupt",
        }
    }

    /// The directory of a queue's messages in this place, relative to the spool.
    pub(crate) fn directory(self, queue: Queue) -> &'static str {
        match (self, queue) {
            (Place::Queued, Queue::Local) => "local",
            (Place::Queued, Queue::Relay) => "relay",
            (Place::Held, Queue::Local) => "hold/local",
            (Place::Held, Queue::Relay) => "hold/relay",
            (Place::Corrupt, Queue::Local) => "corrupt/local",
            (Place::Corrupt, Queue::Relay) => "corrupt/relay",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
