//! The run's name server: the harness's own, in a container, steered over a control port.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;

use super::machine::{Machine, Stand};
use super::run::Run;
use crate::Result;
use crate::dns::{Control, Mood};
use crate::driver::Names;
use crate::driver::processes::host;
use crate::node::PATIENCE;
use crate::system;
use crate::topology::Topology;
use crate::wait::wait_for;

/// The port on which it takes commands.
const CONTROL: u16 = 5300;

/// A name server in a container.
pub(super) struct NameServer {
    control: Mutex<Control>,
    machine: Machine,
}

impl NameServer {
    /// Starts it with the topology's zones, and waits until it takes commands.
    pub(super) fn start(run: &Arc<Run>, topology: &Topology) -> Result<NameServer> {
        let zone = run.dir("zone")?;
        std::fs::write(zone.join("zone"), system::zone(topology, &|index| run.node(index).into())?)?;
        let control = format!("0.0.0.0:{CONTROL}");
        let mut spec = run.part("names", &["dns", "--listen", "0.0.0.0:53", "--zone", "/zone/zone", "--control", &control])?;
        let at = run.loopback(host::NAMES, CONTROL);
        spec.binds = vec![format!("{}:/zone:ro", zone.display())];
        spec.network = run.network().to_owned();
        spec.stand = Some(Stand { address: run.names(), aliases: vec!["names".into()], published: vec![(CONTROL, at)] });
        let machine = Machine::make(spec)?;
        machine.start()?;
        let control = wait_for("the name server", PATIENCE, || Ok(Some(connect(at)?)))
            .with_context(|| machine.log().tail("names", 20))?;
        Ok(NameServer { control: Mutex::new(control), machine })
    }

    /// Sends one command.
    fn ask<T>(&self, ask: impl Fn(&mut Control) -> Result<T>) -> Result<T> {
        let mut control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        ask(&mut control).with_context(|| self.machine.log().tail("names", 5))
    }
}

/// A port that is published accepts before the program behind it listens: only an answer counts.
fn connect(at: SocketAddr) -> Result<Control> {
    let mut control = Control::connect(at)?;
    control.asked("ready.example", "A")?;
    Ok(control)
}

impl Names for NameServer {
    fn add(&self, name: &str, kind: &str, data: &str) -> Result<()> {
        self.ask(|control| control.add(name, &format!("{kind} {data}")))
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.ask(|control| control.remove(name))
    }

    fn mood(&self, name: Option<&str>, mood: Mood) -> Result<()> {
        self.ask(|control| control.mood(name, &mood))
    }

    fn asked(&self, name: &str, kind: &str) -> Result<usize> {
        self.ask(|control| control.asked(name, kind))
    }
}
