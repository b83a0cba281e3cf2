//! Postfix as a node, with Dovecot for POP3 where the node has accounts: an own configuration, queue and mail directory below one temporary directory,
//! in the foreground, in process groups of its own. Nothing of the machine's own Postfix or Dovecot is read or written.
//!
//! Postfix asks the resolver library for MX records and, before 3.8, connects to port 25 and no other. Maps of transports could replace both, but then
//! its own choice of the next MX would not be under test. So the node runs in a private mount namespace with a `resolv.conf` of its own, its view of
//! the name server answers on port 53, and the gates of its links listen on port 25: names, preferences and gates are the same as for any other node. All
//! of this needs root.

mod config;
mod log;
mod queue;
mod server;
mod settings;

use std::net::{IpAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;

use super::group::Group;
use super::{bongsu, dovecot, maps};
use crate::Result;
use crate::client::{have, run_command};
use crate::driver::processes::Place;
use crate::node::PATIENCE;
use crate::server::{Port, Server};
use crate::sweep;
use crate::topology::{NodePlan, Topology};
use crate::volume::{Disk, Mounted};
use crate::wait::wait_for;

/// Where Postfix keeps its daemons (Debian's place).
const DAEMONS: &str = "/usr/lib/postfix/sbin";
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
        anyhow::ensure!(plan.smart_host.is_none(), "SKIPPED: Postfix is given no smart host here");
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
        process.lay_out(place, &settings, topology.shipped)?;
        Ok(process)
    }

    fn lay_out(&self, place: &Place, settings: &[(String, String)], shipped: bool) -> Result<()> {
        for below in ["etc", "lib", "data/queue", "data/mail"] {
            std::fs::create_dir_all(self.below(below))?;
        }
        let owner = config::owner_of_postfix()?;
        std::os::unix::fs::chown(self.below("lib"), Some(owner), None)?;
        // What checks the queue writes to it without root, while the daemon of the log does not run.
        std::fs::write(self.below("maillog"), "")?;
        std::os::unix::fs::chown(self.below("maillog"), Some(owner), None)?;
        std::os::unix::fs::chown(self.below("data/mail"), Some(maps::MAIL_OWNER), Some(maps::MAIL_OWNER))?;
        let (host, address, nameserver) = (self.host.as_str(), self.address, place.nameserver.ip());
        let own = config::Own { dir: self.dir.path(), host, address, nameserver, shipped };
        let domain = if self.plan.domain.is_empty() { &self.host } else { &self.plan.domain };
        for (file, text) in [
            ("main.cf", config::main_cf(&own, settings)),
            ("master.cf", config::master_cf(&own)),
            ("resolv.conf", config::resolv_conf(&own)),
            ("mailboxes", config::mailboxes(&self.plan)),
            ("aliases", self.plan.aliases.clone()),
            ("local-host-names", format!("{domain}\n")),
            ("relay-domains", self.plan.relay_domains.iter().map(|domain| format!("{domain}\n")).collect()),
        ] {
            std::fs::write(self.etc(file), text)?;
        }
        dovecot::lay_out(self.dir.path(), self.address, &self.plan)?;
        self.map_aliases()
    }

    /// The aliases file as Postfix wants it: every local domain with every name.
    fn map_aliases(&self) -> Result<()> {
        let read = |file: &str| std::fs::read_to_string(self.etc(file));
        let map = maps::aliases(&self.plan, &read("aliases")?, &read("local-host-names")?);
        Ok(std::fs::write(self.etc("virtual"), maps::lines(&map, " "))?)
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
        // Makes the queue directories, and removes what a kill left half made. It ends with 1 where it warns, too: whether it was enough is seen
        // at the door.
        run_command(self.program("postfix", &["check"]), b"")?;
        let etc = self.below("etc").display().to_string();
        let script = format!("mount --bind {etc}/resolv.conf /etc/resolv.conf && exec {DAEMONS}/master -c {etc} -d");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]).env("MAIL_CONFIG", &etc).env("TZ", "UTC");
        Group::start(command, &self.below("postfix.out"))
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
    fn service(&self, service: &str, patience: Duration) -> Result<Vec<u32>> {
        wait_for(&format!("a process {service} of {}", self.plan.name), patience, || {
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
