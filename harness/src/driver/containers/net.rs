//! What lies between containers: the network that a node leaves and joins again, the name server, scripted servers outside.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::machine::{Machine, Stand};
use super::names::NameServer;
use super::run::Run;
use crate::Result;
use crate::driver::processes::host;
use crate::driver::{Names, Net};
use crate::gate::{Gate, Mood};
use crate::node::{PATIENCE, port};
use crate::peer::Peer;
use crate::record::DialogueRecord;
use crate::smtp::Smtp;
use crate::topology::Topology;
use crate::wait::wait_for;

/// One look at whether a server outside can be reached.
const LOOK: Duration = Duration::from_secs(2);

/// The links of a run.
pub(super) struct ContainerNet {
    nodes: Vec<String>,
    names: NameServer,
    // Before the run, whose network they are in.
    outside: Mutex<Vec<Machine>>,
    run: Arc<Run>,
}

impl ContainerNet {
    /// The links between the nodes of a topology.
    pub(super) fn new(topology: &Topology, run: Arc<Run>, names: NameServer) -> ContainerNet {
        let nodes = topology.nodes.iter().map(|node| node.name.clone()).collect();
        ContainerNet { nodes, names, outside: Mutex::default(), run }
    }
}

impl Net for ContainerNet {
    fn link(&self, from: &str, to: &str, mood: Mood) -> Result<()> {
        match mood {
            // Whole is what it always is.
            Mood::Pass => Ok(()),
            Mood::Cut => anyhow::bail!(
                "SKIPPED: containers share one network, which a node leaves for all others at once: nothing cuts it off from {from} or {to} alone"
            ),
            other => anyhow::bail!("SKIPPED: no gate in a container link, so it can't be {other}"),
        }
    }

    fn isolate(&self, node: &str, away: bool) -> Result<()> {
        let machine = self.run.machine(node)?;
        if away { machine.leave() } else { machine.join() }
    }

    fn gate(&self, from: &str, to: &str) -> Result<&Gate> {
        anyhow::bail!("SKIPPED: no gate in a container link ({from} to {to})")
    }

    fn client_to(&self, node: &str) -> Result<SocketAddr> {
        let index = self.nodes.iter().position(|name| name == node).with_context(|| format!("no node {node}"))?;
        Ok(SocketAddr::new(self.run.client_side(index), port::MX))
    }

    /// The engine gives the address back while a container is down: nobody answers there.
    fn down(&self, _: &str, _: bool) -> Result<()> {
        Ok(())
    }

    fn nobody(&self) -> IpAddr {
        IpAddr::V4(self.run.at(host::NOBODY))
    }

    fn names(&self) -> &dyn Names {
        &self.names
    }

    /// The script runs in this process, on the address that this machine has in the network; a gate in a container leads to it, so that it
    /// has an address and a port 25 of its own.
    fn outside(&self, host_name: &str, keywords: &[&str]) -> Result<Arc<Peer>> {
        let mut outside = self.outside.lock().unwrap_or_else(PoisonError::into_inner);
        let last = host::FIRST_OUTSIDE + u8::try_from(outside.len())?;
        anyhow::ensure!(last <= host::LAST_OUTSIDE, "too many servers outside");
        let gateway = IpAddr::V4(self.run.gateway());
        let peer = Peer::start(gateway, 0, keywords).with_context(|| {
            format!("SKIPPED: {gateway} is no address of this machine, so that no container can reach a script here")
        })?;
        let to = peer.address().to_string();
        let mut spec = self.run.part(&format!("outside-{last}"), &["gate", "--listen", "0.0.0.0:25", "--to", &to])?;
        let at = self.run.loopback(last, port::MX);
        spec.network = self.run.network().to_owned();
        spec.stand = Some(Stand { address: self.run.at(last), aliases: vec![host_name.to_owned()], published: vec![(25, at)] });
        let machine = Machine::make(spec)?;
        machine.start()?;
        wait_for("a way from a container to this machine", PATIENCE, || greeted(at).map(Some)).with_context(|| {
            format!("SKIPPED: a firewall of this machine lets no container reach it\n{}", machine.log().tail(host_name, 5))
        })?;
        self.names.add(host_name, "A", &self.run.at(last).to_string())?;
        outside.push(machine);
        Ok(Arc::new(peer))
    }

    fn since(&self, _: Instant) {}

    fn dialogues(&self) -> Vec<DialogueRecord> {
        Vec::new()
    }
}

/// Whether a server says something; an error where it does not.
fn greeted(at: SocketAddr) -> Result<()> {
    Smtp::connect(at, LOOK).map(|_| ())
}
