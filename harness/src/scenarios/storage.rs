//! Storage that fails: nothing is acknowledged that the disk has not, and what is damaged is set aside for a person.

use std::sync::atomic::AtomicBool;

use anyhow::{Context, ensure};

use super::networks::{OFFICE, office_on};
use crate::Result;
use crate::faults::{DISK_ERROR, KILL, PAUSE_SERVICE, READ_ONLY, TORN};
use crate::load::Load;
use crate::scenario::{BONGSU, PROCESSES, Scenario};
use crate::stage::{Broken, PATIENCE, SENDERS, Stage};
use crate::wait::wait_until;

const VOLUME: Option<u64> = Some(48);

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "fsync_fails_and_nothing_is_acknowledged",
        shows: "The disk takes writes and fails at fsync, under load: no message gets 250, and after a restart with what the disk really has nothing is lost.",
        rows: &["R1.5", "R8"],
        topology: || office_on(VOLUME, None),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: |stage| fails(stage, || stage.strike(&DISK_ERROR, &["office"])),
    },
    Scenario {
        name: "disk_goes_read_only_under_load",
        shows: "An error of the disk makes the file system read-only under load: every message is told to come later, and nothing that got 250 is lost.",
        rows: &["R1.5", "R8"],
        topology: || office_on(VOLUME, None),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: |stage| fails(stage, || stage.strike(&READ_ONLY, &["office"])),
    },
    Scenario {
        name: "torn_message_file_is_set_aside_and_the_others_are_delivered",
        shows: "A message file lost its end: it is kept in corrupt/ and reported, never delivered in part, and all others are delivered.",
        rows: &["R3.5", "R8"],
        topology: || super::networks::office(""),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: torn,
    },
];

/// The load runs, the storage fails, nothing new gets 250; it is mended, and the load goes on.
fn fails<'a>(stage: &'a Stage, strike: impl FnOnce() -> Result<Broken<'a>>) -> Result<()> {
    let flow = stage.flow(stage.steady(&["office"], OFFICE, 60.0)?);
    flow.wait_accepted(60, PATIENCE)?;
    let failed = strike()?;
    // Larger than all that was freed on the volume so far and could be written again.
    let size = (600_000, 700_000);
    let probe = Load { messages: 3, sessions: 1, size, tag: "probe".into(), ..stage.load(&["office"], &[OFFICE[0]])? };
    let report = probe.run(stage.ledger(), &AtomicBool::new(false));
    ensure!(report.accepted == 0, "{} messages got 250 that no disk has", report.accepted);
    for number in 0..3 {
        let line = stage.ledger().line(&format!("probe-{number}")).context("a probe was not sent")?;
        ensure!(line.reply.starts_with('4'), "told {}", line.reply);
    }
    stage.held("no message gets 250, and all are told to come again");
    // The row of docs/spool.md "after line 1, before its fsync returned", one for each sender.
    stage.allow_duplicates(
        SENDERS,
        "a message that could not be synced could not be taken back either, was told 4yz, and came again",
    );
    failed.heal()?;
    flow.wait_accepted(60, PATIENCE)?;
    let (_, report) = flow.end()?;
    ensure!(report.refused == 0, "messages were refused for good: {:?}", report.refusals);
    Ok(())
}

fn torn(stage: &Stage) -> Result<()> {
    let office = stage.server("office")?;
    stage.strike(&PAUSE_SERVICE, &["office", "deliver"])?.keep();
    for number in 0..5 {
        stage.send("office", "friend@client.example", &[OFFICE[number % 3]])?;
    }
    let down = stage.strike(&KILL, &["office"])?;
    let torn = stage.strike(&TORN, &["office"])?;
    down.heal()?;
    let delivered = || office.counts().delivered.is_some_and(|count| count == 4);
    wait_until("the four whole messages delivered", PATIENCE, delivered).with_context(|| office.log_tail(30))?;
    wait_until("the report of the damaged one", PATIENCE, || office.logged("damaged"))?;
    let listing = office.command(&["mailq"], b"")?.ok()?.text;
    ensure!(listing.contains("is damaged and kept in"), "mailq says nothing of it: {listing}");
    stage.held("the torn message is set aside and told of, the others are delivered");
    torn.heal()?;
    office.wait_empty(PATIENCE)
}
