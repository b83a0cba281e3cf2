//! Disks that get full, down to the last octet and the last inode: mail is asked to come later, nothing is lost, and it ends by itself.

use anyhow::{Context, ensure};

use super::networks::{OFFICE, office_on};
use crate::Result;
use crate::faults::{FILL, INODES, PAUSE_SERVICE};
use crate::ledger::Place;
use crate::scenario::{BONGSU, PROCESSES, Scenario};
use crate::stage::{Broken, PATIENCE, Stage};
use crate::wait::{wait_for, wait_until};

/// MiB of a volume.
const VOLUME: Option<u64> = Some(48);

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "disk_full_under_load_and_freed",
        shows: "The disk gets full under load: mail is told 452 4.3.1 and never 5yz, what was accepted is delivered, and it is taken again by itself.",
        rows: &["R1.5"],
        topology: || office_on(VOLUME, None),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        // Below the reserve, and room for what is queued.
        run: |stage| full_under_load(stage, || stage.strike(&FILL, &["office", "data", "768"]), true),
    },
    Scenario {
        name: "inodes_run_out_under_load_and_are_freed",
        shows: "No inode is left under load: mail is told 452 4.3.1 and never 5yz, and it is taken and delivered again by itself.",
        rows: &["R1.5"],
        topology: || office_on(VOLUME, None)?.edit("office", |office| office.inodes = Some(2048)),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: |stage| full_under_load(stage, || stage.strike(&INODES, &["office"]), false),
    },
    Scenario {
        name: "nothing_at_all_is_free_and_the_queue_still_empties",
        shows: "Not one octet is free: what is queued is delivered all the same, a queued message can be removed, and POP3 deletes.",
        rows: &["R1.5"],
        topology: || office_on(VOLUME, None),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: nothing_free,
    },
    Scenario {
        name: "mailboxes_full_while_the_spool_has_room",
        shows: "The volume of the mailboxes is full and that of the spool is not: mail is accepted, waits with its reason, and is delivered once there is room.",
        rows: &["R1.5"],
        topology: || office_on(VOLUME, Some(16)),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: mailboxes_full,
    },
    Scenario {
        name: "spool_full_while_the_mailboxes_have_room",
        shows: "The volume of the spool is full and that of the mailboxes is not: mail is told 452 4.3.1, and what is queued is delivered.",
        rows: &["R1.5"],
        topology: || office_on(VOLUME, Some(16)),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: spool_full,
    },
];

/// Waits until MAIL is told 452 4.3.1; a refusal for good is an error at once.
fn told_to_come_later(stage: &Stage, node: &str) -> Result<()> {
    let code = wait_for(&format!("452 to MAIL on {node}"), PATIENCE, || {
        let reply = stage.smtp(node)?.command("MAIL FROM:<friend@client.example>")?;
        Ok((reply.code != 250).then(|| (reply.code, reply.text())))
    })?;
    ensure!(code.0 == 452 && code.1.starts_with("4.3.1"), "MAIL was told {} {}", code.0, code.1);
    stage.held("MAIL is told 452 4.3.1");
    Ok(())
}

fn full_under_load<'a>(stage: &'a Stage, fill: impl FnOnce() -> Result<Broken<'a>>, delivers: bool) -> Result<()> {
    let flow = stage.flow(stage.steady(&["office"], OFFICE, 60.0)?);
    flow.wait_accepted(60, PATIENCE)?;
    let full = fill()?;
    told_to_come_later(stage, "office")?;
    if delivers {
        stage.server("office")?.wait_empty(PATIENCE)?;
        stage.held("what was accepted is delivered meanwhile");
    }
    full.heal()?;
    flow.wait_accepted(60, PATIENCE)?;
    stage.held("mail is taken again, and nobody had to do anything");
    let (_, report) = flow.end()?;
    ensure!(report.refused == 0, "messages were refused for good: {:?}", report.refusals);
    Ok(())
}

/// `count` messages that wait because nobody delivers.
fn queue_while_nobody_delivers(stage: &Stage, count: usize) -> Result<Broken<'_>> {
    let frozen = stage.strike(&PAUSE_SERVICE, &["office", "deliver"])?;
    for number in 0..count {
        let (_, reply) = stage.send("office", "friend@client.example", &[OFFICE[number % 3]])?;
        ensure!(reply.starts_with("250 "), "told {reply}");
    }
    Ok(frozen)
}

/// Waits until the node has put the room aside that it gives up on a full disk.
fn wait_ballast(stage: &Stage) -> Result<()> {
    let ballast = stage.server("office")?.data().context("no data here")?.join("spool/ballast");
    wait_until("the ballast", PATIENCE, || std::fs::metadata(&ballast).is_ok_and(|meta| meta.len() > 0))
}

fn nothing_free(stage: &Stage) -> Result<()> {
    let office = stage.server("office")?;
    stage.send("office", "friend@client.example", &["minji@office.example"])?;
    office.wait_empty(PATIENCE)?;
    wait_ballast(stage)?;
    let frozen = queue_while_nobody_delivers(stage, 7)?;
    stage.strike(&FILL, &["office", "data", "0"])?.keep();
    told_to_come_later(stage, "office")?;
    let queued = office.queued()?;
    let first = queued.first().context("nothing is queued")?;
    let Place::Queue { id, .. } = &first.place else { anyhow::bail!("{first:?} is not queued") };
    office.command(&["queue", "delete", id], b"")?.ok()?;
    stage.ledger().discard(&first.token);
    stage.held("a queued message was removed by hand");
    ensure!(stage.fetch_all("minji@office.example")? == 1, "minji has not her one message");
    stage.held("POP3 fetched and deleted a message");
    frozen.heal()?;
    office.wait_empty(PATIENCE)?;
    stage.held("everything that was queued is delivered, with nothing free");
    Ok(())
}

fn mailboxes_full(stage: &Stage) -> Result<()> {
    let office = stage.server("office")?;
    stage.send("office", "friend@client.example", &["minji@office.example"])?;
    office.wait_empty(PATIENCE)?;
    let full = stage.strike(&FILL, &["office", "mail", "0"])?;
    for mailbox in &OFFICE[..3] {
        let (_, reply) = stage.send("office", "friend@client.example", &[mailbox])?;
        ensure!(reply.starts_with("250 "), "told {reply}");
    }
    stage.wait_events("office", "deferred", 3)?;
    ensure!(office.queued()?.len() == 3, "three messages wait");
    stage.held("mail is accepted, and waits");
    full.heal()?;
    office.wait_empty(PATIENCE)?;
    stage.held("it is delivered once there is room");
    Ok(())
}

fn spool_full(stage: &Stage) -> Result<()> {
    wait_ballast(stage)?;
    let frozen = queue_while_nobody_delivers(stage, 5)?;
    let full = stage.strike(&FILL, &["office", "data", "0"])?;
    told_to_come_later(stage, "office")?;
    frozen.heal()?;
    stage.server("office")?.wait_empty(PATIENCE)?;
    stage.held("what is queued is delivered");
    full.heal()?;
    wait_for("mail that is taken again", PATIENCE, || {
        Ok((stage.smtp("office")?.command("MAIL FROM:<friend@client.example>")?.code == 250).then_some(()))
    })
}
