//! Postfix as a node, with Dovecot for POP3 where the node has accounts: an own configuration, queue and mail directory below one temporary directory,
//! in the foreground, in process groups of its own. Nothing of the machine's own Postfix or Dovecot is read or written.
//!
//! Postfix asks the resolver library for MX records and, before 3.8, connects to port 25 and no other. Maps of transports could replace both, but then
//! its own choice of the next MX would not be under test. So the node runs in a private mount namespace with a `resolv.conf` of its own, its view of
//! the name server answers on port 53, and the gates of its links listen on port 25: names, preferences and gates are the same as for any other node. All
//! of this needs root.

mod config;
mod group;
mod log;
mod queue;
mod settings;

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;

use super::bongsu::{self, files};
use crate::Result;
use crate::client::{Ran, have, run_command};
use crate::driver::processes::{Place, number};
use crate::ledger::Found;
use crate::node::{PATIENCE, port};
use crate::server::{Copy, Counts, Event, Port, Server};
use crate::sweep;
use crate::topology::{NodePlan, Topology};
use crate::volume::{Disk, Mounted};
use crate::wait::{wait_for, wait_until};
use group::Group;

/// Where Postfix keeps its daemons (Debian's place).
const DAEMONS: &str = "/usr/lib/postfix/sbin";
/// Who owns the mailboxes: Postfix delivers to nobody whose number is below 100.
const MAIL_OWNER: u32 = 65_534;

/// Why a node can't be Postfix here; `None` where it can.
pub fn impossible() -> Option<String> {
    if !rustix::process::getuid().is_root() {
        return Some("Postfix as a node needs root: for port 25, port 53 and a mount namespace".into());
    }
    let missing: Vec<&str> =
        ["postfix", "postqueue", "dovecot", "unshare"].into_iter().filter(|program| !have(program)).collect();
    let hint = "apt-get install postfix dovecot-pop3d";
    (!missing.is_empty()).then(|| format!("not installed: {}: {hint}", missing.join(", ")))
}

/// A Postfix node that runs as processes of this machine.
pub struct Process {
    plan: NodePlan,
    host: String,
    address: IpAddr,
    running: Mutex<Running>,
    // Behind the processes, which use them: in this order, the inner first.
    _volumes: Vec<Mounted>,
    _disk: Option<Disk>,
    dir: tempfile::TempDir,
}

/// What runs of it.
#[derive(Default)]
struct Running {
    postfix: Option<Group>,
    dovecot: Option<Group>,
    paused: Vec<(String, Vec<u32>)>,
}

impl Running {
    fn groups(&self) -> impl Iterator<Item = &Group> {
        self.postfix.iter().chain(&self.dovecot)
    }
}

impl Process {
    /// Makes directory, volumes, configuration and accounts; starts nothing.
    pub fn make(topology: &Topology, plan: &NodePlan, place: &Place) -> Result<Process> {
        if let Some(why) = impossible() {
            anyhow::bail!("SKIPPED: {why}");
        }
        anyhow::ensure!(!plan.clock, "SKIPPED: Postfix has no queue clock that can be set");
        let settings = settings::translated(&format!("{}\n{}", topology.settings, plan.settings))?;
        let dir = tempfile::Builder::new().prefix(&format!("postfix-{}-", plan.name)).tempdir()?;
        sweep::note(&format!("directory {}", dir.path().display()));
        // Its daemons give up root and still have to pass.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
        let host = topology.host(plan);
        let (volumes, disk) = bongsu::volumes(plan, dir.path())?;
        let process = Process {
            plan: plan.clone(),
            host,
            address: place.address,
            running: Mutex::default(),
            _volumes: volumes,
            _disk: disk,
            dir,
        };
        process.lay_out(place, &settings)?;
        Ok(process)
    }

    fn lay_out(&self, place: &Place, settings: &[(String, String)]) -> Result<()> {
        for below in ["etc", "lib", "dovecot", "data/queue", "data/mail"] {
            std::fs::create_dir_all(self.below(below))?;
        }
        let owner = config::owner_of_postfix()?;
        std::os::unix::fs::chown(self.below("lib"), Some(owner), None)?;
        std::os::unix::fs::chown(self.below("data/mail"), Some(MAIL_OWNER), Some(MAIL_OWNER))?;
        let own =
            config::Own { dir: self.dir.path(), host: &self.host, address: self.address, nameserver: place.nameserver.ip() };
        let domain = if self.plan.domain.is_empty() { &self.host } else { &self.plan.domain };
        for (file, text) in [
            ("main.cf", config::main_cf(&own, settings)),
            ("master.cf", config::master_cf(&own)),
            ("resolv.conf", config::resolv_conf(&own)),
            ("dovecot.conf", config::dovecot_conf(&own)),
            ("users", config::users(&own, &self.plan)),
            ("mailboxes", config::mailboxes(&self.plan)),
            ("aliases", self.plan.aliases.clone()),
            ("local-host-names", format!("{domain}\n")),
            ("relay-domains", self.plan.relay_domains.iter().map(|domain| format!("{domain}\n")).collect()),
        ] {
            std::fs::write(self.etc(file), text)?;
        }
        self.map_aliases()
    }

    /// The aliases file as Postfix wants it: every local domain with every name.
    fn map_aliases(&self) -> Result<()> {
        let read = |file: &str| std::fs::read_to_string(self.etc(file));
        Ok(std::fs::write(self.etc("virtual"), config::aliases(&self.plan, &read("aliases")?, &read("local-host-names")?))?)
    }

    fn below(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn etc(&self, file: &str) -> PathBuf {
        self.below("etc").join(file)
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A program of Postfix with this node's configuration.
    fn program(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(name);
        command.arg("-c").arg(self.below("etc")).args(args);
        command
    }

    fn start_postfix(&self) -> Result<Group> {
        // Makes the queue directories; it says nothing but to a terminal or its log.
        run_command(self.program("postfix", &["check"]), b"")?.ok().with_context(|| self.log_tail(20))?;
        let etc = self.below("etc").display().to_string();
        let script = format!("mount --bind {etc}/resolv.conf /etc/resolv.conf && exec {DAEMONS}/master -c {etc} -d");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]).env("MAIL_CONFIG", &etc).env("TZ", "UTC");
        Group::start(command, &self.below("postfix.out"))
    }

    fn start_dovecot(&self) -> Result<Option<Group>> {
        if self.plan.accounts.is_empty() {
            return Ok(None);
        }
        let mut command = Command::new("dovecot");
        command.arg("-F").arg("-c").arg(self.etc("dovecot.conf"));
        Group::start(command, &self.below("dovecot.out")).map(Some)
    }

    fn wait_for_door(&self, port: Port) -> Result<()> {
        let at = self.at(port);
        let up = wait_for(&format!("{} on {at}", self.plan.name), PATIENCE, || {
            Ok(TcpStream::connect_timeout(&at, Duration::from_secs(1)).ok())
        });
        up.map(|_| ()).with_context(|| self.log_tail(40))
    }

    fn end(&self, signal: Signal) -> Result<i32> {
        let (postfix, dovecot) = {
            let mut running = self.running();
            running.paused.clear();
            (running.postfix.take().context("it does not run")?, running.dovecot.take())
        };
        let code = postfix.end(signal).with_context(|| self.log_tail(40))?;
        let other = dovecot.map_or(Ok(0), |dovecot| dovecot.end(signal)).with_context(|| self.log_tail(40))?;
        Ok(code.max(other))
    }

    /// The processes of a service, once there is one: most of Postfix's start when there is work.
    fn service(&self, service: &str) -> Result<Vec<u32>> {
        wait_for(&format!("a process {service} of {}", self.plan.name), PATIENCE, || {
            let found: Vec<u32> = self.running().groups().flat_map(|group| group.named(service)).collect();
            Ok((!found.is_empty()).then_some(found))
        })
    }

    fn log(&self) -> String {
        std::fs::read(self.below("maillog")).map(|octets| String::from_utf8_lossy(&octets).into_owned()).unwrap_or_default()
    }

    fn queue(&self) -> PathBuf {
        self.below("data/queue")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        sweep::forget(&format!("directory {}", self.dir.path().display()));
    }
}

/// The last lines of a file.
fn tail(path: &Path, lines: usize) -> String {
    let octets = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&octets);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n  ")
}

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
        let dovecot = self.start_dovecot()?;
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
        &["smtpd", "cleanup", "qmgr", "smtp", "virtual", "pop3"]
    }

    fn kill_service(&self, service: &str) -> Result<()> {
        self.service(service)?.into_iter().try_for_each(|process| group::signal(process, Signal::KILL))
    }

    fn pause_service(&self, service: &str) -> Result<()> {
        let processes = self.service(service)?;
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

/// Until every process of a group is gone.
fn wait_gone(what: &str, gone: impl FnMut() -> bool) -> Result<()> {
    wait_until(&format!("the end of {what}"), PATIENCE, gone)
}

/// The ports that its servers listen on.
const PORTS: (u16, u16) = (port::MX, port::POP3);
