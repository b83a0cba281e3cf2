//! Exim as a node, with Dovecot for POP3 where the node has accounts.
//!
//! Exim reads its configuration where it was compiled to, since `-C` takes the rights from the processes that it starts; it finds it there on the node's
//! own machine, and its user with it.

mod config;
mod log;
mod queue;
mod settings;

use std::net::IpAddr;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::foreign::{self, Program, Site, Waiting};
use super::group::Group;
use super::home::Home;
use super::machine::Furniture;
use super::maps;
use super::settings::Own;
use crate::Result;
use crate::client::run_command;
use crate::driver::processes::Place;
use crate::server::{Event, Server};
use crate::topology::{NodePlan, Topology};

/// Its program, as Debian names it.
const PROGRAM: &str = "exim4";
/// The user that it runs as, and the number of it where the machine has none.
const USER: (&str, u32) = ("Debian-exim", 64_990);
/// Queue runners that were asked for and run at one time: each stands still before a host that does.
const RUNNERS: usize = 4;
/// Those of a daemon as shipped (`queue_run_max`).
const SHIPPED_RUNNERS: usize = 5;
/// What it is at when its daemon ends, a delivery or a session, may last so long.
const GRACE: Duration = Duration::from_secs(3);

/// What Exim is.
struct Exim {
    home: Home,
    settings: Own,
    runners: Arc<AtomicUsize>,
    /// As its maker ships it, and not eager to try again.
    shipped: bool,
    held: AtomicBool,
}

/// Why a node can't be Exim here; `None` where it can.
pub fn impossible() -> Option<String> {
    foreign::impossible().or_else(|| Home::find("exim", PROGRAM).err())
}

/// Makes a node; starts nothing.
pub fn make(topology: &Topology, plan: &NodePlan, place: &Place) -> Result<Box<dyn Server>> {
    let settings = settings::translated(&format!("{}\n{}", topology.settings, plan.settings))?;
    let home = Home::find("exim", PROGRAM).map_err(anyhow::Error::msg)?;
    let exim = Exim { home, settings, runners: Arc::default(), shipped: topology.shipped, held: AtomicBool::new(false) };
    foreign::Process::make(topology, plan, place, exim)
}

impl Program for Exim {
    fn furniture(&self, site: &Site, nameserver: IpAddr) -> Furniture<'static> {
        Furniture {
            home: self.home.clone(),
            nameserver,
            users: &[USER],
            etc: vec![(
                "exim4/exim4.conf",
                config::exim_conf(&site.dir, &site.host, site.address, &self.settings, self.shipped),
            )],
            directories: &[],
            binds: &[],
        }
    }

    fn settle_in(&self, site: &Site) -> Result<()> {
        let user = Some(site.user(0)?);
        std::fs::create_dir_all(site.below("log"))?;
        chown(site.below("log"), user, user)?;
        Ok(chown(site.below("data/queue"), user, user)?)
    }

    fn map(&self, site: &Site) -> Result<()> {
        let aliases = maps::aliases(&site.plan, &site.list("aliases")?, &site.list("local-host-names")?);
        site.write("virtual", &maps::lines(&aliases, ": "))?;
        let mailboxes = site.mailboxes().into_iter().map(|(address, home)| (address, format!("{}/Maildir", home.display())));
        site.write("mailboxes", &maps::lines(&mailboxes.collect::<Vec<_>>(), ": "))?;
        site.write("relay", &maps::with_subdomains(&site.list("relay-domains")?))
    }

    fn daemon(&self, site: &Site) -> Command {
        let of_mail_that_waits = match (self.held.load(Ordering::Relaxed), self.shipped) {
            (true, _) => "-odq",
            (false, true) => "-q30m",
            (false, false) => "-q1s",
        };
        site.program(PROGRAM, &["-bdf", of_mail_that_waits])
    }

    /// `exim4 ARGS`.
    fn command(&self, site: &Site, args: &[&str]) -> Result<Command> {
        Ok(site.program(PROGRAM, args))
    }

    fn listing(&self) -> &'static [&'static str] {
        &["-bp"]
    }

    fn run_queue(&self, site: &Site, daemon: &Group) -> Result<()> {
        if self.runners.fetch_add(1, Ordering::Relaxed) >= RUNNERS {
            self.runners.fetch_sub(1, Ordering::Relaxed);
            return Ok(());
        }
        let runners = Arc::clone(&self.runners);
        daemon.join(site.program(PROGRAM, &["-qff"]), move || {
            runners.fetch_sub(1, Ordering::Relaxed);
        })
    }

    fn reread(&self, _site: &Site) -> Result<()> {
        // Each message has a process of its own, which reads its maps anew.
        Ok(())
    }

    fn hold(&self, site: &Site, daemon: Option<&Group>, held: bool) -> Result<()> {
        self.held.store(held, Ordering::Relaxed);
        let Some(daemon) = daemon.filter(|_| !held) else { return Ok(()) };
        (0..SHIPPED_RUNNERS).try_for_each(|_| daemon.join(site.program(PROGRAM, &["-qff"]), || ()))
    }

    fn version(&self, site: &Site) -> Result<String> {
        let ran = run_command(site.program(PROGRAM, &["-bV"]), b"")?.ok()?;
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let version = text.split_whitespace().skip_while(|word| *word != "version").nth(1);
        Ok(format!("Exim {}", version.unwrap_or_default()))
    }

    fn waiting(&self, queue: &Path) -> Vec<Waiting> {
        queue::waiting(queue)
    }

    fn count(&self, queue: &Path) -> usize {
        queue::count(queue)
    }

    fn events(&self, log: &str) -> Vec<Event> {
        log::events(log)
    }

    fn log(&self) -> &'static str {
        "log/mainlog"
    }

    /// Its daemon leaves deliveries to themselves, and one that is ended between the copy and its record is made again.
    fn grace(&self) -> Duration {
        GRACE
    }
}
