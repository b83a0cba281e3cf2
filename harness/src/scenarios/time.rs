//! Clocks that jump.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::ensure;

use super::networks::{FAR, office_and_far};
use crate::Result;
use crate::faults::CLOCK;
use crate::peer::Peer;
use crate::scenario::{BONGSU, EVERYWHERE, Scenario};
use crate::stage::{PATIENCE, Stage};
use crate::topology::Topology;
use crate::wait::wait_until;

/// A little over the time for which a server that could not be reached is not tried again.
const REMEMBERED: Duration = Duration::from_millis(5500);
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

/// Waits until the secondary has forgotten that it could not reach the primary: it remembers by the real clock, which does not jump.
fn wait_forgotten(stage: &Stage) -> Result<()> {
    let failed =
        stage.server("secondary")?.events()?.iter().filter(|event| event.what == "deferred").map(|event| event.at).max();
    let failed = UNIX_EPOCH + Duration::from_millis(u64::try_from(failed.unwrap_or(0))?);
    wait_until("that the primary was dead to be forgotten", PATIENCE, || failed.elapsed().is_ok_and(|since| since > REMEMBERED))
}

fn half_an_hour(stage: &Stage) -> Result<()> {
    let peer = three_wait(stage, 0)?;
    stage.strike(&CLOCK, &["office", HALF_AN_HOUR])?.keep();
    wait_until("the three messages at the next hop", PATIENCE, || peer.taken().len() == 3)?;
    stage.held("half an hour later they are tried, and taken");
    three_wait(stage)?;
    wait_forgotten(stage)?;
    stage.strike(&CLOCK, &["secondary", HALF_AN_HOUR])?.keep();
    wait_handed_over(stage)?;
    stage.held("half an hour later they are tried, and delivered");
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
