//! Playing scenarios: which, where, how many side by side, and what came of each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{SKIPPED, Scenario};
use crate::Result;
use crate::driver::{self, DriverKind};
use crate::journal::Witness;
use crate::record::{Played, Record, Run, Verdict};
use crate::stage::Stage;
use crate::topology::SystemKind;

/// Until a binary has said its version.
const VERSION: Duration = Duration::from_secs(10);
/// Until every queue is empty after a scenario.
const SETTLE: Duration = Duration::from_secs(60);

/// What to play.
#[derive(Debug, Clone)]
pub struct Choice {
    /// Names, or parts of names; empty: all.
    pub names: Vec<String>,
    /// Where.
    pub drivers: Vec<DriverKind>,
    /// Which systems.
    pub systems: Vec<SystemKind>,
    /// Scenarios side by side.
    pub jobs: usize,
}

impl Choice {
    /// How many will be played.
    pub fn count(&self) -> usize {
        turns(self).len()
    }
}

/// Who watches the run.
pub trait Watch: Send + Sync {
    /// A scenario begins; the witness hears what happens in it.
    fn begin(&self, scenario: &Scenario, driver: DriverKind, system: SystemKind) -> Option<Arc<dyn Witness>>;

    /// It has ended.
    fn end(&self, played: &Played);
}

/// One scenario on one driver with one system.
#[derive(Clone, Copy)]
struct Turn {
    scenario: &'static Scenario,
    driver: DriverKind,
    system: SystemKind,
}

/// Plays what is chosen, several side by side; those that must be alone come last, one after the other.
pub fn play_all(choice: &Choice, watch: &dyn Watch, stop: &AtomicBool) -> Run {
    let (began, started) = (Instant::now(), SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
    let turns = turns(choice);
    let (alone, beside): (Vec<Turn>, Vec<Turn>) = turns.into_iter().partition(|turn| turn.scenario.alone);
    let mut results = play(&beside, choice.jobs.max(1), watch, stop);
    results.extend(play(&alone, 1, watch, stop));
    Run { started, took: began.elapsed(), about: about(), results }
}

fn turns(choice: &Choice) -> Vec<Turn> {
    let wanted =
        |scenario: &Scenario| choice.names.is_empty() || choice.names.iter().any(|name| scenario.name.contains(name.as_str()));
    let mut turns = Vec::new();
    for &driver in &choice.drivers {
        for scenario in super::all().filter(|scenario| wanted(scenario) && scenario.drivers.contains(&driver)) {
            let systems = choice.systems.iter().filter(|system| scenario.systems.contains(system));
            turns.extend(systems.map(|&system| Turn { scenario, driver, system }));
        }
    }
    turns
}

fn about() -> Vec<(String, String)> {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version =
        crate::node::binary().and_then(|path| crate::client::run(&path.to_string_lossy(), &["--version"], b"", VERSION));
    let version = version.map(|ran| ran.text.trim().to_owned()).unwrap_or_default();
    vec![("product".into(), version), ("cores".into(), cores.to_string()), ("kernel".into(), kernel.trim().into())]
}

fn play(turns: &[Turn], jobs: usize, watch: &dyn Watch, stop: &AtomicBool) -> Vec<Played> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..jobs.min(turns.len()) {
            scope.spawn(|| {
                while let Some((at, turn)) = take(&next, turns).filter(|_| !stop.load(Ordering::Relaxed)) {
                    let played = play_one(turn, watch, stop);
                    watch.end(&played);
                    results.lock().unwrap_or_else(PoisonError::into_inner).push((at, played));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, played)| played).collect()
}

fn take<'a>(next: &AtomicUsize, turns: &'a [Turn]) -> Option<(usize, &'a Turn)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    turns.get(at).map(|turn| (at, turn))
}

fn play_one(turn: &Turn, watch: &dyn Watch, stop: &AtomicBool) -> Played {
    let began = Instant::now();
    let Turn { scenario, driver, system } = turn;
    let witness = watch.begin(scenario, *driver, *system);
    let outcome = match driver::impossible(*driver) {
        Some(why) => Err(anyhow::anyhow!("{SKIPPED}{why}")),
        None => Ok(()),
    };
    let mut record = Record::default();
    let outcome = outcome.and_then(|()| set_and_run(turn, witness, &mut record, stop));
    let verdict = match outcome {
        Ok(()) => Verdict::Passed,
        Err(error) => {
            let text = format!("{error:#}");
            match text.find(SKIPPED) {
                Some(at) => Verdict::Skipped(text[at + SKIPPED.len()..].lines().next().unwrap_or_default().to_owned()),
                None => match super::known::difference(*system, scenario.name, &text) {
                    Some(why) => Verdict::Differs(format!("{why}\n{text}")),
                    None => Verdict::Failed(text),
                },
            }
        }
    };
    Played {
        name: scenario.name.into(),
        shows: scenario.shows.into(),
        rows: scenario.rows.iter().map(|row| (*row).to_owned()).collect(),
        driver: driver.name().into(),
        system: system.name().into(),
        verdict,
        took: began.elapsed(),
        record,
    }
}

fn set_and_run(turn: &Turn, witness: Option<Arc<dyn Witness>>, record: &mut Record, stop: &AtomicBool) -> Result<()> {
    let mut topology = (turn.scenario.topology)()?;
    // A node that the topology gives to another system stays there: the rest is under test.
    let of_the_product = topology.nodes.iter_mut().filter(|node| node.system == SystemKind::Bongsu);
    of_the_product.for_each(|node| node.system = turn.system);
    let stage = Stage::set(topology, turn.driver, witness)?;
    anyhow::ensure!(!stop.load(Ordering::Relaxed), "{SKIPPED}the run was ended");
    // A scenario that panics is a scenario that fails: what it built must still be taken down, and told.
    let run = catch_unwind(AssertUnwindSafe(|| (turn.scenario.run)(&stage)));
    let outcome = run.unwrap_or_else(|panic| Err(anyhow::anyhow!("panicked: {}", words(panic.as_ref()))));
    let outcome = outcome.and_then(|()| if stage.is_settled() { Ok(()) } else { stage.settle(SETTLE).map(|_| ()) });
    let outcome = outcome.map_err(|error| {
        let logs: Vec<String> = stage.servers().map(|server| server.log_tail(40)).collect();
        anyhow::anyhow!("{error:#}\n\n{}", logs.join("\n"))
    });
    *record = stage.record();
    outcome
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
