//! Messages on their way from the disk: several blocks for one trip to the blocking pool, and small messages ahead of the client.
//!
//! A client fetches its messages one after the other, and a trip to the pool costs more than reading a small message. So the
//! messages that follow are read on the same trip, up to a bound for each session and one for the process.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lib_mailbox::{Body, Error, Maildrop};

/// Blocks of a large message that one trip fetches (of about 64 KiB each); a slow client has so many in memory.
const BLOCKS: usize = 2;
/// Octets that are read ahead for one session.
const AHEAD: usize = 64 * 1024;
/// Octets that are read ahead for all sessions; above, none is.
const AHEAD_IN_ALL: usize = 8 * 1024 * 1024;

/// A part of the message that was asked for, in wire form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) octets: Vec<u8>,
    /// The message ends with it.
    pub(crate) last: bool,
}

/// What one trip brought.
#[derive(Default)]
pub(crate) struct Trip {
    blocks: VecDeque<Vec<u8>>,
    /// The message goes on.
    body: Option<Rest>,
    /// Small messages behind it, whole, with their indexes.
    ahead: VecDeque<(usize, Vec<u8>)>,
}

/// The rest of a message.
pub(crate) struct Rest {
    body: Body,
    /// Octets to come, by the message's size.
    expected: u64,
}

/// What a trip is to bring.
pub(crate) enum Errand {
    /// A message from its beginning, and so many octets of those behind it.
    Begin { index: usize, ahead: usize },
    /// More of a message.
    GoOn(Box<Rest>),
}

impl Errand {
    /// Reads; blocks.
    pub(crate) fn run(self, maildrop: &Maildrop) -> Result<Trip, Error> {
        let mut trip = Trip::default();
        match self {
            Errand::GoOn(rest) => trip.fill(*rest)?,
            Errand::Begin { index, ahead } => {
                trip.fill(Rest { body: maildrop.read(index)?, expected: maildrop.size(index) })?;
                if trip.body.is_none() {
                    trip.look_ahead(maildrop, index + 1, ahead);
                }
            }
        }
        Ok(trip)
    }
}

impl Trip {
    /// Where the size says that a message is all there, its end is looked for at once: no further trip need be made for it.
    fn fill(&mut self, mut rest: Rest) -> Result<(), Error> {
        while self.blocks.len() < BLOCKS || (self.blocks.len() == BLOCKS && rest.expected == 0) {
            let mut block = Vec::new();
            if !rest.body.block(&mut block)? {
                return Ok(());
            }
            rest.expected = rest.expected.saturating_sub(block.len() as u64);
            self.blocks.push_back(block);
        }
        self.body = Some(rest);
        Ok(())
    }

    /// A message that cannot be read is left to the trip that asks for it.
    fn look_ahead(&mut self, maildrop: &Maildrop, from: usize, mut room: usize) {
        for index in from..maildrop.len() {
            let size = usize::try_from(maildrop.size(index)).unwrap_or(usize::MAX);
            if size > room {
                return;
            }
            let (mut octets, mut rest) = (Vec::with_capacity(size), Vec::new());
            let Ok(mut body) = maildrop.read(index) else { return };
            // Whole in one block, and what its name says of its size is true.
            let whole = body.block(&mut octets).is_ok() && matches!(body.block(&mut rest), Ok(false));
            if !whole || octets.len() != size {
                return;
            }
            room -= size;
            self.ahead.push_back((index, octets));
        }
    }
}

/// The messages of one session that are being read.
pub(crate) struct Reading {
    trip: Trip,
    /// Where a client that goes on in order will ask next.
    expected: usize,
    /// Octets in `trip.ahead`, counted in `in_all` too.
    held: usize,
    in_all: Arc<AtomicUsize>,
}

impl Reading {
    /// Reads nothing yet; `in_all` counts the octets that are held ahead for all sessions.
    pub(crate) fn new(in_all: Arc<AtomicUsize>) -> Self {
        Reading { trip: Trip::default(), expected: 0, held: 0, in_all }
    }

    /// Begins with a message: its first piece where it was read ahead, else the errand that brings it.
    pub(crate) fn begin(&mut self, index: usize) -> Result<Piece, Errand> {
        (self.trip.blocks, self.trip.body) = (VecDeque::new(), None);
        while self.trip.ahead.front().is_some_and(|(found, _)| *found < index) {
            self.pop_ahead();
        }
        let in_order = index == self.expected;
        self.expected = index + 1;
        if self.trip.ahead.front().is_some_and(|(found, _)| *found == index)
            && let Some(octets) = self.pop_ahead()
        {
            return Ok(Piece { octets, last: true });
        }
        self.drop_ahead();
        let room = in_order && self.in_all.load(Ordering::Relaxed) < AHEAD_IN_ALL;
        Err(Errand::Begin { index, ahead: if room { AHEAD } else { 0 } })
    }

    /// Goes on with the message: its next piece, or the errand that brings it.
    pub(crate) fn go_on(&mut self) -> Result<Piece, Errand> {
        match (self.trip.blocks.pop_front(), self.trip.body.take()) {
            (Some(octets), body) => {
                self.trip.body = body;
                Ok(Piece { octets, last: self.trip.blocks.is_empty() && self.trip.body.is_none() })
            }
            (None, Some(rest)) => Err(Errand::GoOn(Box::new(rest))),
            (None, None) => Ok(Piece { octets: Vec::new(), last: true }),
        }
    }

    /// Takes what a trip brought.
    pub(crate) fn back(&mut self, trip: Trip) {
        let Trip { blocks, body, ahead } = trip;
        (self.trip.blocks, self.trip.body) = (blocks, body);
        if !ahead.is_empty() {
            self.drop_ahead();
            self.held = ahead.iter().map(|(_, octets)| octets.len()).sum();
            self.in_all.fetch_add(self.held, Ordering::Relaxed);
            self.trip.ahead = ahead;
        }
    }

    fn pop_ahead(&mut self) -> Option<Vec<u8>> {
        let (_, octets) = self.trip.ahead.pop_front()?;
        self.held -= octets.len();
        self.in_all.fetch_sub(octets.len(), Ordering::Relaxed);
        Some(octets)
    }

    fn drop_ahead(&mut self) {
        self.in_all.fetch_sub(std::mem::take(&mut self.held), Ordering::Relaxed);
        self.trip.ahead = VecDeque::new();
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.drop_ahead();
    }
}
