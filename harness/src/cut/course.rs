//! The course of a matrix: two servers, a gate for each cell, the messages, the whole network, the verdicts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::judge::{Evidence, judge};
use super::{Cell, End, POINTS, WAYS, point};
use crate::Result;
use crate::driver::DriverKind;
use crate::driver::processes::Addresses;
use crate::gate::{Gate, How, Place as TripAt, Trip, What};
use crate::load::Load;
use crate::node::port;
use crate::peer::Peer;
use crate::server::Port;
use crate::stage::Stage;
use crate::system;
use crate::topology::{NodePlan, SystemKind, Topology, Zone};
use crate::wait::wait_until;

/// Below it each cell has a domain.
const DOMAIN: &str = "cut.example";
/// The local part of every recipient; an alias of B, since its domains are many and its mailboxes few.
const READER: &str = "cell";
/// Who sends, and hears of failures.
const SENDER: &str = "sora@office.example";
/// Every wait of a server for the other end is short, so that silence is met with a time-out within the run.
const SETTINGS: &str = "relay.tls = \"none\"\nrelay.connect_timeout = \"3s\"\nrelay.reply_timeout = \"6s\"\nrelay.final_dot_timeout = \"6s\"\n\
    smtp.idle_timeout = \"7s\"\nsmtp.data_timeout = \"7s\"\n";
/// Until every message has left A, whose waits are as short as those. What is there still is in limbo.
const PATIENCE: Duration = Duration::from_secs(60);
/// Until what comes late has come.
const LATE: Duration = Duration::from_secs(10);
/// A client's patience with one reply, and with a message.
const CLIENT: (Duration, Duration) = (Duration::from_secs(6), Duration::from_secs(60));
/// Messages given to A at one time.
const GIVEN: usize = 8;
/// The first address of a network that a gate may have.
const FIRST: u8 = 10;

/// A cell before its verdict.
struct Planned {
    point: usize,
    way: usize,
    tag: String,
    token: String,
    to: String,
    gate: Gate,
    trip: usize,
}

/// Sends a message through every break, and judges.
pub(super) fn run(from: End, to: End, script: &dyn Fn(&Peer)) -> Result<Vec<Cell>> {
    let stage = Stage::make(topology(from, to)?, DriverKind::Processes, None)?;
    let peer = match to {
        End::Peer => Some(stage.outside("office.example", 10, &["PIPELINING", "8BITMIME", "SIZE 1000000"])?),
        _ => None,
    };
    peer.iter().for_each(|peer| script(peer));
    let network = Addresses::draw()?;
    let planned = plan(&stage, &network, from, peer.as_ref())?;
    stage.each(|server| server.start())?;
    send(&stage, from, &planned)?;
    let stuck = settle(&stage, &planned)?;
    let found = stage.found()?;
    let start = stage.journal().start();
    let cells = planned.iter().map(|cell| {
        cell.gate.since(start);
        let evidence = Evidence {
            to: &cell.to,
            found: found.iter().filter(|found| found.token == cell.token).collect(),
            line: stage.ledger().line(&cell.token),
            dialogues: cell.gate.dialogues(),
            reached: cell.gate.taken(cell.trip) > 0,
            stuck: stuck.as_deref(),
        };
        let (outcome, copies, note) = judge(&POINTS[cell.point], &evidence);
        Cell { point: cell.point, way: cell.way, outcome, copies, note }
    });
    Ok(cells.collect())
}

/// A node for each end that is a system; none at all where a client talks to a scripted peer.
fn topology(from: End, to: End) -> Result<Topology> {
    let node = |text: &str, system: SystemKind| -> Result<NodePlan> {
        // One whose waits can't be set is waited for.
        let settings = if system::longest_wait(system).is_zero() { SETTINGS } else { "" };
        Ok(NodePlan { system, settings: settings.into(), ..toml::from_str(text)? })
    };
    let mut nodes = Vec::new();
    if let Some(system) = from.system() {
        nodes.push(node(&format!("name = \"a\"\npart = \"sends\"\nrelay_domains = [\"{DOMAIN}\"]\n"), system)?);
    }
    let mut zone = Zone { domain: "office.example".into(), mx: Vec::new(), records: Vec::new() };
    if let Some(system) = to.system() {
        let accounts = "accounts = [\"minji\", \"sora\", \"postmaster\"]";
        let text = format!(
            "name = \"b\"\npart = \"receives\"\ndomain = \"office.example\"\n{accounts}\naliases = \"{READER}: minji\\n\"\n"
        );
        nodes.push(node(&text, system)?);
        zone.mx.push((10, "b".into()));
    }
    let about = format!("{} sends to {}.", from.name(), to.name());
    let name = "cut".into();
    Ok(Topology { name, about, settings: String::new(), shipped: false, nodes, zones: vec![zone], lists: Vec::new() })
}

/// A gate, a domain and a trip for each cell; B takes mail for all the domains.
fn plan(stage: &Stage, network: &Addresses, from: End, peer: Option<&Arc<Peer>>) -> Result<Vec<Planned>> {
    let target = match peer {
        Some(peer) => peer.address(),
        None => stage.server("b")?.at(Port::Mx),
    };
    let sender = from.system().map(|_| stage.server("a")).transpose()?;
    let listen = from.system().map_or(port::MX, system::relays_to);
    let (mut planned, mut domains) = (Vec::new(), String::from("office.example\n"));
    for (point, way) in (0..POINTS.len()).flat_map(|point| (0..WAYS.len()).map(move |way| (point, way))) {
        let number = planned.len();
        let (tag, host) = (format!("cut-{number}"), format!("gate{number}.{DOMAIN}"));
        let (token, domain) = (format!("{tag}-0"), format!("c{number}.{DOMAIN}"));
        let address = network.at(FIRST + u8::try_from(number)?);
        let names = (from.name().to_owned(), format!("{} {}", POINTS[point].line, WAYS[way].name));
        let gate = Gate::open(SocketAddr::new(address, listen), target, sender.map(|sender| sender.at(Port::Mx).ip()), names)?;
        // Under TLS a gate sees octets only, and not every sender can be told to do without.
        gate.trip(Trip::before(TripAt::Connect, What::StripStartTls).times(usize::MAX));
        let trip = gate.trip(POINTS[point].trip(&token, WAYS[way].what.clone()));
        stage.names().add(&domain, "MX", &format!("10 {host}"))?;
        stage.names().add(&host, "A", &address.to_string())?;
        domains.push_str(&format!("{domain}\n"));
        planned.push(Planned { point, way, tag, token, to: format!("{READER}@{domain}"), gate, trip });
    }
    if peer.is_none() {
        stage.server("b")?.configure("local-host-names", &domains)?;
    }
    Ok(planned)
}

/// Gives every message to A, or lets a client of its own bring it to B.
fn send(stage: &Stage, from: End, planned: &[Planned]) -> Result<()> {
    let next = AtomicUsize::new(0);
    let senders = if from == End::Client { planned.len() } else { GIVEN };
    let door = from.system().map(|_| stage.net().client_to("a")).transpose()?;
    std::thread::scope(|scope| {
        for _ in 0..senders {
            scope.spawn(|| {
                while let Some(cell) = planned.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let load = Load {
                        sessions: 1,
                        messages: 1,
                        from: SENDER.into(),
                        size: point::size(),
                        tag: cell.tag.clone(),
                        timeout: CLIENT.0,
                        patience: CLIENT.1,
                        ..Load::new(&[door.unwrap_or(cell.gate.address())], &[&cell.to])
                    };
                    load.run(stage.ledger(), &AtomicBool::new(false));
                }
            });
        }
    });
    let unsent = planned.iter().find(|cell| stage.ledger().line(&cell.token).is_none());
    anyhow::ensure!(unsent.is_none() || from == End::Client, "A took not all messages");
    Ok(())
}

/// Until A's queue is empty, then the network is whole and B's is. What was left at A, or why it can't be known, where its queue did not empty.
fn settle(stage: &Stage, planned: &[Planned]) -> Result<Option<String>> {
    let mut stuck = None;
    for server in stage.servers().filter(|server| server.plan().name == "a") {
        stuck = server.wait_empty(PATIENCE + system::longest_wait(server.system())).err().map(|error| format!("{error:#}"));
    }
    // A sender that keeps connections says QUIT late; a point that it never comes by is no fault.
    let _ = wait_until("every break", LATE, || planned.iter().all(|cell| cell.gate.taken(cell.trip) > 0));
    for cell in planned {
        cell.gate.disarm();
        if WAYS[cell.way].how == How::Silence {
            cell.gate.reset();
        }
    }
    // A connection that keeps standing is the sender's own choice, and none of a break.
    let _ = wait_until("the end of all connections", LATE, || planned.iter().all(|cell| cell.gate.counts().open == 0));
    for server in stage.servers() {
        if let Err(error) = server.wait_empty(PATIENCE) {
            stuck.get_or_insert_with(|| format!("{error:#}"));
        }
    }
    Ok(stuck)
}
