//! What a scenario may do with a node of another make.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use rustix::process::Signal;

use super::super::group::Group;
use super::{LISTS, Process, Program, dovecot};
use crate::Result;
use crate::client::{Ran, run_command};
use crate::driver::processes::number;
use crate::ledger::Found;
use crate::scenario::SKIPPED;
use crate::server::{Copy, Counts, Event, Port, Server};
use crate::system::bongsu::files;
use crate::topology::NodePlan;

/// What the daemon and Dovecot print, below the node's directory.
const PRINTED: [&str; 2] = ["daemon.out", "dovecot.out"];

impl<P: Program> Process<P> {
    fn no_services(&self, service: &str) -> Result<()> {
        anyhow::bail!("{SKIPPED}{} has no service {service} that can be told from the others", self.system().name())
    }
}

impl<P: Program> Server for Process<P> {
    fn plan(&self) -> &NodePlan {
        &self.site.plan
    }

    fn host(&self) -> &str {
        &self.site.host
    }

    fn at(&self, port: Port) -> SocketAddr {
        SocketAddr::new(self.site.address, number(port))
    }

    fn start(&self) -> Result<()> {
        anyhow::ensure!(!self.runs(), "{} runs already", self.site.plan.name);
        let daemon = Group::start_timed(self.program.daemon(&self.site), &self.site.below(PRINTED[0]))?;
        self.running().daemon = Some(daemon);
        let dovecot = dovecot::start(&self.site.dir, &self.site.plan)?;
        self.running().dovecot = dovecot;
        self.wait_for_door(Port::Mx)?;
        self.program.started(&self.site)?;
        if self.site.plan.accounts.is_empty() { Ok(()) } else { self.wait_for_door(Port::Pop3) }
    }

    fn stop(&self) -> Result<i32> {
        self.end(Signal::TERM)
    }

    fn kill(&self) -> Result<()> {
        self.end(Signal::KILL).map(|_| ())
    }

    fn pause(&self) -> Result<()> {
        self.running().groups().try_for_each(|group| group.signal(Signal::STOP))
    }

    fn resume(&self) -> Result<()> {
        self.running().groups().try_for_each(|group| group.signal(Signal::CONT))
    }

    fn runs(&self) -> bool {
        self.running().daemon.is_some()
    }

    fn services(&self) -> &'static [&'static str] {
        &[]
    }

    fn kill_service(&self, service: &str) -> Result<()> {
        self.no_services(service)
    }

    fn pause_service(&self, service: &str) -> Result<()> {
        self.no_services(service)
    }

    fn resume_service(&self, service: &str) -> Result<()> {
        self.no_services(service)
    }

    fn command(&self, args: &[&str], input: &[u8]) -> Result<Ran> {
        run_command(self.program.command(&self.site, args)?, input).with_context(|| args.join(" "))
    }

    fn run_queue(&self) -> Result<()> {
        let running = self.running();
        self.program.run_queue(&self.site, running.daemon.as_ref().context("it does not run")?)
    }

    fn hold(&self, held: bool) -> Result<()> {
        let running = self.running();
        self.program.hold(&self.site, running.daemon.as_ref(), held)
    }

    fn version(&self) -> String {
        let program = self.program.version(&self.site).unwrap_or_else(|_| self.system().name().to_owned());
        format!("{program}, {}", dovecot::version())
    }

    fn list_queue(&self) -> Result<Ran> {
        self.command(self.program.listing(), b"")?.ok()
    }

    fn queued(&self) -> Result<Vec<Found>> {
        Ok(self.program.waiting(&self.queue()).into_iter().map(|waiting| waiting.found(&self.site.plan.name)).collect())
    }

    fn copies(&self) -> Result<Vec<Copy>> {
        Ok(files::copies(files::read_below(&self.site.below("data/mail"))?))
    }

    fn counts(&self) -> Counts {
        Counts {
            queued: Some(self.program.count(&self.queue())),
            delivered: crate::maildir::messages(&self.site.below("data/mail")).ok().map(|all| all.len()),
        }
    }

    fn events(&self) -> Result<Vec<Event>> {
        Ok(self.program.events(&self.log()))
    }

    fn configure(&self, file: &str, text: &str) -> Result<()> {
        let system = self.system().name();
        anyhow::ensure!(LISTS.contains(&file), "{SKIPPED}{system} has no file {file} that means the same");
        self.site.write(file, text)?;
        self.program.map(&self.site)?;
        if self.runs() { self.program.reread(&self.site) } else { Ok(()) }
    }

    fn reload(&self) -> Result<()> {
        self.program.reread(&self.site)
    }

    fn set_clock(&self, _ahead_ms: i64, _rate: f64) -> Result<()> {
        anyhow::bail!("{SKIPPED}{} has no queue clock that can be set", self.system().name())
    }

    fn data(&self) -> Option<PathBuf> {
        Some(self.site.below("data"))
    }

    fn processes(&self) -> Vec<u32> {
        self.running().groups().flat_map(Group::processes).collect()
    }

    fn logged(&self, text: &str) -> bool {
        self.log().lines().any(|line| line.contains(text))
    }

    fn log_tail(&self, lines: usize) -> String {
        let mut logs = vec![self.program.log()];
        logs.extend(PRINTED.iter().filter(|file| **file != self.program.log()));
        let logs: Vec<String> = logs.into_iter().map(|file| tail(&self.site.below(file), lines)).collect();
        format!("the last words of {}:\n  {}", self.site.plan.name, logs.join("\n  ").trim_end())
    }
}

/// The last lines of a file.
pub(in crate::system) fn tail(path: &Path, lines: usize) -> String {
    let octets = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&octets);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n  ")
}
