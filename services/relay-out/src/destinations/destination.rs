//! What is known of one destination, and how it is learnt.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use lib_mail::QueueId;

/// Connections to a destination of which nothing is known.
const FIRST_WINDOW: u32 = 2;
/// After a refusal for the number or the rate of our connections, the first pause.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A destination that answered within this time is alive, whatever it refuses now.
const ALIVE: Duration = Duration::from_secs(60);

/// What a destination may have at most, by settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Connections at one time.
    pub(crate) connections: u32,
    /// The time between two messages; zero means none.
    pub(crate) gap: Duration,
}

/// How a visit went, as far as it says something of the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Went {
    /// It answered about the recipients, whatever it said.
    Answered,
    /// It has too many connections or messages of ours just now (421).
    Busy,
    /// It could not be reached, or said nothing.
    Silent,
    /// Nothing is to be learnt of it.
    Unclear,
}

/// One that waits for a place; the number is the caller's.
pub(super) type Waiter = u64;

#[derive(Debug)]
pub(super) struct Destination {
    pub(super) bounds: Bounds,
    pub(super) window: u32,
    pub(super) active: u32,
    /// Admitted, and not waiting yet.
    pub(super) coming: u32,
    /// No longer parked, and not admitted yet.
    pub(super) resumed: u32,
    pub(super) waiting: VecDeque<Waiter>,
    /// Its place among the turns, where one waits.
    pub(super) turn: Option<u64>,
    pub(super) parked: VecDeque<QueueId>,
    pub(super) answered: Option<Instant>,
    /// Trouble since it last answered.
    pub(super) troubled: bool,
    pub(super) pause: Duration,
    pub(super) not_before: Option<Instant>,
}

impl Destination {
    pub(super) fn new(bounds: Bounds) -> Destination {
        Destination {
            bounds,
            window: FIRST_WINDOW.min(bounds.connections.max(1)),
            active: 0,
            coming: 0,
            resumed: 0,
            turn: None,
            waiting: VecDeque::new(),
            parked: VecDeque::new(),
            answered: None,
            troubled: false,
            pause: Duration::ZERO,
            not_before: None,
        }
    }

    /// Messages that may wait with a claim; enough to keep the window busy.
    pub(super) fn allowance(&self) -> usize {
        if self.answered.is_some() && !self.troubled { (2 * self.window as usize).max(16) } else { self.window as usize }
    }

    pub(super) fn expected(&self) -> usize {
        (self.coming + self.resumed) as usize + self.waiting.len()
    }

    pub(super) fn may_begin(&self, now: Instant) -> bool {
        self.active < self.window && self.not_before.is_none_or(|moment| now >= moment)
    }

    pub(super) fn at_rest(&self) -> bool {
        self.active == 0 && self.expected() == 0 && self.parked.is_empty()
    }

    pub(super) fn is_alive(&self, now: Instant) -> bool {
        self.answered.is_some_and(|answered| now.saturating_duration_since(answered) < ALIVE)
    }

    pub(super) fn learn(&mut self, went: Went, now: Instant) {
        match went {
            Went::Answered => {
                self.window = (self.window + 1).min(self.bounds.connections.max(1));
                (self.answered, self.troubled, self.pause) = (Some(now), false, Duration::ZERO);
            }
            // One that takes nothing at all: its mail is to learn that, one message after the other.
            Went::Busy if !self.is_alive(now) => {
                self.window = (self.window / 2).max(1);
                self.troubled = true;
            }
            Went::Busy => {
                self.window = (self.window / 2).max(1);
                self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
                self.not_before = Some(now + self.pause);
            }
            Went::Silent => {
                self.window = (self.window / 2).max(1);
                self.troubled = true;
            }
            Went::Unclear => {}
        }
    }
}
