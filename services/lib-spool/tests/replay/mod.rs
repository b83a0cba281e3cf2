//! Cuts an operation everywhere, restarts, lets the consumers work until nothing is left, and holds the result against what was
//! promised before the cut.
#![allow(dead_code, clippy::unwrap_used, missing_docs, unreachable_pub)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lib_host::{Clock, SimDisk};
use lib_mail::{QueueId, Timestamp};
use lib_spool::{Child, Commit, Error, Place, Queue, Spool, What};

use crate::common::{START, body, envelope, open_with, outcome, to};

/// Seeds of power cuts for each cut; 0 loses all, 1 nothing.
const SEEDS: u64 = 8;
/// When consumers work: everything is due.
const NOW: Timestamp = Timestamp(START.0 + 36_000_000);
/// Calls that change nothing: a cut after one leaves what a cut before it leaves.
const READING: [&str; 11] =
    ["open", "opendir", "list", "stat", "fstat", "statfs", "statvfs", "read", "lock", "trylock", "unlock"];
/// Rounds after which consumers must have come to an end.
const ROUNDS: usize = 8;

type Setup = Box<dyn Fn(&Spool, &mut Log)>;
type Operation = Box<dyn Fn(&Spool, &mut Log) -> Result<(), Error>>;

pub struct Scenario {
    pub name: &'static str,
    setup: Setup,
    operation: Operation,
}

impl Scenario {
    pub fn new(
        name: &'static str,
        setup: impl Fn(&Spool, &mut Log) + 'static,
        operation: impl Fn(&Spool, &mut Log) -> Result<(), Error> + 'static,
    ) -> Scenario {
        Scenario { name, setup: Box::new(setup), operation: Box::new(operation) }
    }
}

/// What was promised and done so far, by message, queue and recipient.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Every message that was begun.
    begun: BTreeMap<QueueId, Vec<u8>>,
    order: Vec<QueueId>,
    committed: BTreeMap<QueueId, Vec<Queue>>,
    /// How often a copy left.
    delivered: BTreeMap<(QueueId, Queue, usize), usize>,
    synced: BTreeSet<(QueueId, Queue, usize)>,
    held: BTreeSet<QueueId>,
    may_be_deleted: BTreeSet<QueueId>,
    deleted: BTreeSet<QueueId>,
    clock: Option<Clock>,
}

impl Log {
    pub fn begin(&mut self, id: QueueId, octets: &[u8]) {
        self.begun.insert(id, octets.to_vec());
        self.order.push(id);
    }

    pub fn commit(&mut self, spool: &Spool, octets: &[u8], commit: Commit) -> Result<(), Error> {
        let mut incoming = spool.begin();
        let id = incoming.id();
        self.begin(id, octets);
        octets.chunks(50_000).try_for_each(|part| incoming.append(part))?;
        let held = commit.held;
        let queues = [(Queue::Local, &commit.local), (Queue::Relay, &commit.relay)];
        let queues = queues.iter().filter(|(_, envelope)| envelope.is_some()).map(|(queue, _)| *queue).collect();
        incoming.commit(commit)?;
        self.committed.insert(id, queues);
        if held {
            self.held.insert(id);
        }
        Ok(())
    }

    /// Time passes, for schedules and sweeping.
    pub fn advance(&self, by: Duration) {
        self.clock.as_ref().unwrap().advance(by);
    }

    pub fn all(&self) -> Vec<QueueId> {
        self.order.clone()
    }

    pub fn first(&self) -> QueueId {
        self.order[0]
    }

    pub fn deliver(&mut self, id: QueueId, queue: Queue, index: usize) {
        *self.delivered.entry((id, queue, index)).or_default() += 1;
    }

    pub fn synced(&mut self, id: QueueId, queue: Queue, index: usize) {
        self.synced.insert((id, queue, index));
    }

    pub fn held(&mut self, id: QueueId) {
        self.held.insert(id);
    }

    pub fn released(&mut self, id: QueueId) {
        self.held.remove(&id);
    }

    pub fn may_be_deleted(&mut self, id: QueueId) {
        self.may_be_deleted.insert(id);
    }

    pub fn deleted(&mut self, id: QueueId) {
        self.deleted.insert(id);
    }
}

/// Takes all that is due in a queue and brings it to its end, as a consumer does: `waits@` waits once, `fails@` fails and is told of.
pub fn attempt(spool: &Spool, log: &mut Log, queue: Queue) -> Result<(), Error> {
    let due: Vec<_> = spool.due(queue, NOW).collect::<Result<Vec<_>, _>>()?.into_iter().flat_map(|shard| shard.due).collect();
    for id in due {
        let Some(claim) = spool.claim(queue, &id)? else { continue };
        let first = claim.history().is_empty();
        let mut outcomes = Vec::new();
        for index in claim.pending() {
            let address = claim.envelope().recipients[index].address.to_string();
            let what = match address.split('@').next().unwrap() {
                "fails" => What::Failed,
                "waits" if first => What::Deferred,
                _ => What::Delivered,
            };
            if what == What::Delivered {
                log.deliver(id, queue, index);
            }
            outcomes.push((index, outcome(what)));
        }
        claim.record(&outcomes)?;
        claim.sync()?;
        for (index, outcome) in &outcomes {
            if outcome.what == What::Delivered {
                log.synced(id, queue, *index);
            }
        }
        if let Some(failed) = claim.recipients().failed().first() {
            let child = match spool.begin_child(&claim, "failed", *failed)? {
                Child::Made(child) => child,
                Child::New(mut incoming) => {
                    let child = incoming.id();
                    let octets = format!("Subject: {id} failed\r\n").into_bytes();
                    log.begun.insert(child, octets.clone());
                    incoming.append(&octets)?;
                    incoming.commit(to(Queue::Local, &["minji@example.kr"]))?;
                    child
                }
            };
            claim.record(&[(*failed, outcome(What::Notified(Some(child))))])?;
            claim.sync()?;
            log.committed.insert(child, vec![Queue::Local]);
        }
        if claim.recipients().all_done() {
            claim.finish()?
        } else {
            claim.defer(START)?
        };
    }
    Ok(())
}

/// Replays a scenario with every cut; the number of cuts that were looked at, or what was wrong.
pub fn replay(scenario: &Scenario, new_disk: impl Fn() -> SimDisk) -> Result<usize, String> {
    let mut looked = 0;
    let clock = Clock::manual(START);
    let mut prepared = Log::default();
    let fresh = new_disk();
    (scenario.setup)(&open_with(&fresh, &clock).unwrap(), &mut prepared);
    // What was there before is durable, and nobody holds it.
    let fresh = fresh.power_cut(1);
    for cut in 0.. {
        let disk = fresh.kill();
        let mut log = Log { clock: Some(clock.clone()), ..prepared.clone() };
        let spool = open_with(&disk, &clock).unwrap();
        disk.cut_after(cut);
        let result = (scenario.operation)(&spool, &mut log);
        let done = !disk.was_cut();
        if let (Err(error), true) = (&result, done) {
            return Err(format!("without a cut: {error}"));
        }
        let last = disk.trace().last().cloned().unwrap_or_default();
        if !done && READING.contains(&last.split(' ').next().unwrap()) {
            continue;
        }
        looked += 1;
        let restarts = std::iter::once((None, disk.kill())).chain((0..SEEDS).map(|seed| (Some(seed), disk.power_cut(seed))));
        for (seed, after) in restarts {
            for order in [Queue::ALL, [Queue::Relay, Queue::Local]] {
                check(&after.kill(), log.clone(), order)
                    .map_err(|wrong| format!("cut {cut} after `{last}`, seed {seed:?}, {order:?}: {wrong}"))?;
            }
        }
        if done {
            return Ok(looked);
        }
    }
    Err("the operation never ends".into())
}

fn check(disk: &SimDisk, before: Log, order: [Queue; 2]) -> Result<(), String> {
    let mut log = before.clone();
    let clock = Clock::manual(START);
    let spool = open_with(disk, &clock).map_err(|error| error.to_string())?;
    look_at_all(&spool, &before, disk)?;
    for round in 0.. {
        for queue in order {
            attempt_all(&spool, &mut log, queue)?;
        }
        let left: Vec<_> = Queue::ALL.into_iter().flat_map(|queue| spool.list(queue)).filter_map(Result::ok).collect();
        if left.iter().all(|listing| listing.place == Place::Held) {
            break;
        }
        if round == ROUNDS {
            return Err(format!("never done: {left:?}"));
        }
    }
    account(&spool, &before, &log)?;
    if disk.locks() > 0 { Err("a lock remains".into()) } else { Ok(()) }
}

/// As `attempt`, where a damaged message may lie.
fn attempt_all(spool: &Spool, log: &mut Log, queue: Queue) -> Result<(), String> {
    loop {
        match attempt(spool, log, queue) {
            Ok(()) => return Ok(()),
            Err(Error::Corrupt(corruption)) if corruption.set_aside => {
                if log.committed.contains_key(&corruption.id) {
                    return Err(format!("promised, but {corruption}"));
                }
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Whatever can be claimed is wholly what was begun under that id, and lies in one place only.
fn look_at_all(spool: &Spool, log: &Log, disk: &SimDisk) -> Result<(), String> {
    if disk.locks() > 0 {
        return Err("a lock survived".into());
    }
    for queue in Queue::ALL {
        let listings: Vec<_> = spool.list(queue).filter_map(Result::ok).collect();
        let places: BTreeSet<_> = listings.iter().map(|listing| listing.id).collect();
        if places.len() < listings.len() {
            return Err("a message lies in two places".into());
        }
        for listing in &listings {
            let id = listing.id;
            if listing.place == Place::Held {
                continue;
            }
            if log.held.contains(&id) {
                return Err(format!("{id} was held"));
            }
            let claim = match spool.claim(queue, &id) {
                Ok(Some(claim)) => claim,
                Ok(None) | Err(Error::Corrupt(_)) => continue,
                Err(error) => return Err(error.to_string()),
            };
            let name = id.to_string();
            let raw = disk.files().into_iter().find(|(path, _)| path.ends_with(&name)).unwrap().1;
            if String::from_utf8_lossy(&raw).lines().any(|line| line.contains(" did ") && line.contains(" deleted ")) {
                return Err(format!("{id} says that it was deleted"));
            }
            if log.begun.get(&id) != Some(&body(&claim)) {
                return Err(format!("{id} is not what was begun"));
            }
            let want = envelope(&[]);
            if claim.envelope().sender != want.sender || claim.envelope().helo != want.helo {
                return Err(format!("{id} has another envelope"));
            }
            if let Some(again) = claim.pending().into_iter().find(|index| log.synced.contains(&(id, queue, *index))) {
                return Err(format!("{id} would repeat recipient {again}"));
            }
        }
    }
    Ok(())
}

/// After the consumers' work each promise is kept: delivered or failed once, held, or deleted.
fn account(spool: &Spool, before: &Log, after: &Log) -> Result<(), String> {
    for (key, count) in &after.delivered {
        // The one window: a copy left, and the sync of its outcome did not return before the cut.
        let in_doubt = before.delivered.contains_key(key) && !before.synced.contains(key);
        if *count > 1 + usize::from(in_doubt) {
            return Err(format!("{key:?} left {count} times"));
        }
    }
    for (id, queues) in &after.committed {
        for queue in queues {
            let lies = spool.show(id).map_err(|error| error.to_string())?.iter().any(|listing| listing.queue == *queue);
            let left = after.delivered.keys().any(|(of, at, _)| of == id && at == queue);
            let deleted = before.deleted.contains(id);
            if deleted && (lies || left) {
                return Err(format!("{id} was deleted"));
            }
            // Everything is delivered in the end but what is held, and what a delete may have reached.
            if !lies && !left && !before.may_be_deleted.contains(id) {
                return Err(format!("{id} in {queue} is lost"));
            }
            if before.held.contains(id) && !lies {
                return Err(format!("{id} was held"));
            }
        }
    }
    Ok(())
}
