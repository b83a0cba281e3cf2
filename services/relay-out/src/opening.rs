//! The beginning of an attempt: a message is claimed, and read where it can go on.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lib_mail::{Enhanced, QueueId, Status, Timestamp};
use lib_spool::{Claim, Error, Queue, Settled};

use crate::attempt::Next;
use crate::destinations::{Room, Ticket};
use crate::ending::next;
use crate::events::{About, tell_settled};
use crate::hop::{Group, NextHop, groups};
use crate::message::Message;
use crate::reroute::reroute;
use crate::shared::Shared;
use crate::terms::Terms;
use crate::walk::{Fate, all};

/// How long a message is left alone for which its destination has no room, however well it takes mail.
const LATER: Duration = Duration::from_secs(60);

/// How long a call opens messages before those that it has opened go on.
const LONG: Duration = Duration::from_millis(50);

/// How a message stands once it was looked at.
pub(crate) enum Opened {
    /// There is nothing to do now.
    Left(Next),
    Claimed(Box<Claimed>),
}

/// A claimed message, read once.
pub(crate) struct Claimed {
    /// The terms by which it was grouped.
    pub(crate) terms: Arc<Terms>,
    pub(crate) claim: Arc<Claim>,
    /// When the attempt before this one ended.
    pub(crate) previous: Option<Timestamp>,
    pub(crate) work: Work,
}

/// What is to be done with a message.
pub(crate) enum Work {
    /// Nothing is to be sent: only a sender is to be told, or a person wants the message returned.
    None,
    /// Too much waits for its destination.
    PutOff(NextHop, Vec<usize>),
    /// Its fate is known without a try.
    Returned(Vec<Fate>),
    /// It goes to one destination, where it may wait.
    One(Arc<Message>, Group, Ticket),
    Many(Arc<Message>, Vec<Group>),
}

/// Opens messages, in their order: not all of them where that takes long, as the first are to go on. Blocks.
pub(crate) fn open_some(shared: &Shared, ids: &[QueueId]) -> Vec<(QueueId, Opened)> {
    let (terms, begun) = (shared.terms.load_full(), Instant::now());
    let mut opened = Vec::with_capacity(ids.len());
    for id in ids {
        if begun.elapsed() >= LONG && !opened.is_empty() {
            break;
        }
        let one = catch_unwind(AssertUnwindSafe(|| open(shared, &terms, *id)));
        let one = one.unwrap_or(Err(Error::Misuse("the beginning of an attempt broke off")));
        let one = one.unwrap_or_else(|error| {
            shared.warn(Some(*id), "spool", error.to_string());
            Opened::Left(Next::Trouble)
        });
        opened.push((*id, one));
    }
    opened
}

/// Claims a message, and reads it where it can go on: of very many that wait for one destination each is claimed to learn that, so that must cost
/// little. Blocks.
fn open(shared: &Shared, terms: &Arc<Terms>, id: QueueId) -> Result<Opened, Error> {
    let Some(claim) = shared.spool.claim(Queue::Relay, &id)? else { return Ok(Opened::Left(Next::Gone)) };
    let previous = claim.recipients().last_at();
    let returned = claim.bounce_was_wanted();
    if !returned {
        reroute(shared, terms, &claim)?;
    }
    let pending = claim.pending();
    let claimed =
        |claim: Arc<Claim>, work| Ok(Opened::Claimed(Box::new(Claimed { terms: terms.clone(), claim, previous, work })));
    if returned || pending.is_empty() {
        return claimed(Arc::new(claim), Work::None);
    }
    let group = only(groups(&claim.envelope().recipients, &pending, terms));
    let ticket = match &group {
        Err(_) => None,
        Ok((hop, indexes)) => {
            let (key, bounds) = (hop.key(), terms.bounds(hop));
            match shared.destinations.admit(&key, bounds, id) {
                Some(ticket) => Some(ticket),
                None => match shared.destinations.room(&key, id) {
                    Room::Parked => {
                        // Whoever has the id must find the message free.
                        drop(claim);
                        shared.destinations.park(&key, bounds, id);
                        return Ok(Opened::Left(Next::Parked));
                    }
                    Room::Later => {
                        let about = About::of(&claim);
                        let ended = claim.defer(shared.clock.now().plus(LATER))?;
                        // An order that came meanwhile is obeyed here, and so told.
                        tell_settled(shared, id, &about, &Settled { ended, told: Vec::new(), given_up: Vec::new() });
                        return Ok(Opened::Left(next(ended, shared)));
                    }
                    Room::PutOff => return claimed(Arc::new(claim), Work::PutOff(hop.clone(), indexes.clone())),
                },
            }
        }
    };
    let claim = Arc::new(claim);
    let read = Message::read(&claim, &terms.hostname.key(), &terms.zone);
    let message = Arc::new(read.map_err(|source| Error::Disk { doing: "read a message", source })?);
    let work = if message.found.hops > terms.hop_limit {
        Work::Returned(all(&pending, &too_many_hops(message.found.hops, shared.clock.now())))
    } else {
        match (group, ticket) {
            (Ok(group), Some(ticket)) => Work::One(message, group, ticket),
            (Ok(group), None) => Work::Many(message, vec![group]),
            (Err(groups), _) => Work::Many(message, groups),
        }
    };
    claimed(claim, work)
}

/// The one destination of a message that has no other.
fn only(mut groups: Vec<Group>) -> Result<Group, Vec<Group>> {
    match groups.pop() {
        Some(last) if groups.is_empty() => Ok(last),
        last => {
            groups.extend(last);
            Err(groups)
        }
    }
}

fn too_many_hops(hops: u32, now: Timestamp) -> Status {
    let text = format!("The message went through {hops} servers; it seems to go round in a circle");
    Status::local(554, Enhanced::new(5, 4, 6), text, now)
}
