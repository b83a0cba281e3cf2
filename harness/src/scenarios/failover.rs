//! The primary goes away and comes back: the secondaries take over, keep, and hand over.

use std::time::Duration;

use anyhow::ensure;

use crate::Result;
use crate::faults::{ISOLATE, KILL, PAUSE, STOP};
use crate::load::Load;
use crate::scenario::{ANY, EVERYWHERE, Scenario};
use crate::stage::{PATIENCE, Stage};
use crate::topology::Topology;
use crate::wait::wait_until;

const RECIPIENTS: &[&str] =
    &["minji@office.example", "sora@office.example", "juno@office.example", "minji@office.example sora@office.example"];
const ALL_MX: &[&str] = &["primary", "second", "third"];

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "primary_killed_and_the_secondaries_take_over",
        shows: "Three MX, the primary killed under load: the two secondaries take over, queue, and hand everything over when it returns.",
        rows: &["R3.1", "R3.3"],
        topology: || Topology::shipped("three-mx"),
        drivers: EVERYWHERE,
        systems: ANY,
        alone: false,
        run: |stage| away(stage, || stage.strike(&KILL, &["primary"])),
    },
    Scenario {
        name: "primary_stopped_in_order_and_started_under_load",
        shows: "A clean stop and start of the primary under load: no message is lost and none is doubled.",
        rows: &["R3.3"],
        topology: || Topology::shipped("three-mx"),
        drivers: EVERYWHERE,
        systems: ANY,
        alone: false,
        run: |stage| away(stage, || stage.strike(&STOP, &["primary"])),
    },
    Scenario {
        name: "primary_paused_is_silent_and_the_secondaries_take_over",
        shows: "The primary is frozen: it accepts connections and says nothing. Senders give up on it and go to the secondaries.",
        rows: &["R3.1", "R3.3"],
        topology: || {
            let mut topology = Topology::shipped("three-mx")?;
            topology.settings.push_str("relay.reply_timeout = \"3s\"\n");
            Ok(topology)
        },
        drivers: EVERYWHERE,
        systems: ANY,
        alone: false,
        run: |stage| away(stage, || stage.strike(&PAUSE, &["primary"])),
    },
    Scenario {
        name: "network_splits_and_heals",
        shows: "The primary is cut off from everybody and comes back: what was queued meanwhile is handed over.",
        rows: &["R3.1", "R3.3"],
        topology: || Topology::shipped("three-mx"),
        drivers: EVERYWHERE,
        systems: ANY,
        alone: false,
        run: |stage| away(stage, || stage.strike(&ISOLATE, &["primary"])),
    },
    Scenario {
        name: "all_three_down_and_back",
        shows: "All three MX are killed under load and come back: what any of them took is delivered.",
        rows: &["R3.3"],
        topology: || Topology::shipped("three-mx"),
        drivers: EVERYWHERE,
        systems: ANY,
        alone: false,
        run: all_down,
    },
];

fn load(stage: &Stage) -> Result<Load> {
    Ok(Load {
        equal: 2,
        sessions: 6,
        rate: Some(60.0),
        timeout: Duration::from_secs(3),
        patience: Duration::from_secs(30),
        ..stage.load(ALL_MX, RECIPIENTS)?
    })
}

/// The load runs, the primary goes away by `strike`, the secondaries queue, the primary returns.
fn away<'a>(stage: &'a Stage, strike: impl FnOnce() -> Result<crate::stage::Broken<'a>>) -> Result<()> {
    stage.step("a load begins: 60 messages a second, by MX preference");
    let flow = stage.flow(load(stage)?);
    flow.wait_accepted(60, PATIENCE)?;
    let away = strike()?;
    flow.wait_accepted(120, PATIENCE)?;
    let queued = || ["second", "third"].iter().filter_map(|name| stage.server(name).ok()?.counts().queued).sum::<usize>();
    wait_until("mail queued at the secondaries", PATIENCE, || queued() > 50)?;
    stage.held("the secondaries take over: mail for the primary waits there");
    away.heal()?;
    flow.wait_accepted(60, PATIENCE)?;
    let (_, report) = flow.end()?;
    stage.step(format!("the load ends: {} accepted, {} without a reply", report.accepted, report.in_doubt));
    let books = stage.settle(Duration::from_secs(60))?;
    ensure!(books.accepted >= 240 && books.delivered == books.accepted, "{books:?}");
    Ok(())
}

fn all_down(stage: &Stage) -> Result<()> {
    let flow = stage.flow(load(stage)?);
    flow.wait_accepted(60, PATIENCE)?;
    let down: Vec<_> = ["third", "second", "primary"].iter().map(|name| stage.strike(&KILL, &[name])).collect::<Result<_>>()?;
    down.into_iter().try_for_each(crate::stage::Broken::heal)?;
    flow.wait_accepted(60, PATIENCE)?;
    flow.end()?;
    Ok(())
}
