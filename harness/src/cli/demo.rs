//! `demo`: one scenario, told to somebody who sees only the terminal.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use clap::Args;

use super::run::{View, summary};
use super::up::shown;
use crate::Result;
use crate::driver::DriverKind;
use crate::record::Verdict;
use crate::report::{self, live::Live};
use crate::scenario::{self, Choice};
use crate::topology::SystemKind;

/// What is shown.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// The demonstration
    #[arg(value_parser = ["failover"])]
    what: String,
    /// Where the nodes run
    #[arg(long, value_enum, default_value_t = DriverKind::Processes)]
    driver: DriverKind,
    /// Where the report goes
    #[arg(long, default_value = "harness-report")]
    report: PathBuf,
}

const FAILOVER: &str = "\
Three mail hosts take mail for office.example. DNS says in which order to try them:

    office.example.  MX 10  primary     has the mailboxes
                     MX 20  second      keeps mail for the primary while it is away
                     MX 20  third       the same

Senders deliver 60 messages a second. In the middle of it the primary is killed
(kill -9): the senders turn to the other two, these queue what they take, and hand
it over when the primary is back. At the end every accepted message is counted.
";

/// Shows it.
pub fn demo(arguments: &DemoArguments, stop: &AtomicBool) -> Result<ExitCode> {
    println!("{FAILOVER}");
    let choice = Choice {
        names: vec!["primary_killed_and_the_secondaries_take_over".into()],
        drivers: vec![arguments.driver],
        systems: vec![SystemKind::Bongsu],
        jobs: 1,
    };
    let run = scenario::play_all(&choice, &View::new(Live::new(1)), stop);
    let written = report::write(&run, &arguments.report)?;
    let Some(played) = run.results.first().filter(|played| played.verdict == Verdict::Passed) else {
        println!("{}\nreport: {}", summary(&run), written.html.display());
        return Ok(ExitCode::FAILURE);
    };
    let books = &played.record.books;
    println!("\n{}", shown(books));
    println!(
        "Every one of the {} copies that were accepted lies in its mailbox, octet for octet. Nothing was lost.",
        books.accepted
    );
    println!("The whole story, with every message's way: {}", written.html.display());
    Ok(ExitCode::SUCCESS)
}
