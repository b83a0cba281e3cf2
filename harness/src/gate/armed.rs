//! The trips of a gate: which are armed, how often each still acts, how often each has acted.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::trip::{Edge, Place, Side, Trip, What};

#[derive(Debug)]
struct Armed {
    trip: Trip,
    left: usize,
    skip: usize,
    taken: usize,
}

/// All trips ever armed, by number.
#[derive(Debug, Default)]
pub(super) struct Trips {
    list: Mutex<Vec<Armed>>,
}

impl Trips {
    /// Arms a trip; its number.
    pub(super) fn arm(&self, trip: Trip) -> usize {
        let mut list = self.list();
        list.push(Armed { left: trip.times, skip: trip.skip, taken: 0, trip });
        list.len() - 1
    }

    /// No trip acts from now on; numbers and counts stay.
    pub(super) fn disarm(&self) {
        for armed in self.list().iter_mut() {
            armed.left = 0;
        }
    }

    /// Counts that trip `number` was carried out.
    pub(super) fn took(&self, number: usize) {
        if let Some(armed) = self.list().get_mut(number) {
            armed.taken += 1;
        }
    }

    /// How often trip `number` was carried out.
    pub(super) fn taken(&self, number: usize) -> usize {
        self.list().get(number).map_or(0, |armed| armed.taken)
    }

    /// How often any was carried out.
    pub(super) fn taken_in_all(&self) -> usize {
        self.list().iter().map(|armed| armed.taken).sum()
    }

    /// The armed trips that `fits` says are reached now, each used up by one.
    pub(super) fn reach(&self, fits: impl Fn(&Trip) -> bool) -> Vec<(usize, Trip)> {
        let mut reached = Vec::new();
        for (number, armed) in self.list().iter_mut().enumerate().filter(|(_, armed)| armed.left > 0 && fits(&armed.trip)) {
            if armed.skip > 0 {
                armed.skip -= 1;
            } else {
                armed.left -= 1;
                reached.push((number, armed.trip.clone()));
            }
        }
        reached
    }

    /// The trip `number`, used up by one, where it is armed and lets no more pass.
    pub(super) fn reach_one(&self, number: usize) -> Option<Trip> {
        let mut list = self.list();
        let armed = list.get_mut(number).filter(|armed| armed.left > 0)?;
        if armed.skip > 0 {
            armed.skip -= 1;
            return None;
        }
        armed.left -= 1;
        Some(armed.trip.clone())
    }

    /// Whether an armed trip may yet act before the line that begins so.
    pub(super) fn may_act_before_line(&self, start: &[u8]) -> bool {
        self.list().iter().any(|armed| match &armed.trip {
            Trip { edge: Edge::Before, place: Place::Line(prefix), .. } if armed.left > 0 => {
                let common = prefix.len().min(start.len());
                prefix.as_bytes()[..common].eq_ignore_ascii_case(&start[..common])
            }
            _ => false,
        })
    }

    /// Whether an armed trip acts before the end of a message.
    pub(super) fn acts_before_dot(&self) -> bool {
        self.list().iter().any(|armed| armed.left > 0 && armed.trip.edge == Edge::Before && armed.trip.place == Place::FinalDot)
    }

    /// The texts past which trips of `side` are armed, each with its trip's number.
    pub(super) fn texts(&self, side: Side) -> Vec<(usize, String)> {
        let list = self.list();
        let texts = list.iter().enumerate().filter(|(_, armed)| armed.left > 0);
        texts
            .filter_map(|(number, armed)| match &armed.trip.place {
                Place::Past(of, text, _) if *of == side => Some((number, text.clone())),
                _ => None,
            })
            .collect()
    }

    /// The first of `side`'s octet trips within the next `length` octets after `seen`, unless among `done`: after how many of
    /// those octets it acts, and its number. `texts` says of trips past a text after how many octets that had been said.
    pub(super) fn next_octet(
        &self,
        side: Side,
        (seen, length): (u64, usize),
        done: &[usize],
        texts: &[(usize, u64)],
    ) -> Option<(usize, usize)> {
        let list = self.list();
        let points = list.iter().enumerate().filter_map(|(number, armed)| {
            let (of, octet) = match armed.trip.place {
                Place::Octet(of, octet) => (of, octet),
                Place::Past(of, _, octet) => {
                    let (_, said) = texts.iter().find(|(of_trip, _)| *of_trip == number)?;
                    (of, said + octet)
                }
                _ => return None,
            };
            let offset = usize::try_from(octet.checked_sub(seen + 1)?).ok()?;
            let armed = armed.left > 0 && of == side && offset < length && !done.contains(&number);
            armed.then(|| (offset + usize::from(list[number].trip.edge == Edge::After), number))
        });
        points.min()
    }

    fn list(&self) -> MutexGuard<'_, Vec<Armed>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the trip swallows a reply.
pub(super) fn loses(trip: &Trip) -> bool {
    matches!(trip.what, What::LoseReply(_))
}
