//! One attempt at one message: what was opened is sent to each destination, and settled.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use lib_mail::{By, Class, Enhanced, Status, Timestamp};
use lib_spool::{Claim, Error};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::{JoinSet, spawn_blocking};

use crate::destinations::{Ticket, Went};
use crate::dial::Manner;
use crate::ending::{outcomes, settle};
use crate::events::{About, tell_events};
use crate::hop::{Group, NextHop, Servers};
use crate::message::Message;
use crate::opening::{Claimed, Work};
use crate::shared::Shared;
use crate::terms::Terms;
use crate::walk::{Fate, all, walk};

/// Destinations of one message that are served at one time.
const DESTINATIONS_AT_ONCE: usize = 8;
/// How long a message with several destinations waits for a place at one: it keeps its claim meanwhile.
const CROWD_PATIENCE: Duration = Duration::from_secs(30);

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
pub(crate) async fn attempt(shared: Arc<Shared>, claimed: Box<Claimed>) -> Next {
    let id = claimed.claim.id();
    let result = run(&shared, *claimed).await;
    result.unwrap_or_else(|error| {
        shared.warn(Some(id), "spool", error.to_string());
        Next::Trouble
    })
}

/// Runs a call of the spool in the pool of threads that may block.
pub(crate) async fn blocking<T: Send + 'static>(call: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    spawn_blocking(call)
        .await
        .unwrap_or_else(|error| Err(Error::Disk { doing: "run a call of the spool", source: io::Error::other(error) }))
}

async fn run(shared: &Arc<Shared>, claimed: Claimed) -> Result<Next, Error> {
    let Claimed { terms, claim, previous, work } = claimed;
    let (terms, id) = (&terms, claim.id());
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
    let found = shared.directory.targets(&terms, &hop, shared.clock.now()).await;
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
    // In a box, or each message's task would be moved about with room for two of them.
    let fates = place.visit(Box::pin(walk(&shared.dialer, &manner, &targets, &message, &indexes))).await;
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

/// Records fates while others are still in work, and makes them durable: the shorter this takes, the fewer duplicates a crash makes.
async fn record(claim: &Arc<Claim>, fates: Vec<Fate>) -> Result<(), Error> {
    let claim = claim.clone();
    blocking(move || {
        claim.record(&outcomes(&claim, &fates))?;
        claim.sync()
    })
    .await
}
