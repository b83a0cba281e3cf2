//! `bongsu up`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use lib_settings::LogFormat;

use super::{account, welcome};
use crate::layout::Layout;
use crate::plan::Plan;
use crate::supervisor::{Supervisor, signals};
use crate::tree;

/// Makes ready, says what is wrong in one line each, and runs until the server is stopped.
pub(crate) fn run(layout: Layout, without_volume: bool) -> Result<ExitCode> {
    // Before any thread is made: threads inherit the blocked signals.
    signals::block()?;
    if let Some(warning) = tree::volume_warning(&layout) {
        if !without_volume {
            bail!("{warning} (or start with --without-volume to lose it knowingly)");
        }
        eprintln!("bongsu: {warning}");
    }
    tree::prepare(&layout)?;
    // Held until the process ends; the order of the two lines keeps two first starts from both making an account.
    let hold = tree::hold(&layout)?;
    let plan = match Plan::load(&layout) {
        Ok(plan) => plan,
        Err(problems) => bail!("{}\nnot started: mend the above, then try \"bongsu check\"", problems.join("\n")),
    };
    for warning in crate::maps::warnings(&layout, &plan.settings) {
        eprintln!("bongsu: {warning}");
    }
    for hook in plan.settings.testing.in_force() {
        eprintln!("bongsu: FOR TESTS ONLY: {hook}");
    }
    let first = if plan.unconfigured { account::first(&layout, &plan.settings)? } else { None };
    let text = welcome::text(&layout, &plan, first.as_ref());
    // A program reads the JSON lines on standard output; the password must be seen by a person all the same.
    let (said, printed) =
        if plan.settings.log.format == LogFormat::Json { (text, String::new()) } else { (String::new(), text) };
    let supervisor = Supervisor::prepare(layout, plan, printed)?;
    eprint!("{said}");
    supervisor.run();
    drop(hold);
    Ok(ExitCode::SUCCESS)
}
