//! OpenSMTPD as a node, with Dovecot for POP3 where the node has accounts.
//!
//! Its configuration, queue and control socket are where it was compiled to look for them, on the node's own machine. What it
//! can't be told: how long it waits for a reply (five minutes), when it tries again, and to do without TLS where another offers it.

mod config;
mod log;
mod queue;
mod settings;

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

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
use crate::topology::{NodePlan, SystemKind, Topology};

/// Its program.
const PROGRAM: &str = "smtpd";
/// What it must be accompanied by, to be told from another `smtpd`.
const CONTROL: &str = "smtpctl";
/// The users that it runs as, with the numbers of those that the machine has not. The second owns its queue.
const USERS: [(&str, u32); 2] = [("opensmtpd", 64_991), ("opensmtpq", 64_992)];
/// A domain that nobody has: it takes no table without an entry.
const NOWHERE: &str = "nowhere.invalid\n";
/// What it prints: it logs nowhere else in the foreground.
const LOG: &str = "daemon.out";

/// What OpenSMTPD is.
struct OpenSmtpd {
    home: Home,
    settings: Own,
    held: AtomicBool,
}

/// Why a node can't be OpenSMTPD here; `None` where it can.
pub fn impossible() -> Option<String> {
    foreign::impossible().or_else(|| home().err())
}

fn home() -> std::result::Result<Home, String> {
    Home::find("opensmtpd", CONTROL)
}

/// Makes a node; starts nothing.
pub fn make(topology: &Topology, plan: &NodePlan, place: &Place) -> Result<Box<dyn Server>> {
    // No node of another make does, nor a server outside unless a scenario has it do so.
    let tls_offered = topology.nodes.iter().any(|node| node.system == SystemKind::Bongsu);
    let settings = settings::translated(&format!("{}\n{}", topology.settings, plan.settings), tls_offered)?;
    let home = home().map_err(anyhow::Error::msg)?;
    foreign::Process::make(topology, plan, place, OpenSmtpd { home, settings, held: AtomicBool::new(false) })
}

impl OpenSmtpd {
    /// `smtpctl`, as the group that may: installed it has that group's rights by itself, unpacked it has not.
    fn control(&self, site: &Site, args: &[&str]) -> Result<Command> {
        let group = site.user(1)?.to_string();
        let words = ["--regid", &group, "--clear-groups", CONTROL];
        Ok(site.program("setpriv", &[&words[..], args].concat()))
    }
}

impl Program for OpenSmtpd {
    fn furniture(&self, site: &Site, nameserver: IpAddr) -> Furniture<'static> {
        Furniture {
            home: self.home.clone(),
            nameserver,
            users: &USERS,
            etc: vec![("smtpd.conf", config::smtpd_conf(&site.dir, &site.host, site.address, &self.settings))],
            directories: &["/var/spool/smtpd", "/var/lib/opensmtpd/empty"],
            binds: &[("data/queue", "/var/spool/smtpd"), ("run", "/run")],
        }
    }

    fn settle_in(&self, site: &Site) -> Result<()> {
        // It insists on this, and makes the rest.
        Ok(std::fs::set_permissions(site.below("data/queue"), PermissionsExt::from_mode(0o711))?)
    }

    fn map(&self, site: &Site) -> Result<()> {
        let (domain, owner, nobody) = (NOWHERE.trim(), maps::MAIL_OWNER, "nobody");
        let aliases = maps::aliases(&site.plan, &site.list("aliases")?, &site.list("local-host-names")?);
        let mut recipients = format!("{nobody}@{domain} {nobody}\n{}", maps::lines(&aliases, " "));
        let mut accounts = format!("{nobody} {owner}:{owner}:/nonexistent\n");
        for (address, home) in site.mailboxes() {
            let (account, _) = address.split_once('@').unwrap_or((&address, ""));
            recipients.push_str(&format!("{address} {account}\n"));
            accounts.push_str(&format!("{account} {owner}:{owner}:{}\n", home.display()));
        }
        site.write("recipients", &recipients)?;
        site.write("accounts", &accounts)?;
        site.write("domains", &format!("{NOWHERE}{}", site.list("local-host-names")?))?;
        site.write("relayed", &format!("{NOWHERE}{}", maps::with_subdomains(&site.list("relay-domains")?)))
    }

    fn daemon(&self, site: &Site) -> Command {
        site.program(PROGRAM, &["-d"])
    }

    /// `smtpctl ARGS`.
    fn command(&self, site: &Site, args: &[&str]) -> Result<Command> {
        self.control(site, args)
    }

    fn listing(&self) -> &'static [&'static str] {
        &["show", "queue"]
    }

    fn run_queue(&self, site: &Site, _daemon: &Group) -> Result<()> {
        run_command(self.control(site, &["schedule", "all"])?, b"")?.ok()?;
        // What goes by a host that failed waits for that host's time, whatever is scheduled.
        let routes = run_command(self.control(site, &["show", "routes"])?, b"")?.ok()?;
        for route in queue::disabled_routes(&String::from_utf8_lossy(&routes.stdout)) {
            run_command(self.control(site, &["resume", "route", &route])?, b"")?;
        }
        Ok(())
    }

    fn reread(&self, site: &Site) -> Result<()> {
        for table in config::TABLES {
            run_command(self.control(site, &["update", "table", table])?, b"")?.ok()?;
        }
        Ok(())
    }

    fn hold(&self, site: &Site, daemon: Option<&Group>, held: bool) -> Result<()> {
        self.held.store(held, Ordering::Relaxed);
        match daemon {
            Some(_) if held => self.started(site),
            Some(_) => run_command(self.control(site, &["resume", "mta"])?, b"")?.ok().map(|_| ()),
            None => Ok(()),
        }
    }

    fn started(&self, site: &Site) -> Result<()> {
        if self.held.load(Ordering::Relaxed) {
            run_command(self.control(site, &["pause", "mta"])?, b"")?.ok()?;
        }
        Ok(())
    }

    fn version(&self, site: &Site) -> Result<String> {
        let ran = run_command(site.program(PROGRAM, &["-h"]), b"")?;
        let version = ran.text.split_whitespace().skip_while(|word| *word != "OpenSMTPD").nth(1);
        Ok(format!("OpenSMTPD {}", version.unwrap_or_default()))
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
        LOG
    }
}
