//! Follows a dialogue in both directions, as far as trips and the record need it, and says what passes and what happens in between.
//!
//! It never waits and never fails: what is no SMTP passes as it came. Octets that come in pieces give the same parts as octets that come
//! at once, except that an unfinished line is held back only while a trip may act before it. After STARTTLS it sees octets only.

mod client;
mod server;
mod text;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::armed::{Trips, loses};
use super::dialogue::Dialogue;
use super::trip::{Edge, How, Place, Side, Stage, Trip, What};

/// Longest piece of a line that is held back or looked at.
const LINE: usize = 8192;

/// What the gate does next with octets of one direction, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// They pass.
    Octets(Vec<u8>),
    /// Something happens.
    Act(Act),
}

/// A trip that is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Act {
    /// The trip's number.
    pub(super) number: usize,
    /// What is to be done.
    pub(super) deed: Deed,
    /// Where, for the record: `after the final dot`.
    pub(super) point: String,
}

/// What the pump does for a trip.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// The connection ends.
    End(How),
    /// The direction ends, with FIN.
    HalfClose,
    /// This end gets these octets.
    Inject(Side, Vec<u8>),
    /// The direction is read at this rate from now on.
    Slow(u32),
    /// Nothing; it only counts.
    Note,
}

/// The parts so far; nothing is added after an end.
#[derive(Debug, Default)]
struct Flow {
    parts: Vec<Part>,
    ended: bool,
}

impl Flow {
    fn pass(&mut self, octets: &[u8]) {
        if self.ended || octets.is_empty() {
            return;
        }
        match self.parts.last_mut() {
            Some(Part::Octets(last)) => last.extend_from_slice(octets),
            _ => self.parts.push(Part::Octets(octets.to_vec())),
        }
    }

    fn act(&mut self, number: usize, deed: Deed, point: String) {
        if !self.ended {
            self.ended = matches!(deed, Deed::End(_) | Deed::HalfClose);
            self.parts.push(Part::Act(Act { number, deed, point }));
        }
    }
}

/// What the client's octets are.
#[derive(Debug)]
enum Phase {
    /// Command lines.
    Command,
    /// A message after DATA.
    Message(client::Message),
    /// A chunk after BDAT.
    Chunk { left: u64, size: u64, last: bool },
    /// TLS, both ways.
    Opaque,
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    /// Octets seen.
    seen: u64,
    /// The unfinished line, as far as it is looked at.
    line: Vec<u8>,
    /// The end of what was seen, not passed yet.
    held: Vec<u8>,
    /// Nothing more passes.
    ended: bool,
    /// The last octets, in which a text may begin.
    tail: Vec<u8>,
}

/// A dialogue that is followed.
#[derive(Debug)]
pub(super) struct Follow {
    trips: Arc<Trips>,
    dialogue: Arc<Mutex<Dialogue>>,
    client: Way,
    server: Way,
    phase: Phase,
    /// What the server has yet to reply to.
    expected: VecDeque<Expected>,
    /// A reply has begun.
    replying: bool,
    /// The client's next line answers a challenge of AUTH.
    credentials: bool,
    /// The next reply that begins is to be lost.
    lose_next: Option<Loss>,
    /// The reply that has begun is being lost.
    losing: Option<Loss>,
    strip_starttls: bool,
    break_tls: bool,
    /// Octet trips that this connection has come by.
    done: Vec<usize>,
    /// The trips past a text that was said, and after how many octets it had been.
    texts: Vec<(usize, u64)>,
}

#[derive(Debug)]
struct Expected {
    stage: Stage,
    lose: Option<Loss>,
}

#[derive(Debug)]
struct Loss {
    number: usize,
    how: How,
    point: String,
}

impl Follow {
    pub(super) fn new(trips: Arc<Trips>, dialogue: Arc<Mutex<Dialogue>>) -> Follow {
        Follow {
            trips,
            dialogue,
            client: Way::default(),
            server: Way::default(),
            phase: Phase::Command,
            expected: VecDeque::from([Expected { stage: Stage::Greeting, lose: None }]),
            replying: false,
            credentials: false,
            lose_next: None,
            losing: None,
            strip_starttls: false,
            break_tls: false,
            done: Vec::new(),
            texts: Vec::new(),
        }
    }

    /// The connection has begun.
    pub(super) fn connect(&mut self) -> Vec<Part> {
        let mut flow = Flow::default();
        for (number, trip) in self.trips.reach(|trip| trip.place == Place::Connect) {
            self.take(number, trip, &mut flow);
        }
        flow.parts
    }

    /// `side` said these octets.
    pub(super) fn feed(&mut self, side: Side, octets: &[u8]) -> Vec<Part> {
        let mut flow = Flow { parts: Vec::new(), ended: self.way(side).ended };
        self.find_texts(side, octets);
        let mut rest = octets;
        while !rest.is_empty() && !flow.ended {
            let seen = self.way(side).seen;
            let point = self.trips.next_octet(side, (seen, rest.len()), &self.done, &self.texts);
            let (now, later) = rest.split_at(point.map_or(rest.len(), |(offset, _)| offset));
            self.way(side).seen += now.len() as u64;
            match side {
                Side::Client => self.client_says(now, &mut flow),
                Side::Server => self.server_says(now, &mut flow),
            }
            rest = later;
            if let Some((_, number)) = point {
                self.octet(side, number, &mut flow);
            }
        }
        self.way(side).ended = flow.ended;
        flow.parts
    }

    /// `side` says no more: what was held back passes.
    pub(super) fn finish(&mut self, side: Side) -> Vec<Part> {
        let mut flow = Flow { parts: Vec::new(), ended: self.way(side).ended };
        flow.pass(&std::mem::take(&mut self.way(side).held));
        flow.parts
    }

    fn octet(&mut self, side: Side, number: usize, flow: &mut Flow) {
        self.done.push(number);
        flow.pass(&std::mem::take(&mut self.way(side).held));
        let here = self.trips.reach_one(number);
        if let Some(trip) = here {
            self.take(number, trip, flow);
        }
    }

    /// Carries a trip out that is reached, other than one that loses the reply to something known.
    fn take(&mut self, number: usize, trip: Trip, flow: &mut Flow) {
        let point = trip.point();
        let deed = match trip.what {
            What::Fin => Deed::End(How::Fin),
            What::Reset => Deed::End(How::Reset),
            What::Silence => Deed::End(How::Silence),
            What::HalfClose => Deed::HalfClose,
            What::Inject(side, text) => Deed::Inject(side, text.into_bytes()),
            What::ReadSlowly { octets_per_second } => Deed::Slow(octets_per_second.max(1)),
            What::LoseReply(how) => {
                self.lose_next = Some(Loss { number, how, point });
                return;
            }
            What::StripStartTls => {
                self.strip_starttls = true;
                Deed::Note
            }
            What::BreakTls => {
                self.break_tls = true;
                Deed::Note
            }
        };
        flow.act(number, deed, point);
    }

    /// Takes every trip that is reached on this edge of a place, and gives the loss of its reply, if one is among them.
    fn reach(&mut self, flow: &mut Flow, edge: Edge, fits: impl Fn(&Place) -> bool) -> Option<Loss> {
        let reached = self
            .trips
            .reach(|trip| fits(&trip.place) && (trip.edge == edge && !loses(trip) || edge == Edge::Before && loses(trip)));
        let mut loss = None;
        for (number, trip) in reached {
            match trip.what {
                What::LoseReply(how) => loss = Some(Loss { number, how, point: trip.point() }),
                _ => self.take(number, trip, flow),
            }
        }
        loss
    }

    fn opaque(&mut self, side: Side, octets: &[u8], flow: &mut Flow) {
        if side == Side::Server
            && let Some(Loss { number, how, point }) = self.lose_next.take()
        {
            flow.act(number, Deed::End(how), point);
            return;
        }
        self.dialogue().opaque(side, octets.len());
        if side == Side::Server && self.break_tls {
            let garbled: Vec<u8> = octets.iter().map(|octet| octet ^ 0x55).collect();
            flow.pass(&garbled);
        } else {
            flow.pass(octets);
        }
    }

    fn way(&mut self, side: Side) -> &mut Way {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn dialogue(&self) -> MutexGuard<'_, Dialogue> {
        self.dialogue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds octets to a line, as far as it is looked at.
fn extend(line: &mut Vec<u8>, octets: &[u8]) {
    let room = LINE.saturating_sub(line.len());
    line.extend_from_slice(&octets[..octets.len().min(room)]);
}

/// The octets up to and with the first LF, whether there was one, and the rest.
fn split_line(octets: &[u8]) -> (&[u8], bool, &[u8]) {
    match octets.iter().position(|&octet| octet == b'\n') {
        Some(at) => (&octets[..=at], true, &octets[at + 1..]),
        None => (octets, false, &[]),
    }
}

#[cfg(test)]
mod tests;
