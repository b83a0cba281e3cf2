//! Measurements of mail servers side by side: the systems take turns, round after round, on one machine, each as its maker ships it and as durable
//! as it is. What drifts or disturbs hits all of them alike, so it is ratios within a round that count.
//!
//! After each turn the books are balanced: a server that is fast because it loses mail, or sends it twice, is not measured but told.

mod accept;
mod calls;
pub mod figures;
pub mod machine;
mod maildir;
mod memory;
pub mod meter;
mod pop3;
mod queue;
mod relay;
pub mod sink;
pub mod subject;
pub mod table;
mod tarpits;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;

pub use figures::{Better, Comparison, Latencies, Measured, Row, Spread, Turned, percentile};

use crate::Result;
use crate::scenario::SKIPPED;
use crate::system;
use crate::topology::SystemKind;

/// Something that is measured.
pub struct Bench {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it measures, one sentence.
    pub shows: &'static str,
    /// Whether one round is enough unless more are asked for: it takes minutes.
    pub once: bool,
    /// One system's turn.
    pub turn: fn(&Turn) -> Result<Turned>,
}

/// One system's turn in one round.
#[derive(Debug, Clone, Copy)]
pub struct Turn {
    /// Whose.
    pub system: SystemKind,
    /// Whether it is enough that it works.
    pub quick: bool,
    /// How many messages, where somebody said so.
    pub count: Option<usize>,
}

impl Turn {
    /// How many: as asked for, else `normal`, or `quick`.
    pub fn some(&self, normal: usize, quick: usize) -> usize {
        self.count.unwrap_or(if self.quick { quick } else { normal })
    }
}

/// All benches.
pub const ALL: &[Bench] = &[
    accept::ACCEPT,
    maildir::MAILDIR,
    relay::RELAY,
    relay::RELAY_MANY,
    tarpits::TARPITS,
    queue::QUEUE,
    pop3::POP3,
    memory::MEMORY,
];

/// What to measure.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Names of benches; none is all.
    pub names: Vec<String>,
    /// The systems; ratios are to the first. None is all that can run here, Postfix first where it can.
    pub systems: Vec<SystemKind>,
    /// Rounds; `None` is three, and one for a bench that takes minutes.
    pub rounds: Option<usize>,
    /// Small numbers, one round: whether it works, not how fast.
    pub quick: bool,
    /// Messages of a load, where not the bench decides.
    pub count: Option<usize>,
    /// Where the servers' data lies; `None` is the directory for temporary files.
    pub dir: Option<PathBuf>,
}

impl Plan {
    /// The benches of this plan; a name that there is not is an error.
    pub fn benches(&self) -> Result<Vec<&'static Bench>> {
        let known = || ALL.iter().map(|bench| bench.name).collect::<Vec<_>>().join(", ");
        let one = |name: &String| {
            ALL.iter().find(|bench| bench.name == *name).with_context(|| format!("no bench {name}; there are {}", known()))
        };
        if self.names.is_empty() { Ok(ALL.iter().collect()) } else { self.names.iter().map(one).collect() }
    }

    /// The systems of this plan. One that was asked for and can't run here is an error.
    pub fn systems(&self) -> Result<Vec<SystemKind>> {
        if self.systems.is_empty() {
            let both = [SystemKind::Postfix, SystemKind::Bongsu];
            return Ok(both.into_iter().filter(|system| system::impossible(*system).is_none()).collect());
        }
        for system in &self.systems {
            if let Some(why) = system::impossible(*system) {
                anyhow::bail!("{} can't be measured here: {why}", system.name());
            }
        }
        Ok(self.systems.clone())
    }

    fn rounds(&self, bench: &Bench) -> usize {
        self.rounds.unwrap_or(if self.quick || bench.once { 1 } else { 3 })
    }
}

/// Measures. `say` is told what goes on, a line each. A turn that fails makes its bench void, and the others go on.
pub fn run(plan: &Plan, say: &dyn Fn(&str), stop: &AtomicBool) -> Result<Comparison> {
    let (benches, systems) = (plan.benches()?, plan.systems()?);
    if let Some(dir) = &plan.dir {
        anyhow::ensure!(dir.is_dir(), "{} is no directory", dir.display());
        let set = tempfile::env::override_temp_dir(dir);
        anyhow::ensure!(set.is_ok_and(|()| true), "the directory for the servers' data was set before");
    }
    raise_descriptors();
    let started = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let began = Instant::now();
    let mut whole = Comparison {
        started,
        systems: systems.iter().map(|system| system.name().to_owned()).collect(),
        about: about(plan, &systems)?,
        ..Comparison::default()
    };
    for bench in benches {
        whole.benches.push(measure(plan, bench, &systems, say, stop));
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    whole.took = began.elapsed();
    Ok(whole)
}

fn measure(plan: &Plan, bench: &Bench, systems: &[SystemKind], say: &dyn Fn(&str), stop: &AtomicBool) -> Measured {
    let rounds = plan.rounds(bench);
    let mut measured = Measured { name: bench.name.into(), shows: bench.shows.into(), rounds, ..Measured::default() };
    for round in 0..rounds {
        for (at, system) in systems.iter().enumerate() {
            let name = system.name();
            let out = measured.skipped.iter().any(|(skipped, _)| skipped == name);
            if out || stop.load(Ordering::Relaxed) {
                continue;
            }
            let turn = Turn { system: *system, quick: plan.quick, count: plan.count };
            let heading = format!("{}, round {} of {rounds}, {name}", bench.name, round + 1);
            match (bench.turn)(&turn) {
                Ok(turned) => {
                    let first = turned.figures.first();
                    let first = first.map(|first| format!(": {} {}", table::number(first.value), first.quantity.name));
                    say(&format!("{heading}{}", first.unwrap_or_default()));
                    measured.enter(systems.len(), at, round, turned);
                }
                Err(error) => {
                    let text = format!("{error:#}");
                    match text.find(SKIPPED) {
                        Some(why) => measured.skipped.push((name.into(), text[why + SKIPPED.len()..].to_owned())),
                        None => measured.failed.push(format!("{heading}: {text}")),
                    }
                    say(&format!("{heading}: {text}"));
                }
            }
        }
    }
    measured
}

/// What is compared, and where.
fn about(plan: &Plan, systems: &[SystemKind]) -> Result<Vec<(String, String)>> {
    let mut about = Vec::new();
    let mut how = "";
    for system in systems {
        let subject = subject::Subject::make(*system, &subject::Wanted::default())?;
        about.push((system.name().to_owned(), subject.server().version()));
        how = subject.meter().how();
    }
    let dir = plan.dir.clone().unwrap_or_else(std::env::temp_dir);
    about.extend(machine::about(Path::new(&dir)));
    about.push(("CPU counted by".into(), how.into()));
    Ok(about)
}

/// As many open files as we may have: a connection takes one.
fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With fewer, a bench that needs them says so.
    let _ = setrlimit(Resource::Nofile, limit);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_what_there_is() {
        let plan = |names: &[&str]| Plan { names: names.iter().map(|name| (*name).to_owned()).collect(), ..Plan::default() };
        assert_eq!(plan(&[]).benches().unwrap().len(), ALL.len());
        assert_eq!(plan(&["accept"]).benches().unwrap()[0].name, "accept");
        let error = plan(&["acept"]).benches().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("no bench acept; there are accept"), "{error}");
        assert_eq!(Plan { quick: true, ..plan(&[]) }.rounds(&ALL[0]), 1);
        assert_eq!(Plan { rounds: Some(5), quick: true, ..plan(&[]) }.rounds(&ALL[0]), 5);
    }
}
