//! `bench`: mail servers measured side by side, with a table and a page.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;

use crate::Result;
use crate::bench::{self, Plan, table};
use crate::report;
use crate::topology::SystemKind;

/// What to measure.
#[derive(Debug, Args)]
pub struct BenchArguments {
    /// Benches by name; none is all (see --list)
    names: Vec<String>,
    /// The systems, which take turns; ratios are to the first. Without it: postfix where it is installed, and bongsu
    #[arg(long, value_enum, value_delimiter = ',')]
    systems: Vec<SystemKind>,
    /// Rounds; without it three, and one of a bench that takes minutes
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: Option<u64>,
    /// Messages of a load, where not the bench decides: `bench queue --count 500000`
    #[arg(long)]
    count: Option<usize>,
    /// Small numbers, one round: whether it works, not how fast
    #[arg(long)]
    quick: bool,
    /// Where the servers' queues and mailboxes lie: a journalled file system, as bench/mkfs.sh makes one
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Where the page goes
    #[arg(long, default_value = "harness-report")]
    report: PathBuf,
    /// Print JSON in the place of tables
    #[arg(long)]
    json: bool,
    /// List the benches
    #[arg(long)]
    list: bool,
}

/// `bench`: exit code 1 where a turn failed or books did not balance.
pub fn bench(arguments: &BenchArguments, stop: &AtomicBool) -> Result<ExitCode> {
    if arguments.list {
        bench::ALL.iter().for_each(|bench| println!("{}\n    {}", bench.name, bench.shows));
        return Ok(ExitCode::SUCCESS);
    }
    let plan = Plan {
        names: arguments.names.clone(),
        systems: arguments.systems.clone(),
        rounds: arguments.rounds.map(|rounds| rounds as usize),
        quick: arguments.quick,
        count: arguments.count,
        dir: arguments.dir.clone(),
    };
    let comparison = bench::run(&plan, &|line| eprintln!("{line}"), stop)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&comparison)?);
    } else {
        comparison.about.iter().for_each(|(name, value)| println!("{name}: {value}"));
        comparison.benches.iter().for_each(|bench| println!("\n{}", table::table(bench, &comparison.systems)));
    }
    let page = report::bench::write(&comparison, &arguments.report)?;
    eprintln!("report: {}", page.display());
    Ok(match (stop.load(Ordering::Relaxed), comparison.failed()) {
        (true, _) => ExitCode::from(130),
        (false, false) => ExitCode::SUCCESS,
        (false, true) => ExitCode::FAILURE,
    })
}
