//! One attempt at one message: claim, read, group by destination, send, record, settle.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use lib_mail::{By, Class, Enhanced, QueueId, Status, Timestamp};
use lib_record::{Outcome as Fared, What as Happened};
use lib_spool::{Claim, Ended, Error, Outcome, Queue, Settled, Settling, What};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinSet, spawn_blocking};

use crate::destinations::{Room, Ticket, Went};
use crate::dial::Manner;
use crate::hop::{Group, NextHop, Servers, groups};
use crate::message::Message;
use crate::reroute::reroute;
use crate::shared::Shared;
use crate::targets::targets;
use crate::terms::Terms;
use crate::walk::{Fate, all, walk};

/// Destinations of one message that are served at one time.
const DESTINATIONS_AT_ONCE: usize = 8;
/// How long a message with several destinations waits for a place at one: it keeps its claim meanwhile.
const CROWD_PATIENCE: Duration = Duration::from_secs(30);

/// How long a message is left alone for which its destination has no room, however well it takes mail.
const LATER: Duration = Duration::from_secs(60);

/// How a message fares for the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing is left of it here, or another has it.
    Gone,
    /// It waits until then.
    Due(Timestamp),
    /// Something is wrong with the disk or the message: leave it alone for a while.
    Trouble,
    /// It is remembered with its destination, and comes back when there is room.
    Parked,
}

/// Attempts a message.
pub(crate) async fn attempt(shared: Arc<Shared>, id: QueueId) -> Next {
    let terms = shared.terms.load_full();
    let result = run(&shared, &terms, id).await;
    result.unwrap_or_else(|error| {
        shared.warn(Some(id), "spool", error.to_string());
        Next::Trouble
    })
}

/// Runs a call of the spool in the pool of threads that may block.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    spawn_blocking(call)
        .await
        .unwrap_or_else(|error| Err(Error::Disk { doing: "run a call of the spool", source: io::Error::other(error) }))
}

async fn run(shared: &Arc<Shared>, terms: &Arc<Terms>, id: QueueId) -> Result<Next, Error> {
    let opened = blocking({
        let (shared, terms) = (shared.clone(), terms.clone());
        move || open(&shared, &terms, id)
    });
    let Claimed { claim, previous, work } = match opened.await? {
        Opened::Left(next) => return Ok(next),
        Opened::Claimed(claimed) => *claimed,
    };
    // The permits end with this function: by then what they stand for is recorded.
    let (last, _unrecorded) = match work {
        Work::None => (Vec::new(), Vec::new()),
        Work::PutOff(hop, indexes) => {
            let fates = all(&indexes, &crowded(&hop.key(), shared.clock.now()));
            tell_peer(shared, &hop, &fates);
            tell_events(shared, id, &About::of(&claim), &fates);
            (fates, Vec::new())
        }
        Work::Returned(fates) => {
            tell_events(shared, id, &About::of(&claim), &fates);
            (fates, Vec::new())
        }
        Work::One(message, (hop, indexes), ticket) => {
            let (key, bounds) = (hop.key(), terms.bounds(&hop));
            let (fates, permit) = deliver(shared.clone(), terms.clone(), message.clone(), hop, indexes, ticket, None).await;
            // A server that took mail a moment ago and now says 421 has enough of us: its mail waits for a place, not for an interval.
            if how_it_went(&fates) == Went::Busy && shared.destinations.can_park_busy(&key, id) {
                // Whoever has the id must find the message free.
                drop((message, claim));
                shared.destinations.park(&key, bounds, id);
                return Ok(Next::Parked);
            }
            tell_events(shared, id, &About::of(&claim), &fates);
            (fates, permit.into_iter().collect())
        }
        Work::Many(message, groups) => deliver_all(shared, terms, &claim, &message, groups).await,
    };
    settle(shared, terms, claim, last, previous).await
}

/// Serves the destinations, some at one time. What each came to is told and recorded at once, but for the last fates: they are given back, to
/// be recorded with the end of the message. So are those that could not be recorded, and then no further destination is begun.
async fn deliver_all(
    shared: &Arc<Shared>,
    terms: &Arc<Terms>,
    claim: &Arc<Claim>,
    message: &Arc<Message>,
    groups: Vec<Group>,
) -> (Vec<Fate>, Vec<OwnedSemaphorePermit>) {
    let mut unanswered: HashSet<usize> = groups.iter().flat_map(|(_, indexes)| indexes).copied().collect();
    let mut waiting = groups.into_iter();
    let mut running = JoinSet::new();
    let (mut last, mut unrecorded) = (Vec::new(), Vec::new());
    let (id, about) = (message.id, About::of(claim));
    loop {
        while running.len() < DESTINATIONS_AT_ONCE
            && let Some((hop, indexes)) = waiting.next()
        {
            let ticket = shared.destinations.admit_one_of_several(&hop.key(), terms.bounds(&hop), claim.id());
            running.spawn(deliver(shared.clone(), terms.clone(), message.clone(), hop, indexes, ticket, Some(CROWD_PATIENCE)));
        }
        let Some(ended) = running.join_next().await else { break };
        let (fates, permit) = ended.unwrap_or_default();
        unrecorded.extend(permit);
        tell_events(shared, id, &about, &fates);
        for fate in &fates {
            unanswered.remove(&fate.index);
        }
        last.extend(fates);
        if running.is_empty() && waiting.len() == 0 {
            continue;
        }
        match record(claim, last.clone()).await {
            Ok(()) => {
                last.clear();
                unrecorded.clear();
            }
            Err(error) => {
                shared.warn(Some(message.id), "spool", error.to_string());
                waiting = Vec::new().into_iter();
                // Kept, they could be what the deliveries of this and of other messages wait for, on a full disk for ever.
                unrecorded.clear();
            }
        }
    }
    // Whoever got no answer by a fault of ours waits as after any failed attempt.
    let unanswered: Vec<usize> = unanswered.into_iter().collect();
    let broken = all(&unanswered, &broken_off(shared.clock.now()));
    tell_events(shared, id, &about, &broken);
    last.extend(broken);
    (last, unrecorded)
}

/// How a message stands once it was looked at.
enum Opened {
    /// There is nothing to do now.
    Left(Next),
    Claimed(Box<Claimed>),
}

/// A claimed message, read once.
struct Claimed {
    claim: Arc<Claim>,
    /// When the attempt before this one ended.
    previous: Option<Timestamp>,
    work: Work,
}

/// What is to be done with a message.
enum Work {
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

/// Claims a message, and reads it where it can go on: of very many that wait for one destination each is claimed to learn that, so that must cost
/// little. Blocks.
fn open(shared: &Shared, terms: &Terms, id: QueueId) -> Result<Opened, Error> {
    let Some(claim) = shared.spool.claim(Queue::Relay, &id)? else { return Ok(Opened::Left(Next::Gone)) };
    let previous = claim.recipients().last_at();
    let returned = claim.bounce_wanted()?;
    if !returned {
        reroute(shared, terms, &claim)?;
    }
    let pending = claim.pending();
    let claimed = |claim: Arc<Claim>, work| Ok(Opened::Claimed(Box::new(Claimed { claim, previous, work })));
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

/// Sends to the recipients of one destination; each gets a fate. With them comes a permit to be kept until they are recorded: the
/// connection is let go only when one is to be had, so what a crash may repeat is bounded (docs/spool.md).
async fn deliver(
    shared: Arc<Shared>,
    terms: Arc<Terms>,
    message: Arc<Message>,
    hop: NextHop,
    indexes: Vec<usize>,
    ticket: Ticket,
    patience: Option<Duration>,
) -> (Vec<Fate>, Option<OwnedSemaphorePermit>) {
    let found = targets(&shared.dns, &terms, &hop, shared.clock.now()).await;
    let targets = match found {
        Ok(targets) => targets,
        Err(status) => {
            let fates = all(&indexes, &status);
            tell_peer(&shared, &hop, &fates);
            return (fates, None);
        }
    };
    let place = match patience {
        Some(patience) => ticket.place_within(patience).await,
        None => Some(ticket.place().await),
    };
    let Some(mut place) = place else {
        let fates = all(&indexes, &crowded(&hop.key(), shared.clock.now()));
        tell_peer(&shared, &hop, &fates);
        return (fates, None);
    };
    let manner = Manner::of(&hop, &terms);
    let fates = place.visit(walk(&shared.dialer, &manner, &targets, &message, &indexes)).await;
    tell_peer(&shared, &hop, &fates);
    let unrecorded = shared.unrecorded().await;
    place.went(how_it_went(&fates));
    drop(place);
    (fates, unrecorded)
}

/// What the fates of one visit say of the destination.
fn how_it_went(fates: &[Fate]) -> Went {
    let all: Vec<Went> = fates.iter().map(|fate| went(&fate.status)).collect();
    let answered = all.iter().find(|went| **went == Went::Answered);
    *answered.or(all.first()).unwrap_or(&Went::Unclear)
}

/// What one status says of the server that it is about.
fn went(status: &Status) -> Went {
    let Enhanced { subject, detail, .. } = status.enhanced;
    match (status.code, subject, detail) {
        // Our own words: no connection, none any more, a server that took hours.
        (421, 4, 1 | 2) | (451, 4, 7) => Went::Silent,
        (421, ..) => Went::Busy,
        _ if status.by == By::Local => Went::Unclear,
        _ => Went::Answered,
    }
}

/// More mail waits for this destination than can be tried meanwhile.
fn crowded(destination: &str, now: Timestamp) -> Status {
    let text = format!("Much other mail waits for {destination}; this waits for its turn");
    Status::local(451, Enhanced::new(4, 4, 5), text, now)
}

/// Whoever takes care of a peer is told that mail waits for it.
fn tell_peer(shared: &Shared, hop: &NextHop, fates: &[Fate]) {
    if let Servers::Peer { name, .. } = &hop.servers
        && fates.iter().any(|fate| fate.status.class() == Class::Temporary)
    {
        shared.board.waits(name);
    }
}

fn broken_off(now: Timestamp) -> Status {
    Status::local(451, Enhanced::new(4, 3, 0), "The attempt was broken off", now)
}

fn too_many_hops(hops: u32, now: Timestamp) -> Status {
    let text = format!("The message went through {hops} servers; it seems to go round in a circle");
    Status::local(554, Enhanced::new(5, 4, 6), text, now)
}

/// Records fates while others are still in work, and makes them durable: the shorter this takes, the fewer duplicates a crash makes.
async fn record(claim: &Arc<Claim>, fates: Vec<Fate>) -> Result<(), Error> {
    let claim = claim.clone();
    blocking(move || {
        claim.record(&outcomes(&claim, &fates))?;
        claim.sync()
    })
    .await
}

/// The history lines of fates. Where the peer tells the sender of success itself, or the sender asked for nothing, we do not.
fn outcomes(claim: &Claim, fates: &[Fate]) -> Vec<(usize, Outcome)> {
    let mut outcomes = Vec::with_capacity(fates.len());
    for Fate { index, status, will_tell } in fates {
        let what = match status.class() {
            Class::Success => What::Relayed,
            Class::Temporary => What::Deferred,
            Class::Permanent => What::Failed,
        };
        outcomes.push((*index, Outcome { what, status: status.clone() }));
        let asked = claim.envelope().recipients.get(*index).is_some_and(|recipient| recipient.notify.on_success());
        if asked && status.is_success() && *will_tell {
            outcomes.push((*index, Outcome { what: What::Notified(None), status: status.clone() }));
        }
    }
    outcomes
}

/// Records the last fates, and lets the message wait or go.
async fn settle(
    shared: &Arc<Shared>,
    terms: &Arc<Terms>,
    claim: Arc<Claim>,
    last: Vec<Fate>,
    previous: Option<Timestamp>,
) -> Result<Next, Error> {
    let id = claim.id();
    let about = About::of(&claim);
    let settled = blocking({
        let (shared, terms) = (shared.clone(), terms.clone());
        move || conclude(&shared, &terms, claim, &last, previous)
    });
    let settled = settled.await?;
    tell_settled(shared, id, &about, &settled);
    Ok(next(settled.ended, shared))
}

/// How a message fares whose claim has ended so.
fn next(ended: Ended, shared: &Shared) -> Next {
    match ended {
        Ended::Deferred(due) => Next::Due(due),
        Ended::Due => Next::Due(shared.clock.now()),
        Ended::Held | Ended::Deleted | Ended::Finished => Next::Gone,
    }
}

fn conclude(
    shared: &Shared,
    terms: &Terms,
    claim: Arc<Claim>,
    last: &[Fate],
    previous: Option<Timestamp>,
) -> Result<Settled, Error> {
    let outcomes = outcomes(&claim, last);
    let recorded = if outcomes.is_empty() { Ok(()) } else { claim.record(&outcomes) };
    // Whoever read the message has ended: only this is left of the claim.
    let claim = Arc::into_inner(claim).ok_or(Error::Misuse("a message is settled while it is read"))?;
    let settling = Settling {
        spool: &shared.spool,
        schedule: &terms.schedule,
        reporting: &terms.reporting,
        queue_of: &|address| shared.queue_of(address, terms),
        meant: &|address| shared.local.meant(address, terms),
        now: shared.clock.now(),
    };
    if let Err(error) = recorded {
        // Whoever was relayed would be given up, or warned of, as if nothing had happened.
        settling.postpone(claim);
        return Err(error);
    }
    settling.settle(claim, previous)
}

/// What events say of a message that may be gone by then.
struct About {
    arrived: Timestamp,
    size: u64,
    to: Vec<String>,
}

impl About {
    fn of(claim: &Claim) -> About {
        let to = claim.envelope().recipients.iter().map(|recipient| recipient.address.to_string()).collect();
        About { arrived: claim.envelope().arrived, size: claim.message_len(), to }
    }
}

fn tell_events(shared: &Shared, id: QueueId, about: &About, fates: &[Fate]) {
    for fate in fates {
        tell_attempt(shared, id, about, fate.index, &fate.status);
    }
}

fn tell_attempt(shared: &Shared, id: QueueId, about: &About, index: usize, status: &Status) {
    let outcome = match status.class() {
        Class::Success => Fared::Relayed,
        Class::Temporary => Fared::Deferred,
        Class::Permanent => Fared::Failed,
    };
    let relay = match &status.by {
        By::Remote(host) => host.clone(),
        By::Local => String::new(),
    };
    let to = about.to.get(index).cloned().unwrap_or_default();
    let delay = shared.clock.now().since(about.arrived);
    shared.record(Some(id), Happened::Attempt { to, outcome, delay, relay, size: about.size, status: status.clone() });
}

fn tell_settled(shared: &Shared, id: QueueId, about: &About, settled: &Settled) {
    for (index, status) in &settled.given_up {
        tell_attempt(shared, id, about, *index, status);
    }
    for told in &settled.told {
        let what = Happened::Bounced { parent: id, to: told.to.to_string(), kind: told.kind.as_str().into() };
        shared.record(Some(told.id), what);
        shared.wake(told.queue, told.id);
    }
    let ordered = |order: &str, result: &str| Happened::Ordered { order: order.into(), result: result.into() };
    match settled.ended {
        Ended::Finished => shared.record(Some(id), Happened::Done { delay: shared.clock.now().since(about.arrived) }),
        Ended::Held => shared.record(Some(id), ordered("hold", "held")),
        Ended::Deleted => shared.record(Some(id), ordered("delete", "deleted")),
        Ended::Deferred(_) | Ended::Due => {}
    }
}
