//! What all containers of a run share: its number, its network, its images, its labels.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use anyhow::Context;
use testcontainers::bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};

use super::engine::{Engine, engine, status};
use super::machine::{Machine, Spec};
use super::place::Place;
use super::{image, owner};
use crate::Result;
use crate::driver::processes::{Addresses, host};
use crate::sweep;

/// Draws of a network before the engine is believed to have none left.
const DRAWS: usize = 50;

/// A run. Its network, and whatever else still bears its label, goes when it is dropped.
pub(crate) struct Run {
    name: String,
    network: String,
    /// The first three octets of the network.
    prefix: [u8; 3],
    addresses: Addresses,
    place: Place,
    ended: AtomicBool,
    members: Mutex<HashMap<String, Weak<Machine>>>,
}

impl Run {
    /// Sweeps what dead runs left, and makes a network.
    pub(super) fn begin() -> Result<Run> {
        let engine = engine()?;
        owner::sweep_dead(engine)?;
        let place = Place::make()?;
        for _ in 0..DRAWS {
            let addresses = Addresses::draw()?;
            let [_, b, c] = addresses.network();
            let (name, prefix) = (format!("bongsu-harness-{b}-{c}"), [198, 18 + b % 2, c]);
            sweep::note(&format!("label {name}"));
            match make_network(engine, &name, prefix) {
                Ok(network) => {
                    let (ended, members) = (AtomicBool::new(false), Mutex::default());
                    return Ok(Run { name, network, prefix, addresses, place, ended, members });
                }
                // 403: the addresses overlap with another network's; 409: the name is another's.
                Err(error) if matches!(status(&error), Some(403 | 409)) => sweep::forget(&format!("label {name}")),
                Err(error) => return Err(error),
            }
        }
        anyhow::bail!("the engine has no room for another network: docker network ls")
    }

    /// An address of the network.
    pub(super) fn at(&self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.prefix;
        Ipv4Addr::new(a, b, c, last)
    }

    /// The address of the node at this place of the topology.
    pub(crate) fn node(&self, index: usize) -> Ipv4Addr {
        self.at(host::FIRST_NODE + index as u8)
    }

    /// The loopback address under which the client reaches the node at this place.
    pub(crate) fn client_side(&self, index: usize) -> IpAddr {
        self.addresses.node(index)
    }

    /// The name server's address.
    pub(crate) fn names(&self) -> Ipv4Addr {
        self.at(host::NAMES)
    }

    /// The address that this machine has in the network.
    pub(super) fn gateway(&self) -> Ipv4Addr {
        self.at(host::LOCK)
    }

    /// A port of the run's loopback addresses.
    pub(super) fn loopback(&self, last: u8, port: u16) -> SocketAddr {
        SocketAddr::new(self.addresses.at(last), port)
    }

    /// What a container of this run is made from, with the name `NAME` of the run's own: bongsu's image around `binary`.
    pub(crate) fn bongsu(&self, name: &str, binary: &std::path::Path) -> Result<Spec> {
        Ok(self.spec(name, image::image(&image::BONGSU, binary)?))
    }

    /// One that runs a part of the harness.
    pub(super) fn part(&self, name: &str, command: &[&str]) -> Result<Spec> {
        let program = harness_program()?;
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Ok(Spec { command, ..self.spec(name, image::image(&image::HARNESS, &program)?) })
    }

    fn spec(&self, name: &str, image: String) -> Spec {
        Spec { name: format!("{}-{name}", self.name), image, labels: owner::labels(&self.name), ..Spec::default() }
    }

    /// A directory of this machine for one part of the run, which is made. It goes with the run.
    pub(crate) fn dir(&self, name: &str) -> Result<PathBuf> {
        self.place.below(name)
    }

    /// Kills and removes all containers at once, when the first of them is done with: one after the other they would take long.
    pub(crate) fn end(&self) {
        if !self.ended.swap(true, Ordering::Relaxed) {
            // What stays is removed one by one.
            let _ = owner::end_containers(&self.name);
        }
    }

    /// The network's name.
    pub(crate) fn network(&self) -> &str {
        &self.network
    }

    /// Makes the container of a node, which the run's links then find by the node's name.
    pub(crate) fn member(&self, node: &str, spec: Spec) -> Result<Arc<Machine>> {
        let machine = Arc::new(Machine::make(spec)?);
        self.members().insert(node.to_owned(), Arc::downgrade(&machine));
        Ok(machine)
    }

    /// The container of a node.
    pub(super) fn machine(&self, node: &str) -> Result<Arc<Machine>> {
        self.members().get(node).and_then(Weak::upgrade).with_context(|| format!("no container of a node {node}"))
    }

    fn members(&self) -> MutexGuard<'_, HashMap<String, Weak<Machine>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // What can't be removed now is swept by the next run.
        if owner::sweep_run(&self.name).is_ok() {
            sweep::forget(&format!("label {}", self.name));
        }
    }
}

/// This program, or where that is a test the harness beside the test's own folder of the build.
fn harness_program() -> Result<PathBuf> {
    if let Some(program) = sweep::program() {
        return Ok(program.to_owned());
    }
    let own = std::env::current_exe()?;
    let found = own.ancestors().take(4).map(|dir| dir.with_file_name("bongsu-harness")).find(|path| path.is_file());
    found.context("no bongsu-harness beside this program: cargo build -p bongsu-harness")
}

fn make_network(engine: &Engine, name: &str, prefix: [u8; 3]) -> Result<String> {
    let [a, b, c] = prefix;
    let config = IpamConfig {
        subnet: Some(format!("{a}.{b}.{c}.0/24")),
        gateway: Some(format!("{a}.{b}.{c}.{}", host::LOCK)),
        ..Default::default()
    };
    let request = NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some("bridge".into()),
        ipam: Some(Ipam { config: Some(vec![config]), ..Default::default() }),
        // No way out of it but to this machine: a published port needs one that is not `internal`.
        options: Some(HashMap::from([("com.docker.network.bridge.enable_ip_masquerade".into(), "false".into())])),
        labels: Some(owner::labels(name)),
        ..Default::default()
    };
    engine.call("making a network", engine.docker().create_network(request))?;
    Ok(name.to_owned())
}
