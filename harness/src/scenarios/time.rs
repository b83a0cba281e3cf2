//! Clocks that jump.

use std::sync::Arc;

use anyhow::ensure;

use super::networks::{FAR, office_and_far};
use crate::Result;
use crate::faults::CLOCK;
use crate::peer::Peer;
use crate::scenario::{BONGSU, EVERYWHERE, Scenario};
use crate::stage::{PATIENCE, Stage};
use crate::topology::Topology;
use crate::wait::wait_until;

const HALF_AN_HOUR: &str = "1860";
const SIX_DAYS: &str = "518400";

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "half_an_hour_passes_and_what_waits_is_tried_again",
        shows: "The clock goes half an hour ahead: what waits for its next attempt is tried then, and not before, and nobody has to run the queue.",
        rows: &["R3.2"],
        topology: waiting,
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: half_an_hour,
    },
    Scenario {
        name: "clock_jumps_past_every_deadline_and_nothing_is_returned",
        shows: "The clock jumps six days ahead, past the time after which mail is returned: that is no reason to return it, and it is delivered when it can be.",
        rows: &["R3.2"],
        topology: waiting,
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: six_days,
    },
];

fn waiting() -> Result<Topology> {
    office_and_far("queue.retry = [\"30m\"]")?.edit("office", |node| node.clock = true)
}

/// Three messages that have failed once, and will at the next `more` attempts, at a host that is there: one that could not be reached would
/// be left alone for some seconds, whatever the clock says.
fn three_wait(stage: &Stage, more: usize) -> Result<Arc<Peer>> {
    let peer = stage.outside(FAR, 10, &["PIPELINING"])?;
    peer.answer("RCPT", 3 + more, "450 4.2.0 not now");
    for _ in 0..3 {
        stage.send("office", "minji@office.example", &["somebody@far.example"])?;
    }
    stage.wait_events("office", "deferred", 3)?;
    ensure!(waiting_messages(stage)? == 3 && peer.taken().is_empty(), "three messages wait");
    stage.step("three messages wait for their next attempt in half an hour");
    Ok(peer)
}

/// Messages queued, without the notifications that their sender is told of their delay with.
fn waiting_messages(stage: &Stage) -> Result<usize> {
    Ok(stage.server("office")?.queued()?.iter().filter(|found| !found.token.is_empty()).count())
}

fn half_an_hour(stage: &Stage) -> Result<()> {
    let peer = three_wait(stage, 0)?;
    stage.strike(&CLOCK, &["office", HALF_AN_HOUR])?.keep();
    wait_until("the three messages at the next hop", PATIENCE, || peer.taken().len() == 3)?;
    stage.held("half an hour later they are tried, and taken");
    Ok(())
}

fn six_days(stage: &Stage) -> Result<()> {
    let peer = three_wait(stage, 3)?;
    stage.strike(&CLOCK, &["office", SIX_DAYS])?.keep();
    stage.wait_events("office", "deferred", 6)?;
    ensure!(waiting_messages(stage)? == 3, "they wait no longer");
    stage.held("they were tried after the jump, failed, and are not returned");
    stage.server("office")?.run_queue()?;
    wait_until("the three messages at the next hop", PATIENCE, || peer.taken().len() == 3)
}
