//! Mailboxes over the network: one session at a time, and nobody who vanishes keeps it locked.

use std::net::Shutdown;

use anyhow::ensure;

use super::networks::office;
use crate::Result;
use crate::faults::{KILL_SERVICE, PAUSE_SERVICE};
use crate::pop::Pop;
use crate::scenario::{BONGSU, EVERYWHERE, Scenario};
use crate::stage::{PATIENCE, Stage};
use crate::wait::wait_for;

const MAILBOX: &str = "minji@office.example";

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "second_pop3_session_is_told_in_use",
        shows: "A second session with a mailbox is told [IN-USE], and gets in once the first has ended; mail is delivered meanwhile.",
        rows: &["R5.2"],
        topology: || office(""),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: in_use,
    },
    Scenario {
        name: "pop3_client_vanishes_and_leaves_no_lock",
        shows: "A client that marked messages for deletion vanishes, or the service dies under it: nothing is deleted, and the next session gets in.",
        rows: &["R5.2"],
        topology: || office(""),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: vanishes,
    },
];

/// What PASS is told.
fn log_in(stage: &Stage) -> Result<(Pop, String)> {
    let mut pop = stage.pop_door("office")?;
    pop.ok(&format!("USER {MAILBOX}"))?;
    let told = pop.say("PASS secret-minji")?;
    Ok((pop, told))
}

/// A session once the mailbox is free.
fn enter(stage: &Stage) -> Result<Pop> {
    wait_for("a session that gets in", PATIENCE, || {
        let (pop, told) = log_in(stage)?;
        Ok(told.starts_with("+OK").then_some(pop))
    })
}

fn deliver(stage: &Stage, count: usize) -> Result<()> {
    for _ in 0..count {
        stage.send("office", "friend@client.example", &[MAILBOX])?;
    }
    stage.server("office")?.wait_empty(PATIENCE)
}

fn in_use(stage: &Stage) -> Result<()> {
    deliver(stage, 2)?;
    let mut first = enter(stage)?;
    let (_, told) = log_in(stage)?;
    ensure!(told.starts_with("-ERR [IN-USE]"), "the second session was told {told}");
    stage.held("the second session is told [IN-USE]");
    deliver(stage, 1)?;
    ensure!(first.stat()?.0 == 2, "a session sees what was there when it began");
    first.quit()?;
    let mut third = enter(stage)?;
    ensure!(third.stat()?.0 == 3, "the next session sees the new message");
    stage.held("mail was delivered meanwhile, and the next session sees it");
    third.quit()
}

fn vanishes(stage: &Stage) -> Result<()> {
    deliver(stage, 3)?;
    let mut client = enter(stage)?;
    client.ok("DELE 1")?;
    client.stream().shutdown(Shutdown::Both)?;
    drop(client);
    let mut client = enter(stage)?;
    ensure!(client.stat()?.0 == 3, "a session that did not end with QUIT deletes nothing");
    stage.held("the client vanished: nothing is deleted, and the next session gets in");
    client.ok("DELE 2")?;
    let frozen = stage.strike(&PAUSE_SERVICE, &["office", "pop3"])?;
    stage.strike(&KILL_SERVICE, &["office", "pop3"])?.keep();
    frozen.heal()?;
    let mut client = enter(stage)?;
    ensure!(client.stat()?.0 == 3, "a service that dies deletes nothing");
    stage.held("the service died: nothing is deleted, and the next session gets in");
    client.quit()?;
    ensure!(stage.fetch_all(MAILBOX)? == 3, "QUIT deletes");
    Ok(())
}
