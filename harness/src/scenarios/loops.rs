//! Mail that goes in circles: it ends, and its sender is told.

use anyhow::ensure;

use super::networks::office;
use crate::Result;
use crate::scenario::{BONGSU, EVERYWHERE, PROCESSES, Scenario};
use crate::stage::{PATIENCE, Stage};
use crate::topology::Topology;
use crate::wait::wait_until;

const SENDER: &str = "minji@office.example";

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "aliases_that_lead_to_each_other",
        shows: "Two aliases lead to each other: who writes to them is told of the circle, and the others on a list that has them get one copy.",
        rows: &["R4.2", "R3.4"],
        topology: || {
            office("")?.edit("office", |office| office.aliases.push_str("round: trip\ntrip: round\nmixed: sora, round, sora\n"))
        },
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: aliases,
    },
    Scenario {
        name: "two_nodes_that_relay_to_each_other",
        shows: "Two nodes take each other for the way to a domain: the message passes between them until its hops are too many, and is returned with 5.4.6.",
        rows: &["R3.6", "R3.4"],
        topology: || {
            let to = |host: &str| {
                format!("relay.smart_host.host = \"{host}\"\nrelay.smart_host.port = 2525\nrelay.smart_host.tls = \"none\"\n")
            };
            let pair = Topology::shipped("pair")?.with("smtp.hop_limit = 12");
            let pair = pair.edit("primary", |node| {
                node.relay_domains.push("circle.example".into());
                node.settings = to("secondary.office.example");
            })?;
            pair.edit("secondary", |node| {
                node.relay_domains.push("circle.example".into());
                node.settings = to("primary.office.example");
            })
        },
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: nodes,
    },
];

/// The only message in a mailbox, once it is there.
fn only_message(stage: &Stage, mailbox: &str) -> Result<String> {
    let here = || stage.servers().filter_map(|server| server.copies().ok()).flatten().filter(|copy| copy.address == mailbox);
    wait_until(&format!("a message for {mailbox}"), PATIENCE, || here().next().is_some())?;
    stage.each(|server| server.wait_empty(PATIENCE))?;
    let copies: Vec<_> = here().collect();
    ensure!(copies.len() == 1, "{mailbox} has {} messages", copies.len());
    Ok(String::from_utf8_lossy(&copies[0].text).into_owned())
}

fn aliases(stage: &Stage) -> Result<()> {
    stage.send("office", SENDER, &["round@office.example"])?;
    let told = only_message(stage, SENDER)?;
    ensure!(told.contains("Status: 5.4.6"), "the sender was told:\n{told}");
    stage.held("who writes to a circle is told of it");
    stage.send("office", "juno@office.example", &["mixed@office.example"])?;
    only_message(stage, "sora@office.example")?;
    stage.held("who else is on the list gets one copy");
    Ok(())
}

fn nodes(stage: &Stage) -> Result<()> {
    stage.send("primary", SENDER, &["somebody@circle.example"])?;
    let told = only_message(stage, SENDER)?;
    ensure!(told.contains("Status: 5.4.6"), "the sender was told:\n{told}");
    let hops = ["primary", "secondary"].iter().map(|name| stage.server(name)?.events()).collect::<Result<Vec<_>>>()?;
    let relayed = hops.iter().flatten().filter(|event| event.what == "relayed").count();
    ensure!((5..=13).contains(&relayed), "it was relayed {relayed} times");
    stage.held(format!("it was relayed {relayed} times, and returned"));
    Ok(())
}
