//! `list` and `run`: scenarios by name, watched while they run, with an exit code for CI.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use clap::Args;

use crate::Result;
use crate::driver::DriverKind;
use crate::journal::Witness;
use crate::record::{Played, Run, Verdict};
use crate::report::{
    self,
    live::{Live, Playing},
};
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
    let (mut whole, mut failed) = (Run::default(), 0);
    for _ in 0..arguments.times {
        let view = View::new(Live::new(choice.count()));
        let run = scenario::play_all(&choice, &view, stop);
        anyhow::ensure!(
            !run.results.is_empty() || stop.load(Ordering::Relaxed),
            "no scenario has such a name and judges such a system there; bongsu-harness list shows them"
        );
        failed += count(&run, |verdict| matches!(verdict, Verdict::Failed(_)));
        println!("\n{}", summary(&run));
        whole.started = if whole.started == 0 { run.started } else { whole.started };
        whole.took += run.took;
        whole.about = run.about;
        whole.results.extend(run.results);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    let written = report::write(&whole, &arguments.report)?;
    println!("report: {} and {}", written.html.display(), written.junit.display());
    Ok(match (stop.load(Ordering::Relaxed), failed) {
        (true, _) => ExitCode::from(130),
        (false, 0) => ExitCode::SUCCESS,
        (false, _) => ExitCode::FAILURE,
    })
}

fn count(run: &Run, which: fn(&Verdict) -> bool) -> usize {
    run.results.iter().filter(|played| which(&played.verdict)).count()
}

/// `25 passed, 0 failed, 1 skipped in 212 s`, and the names of those that did not pass.
pub fn summary(run: &Run) -> String {
    let mut text = format!(
        "{} passed, {} failed, {} skipped",
        count(run, |verdict| *verdict == Verdict::Passed),
        count(run, |verdict| matches!(verdict, Verdict::Failed(_))),
        count(run, |verdict| matches!(verdict, Verdict::Skipped(_)))
    );
    let differs = count(run, |verdict| matches!(verdict, Verdict::Differs(_)));
    if differs > 0 {
        text = format!("{differs} of another system differ, as is known\n{text}");
    }
    for played in &run.results {
        let (word, why) = match &played.verdict {
            Verdict::Passed => continue,
            Verdict::Failed(why) => ("FAILED", why),
            Verdict::Differs(why) => ("DIFFERS", why),
            Verdict::Skipped(why) => ("SKIPPED", why),
        };
        let Played { name, driver, system, .. } = played;
        text = format!("{word} {name} ({driver}, {system}): {}\n{text}", why.lines().next().unwrap_or_default());
    }
    text
}

/// Shows a run as it goes.
pub struct View {
    live: Live,
    playing: Mutex<Vec<(String, Playing)>>,
}

impl View {
    /// A view of a run.
    pub fn new(live: Live) -> View {
        View { live, playing: Mutex::default() }
    }
}

fn key(name: &str, driver: &str, system: &str) -> String {
    format!("{name} {driver} {system}")
}

impl Watch for View {
    fn begin(&self, scenario: &Scenario, driver: DriverKind, system: SystemKind) -> Option<Arc<dyn Witness>> {
        let playing = self.live.scenario(scenario.name, scenario.shows);
        let key = key(scenario.name, driver.name(), system.name());
        self.playing.lock().unwrap_or_else(PoisonError::into_inner).push((key, playing.clone()));
        Some(Arc::new(playing))
    }

    fn end(&self, played: &Played) {
        let key = key(&played.name, &played.driver, &played.system);
        let mut all = self.playing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = all.iter().position(|(known, _)| *known == key) {
            all.remove(at).1.verdict(&played.verdict, played.took);
        }
    }
}
