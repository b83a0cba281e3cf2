//! kill -9 and clean stops, at any moment, of any part: what got 250 is never lost.

use anyhow::ensure;

use super::networks::OFFICE;
use crate::Result;
use crate::faults::{KILL_SERVICE, PAUSE_SERVICE, STOP};
use crate::scenario::{ANY, BONGSU, EVERYWHERE, SERVED, Scenario};
use crate::stage::{PATIENCE, SENDERS, Stage};
use crate::topology::Topology;

/// Rounds in which each service is killed once.
const ROUNDS: usize = 3;
/// Answers of peers that may be unrecorded when relay-out dies: 32, and one for each of ten connections (docs/spool.md).
const WINDOW: usize = 42;
/// Deliveries at one time where a scenario kills deliver within them.
const CREW: usize = 8;

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "every_service_killed_under_load_again_and_again",
        shows: "Each service of a node is killed under load, three times over: nothing is lost, and no more is in doubt than was open.",
        rows: &["R3.3", "R8"],
        topology: || Topology::shipped("lab"),
        drivers: EVERYWHERE,
        systems: SERVED,
        alone: false,
        run: every_service,
    },
    Scenario {
        name: "stopped_in_order_and_started_under_load",
        shows: "A node is stopped in order and started under load, three times over: nothing is lost, nothing doubled, nothing in doubt.",
        rows: &["R8"],
        topology: || Topology::shipped("single"),
        drivers: EVERYWHERE,
        systems: ANY,
        alone: false,
        run: stops,
    },
    Scenario {
        name: "deliver_killed_between_the_copy_and_its_record_while_the_owner_deletes_it",
        shows: "deliver is frozen in its work, the owner fetches and deletes what is there, and deliver is killed: nothing is lost, and only a copy of that moment may come again.",
        rows: &["R4.6", "R8"],
        topology: || Ok(Topology::shipped("single")?.with(&format!("deliver.concurrency = {CREW}"))),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: between,
    },
];

fn every_service(stage: &Stage) -> Result<()> {
    let recipients = ["minji@seoul.example", "juno@busan.example", "sora@seoul.example hana@busan.example"];
    let flow = stage.flow(stage.steady(&["seoul"], &recipients, 100.0)?);
    let services = stage.server("seoul")?.services();
    for round in 1..=ROUNDS {
        for service in services {
            flow.wait_accepted(8, PATIENCE)?;
            stage.strike(&KILL_SERVICE, &["seoul", service])?.heal()?;
        }
        stage.step(format!("round {round} of {ROUNDS}: {} services were killed", services.len()));
    }
    flow.wait_accepted(20, PATIENCE)?;
    let (ledger, _) = flow.end()?;
    // Of all services one alone has the sessions of these senders, each with one transaction.
    let (doubtful, open) = (ledger.doubtful(), ROUNDS * SENDERS);
    ensure!(doubtful <= open, "{doubtful} tries are in doubt, and {open} transactions were open");
    stage.held(format!("{doubtful} tries are in doubt, of {open} that may have been open"));
    stage.allow_duplicates(
        ROUNDS * WINDOW,
        "relay-out died before it wrote down what the peer had taken: 32 answers, and one for each connection",
    );
    Ok(())
}

fn stops(stage: &Stage) -> Result<()> {
    let flow = stage.flow(stage.steady(&["office"], OFFICE, 60.0)?);
    for _ in 0..3 {
        flow.wait_accepted(40, PATIENCE)?;
        stage.strike(&STOP, &["office"])?.heal()?;
    }
    flow.wait_accepted(40, PATIENCE)?;
    let (ledger, report) = flow.end()?;
    ensure!(report.refused == 0 && report.in_doubt == 0, "{report:?}");
    ensure!(ledger.doubtful() == 0, "{} tries were left without a reply by a stop in order", ledger.doubtful());
    stage.held("every message had its reply before the node ended");
    Ok(())
}

fn between(stage: &Stage) -> Result<()> {
    let rounds = 5;
    let mailbox = "minji@office.example";
    let flow = stage.flow(stage.steady(&["office"], &[mailbox], 120.0)?);
    let mut fetched = 0;
    for _ in 0..rounds {
        // Over a second of this load: a service that dies sooner is started again later and later.
        flow.wait_accepted(160, PATIENCE)?;
        stage.strike(&PAUSE_SERVICE, &["office", "deliver"])?.keep();
        fetched += stage.fetch_all(mailbox)?;
        stage.strike(&KILL_SERVICE, &["office", "deliver"])?.heal()?;
    }
    flow.end()?;
    stage.step(format!("{fetched} messages were fetched and deleted while deliver stood still"));
    stage.allow_duplicates(rounds * CREW, "a copy was fetched and deleted before deliver had written down that it is there");
    Ok(())
}
