//! The primary goes away and comes back: the secondaries take over, keep, and hand over.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::ensure;

use super::networks::{ALL_MX, OFFICE, plain_three};
use crate::Result;
use crate::faults::{ISOLATE, KILL, LINK, PAUSE, STOP};
use crate::load::Load;
use crate::scenario::{ANY, EVERYWHERE, PROCESSES, Scenario};
use crate::stage::{PATIENCE, Stage};
use crate::topology::Topology;
use crate::wait::wait_until;

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
    Scenario {
        name: "primary_dies_and_returns_again_and_again",
        shows: "The primary flaps: killed and started five times under load. Nothing is lost, and what waits meanwhile is handed over at last.",
        rows: &["R3.1", "R3.3"],
        topology: || Topology::shipped("three-mx"),
        drivers: EVERYWHERE,
        systems: ANY,
        alone: false,
        run: flaps,
    },
    Scenario {
        name: "primary_is_slow_and_keeps_its_mail",
        shows: "The way to the primary is slow: senders are patient, no mail goes astray, and what a secondary has is handed over, once.",
        rows: &["R3.1", "R3.3"],
        topology: || plain_three(""),
        drivers: PROCESSES,
        systems: ANY,
        alone: false,
        run: slow,
    },
];

/// Times that the primary dies.
const FLAPS: usize = 5;

fn load(stage: &Stage) -> Result<Load> {
    stage.steady(ALL_MX, OFFICE, 60.0)
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

fn flaps(stage: &Stage) -> Result<()> {
    let flow = stage.flow(load(stage)?);
    for _ in 0..FLAPS {
        flow.wait_accepted(30, PATIENCE)?;
        let dead = stage.strike(&KILL, &["primary"])?;
        flow.wait_accepted(15, PATIENCE)?;
        dead.heal()?;
    }
    flow.wait_accepted(30, PATIENCE)?;
    flow.end()?;
    // Each secondary may have ten connections to it (relay.per_destination), and a message in each that was committed without a reply.
    stage.allow_duplicates(
        FLAPS * 2 * 10,
        "the primary died between its commit and its 250, and the secondary sent the message again",
    );
    Ok(())
}

fn slow(stage: &Stage) -> Result<()> {
    let slow = [("client", "slow=4000"), ("second", "delay=300"), ("third", "slow=4000")];
    let slow: Vec<_> = slow.iter().map(|(from, mood)| stage.strike(&LINK, &[from, "primary", mood])).collect::<Result<_>>()?;
    let patient = |nodes: &[&str]| stage.load(nodes, OFFICE).map(|load| Load { timeout: PATIENCE, ..load });
    let flow = stage.flow(Load { sessions: 4, rate: Some(8.0), ..patient(ALL_MX)? });
    flow.wait_accepted(20, PATIENCE)?;
    let elsewhere: usize = ["second", "third"].iter().filter_map(|name| stage.server(name).ok()?.counts().queued).sum();
    ensure!(elsewhere == 0, "{elsewhere} messages went to the secondaries, though the primary answers");
    stage.held("senders wait for the primary");
    flow.end()?;
    let backup = Load { sessions: 4, messages: 40, tag: "backup".into(), ..patient(&["second", "third"])? };
    backup.run(stage.ledger(), &AtomicBool::new(false));
    for name in ["second", "third"] {
        stage.server(name)?.wait_empty(PATIENCE)?;
    }
    stage.held("what the secondaries had was handed over the slow way");
    slow.into_iter().try_for_each(crate::stage::Broken::heal)
}
