//! The topology as plain processes on loopback addresses of this machine, with a gate in every link.
//!
//! A run has a network `127.B.C.0/24` to itself. Each node asks a name server of its own view, in which the host name of another node
//! is the gate of the link between the two; the gate connects onward from the asking node's address. So links break one by one,
//! without root, and every server sees who is really behind a connection. A node of another make needs root, and other ports than
//! ours: see [`crate::system`].

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context;

use super::{Made, Names, Net};
use crate::Result;
use crate::dns::{Dns, Mood as DnsMood};
use crate::gate::{Gate, Mood};
use crate::node::port;
use crate::peer::Peer;
use crate::record::DialogueRecord;
use crate::server::{Port, Server};
use crate::system;
use crate::topology::{Doors, MAX_NODES, NodePlan, SystemKind, Topology};

/// The last octets of addresses in a run's network.
pub(super) mod host {
    /// Held as long as the run lasts: the network is taken. Containers have this machine there.
    pub(in crate::driver) const LOCK: u8 = 1;
    pub(in crate::driver) const NAMES: u8 = 2;
    pub(in crate::driver) const CLIENT: u8 = 9;
    pub(in crate::driver) const FIRST_NODE: u8 = 10;
    pub(in crate::driver) const FIRST_OUTSIDE: u8 = 20;
    pub(in crate::driver) const LAST_OUTSIDE: u8 = 49;
    pub(in crate::driver) const FIRST_LINK: u8 = 50;
    pub(in crate::driver) const NOBODY: u8 = 254;
    /// Of a view whose asker insists on a port, so that it has an address to itself.
    pub(in crate::driver) const FIRST_VIEW: u8 = 200;
}

/// Networks that are tried.
const DRAWS: usize = 5;
/// The second octet of a run's network is at most this; above it are the addresses of nodes that stand alone.
pub(crate) const NETWORKS: u8 = 125;

/// The sender of a link that is no node.
pub const CLIENT: &str = "client";

/// A network `127.B.C.0/24` that no other run of this machine uses now.
#[derive(Debug)]
pub struct Addresses {
    network: [u8; 3],
    _lock: TcpListener,
}

impl Addresses {
    /// Draws one.
    pub fn draw() -> Result<Addresses> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        for _ in 0..1000 {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            // Spread, so that what is taken is not tried again and again; below the addresses that `node::free_address` draws from.
            let mix = std::process::id().wrapping_mul(65_537).wrapping_add(number).wrapping_mul(2_654_435_761).to_be_bytes();
            let network = [127, 1 + mix[0] % NETWORKS, mix[1]];
            let lock = Ipv4Addr::new(network[0], network[1], network[2], host::LOCK);
            if let Ok(lock) = TcpListener::bind((lock, port::MX)) {
                return Ok(Addresses { network, _lock: lock });
            }
        }
        anyhow::bail!("no loopback network is free: do a thousand other runs go on?")
    }

    /// Its first three octets.
    pub(super) fn network(&self) -> [u8; 3] {
        self.network
    }

    /// The address of the network that ends so; those of nodes and links are drawn from it too.
    pub fn at(&self, last: u8) -> IpAddr {
        let [a, b, c] = self.network;
        IpAddr::V4(Ipv4Addr::new(a, b, c, last))
    }

    /// The address of the node at this place of the topology.
    pub fn node(&self, index: usize) -> IpAddr {
        self.at(host::FIRST_NODE + index as u8)
    }

    /// The address of the gate from `from` (a node's place, or `MAX_NODES` for the client) to the node at `to`.
    fn link(&self, from: usize, to: usize) -> IpAddr {
        self.at(host::FIRST_LINK + (from * MAX_NODES + to) as u8)
    }
}

/// The links of a run.
pub struct LoopbackNet {
    names: Zone,
    gates: BTreeMap<(String, String), Gate>,
    addresses: Addresses,
    outside: AtomicU8,
    /// The ports other than ours to which nodes connect: servers outside are there too, through a gate each.
    other_ports: Vec<u16>,
    doors: Mutex<Vec<Gate>>,
}

/// The name server, and what its views say differently.
struct Zone {
    dns: Arc<Dns>,
    _views: Vec<crate::dns::View>,
}

/// Makes the servers of a topology, on another network where somebody has an address of the first.
pub fn make(topology: &Topology) -> Result<Made> {
    if let Some(why) = topology.nodes.iter().find_map(|node| system::impossible(node.system)) {
        anyhow::bail!("SKIPPED: {why}");
    }
    let taken = |error: &anyhow::Error| {
        let in_use = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
        error.chain().any(|cause| cause.downcast_ref().is_some_and(in_use))
    };
    for _ in 1..DRAWS {
        match make_on(topology, Addresses::draw()?) {
            Err(error) if taken(&error) => {}
            made => return made,
        }
    }
    make_on(topology, Addresses::draw()?)
}

fn make_on(topology: &Topology, addresses: Addresses) -> Result<Made> {
    let dns = Arc::new(Dns::start(addresses.at(host::NAMES))?);
    dns.load(&system::zone(topology, &|index| addresses.node(index))?)?;
    let (mut gates, mut views, mut servers) = (BTreeMap::new(), Vec::new(), Vec::new());
    for (to, node) in topology.nodes.iter().enumerate() {
        let from = CLIENT.to_owned();
        let gate = open(&addresses, (MAX_NODES, addresses.at(host::CLIENT)), (to, port::MX, port::MX), (&from, &node.name))?;
        gates.insert((from, node.name.clone()), gate);
    }
    for (from, node) in topology.nodes.iter().enumerate() {
        let view = match system::asks_at(node.system) {
            0 => SocketAddr::new(addresses.at(host::NAMES), 0),
            asked => SocketAddr::new(addresses.at(host::FIRST_VIEW + from as u8), asked),
        };
        let view = dns.view(view)?;
        let listen = system::relays_to(node.system);
        for (to, other) in topology.nodes.iter().enumerate().filter(|(to, _)| *to != from) {
            // A link leads to one door: where a node logs in, that is the one for users.
            let door = node.smart_host.as_ref().filter(|smart| smart.node == other.name).map(|smart| smart.door(Doors::OWN));
            let door = door.filter(|door| *door != port::MX).map_or((to, listen, port::MX), |door| (to, door, door));
            let gate = open(&addresses, (from, addresses.node(from)), door, (&node.name, &other.name))?;
            view.host(&topology.host(other), gate.address().ip())?;
            gates.insert((node.name.clone(), other.name.clone()), gate);
        }
        let place = Place { address: addresses.node(from), nameserver: view.address() };
        servers.push(server(topology, node, &place)?);
        views.push(view);
    }
    let mut other_ports: Vec<u16> = topology.nodes.iter().map(|node| system::relays_to(node.system)).collect();
    other_ports.retain(|other| *other != port::MX);
    other_ports.dedup();
    let names = Zone { dns, _views: views };
    let net = LoopbackNet { names, gates, addresses, outside: AtomicU8::new(0), other_ports, doors: Mutex::default() };
    Ok(Made { servers, net: Box::new(net) })
}

/// Where a node stands.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Its address.
    pub address: IpAddr,
    /// The name server that it asks.
    pub nameserver: SocketAddr,
}

fn server(topology: &Topology, node: &NodePlan, place: &Place) -> Result<Box<dyn Server>> {
    Ok(match node.system {
        SystemKind::Bongsu => Box::new(system::bongsu::Process::make(topology, node, place)?),
        SystemKind::Postfix => Box::new(system::postfix::Process::make(topology, node, place)?),
        SystemKind::Exim => system::exim::make(topology, node, place)?,
        SystemKind::OpenSmtpd => system::opensmtpd::make(topology, node, place)?,
    })
}

/// The gate from a node's place and address to another's place, which listens at one port and leads to another.
fn open(
    addresses: &Addresses,
    from: (usize, IpAddr),
    (to, listen, door): (usize, u16, u16),
    names: (&str, &str),
) -> Result<Gate> {
    let listen = SocketAddr::new(addresses.link(from.0, to), listen);
    let target = SocketAddr::new(addresses.node(to), door);
    Gate::open(listen, target, Some(from.1), (names.0.to_owned(), names.1.to_owned()))
        .with_context(|| format!("the gate from {} to {}", names.0, names.1))
}

impl Net for LoopbackNet {
    fn link(&self, from: &str, to: &str, mood: Mood) -> Result<()> {
        self.gate(from, to)?.mood(mood)
    }

    fn isolate(&self, node: &str, away: bool) -> Result<()> {
        let mood = if away { Mood::Cut } else { Mood::Pass };
        let touched = self.gates.iter().filter(|((from, to), _)| from == node || to == node);
        touched.map(|(_, gate)| gate).try_for_each(|gate| gate.mood(mood))
    }

    fn gate(&self, from: &str, to: &str) -> Result<&Gate> {
        self.gates.get(&(from.to_owned(), to.to_owned())).with_context(|| format!("no link from {from} to {to}"))
    }

    fn client_to(&self, node: &str) -> Result<SocketAddr> {
        Ok(self.gate(CLIENT, node)?.address())
    }

    fn down(&self, node: &str, down: bool) -> Result<()> {
        let mood = if down { Mood::Refuse } else { Mood::Pass };
        self.gates.iter().filter(|((_, to), _)| to == node).try_for_each(|(_, gate)| gate.mood(mood))
    }

    fn nobody(&self) -> IpAddr {
        self.addresses.at(host::NOBODY)
    }

    fn names(&self) -> &dyn Names {
        &self.names
    }

    fn outside(&self, host: &str, keywords: &[&str]) -> Result<Arc<Peer>> {
        let number = self.outside.fetch_add(1, Ordering::Relaxed);
        anyhow::ensure!(number <= host::LAST_OUTSIDE - host::FIRST_OUTSIDE, "too many servers outside");
        let address = self.addresses.at(host::FIRST_OUTSIDE + number);
        self.names.dns.host(host, address)?;
        let peer = Peer::start(address, port::MX, keywords)?;
        for other in &self.other_ports {
            let door = Gate::open(SocketAddr::new(address, *other), peer.address(), None, ("a node".into(), host.to_owned()))?;
            self.doors.lock().unwrap_or_else(PoisonError::into_inner).push(door);
        }
        Ok(Arc::new(peer))
    }

    fn since(&self, start: Instant) {
        self.gates.values().for_each(|gate| gate.since(start));
    }

    fn dialogues(&self) -> Vec<DialogueRecord> {
        let mut all: Vec<DialogueRecord> = self.gates.values().flat_map(Gate::dialogues).collect();
        all.sort_by_key(|dialogue| dialogue.at);
        all
    }
}

impl Names for Zone {
    fn add(&self, name: &str, kind: &str, data: &str) -> Result<()> {
        self.dns.add(name, &format!("{kind} {data}"))
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.dns.remove(name)
    }

    fn mood(&self, name: Option<&str>, mood: DnsMood) -> Result<()> {
        self.dns.mood(name, mood)
    }

    fn asked(&self, name: &str, kind: &str) -> Result<usize> {
        self.dns.asked(name, kind)
    }
}

/// The port number of a door of a node that runs as a process.
pub fn number(port: Port) -> u16 {
    match port {
        Port::Mx => port::MX,
        Port::Submission => port::SUBMISSION,
        Port::Submissions => port::SUBMISSIONS,
        Port::Pop3 => port::POP3,
        Port::Pop3s => port::POP3S,
    }
}
