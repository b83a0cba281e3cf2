//! A gate: a TCP proxy in the link between two mail servers, which passes, delays, cuts and falls silent, and writes the dialogue down.
//!
//! It follows SMTP just as far as it must to break a dialogue at an exact point; whatever else it carries passes untouched. It never asks the
//! servers for anything. Its surprise: where the target does not listen, a client is accepted and then reset, since a proxy learns of it too late;
//! [`Mood::Refuse`] is a true refusal. All gates of a process share one small runtime; the calls here are for ordinary threads.

mod armed;
mod command;
mod connection;
mod dialogue;
mod follow;
mod listen;
mod mood;
mod pump;
mod trip;
mod unsent;

use std::collections::{HashSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Runtime;
use tokio::sync::watch;

pub use command::Command;
pub use mood::Mood;
pub use trip::{Edge, How, Place, Side, Stage, Trip, What};

use crate::Result;
use crate::record::DialogueRecord;
use armed::Trips;
use dialogue::Dialogue;
use pump::Ended;

/// Longest wait until a mood is in force.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most connections whose dialogue is kept; of more, the oldest go first, those that no trip touched before all.
const DIALOGUES: usize = 1000;
/// Threads that serve all gates.
const THREADS: usize = 2;

/// What has gone through a gate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were accepted.
    pub connections: u64,
    /// Connections that stand now, silent ones too.
    pub open: u64,
    /// Octets from clients that were passed on.
    pub from_client: u64,
    /// Octets from servers that were passed on.
    pub from_server: u64,
    /// Trips that were carried out.
    pub trips: u64,
}

/// An open gate; dropped, it closes, and resets what stands.
#[derive(Debug)]
pub struct Gate {
    shared: Arc<Shared>,
    address: SocketAddr,
}

/// What holds at the moment for every connection.
#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    mood: Mood,
    /// A connection that began with another number is reset.
    resets: u64,
    /// Counts changes, so that one can wait until a change is in force.
    turn: u64,
    ended: bool,
}

impl Standing {
    fn check(&self, resets: u64) -> std::result::Result<(), Ended> {
        if self.ended || self.resets != resets { Err(Ended::Gate) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct Shared {
    to: SocketAddr,
    from: Option<IpAddr>,
    names: (String, String),
    trips: Arc<Trips>,
    standing: watch::Sender<Standing>,
    /// The turn that the listener has obeyed, or why it can't.
    applied: Mutex<std::result::Result<u64, String>>,
    obeyed: Condvar,
    /// Our own connections that fill the backlog.
    fillers: Mutex<HashSet<SocketAddr>>,
    dialogues: Mutex<VecDeque<Arc<Mutex<Dialogue>>>>,
    start: Mutex<Instant>,
    connections: AtomicU64,
    open: AtomicU64,
    from_client: AtomicU64,
    from_server: AtomicU64,
}

impl Gate {
    /// Listens on `listen` (a port of 0 is any) and passes connections on to `to`, from the address `from`, so that the target sees who is
    /// behind the gate; `None` leaves the choice to the kernel. `names` are the two ends in the dialogues: who connects, and to whom.
    /// Fails where it can't listen.
    pub fn open(listen: SocketAddr, to: SocketAddr, from: Option<IpAddr>, names: (String, String)) -> Result<Gate> {
        let runtime = runtime()?;
        let socket = listen::bind(listen)?;
        let address = socket.local_addr()?.as_socket().context("the listener has no address")?;
        let (standing, receiver) = watch::channel(Standing::default());
        let shared = Arc::new(Shared {
            to,
            from,
            names,
            trips: Arc::default(),
            standing,
            applied: Mutex::new(Ok(0)),
            obeyed: Condvar::new(),
            fillers: Mutex::default(),
            dialogues: Mutex::default(),
            start: Mutex::new(Instant::now()),
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
            from_client: AtomicU64::new(0),
            from_server: AtomicU64::new(0),
        });
        runtime.spawn(listen::accept(socket, Arc::clone(&shared), receiver));
        Ok(Gate { shared, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the mood. Once it returns, it is in force for new connections, and no octet starts to pass against it on those that stand.
    pub fn mood(&self, mood: Mood) -> Result<()> {
        let forgets = mood == Mood::Refuse || self.current() == Mood::BlackHole && mood != Mood::BlackHole;
        self.change(|standing| {
            standing.mood = mood;
            standing.resets += u64::from(forgets);
        })
        .with_context(|| format!("the gate at {} becoming {mood}", self.address))
    }

    /// The mood in force.
    pub fn current(&self) -> Mood {
        self.shared.standing.borrow().mood
    }

    /// Arms a trip, for connections that stand too as far as they have not come by its place. Its number, for [`Gate::taken`]. Trips
    /// of one place act in the order in which they were armed, up to the first that ends the connection.
    pub fn trip(&self, trip: Trip) -> usize {
        self.shared.trips.arm(trip)
    }

    /// How often trip `number` was carried out.
    pub fn taken(&self, number: usize) -> usize {
        self.shared.trips.taken(number)
    }

    /// No trip that is armed acts any more.
    pub fn disarm(&self) {
        self.shared.trips.disarm();
    }

    /// Resets every connection that stands, those too that a trip has silenced.
    pub fn reset(&self) {
        self.shared.standing.send_modify(|standing| standing.resets += 1);
    }

    /// What has gone through so far.
    pub fn counts(&self) -> Counts {
        let shared = &self.shared;
        Counts {
            connections: shared.connections.load(Ordering::Relaxed),
            open: shared.open.load(Ordering::Relaxed),
            from_client: shared.from_client.load(Ordering::Relaxed),
            from_server: shared.from_server.load(Ordering::Relaxed),
            trips: shared.trips.taken_in_all() as u64,
        }
    }

    /// The moment from which the times of [`Gate::dialogues`] count; at first it is the opening of the gate.
    pub fn since(&self, start: Instant) {
        *lock(&self.shared.start) = start;
    }

    /// What was said through it, oldest first; of connections that stand, what was said so far.
    pub fn dialogues(&self) -> Vec<DialogueRecord> {
        let start = *lock(&self.shared.start);
        lock(&self.shared.dialogues).iter().map(|dialogue| lock(dialogue).record(&self.shared.names, start)).collect()
    }

    /// As [`Gate::dialogues`], those alone that have ended; they are kept no longer.
    pub fn take_ended(&self) -> Vec<DialogueRecord> {
        let start = *lock(&self.shared.start);
        let mut ended = Vec::new();
        lock(&self.shared.dialogues).retain(|dialogue| {
            let dialogue = lock(dialogue);
            if dialogue.has_ended() {
                ended.push(dialogue.record(&self.shared.names, start));
            }
            !dialogue.has_ended()
        });
        ended
    }

    fn change(&self, edit: impl FnOnce(&mut Standing)) -> Result<()> {
        let mut turn = 0;
        self.shared.standing.send_modify(|standing| {
            edit(standing);
            standing.turn += 1;
            turn = standing.turn;
        });
        self.shared.wait(turn)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // What does not end now ends with the process.
        let _ = self.change(|standing| standing.ended = true);
    }
}

impl Shared {
    /// The listener has obeyed this turn.
    fn apply(&self, turn: u64) {
        let mut applied = lock(&self.applied);
        if *applied != Ok(turn) {
            *applied = Ok(turn);
            self.obeyed.notify_all();
        }
    }

    /// The listener can't go on.
    fn fail(&self, why: &str) {
        *lock(&self.applied) = Err(why.to_owned());
        self.obeyed.notify_all();
    }

    fn wait(&self, turn: u64) -> Result<()> {
        let waits = |applied: &mut std::result::Result<u64, String>| applied.as_ref().is_ok_and(|&applied| applied < turn);
        let applied = self.obeyed.wait_timeout_while(lock(&self.applied), PATIENCE, waits);
        let (applied, timeout) = applied.unwrap_or_else(PoisonError::into_inner);
        anyhow::ensure!(!timeout.timed_out(), "it took over {PATIENCE:?}");
        applied.as_ref().map(|_| ()).map_err(|why| anyhow::anyhow!("{why}"))
    }

    fn fill(&self, fillers: impl Iterator<Item = SocketAddr>) {
        lock(&self.fillers).extend(fillers);
    }

    fn unfill(&self) {
        lock(&self.fillers).clear();
    }

    fn is_filler(&self, peer: SocketAddr) -> bool {
        lock(&self.fillers).remove(&peer)
    }

    fn opened(&self, dialogue: Arc<Mutex<Dialogue>>) {
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        let mut dialogues = lock(&self.dialogues);
        if dialogues.len() >= DIALOGUES {
            let dull = dialogues.iter().position(|dialogue| lock(dialogue).is_dull()).unwrap_or(0);
            dialogues.remove(dull);
        }
        dialogues.push_back(dialogue);
    }

    fn closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    fn passed(&self, from: Side, octets: usize) {
        let count = if from == Side::Client { &self.from_client } else { &self.from_server };
        count.fetch_add(octets as u64, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The runtime that serves all gates; with the first, the process may open as many files as the machine lets it.
fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::result::Result<Runtime, String>> = OnceLock::new();
    let made = RUNTIME.get_or_init(|| {
        let limit = getrlimit(Resource::Nofile);
        // A process that may not raise it gets by with less.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).thread_name("gate").enable_all().build();
        runtime.map_err(|error| error.to_string())
    });
    made.as_ref().map_err(|error| anyhow::anyhow!("no runtime for gates: {error}"))
}

#[cfg(test)]
mod tests;
