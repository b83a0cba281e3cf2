//! A topology that runs, with everything a scenario needs: servers, links, name server, load, ledger, faults, journal.

mod gather;
mod sampler;
mod traffic;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;

use crate::Result;
use crate::driver::{self, DriverKind, Names, Net};
use crate::faults::{Fault, Heal};
use crate::gate::{Gate, Trip};
use crate::journal::{Journal, Witness};
use crate::ledger::{Found, Ledger};
use crate::peer::Peer;
use crate::record::{Books, MomentKind, NodeRecord, Record};
use crate::server::Server;
use crate::topology::Topology;
use crate::wait::wait_for;

pub use traffic::SENDERS;

/// Longest wait for one reply of a server.
pub const REPLY: Duration = Duration::from_secs(30);
/// Until something that must happen has happened.
pub const PATIENCE: Duration = Duration::from_secs(45);

/// A topology that runs. Everything it started ends with it.
pub struct Stage {
    /// What runs.
    pub topology: Topology,
    /// Where it runs.
    pub driver: DriverKind,
    // In this order: the sampler looks at servers, servers talk through the net.
    sampler: Option<sampler::Sampler>,
    servers: Arc<Vec<Box<dyn Server>>>,
    net: Box<dyn Net>,
    ledger: Arc<Ledger>,
    journal: Arc<Journal>,
    struck: Mutex<Vec<Struck>>,
    outside: Mutex<Vec<Outside>>,
    allowed: Mutex<(usize, String)>,
    fetched: Mutex<Vec<Found>>,
    settled: Mutex<Option<usize>>,
}

/// A fault in force.
struct Struck {
    number: usize,
    words: String,
    heal: Heal,
}

/// A server outside of the topology, that plays by a script.
struct Outside {
    name: String,
    peer: Arc<Peer>,
}

/// A fault in force, to be undone. What is not undone by the scenario is undone when the stage settles.
#[must_use = "a fault stays in force until it is undone"]
pub struct Broken<'a> {
    stage: &'a Stage,
    number: usize,
}

impl Broken<'_> {
    /// Undoes it.
    pub fn heal(self) -> Result<()> {
        self.stage.heal(self.number)
    }

    /// Leaves it in force until the stage settles.
    pub fn keep(self) {}
}

impl Stage {
    /// Makes the topology's servers and starts them all.
    pub fn set(topology: Topology, driver: DriverKind, witness: Option<Arc<dyn Witness>>) -> Result<Stage> {
        let stage = Stage::make(topology, driver, witness)?;
        stage.each(|server| server.start())?;
        stage.note(MomentKind::Step, None, format!("{} runs: {}", stage.topology.name, stage.topology.about));
        Ok(stage)
    }

    /// Makes the topology's servers and starts none.
    pub fn make(topology: Topology, driver: DriverKind, witness: Option<Arc<dyn Witness>>) -> Result<Stage> {
        let made = driver::make(driver, &topology)?;
        let journal = Arc::new(Journal::new(witness));
        let ledger = Arc::new(Ledger::since(journal.start()));
        let servers = Arc::new(made.servers);
        let nodes = gather::nodes(&servers);
        let sampler = sampler::Sampler::start(Arc::clone(&servers), Arc::clone(&ledger), Arc::clone(&journal), nodes);
        made.net.since(journal.start());
        Ok(Stage {
            topology,
            driver,
            sampler: Some(sampler),
            servers,
            net: made.net,
            ledger,
            journal,
            struck: Mutex::default(),
            outside: Mutex::default(),
            allowed: Mutex::default(),
            fetched: Mutex::default(),
            settled: Mutex::default(),
        })
    }

    /// Does something with every server, all at once.
    pub fn each(&self, deed: impl Fn(&dyn Server) -> Result<()> + Sync) -> Result<()> {
        let results: Vec<Result<()>> = std::thread::scope(|scope| {
            let deeds: Vec<_> = (self.servers.iter()).map(|server| scope.spawn(|| deed(server.as_ref()))).collect();
            deeds.into_iter().map(|deed| deed.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread panicked")))).collect()
        });
        for (server, result) in self.servers.iter().zip(results) {
            result.with_context(|| server.plan().name.clone())?;
        }
        Ok(())
    }

    /// A server by its name.
    pub fn server(&self, name: &str) -> Result<&dyn Server> {
        Ok(self.servers[self.topology.index(name)?].as_ref())
    }

    /// All servers, in the topology's order.
    pub fn servers(&self) -> impl Iterator<Item = &dyn Server> {
        self.servers.iter().map(AsRef::as_ref)
    }

    /// The books.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// The name server.
    pub fn names(&self) -> &dyn Names {
        self.net.names()
    }

    /// What lies between the servers.
    pub fn net(&self) -> &dyn Net {
        self.net.as_ref()
    }

    /// The gate in the link from one node (or `client`) to another.
    pub fn gate(&self, from: &str, to: &str) -> Result<&Gate> {
        self.net.gate(from, to)
    }

    /// Arms a trip in a link and notes it. The number under which the gate counts it.
    pub fn trip(&self, from: &str, to: &str, trip: Trip) -> Result<usize> {
        self.note(MomentKind::Fault, Some(from), format!("the link from {from} to {to} will break {}", trip.point()));
        Ok(self.gate(from, to)?.trip(trip))
    }

    /// The journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Notes a moment.
    pub fn note(&self, kind: MomentKind, node: Option<&str>, text: impl Into<String>) {
        self.journal.note(kind, node, text);
    }

    /// Notes a step of the scenario.
    pub fn step(&self, text: impl Into<String>) {
        self.note(MomentKind::Step, None, text);
    }

    /// Notes that something was checked and holds.
    pub fn held(&self, text: impl Into<String>) {
        self.note(MomentKind::Check, None, text);
    }

    /// Adds a scripted server as the mail host of `domain` (preference `preference`), in everybody's eyes.
    pub fn outside(&self, domain: &str, preference: u16, keywords: &[&str]) -> Result<Arc<Peer>> {
        let count = self.outside_list().len();
        let name = format!("peer{count}.{domain}");
        let peer = self.net.outside(&name, keywords)?;
        self.names().add(domain, "MX", &format!("{preference} {name}"))?;
        self.outside_list().push(Outside { name, peer: Arc::clone(&peer) });
        Ok(peer)
    }

    /// Breaks something; the words after the fault's name are its arguments.
    pub fn strike(&self, fault: &Fault, words: &[&str]) -> Result<Broken<'_>> {
        *lock(&self.settled) = None;
        let heal = (fault.strike)(self, words).with_context(|| format!("fault {} {}", fault.name, words.join(" ")))?;
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.struck().push(Struck { number, words: format!("{} {}", fault.name, words.join(" ")), heal });
        Ok(Broken { stage: self, number })
    }

    /// The faults in force: number and words.
    pub fn in_force(&self) -> Vec<(usize, String)> {
        self.struck().iter().map(|struck| (struck.number, struck.words.clone())).collect()
    }

    /// Undoes a fault by its number.
    pub fn heal(&self, number: usize) -> Result<()> {
        let found = {
            let mut struck = self.struck();
            struck.iter().position(|struck| struck.number == number).map(|at| struck.remove(at))
        };
        let struck = found.context("it is not in force any more")?;
        (struck.heal)(self).with_context(|| format!("undoing {}", struck.words))
    }

    /// Undoes every fault, the last one first, and starts what does not run.
    pub fn heal_all(&self) -> Result<()> {
        loop {
            let Some(number) = self.struck().last().map(|struck| struck.number) else { break };
            self.heal(number)?;
        }
        self.each(|server| if server.runs() { Ok(()) } else { server.start() })
    }

    /// The fault may lawfully leave so many duplicates, for this reason (docs/spool.md).
    pub fn allow_duplicates(&self, most: usize, why: &str) {
        *lock(&self.allowed) = (most, why.to_owned());
    }

    /// Undoes every fault, waits until every queue is empty, and balances the books.
    pub fn settle(&self, patience: Duration) -> Result<Books> {
        self.heal_all()?;
        wait_for("all queues empty at one time", patience, || {
            for server in self.servers() {
                server.wait_empty(patience)?;
            }
            // Mail moves on from one to another: it was behind the first look's back, and is seen by the second.
            Ok((self.nothing_queued()? && self.nothing_queued()?).then_some(()))
        })?;
        let (books, _) = self.balance()?;
        self.even(&books)?;
        self.held(format!("the books balance: {} accepted, {} delivered, 0 lost", books.accepted, books.delivered));
        *lock(&self.settled) = Some(self.ledger.len());
        Ok(books)
    }

    fn nothing_queued(&self) -> Result<bool> {
        for server in self.servers() {
            if !server.queued()?.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether the stage was settled and nothing was sent or broken since.
    pub fn is_settled(&self) -> bool {
        *lock(&self.settled) == Some(self.ledger.len()) && self.struck().is_empty()
    }

    /// An error where the books show anything lost, damaged, found although refused, or duplicated beyond what is allowed.
    pub fn even(&self, books: &Books) -> Result<()> {
        let (most, _) = &*lock(&self.allowed);
        let even = books.lost.is_empty()
            && books.damaged.is_empty()
            && books.refused_but_found.is_empty()
            && books.unknown == 0
            && books.duplicated.len() <= *most;
        let shown = |list: &[String]| list.iter().take(5).cloned().collect::<Vec<_>>().join("; ");
        anyhow::ensure!(
            even,
            "the books do not balance: accepted {}, lost {} ({}), duplicated {} of {most} allowed ({}), damaged {} ({}), refused but found {} \
             ({}), unknown {}",
            books.accepted,
            books.lost.len(),
            shown(&books.lost),
            books.duplicated.len(),
            shown(&books.duplicated),
            books.damaged.len(),
            shown(&books.damaged),
            books.refused_but_found.len(),
            shown(&books.refused_but_found),
            books.unknown
        );
        Ok(())
    }

    /// What happened so far, whole.
    pub fn record(&self) -> Record {
        gather::record(self)
    }

    fn nodes(&self) -> Vec<NodeRecord> {
        gather::nodes(&self.servers)
    }

    fn struck(&self) -> MutexGuard<'_, Vec<Struck>> {
        lock(&self.struck)
    }

    fn outside_list(&self) -> MutexGuard<'_, Vec<Outside>> {
        lock(&self.outside)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.sampler.take();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
