//! The name server is down, slow, cuts its answers short, or lies: mail waits or finds its way, and is never returned for that.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use anyhow::ensure;

use super::networks::{office, plain_pair};
use crate::Result;
use crate::faults::NAMES;
use crate::gate::{Gate, Mood};
use crate::node::port;
use crate::scenario::{ANY, EVERYWHERE, PROCESSES, SKIPPED, Scenario};
use crate::stage::{PATIENCE, Stage};
use crate::topology::Topology;

/// Domains outside, one for each way in which names fail: what was asked before may be remembered.
const DOMAINS: [&str; 4] = ["one.example", "two.example", "three.example", "four.example"];

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "name_server_is_down_and_mail_waits",
        shows: "The name server fails, refuses, or is silent: mail waits, is not returned, and goes out once names are answered again.",
        rows: &["R3.1", "R3.2"],
        topology: relaying,
        drivers: EVERYWHERE,
        systems: ANY,
        alone: false,
        run: down,
    },
    Scenario {
        name: "name_server_is_slow_or_cuts_its_answers_short",
        shows: "The name server takes its time, or says over UDP that its answer does not fit: mail goes out at its first attempt.",
        rows: &["R3.1"],
        topology: relaying,
        drivers: EVERYWHERE,
        systems: ANY,
        alone: false,
        run: slow,
    },
    Scenario {
        name: "name_server_lies_and_mail_waits",
        shows: "The name server names mail hosts that do not exist, or answers what was not asked: mail waits, and goes out once it tells the truth.",
        rows: &["R3.1", "R3.2"],
        topology: relaying,
        drivers: EVERYWHERE,
        systems: ANY,
        alone: false,
        run: lies,
    },
    Scenario {
        name: "ipv6_of_the_next_hop_is_a_black_hole",
        shows: "The next hop has an IPv6 address that swallows everything and an IPv4 address that works: mail goes out over IPv4 in the same attempt.",
        rows: &["R3.1"],
        topology: || plain_pair("relay.connect_timeout = \"2s\""),
        drivers: PROCESSES,
        systems: ANY,
        alone: false,
        run: black_hole,
    },
];

fn relaying() -> Result<Topology> {
    office("")?.edit("office", |office| office.relay_domains.extend(DOMAINS.map(String::from)))
}

/// A message to a domain outside whose name server has this mood, which is undone once `until` was seen. Nothing may be left then.
fn with_mood(stage: &Stage, domain: &str, mood: &str, until: impl FnOnce() -> Result<()>) -> Result<()> {
    let peer = stage.outside(domain, 10, &["PIPELINING"])?;
    let words: Vec<&str> = ["*"].into_iter().chain(mood.split(' ')).collect();
    let failing = stage.strike(&NAMES, &words)?;
    stage.send("office", "minji@office.example", &[&format!("somebody@{domain}")])?;
    until()?;
    failing.heal()?;
    stage.server("office")?.wait_empty(PATIENCE)?;
    ensure!(peer.taken().len() == 1, "{} messages arrived", peer.taken().len());
    stage.held(format!("names were {mood}, and the message arrived"));
    Ok(())
}

fn down(stage: &Stage) -> Result<()> {
    with_mood(stage, DOMAINS[0], "servfail", || stage.wait_events("office", "deferred", 1))?;
    with_mood(stage, DOMAINS[1], "refused", || stage.wait_events("office", "deferred", 2))?;
    // A silent server is given its time: the attempt still goes on when it speaks again.
    with_mood(stage, DOMAINS[2], "silent", || {
        ensure!(stage.server("office")?.queued()?.len() == 1, "the message does not wait");
        Ok(())
    })
}

fn slow(stage: &Stage) -> Result<()> {
    for (domain, mood) in [(DOMAINS[0], "slow 700"), (DOMAINS[1], "truncated")] {
        with_mood(stage, domain, mood, || stage.server("office")?.wait_empty(PATIENCE))?;
    }
    let failed = stage.server("office")?.events()?.iter().filter(|event| event.what == "deferred").count();
    ensure!(failed == 0, "{failed} attempts failed");
    Ok(())
}

fn lies(stage: &Stage) -> Result<()> {
    let nobody = stage.net().nobody();
    let lies = ["lie MX 10 no-such-host.invalid".to_owned(), format!("lie MX 10 {nobody}"), format!("lie A {nobody}")];
    for (at, (domain, lie)) in DOMAINS.iter().zip(&lies).enumerate() {
        with_mood(stage, domain, lie, || stage.wait_events("office", "deferred", at + 1))?;
    }
    Ok(())
}

fn black_hole(stage: &Stage) -> Result<()> {
    let at = SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port::MX);
    let hole = Gate::open(at, at, None, ("anybody".into(), "nobody".into()));
    let hole = hole.map_err(|error| anyhow::anyhow!("{SKIPPED}no IPv6 address to swallow everything: {error:#}"))?;
    hole.mood(Mood::BlackHole)?;
    let host = stage.server("primary")?.host().to_owned();
    stage.names().add(&host, "AAAA", &at.ip().to_string())?;
    stage.step(format!("{host} has the address {} too, which swallows everything", at.ip()));
    for _ in 0..3 {
        stage.send("secondary", "friend@client.example", &["minji@office.example"])?;
    }
    stage.wait_events("secondary", "relayed", 3)?;
    ensure!(stage.names().asked(&host, "AAAA")? > 0, "nobody asked for an IPv6 address");
    let failed = stage.server("secondary")?.events()?.iter().filter(|event| event.what == "deferred").count();
    ensure!(failed == 0, "{failed} attempts failed");
    stage.held("every message went out over IPv4 in its first attempt");
    Ok(())
}
