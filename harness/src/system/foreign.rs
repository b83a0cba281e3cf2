//! A node of another make: what all of them have in common. What differs is a [`Program`]; its files lie below one temporary directory, its daemon runs
//! in the foreground on a [`Machine`] of its own, and Dovecot serves the mailboxes.

mod server;

use std::net::{IpAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;

use super::group::Group;
use super::machine::{self, Furniture, Machine};
use super::{bongsu, dovecot, maps};
use crate::Result;
use crate::client::have;
use crate::driver::processes::Place;
use crate::ledger::{Found, Place as Where, token};
use crate::node::PATIENCE;
use crate::scenario::SKIPPED;
use crate::server::{Event, Port, Server};
use crate::sweep;
use crate::topology::{NodePlan, Topology};
use crate::volume::{Disk, Mounted};
use crate::wait::wait_for;

pub(super) use server::tail;

/// The lists that may be changed while it runs.
pub(super) const LISTS: [&str; 3] = ["aliases", "local-host-names", "relay-domains"];

/// A mail server program of another make.
pub(super) trait Program: Send + Sync + 'static {
    /// What it needs to find, beside what every server does.
    fn furniture(&self, site: &Site, nameserver: IpAddr) -> Furniture<'static>;

    /// Once its machine is there: directories get their owners.
    fn settle_in(&self, site: &Site) -> Result<()>;

    /// Writes the maps that come of its lists, the first time too.
    fn map(&self, site: &Site) -> Result<()>;

    /// What runs in the foreground.
    fn daemon(&self, site: &Site) -> Command;

    /// A program of the operator's, with arguments.
    fn command(&self, site: &Site, args: &[&str]) -> Result<Command>;

    /// The arguments of the operator's program with which it lists the queue.
    fn listing(&self) -> &'static [&'static str];

    /// Tries all that waits, now; what it starts for that belongs to the daemon's processes.
    fn run_queue(&self, site: &Site, daemon: &Group) -> Result<()>;

    /// It runs, and its maps have changed.
    fn reread(&self, site: &Site) -> Result<()>;

    /// Before the start: from then on what would leave for other servers stays in the queue. With the daemon that runs, `false` lets all of it go.
    fn hold(&self, site: &Site, daemon: Option<&Group>, held: bool) -> Result<()>;

    /// Its door answers.
    fn started(&self, _site: &Site) -> Result<()> {
        Ok(())
    }

    /// Its name and version.
    fn version(&self, site: &Site) -> Result<String>;

    /// The messages in its queue, read from its files.
    fn waiting(&self, queue: &Path) -> Vec<Waiting>;

    /// How many they are.
    fn count(&self, queue: &Path) -> usize;

    /// What it wrote down of its messages, in its log.
    fn events(&self, log: &str) -> Vec<Event>;

    /// Its log, below the node's directory.
    fn log(&self) -> &'static str;

    /// How long what its daemon has started may go on once it was asked to end in order: as long as whoever runs it for real would wait.
    fn grace(&self) -> Duration {
        Duration::ZERO
    }
}

/// A message that waits.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) id: String,
    pub(super) sender: String,
    /// Those for whom something is left to do.
    pub(super) recipients: Vec<String>,
    /// Its header at least.
    pub(super) text: Vec<u8>,
}

impl Waiting {
    fn found(self, node: &str) -> Found {
        // Without a sender it is a notification, and no copy of the message that it is about.
        let token = token(&self.text).filter(|_| !self.sender.is_empty()).unwrap_or_default();
        Found { token, place: Where::Queue { node: node.to_owned(), id: self.id, recipients: self.recipients }, text: None }
    }
}

/// Where a node of another make stands, and what it is.
pub(super) struct Site {
    pub(super) plan: NodePlan,
    pub(super) host: String,
    pub(super) address: IpAddr,
    pub(super) dir: PathBuf,
    machine: Option<Machine>,
}

impl Site {
    /// A path below its directory.
    pub(super) fn below(&self, path: &str) -> PathBuf {
        self.dir.join(path)
    }

    /// A file of its configuration.
    pub(super) fn etc(&self, file: &str) -> PathBuf {
        self.below("etc").join(file)
    }

    /// The text of one of its lists.
    pub(super) fn list(&self, file: &str) -> Result<String> {
        std::fs::read_to_string(self.etc(file)).with_context(|| file.to_owned())
    }

    /// Writes a file of its configuration that was made from others.
    pub(super) fn write(&self, file: &str, text: &str) -> Result<()> {
        // Whole, as it may be read in this moment.
        let next = self.etc("next");
        std::fs::write(&next, text)?;
        Ok(std::fs::rename(next, self.etc(file))?)
    }

    /// The address and directory of each account's mailbox.
    pub(super) fn mailboxes(&self) -> Vec<(String, PathBuf)> {
        let (domain, mail) = (&self.plan.domain, self.below("data/mail"));
        self.plan.accounts.iter().map(|user| (format!("{user}@{domain}"), mail.join(domain).join(user))).collect()
    }

    /// A program on its machine.
    pub(super) fn program(&self, name: &str, args: &[&str]) -> Command {
        match &self.machine {
            Some(machine) => machine.command(name, args),
            None => Command::new(name),
        }
    }

    /// The number of the user that its machine was furnished with in this place.
    pub(super) fn user(&self, place: usize) -> Result<u32> {
        let users = self.machine.as_ref().map(Machine::users).unwrap_or_default();
        users.get(place).copied().context("its machine has no such user")
    }
}

/// A node of another make that runs as processes of this machine.
pub(super) struct Process<P> {
    site: Site,
    program: P,
    running: Mutex<Running>,
    // Behind the processes, which use them: in this order, the inner first.
    _volumes: Vec<Mounted>,
    _disk: Option<Disk>,
    dir: tempfile::TempDir,
}

/// What runs of it.
#[derive(Default)]
struct Running {
    daemon: Option<Group>,
    dovecot: Option<Group>,
}

impl Running {
    fn groups(&self) -> impl Iterator<Item = &Group> {
        self.daemon.iter().chain(&self.dovecot)
    }
}

/// Why no node can be of this make here, its programs apart; `None` where one can.
pub(super) fn impossible() -> Option<String> {
    machine::impossible()
        .or_else(|| (!have("dovecot")).then(|| "not installed: dovecot: apt-get install dovecot-pop3d".to_owned()))
}

impl<P: Program> Process<P> {
    /// Makes directory, volumes, machine, configuration and accounts; starts nothing.
    pub(super) fn make(topology: &Topology, plan: &NodePlan, place: &Place, program: P) -> Result<Box<dyn Server>> {
        let system = plan.system.name();
        anyhow::ensure!(plan.smart_host.is_none(), "{SKIPPED}{system} is given no smart host here");
        anyhow::ensure!(!plan.clock, "{SKIPPED}{system} has no queue clock that can be set");
        let dir = tempfile::Builder::new().prefix(&format!("{system}-{}-", plan.name)).tempdir()?;
        sweep::note(&format!("directory {}", dir.path().display()));
        // Its daemons give up root and still have to pass.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
        let (volumes, disk) = bongsu::volumes(plan, dir.path())?;
        let mut site = Site {
            plan: plan.clone(),
            host: topology.host(plan),
            address: place.address,
            dir: dir.path().to_owned(),
            machine: None,
        };
        for below in ["etc", "data/queue", "data/mail"] {
            std::fs::create_dir_all(site.below(below))?;
        }
        site.write("aliases", &plan.aliases)?;
        site.write("local-host-names", &maps::local_domains(plan, &site.host))?;
        site.write("relay-domains", &plan.relay_domains.iter().map(|domain| format!("{domain}\n")).collect::<String>())?;
        for (_, mailbox) in site.mailboxes() {
            std::fs::create_dir_all(&mailbox)?;
            chown(&mailbox, Some(maps::MAIL_OWNER), Some(maps::MAIL_OWNER))?;
        }
        program.map(&site)?;
        dovecot::lay_out(&site.dir, site.address, plan)?;
        let furniture = program.furniture(&site, place.nameserver.ip());
        site.machine = Some(Machine::make(&site.dir, &furniture)?);
        program.settle_in(&site)?;
        Ok(Box::new(Process { site, program, running: Mutex::default(), _volumes: volumes, _disk: disk, dir }))
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> PathBuf {
        self.site.below("data/queue")
    }

    fn log(&self) -> String {
        let octets = std::fs::read(self.site.below(self.program.log())).unwrap_or_default();
        String::from_utf8_lossy(&octets).into_owned()
    }

    fn wait_for_door(&self, port: Port) -> Result<()> {
        let at = self.at(port);
        let up = wait_for(&format!("{} on {at}", self.site.plan.name), PATIENCE, || {
            let answers = TcpStream::connect_timeout(&at, Duration::from_secs(1)).is_ok();
            let ended = self.running().groups().any(|group| group.processes().is_empty());
            Ok((answers || ended).then_some(answers))
        });
        let answers = up.with_context(|| self.log_tail(40))?;
        anyhow::ensure!(answers, "{} ended by itself: {}", self.site.plan.name, self.log_tail(40));
        Ok(())
    }

    fn end(&self, signal: Signal) -> Result<i32> {
        let (daemon, dovecot) = {
            let mut running = self.running();
            (running.daemon.take().context("it does not run")?, running.dovecot.take())
        };
        let code = daemon
            .end_after(signal, if signal == Signal::TERM { self.program.grace() } else { Duration::ZERO })
            .with_context(|| self.log_tail(40))?;
        let other = dovecot.map_or(Ok(0), |dovecot| dovecot.end(signal)).with_context(|| self.log_tail(40))?;
        Ok(code.max(other))
    }
}

impl<P> Drop for Process<P> {
    fn drop(&mut self) {
        sweep::forget(&format!("directory {}", self.dir.path().display()));
    }
}
