//! Two mail systems in one network: bongsu and another keep mail for each other, and hand it over.

use std::time::Duration;

use anyhow::ensure;

use crate::Result;
use crate::faults::{KILL, STOP};
use crate::load::Load;
use crate::scenario::{BONGSU, PROCESSES, Scenario};
use crate::stage::{PATIENCE, Stage};
use crate::topology::{SystemKind, Topology};
use crate::wait::wait_until;

/// Messages that the secondaries hand over at one time: each may be doubled where the primary dies.
const MOST_HANDED_OVER: usize = 20;

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "mail_is_handed_over_with_postfix_as_secondary",
        shows: "The primary is away, a Postfix backup MX takes mail for it, keeps it, and hands it over octet for octet when the primary is back.",
        rows: &["R3.3"],
        topology: || with(SystemKind::Postfix, "pair", "secondary"),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: handed_over,
    },
    Scenario {
        name: "mail_is_handed_over_with_postfix_as_primary",
        shows: "A Postfix primary is away, our backup MX takes mail for it, keeps it, and hands it over octet for octet when Postfix is back.",
        rows: &["R3.1", "R3.3"],
        topology: || with(SystemKind::Postfix, "pair", "primary"),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: handed_over,
    },
    Scenario {
        name: "mail_is_handed_over_with_exim_as_secondary",
        shows: "The primary is away, an Exim backup MX takes mail for it, keeps it, and hands it over octet for octet when the primary is back.",
        rows: &["R3.3"],
        topology: || with(SystemKind::Exim, "pair", "secondary"),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: handed_over,
    },
    Scenario {
        name: "mail_is_handed_over_with_exim_as_primary",
        shows: "An Exim primary is away, our backup MX takes mail for it, keeps it, and hands it over octet for octet when Exim is back.",
        rows: &["R3.1", "R3.3"],
        topology: || with(SystemKind::Exim, "pair", "primary"),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: handed_over,
    },
    Scenario {
        name: "mail_is_handed_over_with_opensmtpd_as_secondary",
        shows: "The primary is away, an OpenSMTPD backup MX takes mail for it, keeps it, and hands it over octet for octet when the primary is back.",
        rows: &["R3.3"],
        topology: || with(SystemKind::OpenSmtpd, "pair", "secondary"),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: handed_over,
    },
    Scenario {
        name: "mail_is_handed_over_with_opensmtpd_as_primary",
        shows: "An OpenSMTPD primary is away, our backup MX takes mail for it, keeps it, and hands it over octet for octet when OpenSMTPD is back.",
        rows: &["R3.1", "R3.3"],
        topology: || with(SystemKind::OpenSmtpd, "pair", "primary"),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: handed_over,
    },
    Scenario {
        name: "primary_killed_under_load_with_postfix_as_one_of_two_secondaries",
        shows: "Three MX, one of them Postfix, the primary killed under load: both secondaries take over, and what each of them took is delivered.",
        rows: &["R3.3"],
        topology: || with(SystemKind::Postfix, "three-mx", "third"),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: killed_under_load,
    },
    Scenario {
        name: "offices_write_to_each_other_with_postfix_as_the_other",
        shows: "Two offices, one of them Postfix, each the other's backup MX: mail crosses both ways, and neither loops mail for the other back to itself.",
        rows: &["R3.1", "R3.3"],
        topology: || with(SystemKind::Postfix, "lab", "busan"),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: both_ways,
    },
];

/// A shipped topology in which one node is of another make.
fn with(system: SystemKind, name: &str, node: &str) -> Result<Topology> {
    Topology::shipped(name)?.edit(node, |node| node.system = system)
}

fn handed_over(stage: &Stage) -> Result<()> {
    let away = stage.strike(&STOP, &["primary"])?;
    stage.step("the primary is away");
    for to in [&["minji@office.example"][..], &["sora@office.example", "juno@office.example"], &["team@office.example"]] {
        let (_, reply) = stage.send("secondary", "friend@client.example", to)?;
        ensure!(reply.starts_with("250 "), "the secondary said {reply}");
    }
    let queued = || stage.server("secondary").ok().and_then(|server| server.counts().queued);
    wait_until("three messages queued at the secondary", PATIENCE, || queued() == Some(3))?;
    stage.held("the secondary keeps all three messages");
    away.heal()?;
    let books = stage.settle(Duration::from_secs(60))?;
    ensure!(books.accepted == 6 && books.delivered == 6, "{books:?}");
    for (mailbox, expected) in [("minji@office.example", 2), ("sora@office.example", 2), ("juno@office.example", 2)] {
        let mut pop = stage.pop(mailbox)?;
        let (count, _) = pop.stat()?;
        ensure!(count == expected, "{mailbox} has {count} messages");
        pop.quit()?;
    }
    stage.held("every mailbox has its two messages, over POP3");
    Ok(())
}

fn killed_under_load(stage: &Stage) -> Result<()> {
    let to = ["minji@office.example", "sora@office.example", "minji@office.example juno@office.example"];
    // One load for each secondary: both are to be under way when the primary dies.
    let load = |mx: &[&str]| -> Result<Load> {
        let timeout = Duration::from_secs(3);
        let named = stage.load(mx, &to)?;
        let tag = format!("{}-{}", named.tag, mx[0]);
        Ok(Load { sessions: 4, rate: Some(30.0), timeout, patience: Duration::from_secs(30), tag, ..named })
    };
    let flows = [stage.flow(load(&["second", "third"])?), stage.flow(load(&["third", "second"])?)];
    flows[0].wait_accepted(40, PATIENCE)?;
    stage.allow_duplicates(
        MOST_HANDED_OVER,
        "the primary dies between its commit and its 250, so the secondary hands the message over once more",
    );
    let down = stage.strike(&KILL, &["primary"])?;
    let queued = |node: &str| stage.server(node).ok().and_then(|server| server.counts().queued).unwrap_or(0);
    wait_until("mail queued at both secondaries", PATIENCE, || queued("second") > 20 && queued("third") > 20)?;
    stage.held("both secondaries keep mail");
    down.heal()?;
    flows[0].wait_accepted(20, PATIENCE)?;
    for flow in flows {
        flow.end()?;
    }
    let books = stage.settle(Duration::from_secs(60))?;
    ensure!(books.delivered == books.accepted, "{books:?}");
    Ok(())
}

fn both_ways(stage: &Stage) -> Result<()> {
    for (node, from, to) in [
        ("seoul", "juno@busan.example", "minji@seoul.example"),
        ("busan", "juno@busan.example", "minji@seoul.example"),
        ("seoul", "minji@seoul.example", "juno@busan.example"),
        ("busan", "minji@seoul.example", "juno@busan.example"),
    ] {
        let (_, reply) = stage.send(node, from, &[to])?;
        ensure!(reply.starts_with("250 "), "{node} said {reply} to a message for {to}");
    }
    let books = stage.settle(Duration::from_secs(60))?;
    ensure!(books.delivered == 4, "{books:?}");
    for (office, mailbox) in [("seoul", "minji@seoul.example"), ("busan", "juno@busan.example")] {
        let away = stage.strike(&STOP, &[office])?;
        let other = if office == "seoul" { "busan" } else { "seoul" };
        let (_, reply) = stage.send(other, "friend@client.example", &[mailbox])?;
        ensure!(reply.starts_with("250 "), "{other} said {reply}");
        wait_until("a message kept", PATIENCE, || {
            stage.server(other).ok().and_then(|server| server.counts().queued) == Some(1)
        })?;
        away.heal()?;
    }
    stage.held("each keeps mail for the other, and has no loop");
    Ok(())
}
