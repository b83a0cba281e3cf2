//! kill -9 and clean stops, at any moment, of any part: what got 250 is never lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::networks::OFFICE;
use crate::Result;
use crate::faults::{KILL_SERVICE, PAUSE_SERVICE, STOP};
use crate::load::{Draw, Load};
use crate::node::runs;
use crate::peer::{Deed, Peer};
use crate::scenario::{ANY, BONGSU, EVERYWHERE, PROCESSES, SERVED, Scenario};
use crate::server::Server;
use crate::stage::{PATIENCE, SENDERS, Stage};
use crate::topology::Topology;
use crate::wait::wait_for;

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
    Scenario {
        name: "relay_out_killed_two_hundred_times_while_it_drains_its_queue",
        shows: "Five nodes hand over a thousand messages each while relay-out is killed at drawn moments, 200 times in all: nothing is lost, and only what was in flight at a kill comes again.",
        rows: &["R3.2", "R8"],
        topology: five_relays,
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: drain,
    },
];

/// Nodes that drain their queues side by side: a service that dies within its first second is started again later and later, so that one
/// node alone would take minutes.
const RELAYS: [&str; 5] = ["one", "two", "three", "four", "five"];
/// Kills of each.
const KILLS: usize = 40;
/// Messages that wait at each.
const DRAINED: usize = 1000;
/// One life of three lasts longer than a second, so that the pauses between lives start over.
const LONG_LIFE: (u64, u64) = (1150, 1350);
const SHORT_LIFE: (u64, u64) = (0, 300);
/// What the next hop takes for each message, so that the queues outlast the kills.
const SLOW: Duration = Duration::from_millis(300);

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

fn five_relays() -> Result<Topology> {
    let node = |name: &str| format!("[[node]]\nname = \"{name}\"\nrelay_domains = [\"{name}.example\"]\n");
    Topology::parse(&format!(
        "name = \"five-relays\"\nabout = \"Five nodes without mailboxes, each with a domain outside to relay for.\"\n{}\
         [[zone]]\ndomain = \"relays.example\"\n",
        RELAYS.map(node).concat()
    ))
}

fn drain(stage: &Stage) -> Result<()> {
    let peers = RELAYS.map(|name| stage.outside(&format!("{name}.example"), 10, &["PIPELINING"]));
    let peers: Vec<Arc<Peer>> = peers.into_iter().collect::<Result<_>>()?;
    stage.each(|server| {
        server.hold(true)?;
        let name = &server.plan().name;
        let to = format!("somebody@{name}.example");
        let load = Load { messages: DRAINED, per_session: 50, tag: name.clone(), ..stage.load(&[name], &[&to])? };
        let report = load.run(stage.ledger(), &AtomicBool::new(false));
        ensure!(report.accepted == DRAINED, "{report:?}");
        Ok(())
    })?;
    stage.step(format!("{DRAINED} messages wait at each of {} nodes", RELAYS.len()));
    peers.iter().for_each(|peer| peer.script("MAIL", None, Deed::Late(SLOW)));
    let lives = std::sync::Mutex::new(BTreeMap::new());
    stage.each(|server| {
        let at = stage.topology.index(&server.plan().name)?;
        let of_it = kill_again_and_again(server, &peers[at], at as u64)?;
        lives.lock().unwrap_or_else(std::sync::PoisonError::into_inner).insert(at, of_it);
        Ok(())
    })?;
    let taken: usize = peers.iter().map(|peer| peer.taken().len()).sum();
    stage.step(format!("relay-out was killed {} times, while {taken} messages were taken", KILLS * RELAYS.len()));
    peers.iter().for_each(|peer| peer.answer("MAIL", None, "250 2.1.0 ok"));
    stage.each(|server| server.wait_empty(PATIENCE))?;
    let lives = lives.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let again = lives.iter().map(|(at, ends)| repeated(&by_life(&peers[*at], ends)?)).sum::<Result<usize>>()?;
    stage.allow_duplicates(again, "relay-out died before it wrote down what the peer had taken");
    stage.settle(PATIENCE)?;
    stage.held(format!("{again} copies came again, each of a message that was in flight at a kill"));
    Ok(())
}

/// Lets the queue go, and kills relay-out at drawn moments. The connections that the peer had seen by the end of each life.
fn kill_again_and_again(server: &dyn Server, peer: &Peer, seed: u64) -> Result<Vec<usize>> {
    let (mut draw, mut lives) = (Draw(20_261_127 + seed), Vec::new());
    server.hold(false)?;
    for number in 0..KILLS {
        let process = wait_for("relay-out", PATIENCE, || Ok(relay_out(server))).with_context(|| server.log_tail(20))?;
        let (least, most) = if number % 3 == 0 { LONG_LIFE } else { SHORT_LIFE };
        std::thread::sleep(Duration::from_millis(draw.between(least, most)));
        let left = server.counts().queued.unwrap_or(0);
        ensure!(left > 0, "the queue was drained after {number} kills");
        kill_process(i32::try_from(process).ok().and_then(Pid::from_raw).context("a process id")?, Signal::KILL)?;
        wait_for("the end of relay-out", PATIENCE, || Ok((!runs(process)).then_some(())))?;
        lives.push(peer.connections());
    }
    Ok(lives)
}

/// The process of a node's relay-out, if it has one now: cheaper than to ask the node 200 times.
fn relay_out(server: &dyn Server) -> Option<u32> {
    let is =
        |process: &u32| std::fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|line| line.ends_with(b"\0relay-out\0"));
    server.processes().into_iter().find(is)
}

/// The messages of each life of relay-out as the peer took them. A life ends at a kill, and a connection belongs to one life.
fn by_life(peer: &Peer, ends: &[usize]) -> Result<Vec<Vec<String>>> {
    let mut lives = vec![Vec::new(); ends.len() + 1];
    for taken in peer.taken() {
        let life = ends.partition_point(|end| *end <= taken.connection);
        lives[life].push(crate::ledger::token(&taken.message).context("a message without a token")?);
    }
    Ok(lives)
}

/// How many copies came again. Each must be of a message that was among the last of its life, as many as docs/spool.md allows, and none may
/// come twice in one life.
fn repeated(lives: &[Vec<String>]) -> Result<usize> {
    let mut before: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut again = 0;
    for (life, tokens) in lives.iter().enumerate() {
        for (at, token) in tokens.iter().enumerate() {
            let Some((earlier, behind)) = before.insert(token, (life, tokens.len() - at)) else { continue };
            ensure!(earlier < life, "{token} came twice in life {life} of relay-out");
            ensure!(behind <= WINDOW, "{token} came again, though it was followed by {behind} others of life {earlier}");
            again += 1;
        }
    }
    Ok(again)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_in_flight_at_a_kill_may_come_again() {
        let life = |numbers: std::ops::Range<usize>| numbers.map(|number| number.to_string()).collect::<Vec<_>>();
        assert_eq!(repeated(&[life(0..100), life(58..120)]).unwrap(), 42);
        assert!(repeated(&[life(0..100), life(57..120)]).is_err(), "it was recorded long before the kill");
        assert!(repeated(&[[life(0..3), life(2..3)].concat()]).is_err(), "there was no kill");
        assert_eq!(repeated(&[life(0..1), life(0..1), life(0..1)]).unwrap(), 2);
    }
}
