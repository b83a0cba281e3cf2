//! What a scenario may do with a Postfix node.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;

use super::super::foreign::tail;
use super::super::group::{self, Group};
use super::{Process, dovecot, log, queue};
use crate::Result;
use crate::client::{Ran, first_word, run_command};
use crate::driver::processes::number;
use crate::ledger::Found;
use crate::node::PATIENCE;
use crate::server::{Copy, Counts, Event, Port, Server};
use crate::system::bongsu::files;
use crate::topology::NodePlan;

/// What comes in stays in the queue `hold`: the cheapest way of keeping it.
const HELD: &str = "smtpd_client_restrictions = check_client_access static:HOLD\n";
/// Until a service that has work has a process.
const SOON: Duration = Duration::from_secs(2);

impl Server for Process {
    fn plan(&self) -> &NodePlan {
        &self.plan
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn at(&self, port: Port) -> SocketAddr {
        SocketAddr::new(self.address, number(port))
    }

    fn start(&self) -> Result<()> {
        anyhow::ensure!(!self.runs(), "{} runs already", self.plan.name);
        let postfix = self.start_postfix()?;
        self.running().postfix = Some(postfix);
        let dovecot = dovecot::start(self.dir.path(), &self.plan)?;
        self.running().dovecot = dovecot;
        self.wait_for_door(Port::Mx)?;
        if self.plan.accounts.is_empty() { Ok(()) } else { self.wait_for_door(Port::Pop3) }
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
        self.running().postfix.is_some()
    }

    fn services(&self) -> &'static [&'static str] {
        // Dovecot's processes come and go with their clients.
        &["smtpd", "cleanup", "qmgr", "smtp", "virtual"]
    }

    fn kill_service(&self, service: &str) -> Result<()> {
        anyhow::ensure!(self.services().contains(&service), "a Postfix node has no service {service}");
        // One without work has no process, and so nothing that could die.
        let processes = self.service(service, SOON).unwrap_or_default();
        processes.into_iter().try_for_each(|process| group::signal(process, Signal::KILL))
    }

    fn pause_service(&self, service: &str) -> Result<()> {
        let processes = self.service(service, PATIENCE)?;
        processes.iter().try_for_each(|process| group::signal(*process, Signal::STOP))?;
        self.running().paused.push((service.to_owned(), processes));
        Ok(())
    }

    fn resume_service(&self, service: &str) -> Result<()> {
        let mut running = self.running();
        let at =
            running.paused.iter().position(|(name, _)| name == service).with_context(|| format!("{service} is not frozen"))?;
        running.paused.remove(at).1.into_iter().try_for_each(|process| group::signal(process, Signal::CONT))
    }

    /// `postqueue ARGS`, `postsuper ARGS`, `postcat ARGS`, `postconf ARGS` or `postfix ARGS`.
    fn command(&self, args: &[&str], input: &[u8]) -> Result<Ran> {
        let [program, rest @ ..] = args else { anyhow::bail!("a program of Postfix is missing") };
        let known = ["postqueue", "postsuper", "postcat", "postconf", "postfix"].contains(program);
        anyhow::ensure!(known, "{program} is no program of Postfix that takes a configuration directory");
        run_command(self.program(program, rest), input).with_context(|| args.join(" "))
    }

    fn run_queue(&self) -> Result<()> {
        self.command(&["postqueue", "-f"], b"")?.ok().map(|_| ())
    }

    fn hold(&self, held: bool) -> Result<()> {
        let text = std::fs::read_to_string(self.etc("main.cf"))?;
        let text = if held { format!("{HELD}{text}") } else { text.replacen(HELD, "", 1) };
        std::fs::write(self.etc("main.cf"), text)?;
        if held || !self.runs() {
            return Ok(());
        }
        self.command(&["postsuper", "-H", "ALL"], b"")?.ok()?;
        self.run_queue()
    }

    fn list_queue(&self) -> Result<Ran> {
        self.command(&["postqueue", "-p"], b"")?.ok()
    }

    fn version(&self) -> String {
        let postfix = first_word("postconf", &["-d", "-h", "mail_version"]).unwrap_or_default();
        format!("Postfix {postfix}, {}", dovecot::version())
    }

    fn queued(&self) -> Result<Vec<Found>> {
        queue::queued(&self.plan.name, &self.queue())
    }

    fn copies(&self) -> Result<Vec<Copy>> {
        Ok(files::copies(files::read_below(&self.below("data/mail"))?))
    }

    fn counts(&self) -> Counts {
        Counts {
            queued: Some(queue::count(&self.queue())),
            delivered: crate::maildir::messages(&self.below("data/mail")).ok().map(|all| all.len()),
        }
    }

    fn events(&self) -> Result<Vec<Event>> {
        Ok(log::events(&self.log()))
    }

    fn configure(&self, file: &str, text: &str) -> Result<()> {
        let known = ["aliases", "local-host-names", "relay-domains"].contains(&file);
        anyhow::ensure!(known, "SKIPPED: a Postfix node has no file {file} that means the same");
        std::fs::write(self.etc(file), text)?;
        self.map_aliases()
    }

    fn reload(&self) -> Result<()> {
        self.command(&["postfix", "reload"], b"")?.ok().map(|_| ())
    }

    fn set_clock(&self, _ahead_ms: i64, _rate: f64) -> Result<()> {
        anyhow::bail!("SKIPPED: Postfix has no queue clock that can be set")
    }

    fn data(&self) -> Option<PathBuf> {
        Some(self.below("data"))
    }

    fn processes(&self) -> Vec<u32> {
        self.running().groups().flat_map(Group::processes).collect()
    }

    fn logged(&self, text: &str) -> bool {
        self.log().lines().any(|line| line.contains(text))
    }

    fn log_tail(&self, lines: usize) -> String {
        let logs = ["maillog", "postfix.out", "dovecot.out"].map(|file| tail(&self.below(file), lines));
        format!("the last words of {}:\n  {}", self.plan.name, logs.join("\n  ").trim_end())
    }
}
