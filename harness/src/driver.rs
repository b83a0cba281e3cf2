//! Where the nodes of a topology run.

pub mod containers;
pub mod processes;

use crate::Result;
use crate::server::Server;
use crate::topology::Topology;

/// The ways of running a topology.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub enum DriverKind {
    /// Plain processes on loopback addresses of this machine.
    Processes,
    /// Containers on a network of their own.
    Containers,
}

impl DriverKind {
    /// Its name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            DriverKind::Processes => "processes",
            DriverKind::Containers => "containers",
        }
    }
}

/// The servers of a topology, made and not yet started, with the name server that they ask.
pub struct Made {
    /// One for each node, in the topology's order.
    pub servers: Vec<Box<dyn Server>>,
    /// The links, the name server, and what else goes with them.
    pub net: Box<dyn Net>,
}

/// What lies between the servers.
pub trait Net: Send + Sync {
    /// Breaks or mends the way from one node (or `client`) to another.
    fn link(&self, from: &str, to: &str, mood: crate::gate::Mood) -> Result<()>;

    /// Cuts a node off from everybody, the client too, or puts it back: nothing passes in either direction.
    fn isolate(&self, node: &str, away: bool) -> Result<()>;

    /// The gate in that link; an error where this driver has none.
    fn gate(&self, from: &str, to: &str) -> Result<&crate::gate::Gate>;

    /// Where the client reaches the MX door of a node, through the gate of its link where there is one.
    fn client_to(&self, node: &str) -> Result<std::net::SocketAddr>;

    /// The node does not run: connections to it are refused by the machine that it is on, and not by a gate that found nobody.
    fn down(&self, node: &str, down: bool) -> Result<()>;

    /// An address of the network at which nobody is.
    fn nobody(&self) -> std::net::IpAddr;

    /// The name server.
    fn names(&self) -> &dyn Names;

    /// Starts a scripted mail server with this host name, which every node can reach.
    fn outside(&self, host: &str, keywords: &[&str]) -> Result<std::sync::Arc<crate::peer::Peer>>;

    /// The times of dialogues count from this moment.
    fn since(&self, start: std::time::Instant);

    /// What the gates wrote down.
    fn dialogues(&self) -> Vec<crate::record::DialogueRecord>;
}

/// A name server that can be edited and broken while it runs.
pub trait Names: Send + Sync {
    /// Adds a record: `("office.example", "MX", "10 primary.office.example")`.
    fn add(&self, name: &str, kind: &str, data: &str) -> Result<()>;

    /// Removes every record of a name.
    fn remove(&self, name: &str) -> Result<()>;

    /// What to do with questions for a name, or for every name where it is `None`.
    fn mood(&self, name: Option<&str>, mood: crate::dns::Mood) -> Result<()>;

    /// How often a name was asked for a type.
    fn asked(&self, name: &str, kind: &str) -> Result<usize>;
}

/// Makes the servers of a topology; nothing runs yet but the name server.
pub fn make(kind: DriverKind, topology: &Topology) -> Result<Made> {
    match kind {
        DriverKind::Processes => processes::make(topology),
        DriverKind::Containers => containers::make(topology),
    }
}

/// Why a driver can't be used here; `None` where it can.
pub fn impossible(kind: DriverKind) -> Option<String> {
    match kind {
        DriverKind::Processes => None,
        DriverKind::Containers => containers::impossible(),
    }
}

/// Removes all containers, networks and volumes that bear a label.
pub(crate) fn sweep_label(label: &str) {
    // There is nobody left to tell; what stays is swept by the next run.
    let _ = containers::sweep_until_quiet(label);
}
