//! A queue that moves to another node.

use std::sync::atomic::AtomicBool;

use anyhow::{Context, ensure};

use super::networks::FAR;
use crate::Result;
use crate::load::Load;
use crate::scenario::{BONGSU, PROCESSES, Scenario};
use crate::stage::{PATIENCE, Stage};
use crate::topology::Topology;
use crate::wait::{wait_for, wait_until};

/// All of them.
pub const ALL: &[Scenario] = &[Scenario {
    name: "queue_is_exported_from_one_node_and_goes_out_from_another",
    shows: "Three hundred messages wait, a third of them partly delivered: all are exported, imported at another node, and each recipient who was left has the message once.",
    rows: &["R3.6"],
    topology: || {
        let relays = |node: &mut crate::topology::NodePlan| node.relay_domains.push(FAR.into());
        // One attempt at each: hundreds of them every second would only cost time.
        let pair = Topology::shipped("pair")?.with("queue.retry = [\"1h\"]");
        pair.edit("primary", relays)?.edit("secondary", relays)
    },
    drivers: PROCESSES,
    systems: BONGSU,
    alone: false,
    run: moved,
}];

const MESSAGES: usize = 300;

fn moved(stage: &Stage) -> Result<()> {
    let peer = stage.outside(FAR, 10, &["PIPELINING"])?;
    peer.answer("RCPT TO:<later", None, "450 4.2.0 not now");
    let recipients = ["later1@far.example", "good@far.example later2@far.example", "later3@far.example later4@far.example"];
    let load = Load { messages: MESSAGES, per_session: 20, ..stage.load(&["primary"], &recipients)? };
    load.run(stage.ledger(), &AtomicBool::new(false));
    let (old, new) = (stage.server("primary")?, stage.server("secondary")?);
    wait_until("the good recipients", PATIENCE, || peer.taken().len() == MESSAGES / 3)?;
    // Four of five recipients wait, each with its reason.
    wait_for("the others' reasons to wait", PATIENCE, || {
        let reasons = old.list_queue()?.text.matches("not now").count();
        Ok((reasons >= MESSAGES).then_some(()))
    })?;
    stage.step("all wait at the primary, and a third of them was delivered to one of two recipients");
    let (dir, mut archives) = (tempfile::tempdir()?, 0);
    wait_for("an empty queue at the old node", PATIENCE, || {
        let archive = dir.path().join(format!("{archives}.tar")).display().to_string();
        archives += 1;
        old.command(&["queue", "export", "--all", "--remove", &archive], b"")?.ok().context("export")?;
        new.command(&["queue", "import", &archive], b"")?.ok().context("import")?;
        Ok(old.queued()?.is_empty().then_some(()))
    })?;
    ensure!(new.queued()?.len() == MESSAGES, "{} messages came to the other node", new.queued()?.len());
    stage.held(format!("all moved, in {archives} archives"));
    let before = new.events()?.iter().filter(|event| event.what == "relayed").count();
    peer.answer("RCPT TO:<later", None, "250 2.1.5 ok");
    let books = stage.settle(PATIENCE)?;
    ensure!(books.accepted == MESSAGES / 3 * 5 && books.handed_over == books.accepted, "{books:?}");
    let relayed = new.events()?.iter().filter(|event| event.what == "relayed").count() - before;
    ensure!(relayed == MESSAGES / 3 * 4, "the other node relayed to {relayed} recipients");
    stage.held("who was left has the message once, from the other node");
    Ok(())
}
