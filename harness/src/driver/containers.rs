//! The topology as containers of the Docker Engine, on a network of their own.
//!
//! A run draws a number that no other run of this machine has now. From it come a network of the range that the Internet sets aside for tests,
//! in which each node has a fixed address, and the loopback addresses under which the client reaches the nodes' ports. Nothing of it
//! leads out: a node sees the others and the run's name server, nobody else. Data and settings lie in directories of this machine, so that they
//! outlive any kill and the harness reads them as they are. There is no gate in a link: a node is cut off whole, by leaving the network.

mod engine;
mod image;
mod machine;
mod names;
mod net;
mod owner;
mod place;
mod run;
mod talk;

use std::sync::Arc;

use super::Made;
use crate::Result;
use crate::server::Server;
use crate::system;
use crate::topology::{NodePlan, SystemKind, Topology};

pub(crate) use machine::{Machine, Spec, Stand, number_within, user};
pub(crate) use owner::sweep_until_quiet;
pub(crate) use run::Run;

/// Makes the servers of a topology; the name server runs.
pub fn make(topology: &Topology) -> Result<Made> {
    let run = Arc::new(Run::begin()?);
    let names = names::NameServer::start(&run, topology)?;
    // Side by side: most of the time goes into waiting for the engine.
    let servers: Vec<Result<Box<dyn Server>>> = std::thread::scope(|scope| {
        let run = &run;
        let making: Vec<_> = (topology.nodes.iter().enumerate())
            .map(|(index, node)| scope.spawn(move || server(topology, node, index, run)))
            .collect();
        making.into_iter().map(|made| made.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a thread panicked")))).collect()
    });
    let servers = servers.into_iter().collect::<Result<Vec<_>>>()?;
    Ok(Made { servers, net: Box::new(net::ContainerNet::new(topology, run, names)) })
}

fn server(topology: &Topology, node: &NodePlan, index: usize, run: &Arc<Run>) -> Result<Box<dyn Server>> {
    Ok(match node.system {
        SystemKind::Bongsu => Box::new(system::bongsu::Contained::make(topology, node, index, run)?),
        other => anyhow::bail!("SKIPPED: {}: {} runs as processes only", node.name, other.name()),
    })
}

/// Names of the containers and networks that the process with this number made, and that are still there.
pub fn left(pid: u32) -> Result<Vec<String>> {
    owner::left(pid)
}

/// Why containers can't be had here, one line; `None` where they can.
pub(super) fn impossible() -> Option<String> {
    engine::engine().err().map(|why| why.to_string())
}
