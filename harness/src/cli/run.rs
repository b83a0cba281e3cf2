//! `list` and `run`: scenarios by name, watched while they run, with an exit code for CI.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;

use crate::Result;
use crate::driver::DriverKind;
use crate::journal::Witness;
use crate::record::{Moment, NodeRecord, Played, Sample, Verdict};
use crate::scenario::{self, Choice, Scenario, Watch};
use crate::topology::SystemKind;

/// What to run, and where.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// Names of scenarios, or parts of names; none is all
    names: Vec<String>,
    /// Where the nodes run; may be given twice
    #[arg(long, value_enum, default_values_t = [DriverKind::Processes])]
    driver: Vec<DriverKind>,
    /// Which mail system is judged; may be given twice
    #[arg(long, value_enum, default_values_t = [SystemKind::Bongsu])]
    system: Vec<SystemKind>,
    /// Scenarios side by side
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Play everything so many times
    #[arg(long, default_value_t = 1)]
    times: usize,
    /// Where the reports go
    #[arg(long, default_value = "harness-report")]
    report: PathBuf,
}

/// `list`.
pub fn list() -> ExitCode {
    for scenario in scenario::all() {
        let drivers: Vec<&str> = scenario.drivers.iter().map(|driver| driver.name()).collect();
        let systems: Vec<&str> = scenario.systems.iter().map(|system| system.name()).collect();
        println!(
            "{}\n    {}\n    {}; {}; {}",
            scenario.name,
            scenario.shows,
            scenario.rows.join(" "),
            drivers.join(" "),
            systems.join(" ")
        );
    }
    ExitCode::SUCCESS
}

/// `run`: exit code 0 where all that could run passed, 1 where any failed.
pub fn run(arguments: &RunArguments, stop: &AtomicBool) -> Result<ExitCode> {
    let choice = Choice {
        names: arguments.names.clone(),
        drivers: arguments.driver.clone(),
        systems: arguments.system.clone(),
        jobs: arguments.jobs,
    };
    let mut failed = 0;
    for _ in 0..arguments.times {
        let run = scenario::play_all(&choice, &Lines, stop);
        anyhow::ensure!(!run.results.is_empty(), "no scenario has such a name; bongsu-harness list shows them");
        let count = |verdict: fn(&Verdict) -> bool| run.results.iter().filter(|played| verdict(&played.verdict)).count();
        let bad = count(|verdict| matches!(verdict, Verdict::Failed(_)));
        println!(
            "\n{} passed, {bad} failed, {} skipped",
            count(|verdict| *verdict == Verdict::Passed),
            count(|verdict| matches!(verdict, Verdict::Skipped(_)))
        );
        failed += bad;
        if stop.load(Ordering::Relaxed) {
            return Ok(ExitCode::from(130));
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Plain lines.
struct Lines;

struct Witnessed(String);

impl Watch for Lines {
    fn begin(&self, scenario: &Scenario, driver: DriverKind, _system: SystemKind) -> Option<Arc<dyn Witness>> {
        println!("{} ({}): {}", scenario.name, driver.name(), scenario.shows);
        Some(Arc::new(Witnessed(scenario.name.to_owned())))
    }

    fn end(&self, played: &Played) {
        let verdict = match &played.verdict {
            Verdict::Passed => "passed".to_owned(),
            Verdict::Failed(why) => format!("FAILED: {why}"),
            Verdict::Skipped(why) => format!("SKIPPED: {why}"),
        };
        println!("{} ({}, {:.1} s): {verdict}", played.name, played.driver, played.took.as_secs_f64());
    }
}

impl Witness for Witnessed {
    fn moment(&self, moment: &Moment) {
        println!("{:7.2} {}: {}", moment.at.as_secs_f64(), self.0, moment.text);
    }

    fn sample(&self, _sample: &Sample, _nodes: &[NodeRecord]) {}
}
