//! An office that hands all its mail to a smart host.

use anyhow::{Context, ensure};

use crate::Result;
use crate::client::Ran;
use crate::faults::STOP;
use crate::scenario::{BONGSU, EVERYWHERE, Scenario};
use crate::stage::{PATIENCE, Stage};
use crate::topology::{SmartHost, Topology};
use crate::wait::wait_until;

const SENDER: &str = "minji@office.example";
const ACCOUNT: &str = "customer@provider.example";
const FAR: &str = "juno@far.example";

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "mail_goes_out_through_a_smart_host_that_wants_a_login",
        shows: "An office hands all its mail to a smart host after a login. While the password is wrong or the account is gone, mail waits and mailq says why; once that is mended it goes out, and all of it by the smart host.",
        rows: &["R3.7", "R4.5"],
        topology: network,
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: login,
    },
    Scenario {
        name: "mail_goes_out_through_a_smart_host_that_knows_the_network",
        shows: "An office hands all its mail to a smart host that takes it for the network that it comes from, without a login: all of it goes out by the smart host.",
        rows: &["R3.7", "R1.11"],
        topology: || {
            let network = network()?.edit("provider", |provider| provider.settings = NETWORKS.into())?;
            network.edit("office", |office| office.smart_host = Some(SmartHost { node: "provider".into(), user: None }))
        },
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: no_login,
    },
];

/// The networks that nodes are in, as processes and in containers.
const NETWORKS: &str = "smtp.relay_networks = [\"127.0.0.0/8\", \"198.18.0.0/15\"]";

/// An office, its provider, and a domain outside. The client is a stranger to the office, which takes its mail for that domain alone.
fn network() -> Result<Topology> {
    Topology::shipped("smart-host")?.edit("office", |office| office.relay_domains.push("far.example".into()))
}

/// `bongsu account ARGS` at the provider, for the customer's account; `input` holds a password.
fn account(stage: &Stage, args: &[&str], input: &str) -> Result<Ran> {
    let (deed, more) = args.split_first().context("a deed")?;
    let words = [&["account", deed, ACCOUNT], more].concat();
    stage.server("provider")?.command(&words, input.as_bytes())?.ok()
}

/// The only message at the office waits, and mailq there says why.
fn waits(stage: &Stage, deferred: usize) -> Result<()> {
    let (_, reply) = stage.send("office", SENDER, &[FAR])?;
    ensure!(reply.starts_with("250 "), "the office said {reply}");
    stage.wait_events("office", "deferred", deferred + 1)?;
    let office = stage.server("office")?;
    let shown = || office.command(&["mailq"], b"").map(|ran| ran.text.split_whitespace().collect::<Vec<_>>().join(" "));
    for words in ["cannot log in at mail.provider.example", "535"] {
        wait_until(&format!("`{words}` in mailq"), PATIENCE, || shown().is_ok_and(|shown| shown.contains(words)))
            .with_context(|| shown().unwrap_or_default())?;
    }
    let queued = office.queued()?.len();
    ensure!(queued == 1, "{queued} messages wait at the office");
    Ok(())
}

/// All that was sent is at its end, and nothing is returned.
fn arrives(stage: &Stage, count: usize) -> Result<()> {
    stage.server("office")?.run_queue()?;
    for node in ["office", "provider"] {
        stage.server(node)?.wait_empty(PATIENCE)?;
    }
    let copies = || stage.server("far").and_then(crate::server::Server::copies).map_or(0, |copies| copies.len());
    wait_until(&format!("{count} messages at far"), PATIENCE, || copies() == count)
}

fn login(stage: &Stage) -> Result<()> {
    // Before the first message: a connection that is kept has its login behind it.
    account(stage, &["passwd"], "another\n")?;
    stage.step("the password of the office's account at its smart host is another now");
    waits(stage, 0)?;
    stage.held("the login is refused: mail waits, and mailq says so");
    account(stage, &["passwd"], "secret-customer\n")?;
    arrives(stage, 1)?;
    stage.held("with the right password it goes out");

    let deferred = stage.server("office")?.events()?.iter().filter(|event| event.what == "deferred").count();
    let away = stage.strike(&STOP, &["provider"])?;
    account(stage, &["remove"], "")?;
    away.heal()?;
    stage.step("the account is gone");
    waits(stage, deferred)?;
    stage.held("without an account mail waits, too");
    account(stage, &["add", "--owns", SENDER], "secret-customer\n")?;
    arrives(stage, 2)?;
    stage.held("it goes out once the account is there again");

    by_the_smart_host_alone(stage, "ESMTPSA")?;
    stage.held("every message came to far from the smart host, and there from the office, under TLS and with a login");
    let books = stage.settle(PATIENCE)?;
    ensure!(books.accepted == 2 && books.delivered == 2 && books.bounced == 0, "{books:?}");
    Ok(())
}

fn no_login(stage: &Stage) -> Result<()> {
    for _ in 0..2 {
        stage.send("office", SENDER, &[FAR])?;
    }
    arrives(stage, 2)?;
    by_the_smart_host_alone(stage, "ESMTPS")?;
    stage.held("every message came to far from the smart host, and there from the office, under TLS and without a login");
    let books = stage.settle(PATIENCE)?;
    ensure!(books.accepted == 2 && books.delivered == 2, "{books:?}");
    Ok(())
}

/// What the office sent went to the smart host by this protocol (RFC 3848), and what far has came from there.
fn by_the_smart_host_alone(stage: &Stage, protocol: &str) -> Result<()> {
    let smart = stage.server("provider")?.host().to_owned();
    for event in stage.server("office")?.events()?.iter().filter(|event| event.what == "relayed") {
        ensure!(event.detail.contains(&smart), "the office relayed {}", event.detail);
    }
    for copy in stage.server("far")?.copies()? {
        let text = String::from_utf8_lossy(&copy.text).replace("\r\n", "\n");
        let hops: Vec<&str> = text.split("\nReceived: ").skip(1).collect();
        ensure!(hops.len() >= 3 && hops[0].starts_with(&format!("from {smart} ")), "far got it by another way:\n{text}");
        let by = format!("with {protocol} ");
        ensure!(hops[1].starts_with("from office.office.example ") && hops[1].contains(&by), "not {by}:\n{text}");
    }
    Ok(())
}
