//! Who may connect where and when, as a table: no clock, no task, no socket. Time is an argument and never goes back.
//!
//! Each destination has a *window*, the connections it may have at one time: two at first, one more for each message that was
//! answered, half as many after trouble. Visits that last hand their place to others, so that peers that say nothing cannot hold
//! them all; and destinations with trouble get at most half of the places.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use lib_mail::QueueId;

use super::destination::{Bounds, Destination, Waiter, Went};

/// Visits that last may be so many times the places that are counted.
const LASTING_SHARE: u32 = 3;
/// Messages that are parked for one destination with trouble; others are put off.
const MOST_PARKED: usize = 5000;
/// Messages that are parked in all before those of destinations with trouble are put off.
const MOST_BESIDE_TROUBLE: usize = 10_000;
/// Messages that are parked in all: each takes some 150 octets of memory.
const MOST_PARKED_IN_ALL: usize = 100_000;
/// How long a message is parked before it is put off: its history is to say why it waits, and its schedule to go on.
const PARK_PATIENCE: Duration = Duration::from_secs(10 * 60);
/// How often a busy server's message is parked before it is put off: it may be this message that the server has enough of.
const MOST_BUSY: u8 = 8;
/// Destinations that are known before those at rest are forgotten.
const MOST_KNOWN: usize = 2000;

/// How a message fares that was parked and not put off since.
#[derive(Debug, Clone, Copy)]
struct Parking {
    since: Instant,
    busy: u8,
}

/// Where a message stays that finds no room to wait at its destination with its claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// It is parked.
    Parked,
    /// Its destination takes mail, and more waits for it than is remembered: it comes again in a while, and that is no attempt.
    Later,
    /// Its destination has trouble, or it has waited for long: it is put off as after an attempt, and its history says why.
    PutOff,
}

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    most: u32,
    active: u32,
    lasting: u32,
    troubled: u32,
    known: HashMap<String, Destination>,
    /// Destinations with waiters, in the order in which they get places: by turns.
    turns: BTreeMap<u64, String>,
    turn: u64,
    /// Messages that are to be attempted again, and where they were parked.
    resumed: HashMap<QueueId, String>,
    parking: HashMap<QueueId, Parking>,
}

/// What a call sets going.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Going {
    /// They have a place now, with whether it counts among those of troubled destinations.
    pub(super) begin: Vec<(Waiter, bool)>,
    /// They are to be attempted again: there is room for them to wait in.
    pub(super) resume: Vec<QueueId>,
}

impl Table {
    pub(super) fn new(most: u32) -> Table {
        Table {
            most: most.max(1),
            active: 0,
            lasting: 0,
            troubled: 0,
            known: HashMap::new(),
            turns: BTreeMap::new(),
            turn: 0,
            resumed: HashMap::new(),
            parking: HashMap::new(),
        }
    }

    fn of(&mut self, key: &str, bounds: Bounds) -> &mut Destination {
        if self.known.len() >= MOST_KNOWN && !self.known.contains_key(key) {
            self.known.retain(|_, destination| !destination.at_rest());
        }
        let destination = self.known.entry(key.to_owned()).or_insert_with(|| Destination::new(bounds));
        destination.bounds = bounds;
        destination.window = destination.window.clamp(1, bounds.connections.max(1));
        destination
    }

    /// Whether this message may wait for the destination with its claim. It then comes, or is [`Table::dropped`].
    pub(super) fn admit(&mut self, key: &str, bounds: Bounds, id: QueueId, even_if_full: bool) -> bool {
        self.left(id);
        let destination = self.of(key, bounds);
        let room = destination.expected() < destination.allowance() || even_if_full;
        destination.coming += u32::from(room);
        room
    }

    /// It is not on its way back any more: it came, or is gone.
    fn left(&mut self, id: QueueId) -> Option<String> {
        let key = self.resumed.remove(&id)?;
        if let Some(destination) = self.known.get_mut(&key) {
            destination.resumed = destination.resumed.saturating_sub(1);
        }
        Some(key)
    }

    /// An attempt at it is over, and it was not parked; where it never came back to where it once was, its room is another's.
    pub(super) fn attempted(&mut self, id: QueueId) -> Going {
        self.parking.remove(&id);
        let mut going = Going::default();
        if let Some(key) = self.left(id) {
            self.resume(&key, &mut going);
        }
        going
    }

    /// It was admitted and does not come.
    pub(super) fn dropped(&mut self, key: &str) -> Going {
        let mut going = Going::default();
        if let Some(destination) = self.known.get_mut(key) {
            destination.coming = destination.coming.saturating_sub(1);
        }
        self.resume(key, &mut going);
        going
    }

    /// It was admitted and waits for a place.
    pub(super) fn wait(&mut self, key: &str, waiter: Waiter, now: Instant) -> Going {
        let Some(destination) = self.known.get_mut(key) else {
            return Going { begin: vec![(waiter, false)], ..Going::default() };
        };
        destination.coming = destination.coming.saturating_sub(1);
        destination.waiting.push_back(waiter);
        self.take_turn(key);
        self.go(key, now)
    }

    /// It waits no longer.
    pub(super) fn gave_up(&mut self, key: &str, waiter: Waiter, now: Instant) -> Going {
        if let Some(destination) = self.known.get_mut(key) {
            destination.waiting.retain(|other| *other != waiter);
        }
        self.go(key, now)
    }

    /// Whoever waits at `key` is looked at again: a moment came.
    pub(super) fn look(&mut self, key: &str, now: Instant) -> Going {
        self.go(key, now)
    }

    /// Where the message stays.
    pub(super) fn room(&self, key: &str, id: QueueId, now: Instant) -> Room {
        let (parked, troubled) =
            self.known.get(key).map_or((0, false), |destination| (destination.parked.len(), destination.troubled));
        let before = self.parking.get(&id);
        if before.is_some_and(|parking| now.saturating_duration_since(parking.since) >= PARK_PATIENCE) {
            return Room::PutOff;
        }
        let in_all = self.parking.len() - usize::from(before.is_some());
        match troubled {
            true if parked < MOST_PARKED && in_all < MOST_BESIDE_TROUBLE => Room::Parked,
            true => Room::PutOff,
            false if in_all < MOST_PARKED_IN_ALL => Room::Parked,
            false => Room::Later,
        }
    }

    /// Whether a message that a server was too busy for may be parked there: the server answered lately, and did not say so to this
    /// message again and again.
    pub(super) fn can_park_busy(&mut self, key: &str, id: QueueId, now: Instant) -> bool {
        let alive = self.known.get(key).is_some_and(|destination| destination.is_alive(now));
        if !alive || self.room(key, id, now) != Room::Parked {
            return false;
        }
        let parking = self.parking.entry(id).or_insert(Parking { since: now, busy: 0 });
        parking.busy += 1;
        parking.busy <= MOST_BUSY
    }

    /// Those that were parked for long, to be put off.
    pub(super) fn overdue(&mut self, now: Instant) -> Going {
        let mut going = Going::default();
        let parking = &self.parking;
        let is_overdue =
            |id: &QueueId| parking.get(id).is_none_or(|parking| now.saturating_duration_since(parking.since) >= PARK_PATIENCE);
        for (key, destination) in &mut self.known {
            let mut overdue = Vec::new();
            destination.parked.retain(|id| {
                let leaves = is_overdue(id);
                overdue.extend(leaves.then_some(*id));
                !leaves
            });
            destination.resumed += u32::try_from(overdue.len()).unwrap_or(u32::MAX);
            self.resumed.extend(overdue.iter().map(|id| (*id, key.clone())));
            going.resume.extend(overdue);
        }
        going
    }

    /// Remembers a message that has let its claim go.
    pub(super) fn park(&mut self, key: &str, bounds: Bounds, id: QueueId, now: Instant) -> Going {
        self.parking.entry(id).or_insert(Parking { since: now, busy: 0 });
        self.of(key, bounds).parked.push_back(id);
        let mut going = Going::default();
        // Room may have come while it let go.
        self.resume(key, &mut going);
        going
    }

    /// A visit that has lasted gives its place to another; its connection stays. `None` where too many do so.
    pub(super) fn lasts(&mut self, now: Instant) -> Option<Going> {
        if self.lasting >= self.most.saturating_mul(LASTING_SHARE) {
            return None;
        }
        self.lasting += 1;
        self.active = self.active.saturating_sub(1);
        let mut going = Going::default();
        self.go_all(now, &mut going);
        Some(going)
    }

    /// A visit is over. `lasted` as [`Table::lasts`] said, `troubled` as it began.
    pub(super) fn ended(&mut self, key: &str, went: Went, lasted: bool, troubled: bool, now: Instant) -> Going {
        let was_full = self.active >= self.most;
        let place = if lasted { &mut self.lasting } else { &mut self.active };
        *place = place.saturating_sub(1);
        self.troubled -= u32::from(troubled && self.troubled > 0);
        if let Some(destination) = self.known.get_mut(key) {
            destination.active = destination.active.saturating_sub(1);
            destination.learn(went, now);
        }
        let mut going = Going::default();
        if was_full || troubled {
            self.go_all(now, &mut going);
        }
        let more = self.go(key, now);
        going.begin.extend(more.begin);
        going.resume.extend(more.resume);
        going
    }

    /// When a destination may next begin, where that is a matter of time.
    pub(super) fn not_before(&self, key: &str) -> Option<Instant> {
        self.known.get(key).and_then(|destination| destination.not_before)
    }

    /// Nothing is known of anybody's troubles any more.
    pub(super) fn forgive(&mut self, now: Instant) -> Going {
        for destination in self.known.values_mut() {
            (destination.troubled, destination.pause, destination.not_before) = (false, Duration::ZERO, None);
        }
        let keys: Vec<String> = self.known.keys().cloned().collect();
        let mut going = Going::default();
        self.go_all(now, &mut going);
        keys.iter().for_each(|key| self.resume(key, &mut going));
        going
    }

    /// New bounds for all connections.
    pub(super) fn set_most(&mut self, most: u32) {
        self.most = most.max(1);
    }

    fn take_turn(&mut self, key: &str) {
        if let Some(destination) = self.known.get_mut(key)
            && destination.turn.is_none()
            && !destination.waiting.is_empty()
        {
            self.turn += 1;
            destination.turn = Some(self.turn);
            self.turns.insert(self.turn, key.to_owned());
        }
    }

    /// After a change at `key` that made no place for others: what it can begin now.
    fn go(&mut self, key: &str, now: Instant) -> Going {
        let mut going = Going::default();
        while self.active < self.most && self.give(key, now, &mut going) {}
        self.resume(key, &mut going);
        going
    }

    /// After a change that made places: by turns, as long as there are any.
    fn go_all(&mut self, now: Instant, going: &mut Going) {
        let mut turns: Vec<u64> = self.turns.keys().copied().collect();
        while !turns.is_empty() && self.active < self.most {
            let mut again = Vec::new();
            for turn in turns {
                if self.active >= self.most {
                    return;
                }
                let Some(key) = self.turns.get(&turn).cloned() else { continue };
                if self.give(&key, now, going) {
                    again.extend(self.known.get(&key).and_then(|destination| destination.turn));
                }
            }
            turns = again;
        }
    }

    /// A place for one that waits at `key`, which then waits for its next turn.
    fn give(&mut self, key: &str, now: Instant, going: &mut Going) -> bool {
        let half = (self.most / 2).max(1);
        let Some(destination) = self.known.get_mut(key) else { return false };
        let troubled = destination.troubled;
        let may = destination.may_begin(now) && !(troubled && self.troubled >= half);
        let waiter = if may { destination.waiting.pop_front() } else { None };
        if (waiter.is_some() || destination.waiting.is_empty())
            && let Some(turn) = destination.turn.take()
        {
            self.turns.remove(&turn);
        }
        let Some(waiter) = waiter else { return false };
        destination.active += 1;
        destination.not_before = (!destination.bounds.gap.is_zero()).then(|| now + destination.bounds.gap);
        self.active += 1;
        self.troubled += u32::from(troubled);
        going.begin.push((waiter, troubled));
        self.take_turn(key);
        self.resume(key, going);
        true
    }

    /// Those who are parked at `key`, as many as there is room to wait in.
    fn resume(&mut self, key: &str, going: &mut Going) {
        let Some(destination) = self.known.get_mut(key) else { return };
        while destination.expected() < destination.allowance()
            && let Some(id) = destination.parked.pop_front()
        {
            destination.resumed += 1;
            self.resumed.insert(id, key.to_owned());
            going.resume.push(id);
        }
    }
}

#[cfg(test)]
mod tests;
