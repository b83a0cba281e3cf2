//! Power cuts: what got 250 is found again on what the disk held at that moment.
//!
//! A node works on a disk that can be cloned at any moment. Each clone is mounted, recovered, served by a second node, and audited. The
//! mutants leave one kind of sync out and must be caught: they show that the cuts cut.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bongsu_harness::dns::Dns;
use bongsu_harness::ledger::{Ledger, Line, Told};
use bongsu_harness::load::{Draw, Load};
use bongsu_harness::node::{Node, Plan, free_address, port};
use bongsu_harness::peer::Peer;
use bongsu_harness::power::{Disks, Remains, impossible};
use bongsu_harness::wait::wait_until;

const CUTS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections that relay-out keeps to the peer.
const CONNECTIONS: u32 = 5;
/// What a cut may repeat, as docs/spool.md says: unrecorded answers, and one more for each connection.
const WINDOW: usize = 32 + CONNECTIONS as usize;
/// Every synced message of a burst would be one of these lost by a mutant.
const BURST: usize = 60;

fn scratch() -> PathBuf {
    std::env::var_os("HARNESS_SCRATCH").map_or_else(std::env::temp_dir, PathBuf::from)
}

/// Says why nothing is tried, where nothing can be.
fn skipped() -> bool {
    let why = impossible();
    if let Some(why) = &why {
        eprintln!("SKIPPED: {why}");
    }
    why.is_some()
}

/// The mutant binary, made by `tests/all`; without it the mutants are skipped aloud.
fn mutants() -> Option<PathBuf> {
    let path = std::env::var_os("HARNESS_MUTANTS").map(PathBuf::from).filter(|path| path.is_file());
    if path.is_none() {
        eprintln!("SKIPPED: HARNESS_MUTANTS names no binary built with --features mutants (tests/all builds it)");
    }
    path
}

struct Bench {
    disks: Disks,
    node: Node,
    dns: Dns,
    peer: Peer,
}

fn plan(dir: &Path, dns: &Dns, mutant: Option<(&Path, &str)>) -> Plan {
    let mut plan = Plan::new("cut", &["user0", "user1", "user2"]).with(&format!(
        "relay.nameservers = [\"{}\"]\nrelay.port = {}\nrelay.allow_loopback = true\nrelay.per_destination = {CONNECTIONS}\nqueue.retry = [\"1h\"]\nsmtp.max_sessions_per_address = 0\nsmtp.connection_rate_per_address = \"100000/60s\"\nspool.ballast = false",
        dns.address(),
        port::MX
    ));
    plan.relay_domains = vec!["peer.example".into()];
    plan.dir = Some(dir.join("node"));
    if let Some((binary, mutant)) = mutant {
        plan.binary = Some(binary.to_owned());
        plan.environment = vec![("BONGSU_MUTANT".into(), mutant.into())];
    }
    plan
}

fn bench(mutant: Option<(&Path, &str)>) -> Bench {
    let disks = Disks::new(&scratch(), 1000, Path::new("node/data/mail")).unwrap();
    let dns = Dns::start("127.0.0.1".parse().unwrap()).unwrap();
    let peer = Peer::start(IpAddr::V4(free_address()), port::MX, &["PIPELINING"]).unwrap();
    dns.mx("peer.example", 10, "mx.peer.example").unwrap();
    dns.host("mx.peer.example", peer.address().ip()).unwrap();
    let node = plan(disks.path(), &dns, mutant).start().unwrap();
    Bench { disks, node, dns, peer }
}

fn load(node: &Node, recipients: &[&str], messages: usize) -> Load {
    Load {
        sessions: 4,
        messages,
        recipients: recipients.iter().map(|r| (*r).to_owned()).collect(),
        size: (300, 5_000),
        tag: "cut".into(),
        seed: 11,
        timeout: Duration::from_secs(30),
        ..Load::new(&[node.at(port::MX)], &[])
    }
}

const LOCAL: [&str; 3] = ["user0@cut.example", "user1@cut.example", "user2@cut.example"];

/// A node that serves what a cut left, until its queue is empty.
fn recover(bench: &Bench, remains: &Remains) -> Node {
    let mut node = plan(remains.path(), &bench.dns, None).adopt().unwrap();
    node.start().unwrap();
    node.cli(&["queue", "run"]).unwrap().ok().unwrap();
    node.wait_empty(PATIENCE).unwrap();
    node
}

/// Tokens of `accepted` that are missing among `found`, and copies beyond the first.
fn compare(accepted: &[String], found: &[Vec<u8>]) -> (usize, usize) {
    let ledger = Ledger::default();
    for token in accepted {
        ledger.enter(token, Line::new(Told::Accepted, &["user@cut.example"]));
    }
    // What was accepted after the cut is unknown to these books, rightly.
    let audit = ledger.audit(found.iter().map(Vec::as_slice));
    (audit.lost.len(), audit.duplicated.len())
}

/// After a random 250 the power goes, twenty times, under load.
#[test]
fn twenty_power_cuts_under_load_lose_nothing() {
    if skipped() {
        return;
    }
    let bench = bench(None);
    let flow = load(&bench.node, &LOCAL, usize::MAX / 2).start();
    let mut draw = Draw(1_123);
    for number in 0..CUTS {
        flow.wait_accepted(draw.between(5, 60) as usize, PATIENCE)
            .unwrap_or_else(|e| panic!("{e:#}\n{}", bench.node.log_tail(40)));
        let accepted = flow.ledger().accepted_tokens();
        let remains = bench.disks.cut(number).unwrap();
        let node = recover(&bench, &remains);
        let (lost, duplicated) = compare(&accepted, &node.delivered().unwrap());
        assert_eq!((lost, duplicated), (0, 0), "cut {number} of {} accepted\n{}", accepted.len(), node.log_tail(40));
        assert!(node.status().is_ok());
    }
    flow.end().unwrap();
}

/// A burst is accepted, and at the last 250 the power goes. How many of it are lost?
fn lost_after_acceptance(mutant: Option<(&Path, &str)>) -> usize {
    let bench = bench(mutant);
    bench.peer.answer("CONNECT", None, "421 4.3.2 closed");
    let ledger = Ledger::default();
    let report = load(&bench.node, &["you@peer.example"], BURST).run(&ledger, &false.into());
    assert_eq!(report.accepted, BURST);
    let remains = bench.disks.cut(0).unwrap();
    bench.peer.answer("CONNECT", None, "220 open");
    let _node = recover(&bench, &remains);
    let found: Vec<Vec<u8>> = bench.peer.taken().into_iter().map(|taken| taken.message).collect();
    compare(&ledger.accepted_tokens(), &found).0
}

/// A burst is delivered, and when the queue is empty the power goes. How many of it are lost?
fn lost_after_delivery(mutant: Option<(&Path, &str)>) -> usize {
    let bench = bench(mutant);
    let ledger = Ledger::default();
    let report = load(&bench.node, &LOCAL, BURST).run(&ledger, &false.into());
    assert_eq!(report.accepted, BURST);
    bench.node.wait_empty(PATIENCE).unwrap();
    let remains = bench.disks.cut(0).unwrap();
    let node = recover(&bench, &remains);
    // A file without its octets is a lost message too: its token is gone.
    compare(&ledger.accepted_tokens(), &node.delivered().unwrap()).0
}

/// A queue is handed over to the peer, and in the middle of it the power goes. How many does the peer get twice?
fn duplicated_by_relaying(mutant: Option<(&Path, &str)>) -> usize {
    let bench = bench(mutant);
    bench.peer.answer("CONNECT", None, "421 4.3.2 closed");
    let ledger = Ledger::default();
    let report = load(&bench.node, &["you@peer.example"], 4 * BURST).run(&ledger, &false.into());
    assert_eq!(report.accepted, 4 * BURST);
    bench.peer.answer("CONNECT", None, "220 open");
    bench.node.cli(&["queue", "run"]).unwrap().ok().unwrap();
    wait_until("half of the queue at the peer", PATIENCE, || bench.peer.taken().len() >= 2 * BURST).unwrap();
    let remains = bench.disks.cut(0).unwrap();
    bench.node.wait_empty(PATIENCE).unwrap();
    let first: Vec<Vec<u8>> = bench.peer.taken().into_iter().map(|taken| taken.message).collect();
    assert_eq!(compare(&ledger.accepted_tokens(), &first), (0, 0), "before the cut counts");
    let taken_at_cut = first.len();
    let _node = recover(&bench, &remains);
    // The first node went on after the cut; of what it sent since, a second copy is no duplicate of a real cut.
    let second = bench.peer.taken().split_off(taken_at_cut);
    let before_cut: Vec<Vec<u8>> = first.into_iter().take(2 * BURST).collect();
    let both: Vec<Vec<u8>> = before_cut.into_iter().chain(second.into_iter().map(|taken| taken.message)).collect();
    compare(&ledger.accepted_tokens(), &both).1
}

/// Whether a mutant shows in one of a few cuts: the kernel writes by itself now and then, and what it has written a cut cannot take.
fn is_caught(shows: impl Fn() -> bool) -> bool {
    (0..5).any(|_| shows())
}

#[test]
fn nothing_is_lost_right_after_the_last_250_and_the_syncs_are_why() {
    if skipped() {
        return;
    }
    assert_eq!(lost_after_acceptance(None), 0);
    if let Some(binary) = mutants() {
        let caught = is_caught(|| lost_after_acceptance(Some((&binary, "no-spool-sync"))) > 0);
        assert!(caught, "the mutant no-spool-sync was not caught");
    }
}

#[test]
fn nothing_is_lost_right_after_delivery_and_the_syncs_are_why() {
    if skipped() {
        return;
    }
    assert_eq!(lost_after_delivery(None), 0);
    if let Some(binary) = mutants() {
        for mutant in ["no-maildir-sync", "no-maildir-dir-sync"] {
            let caught = is_caught(|| lost_after_delivery(Some((&binary, mutant))) > 0);
            assert!(caught, "the mutant {mutant} was not caught");
        }
    }
}

#[test]
fn relaying_repeats_no_more_than_was_in_flight_and_the_outcome_sync_is_why() {
    if skipped() {
        return;
    }
    let repeated = duplicated_by_relaying(None);
    assert!(repeated <= WINDOW, "{repeated} repeated");
    if let Some(binary) = mutants() {
        let caught = is_caught(|| duplicated_by_relaying(Some((&binary, "no-outcome-sync"))) > WINDOW);
        assert!(caught, "the mutant no-outcome-sync was not caught");
    }
}
