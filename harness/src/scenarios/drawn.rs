//! Faults that nobody chose: a seed draws them.

use std::time::Duration;

use super::networks::{ALL_MX, OFFICE};
use crate::Result;
use crate::faults::draw;
use crate::scenario::{ANY, PROCESSES, Scenario};
use crate::stage::{PATIENCE, Stage};
use crate::topology::Topology;

/// Answers of peers that may be unrecorded when a connection or a relaying service dies (docs/spool.md).
const WINDOW: usize = 42;

/// All of them.
pub const ALL: &[Scenario] = &[Scenario {
    name: "faults_drawn_from_a_seed",
    shows: "Twenty seconds of faults that a seed draws, on three MX under load: kills, stops, freezes, cuts, slow links, names that fail. Nothing is lost.",
    rows: &["R3.3", "R8"],
    topology: || Ok(Topology::shipped("three-mx")?.with("relay.reply_timeout = \"3s\"")),
    drivers: PROCESSES,
    systems: ANY,
    alone: false,
    run: |stage| drawn(stage, 20_261_126),
}];

fn drawn(stage: &Stage, seed: u64) -> Result<()> {
    let flow = stage.flow(stage.steady(ALL_MX, OFFICE, 40.0)?);
    flow.wait_accepted(20, PATIENCE)?;
    let broken = draw::draw(stage, seed, Duration::from_secs(20))?;
    flow.wait_accepted(20, PATIENCE)?;
    let (_, report) = flow.end()?;
    stage.step(format!("{} faults, {} messages accepted, {} connections broken", broken.len(), report.accepted, report.broken));
    stage.allow_duplicates(broken.len() * WINDOW, "a node or a link died after the peer's 250 and before the record of it");
    Ok(())
}
