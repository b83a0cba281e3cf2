//! bongsu as a node: its settings, and its files and commands read from outside.

mod accounts;
mod container;
pub(crate) mod files;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};

use crate::Result;
use crate::client::Ran;
use crate::driver::processes::{Place, number};
use crate::ledger::Found;
use crate::node::{Node, Plan, port};
use crate::server::{Copy, Counts, Event, Port, Server};
use crate::sweep;
use crate::topology::{Doors, NodePlan, SmartHost, Topology};
use crate::volume::{self, Disk, Mounted};

pub use container::Contained;

/// Settings that a node of a scenario has unless the topology says otherwise: every client comes from a few addresses here, and a
/// failed attempt is followed by another within a second or two.
const SCENARIO: &str = "smtp.max_sessions_per_address = 0\nsmtp.connection_rate_per_address = \"0/60s\"\n\
    pop3.max_sessions_per_address = 0\npop3.connection_rate_per_address = \"0/60s\"\nqueue.retry = [\"1s\", \"2s\"]\nrelay.connect_timeout = \"3s\"\n";
/// What it needs beside the shipped settings where every client comes from one machine.
const SHIPPED: &str = "exempt_networks = [\"127.0.0.0/8\"]\n";
/// The line that keeps mail for others in the queue.
const HELD: &str = "relay.enabled = false\n";
/// The services that can be killed one by one.
const SERVICES: &[&str] = &["smtp-in", "submission", "deliver", "relay-out", "pop3", "auth"];
/// The file that sets the queue clock.
const CLOCK: &str = "clock";

/// A bongsu node that runs as processes of this machine.
pub struct Process {
    plan: NodePlan,
    host: String,
    node: Mutex<Node>,
    paused: Mutex<Vec<(String, u32)>>,
    // Behind the node, which uses them: in this order, the inner first.
    _volumes: Vec<Mounted>,
    _disk: Option<Disk>,
    dir: tempfile::TempDir,
}

impl Process {
    /// Makes directory, volumes, settings and accounts; starts nothing.
    pub fn make(topology: &Topology, plan: &NodePlan, place: &Place) -> Result<Process> {
        let dir = tempfile::Builder::new().prefix(&format!("bongsu-{}-", plan.name)).tempdir()?;
        sweep::note(&format!("directory {}", dir.path().display()));
        let place_lines =
            format!("relay.nameservers = [\"{}\"]\nrelay.port = {}\nrelay.allow_loopback = true\n", place.nameserver, port::MX);
        let base = if topology.shipped { SHIPPED } else { SCENARIO };
        let node = Plan {
            address: place.address,
            dir: Some(dir.path().to_owned()),
            ..planned(topology, plan, Doors::OWN, &[base, &place_lines])?
        };
        let (volumes, disk) = volumes(plan, dir.path())?;
        set_first_clock(plan, &dir.path().join("etc"))?;
        let host = node.host();
        let (node, paused) = (Mutex::new(node.make()?), Mutex::default());
        Ok(Process { plan: plan.clone(), host, node, paused, _volumes: volumes, _disk: disk, dir })
    }

    fn node(&self) -> MutexGuard<'_, Node> {
        lock(&self.node)
    }

    fn signal_all(&self, which: Signal) {
        for process in self.processes() {
            // One that has ended in this moment needs no signal.
            let _ = signal(process, which);
        }
    }
}

/// A supervisor and its children. It comes first: while it stands still it restarts nobody.
fn family(supervisor: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{supervisor}/task/{supervisor}/children")).unwrap_or_default();
    std::iter::once(supervisor).chain(children.split_whitespace().filter_map(|pid| pid.parse().ok())).collect()
}

fn signal(process: u32, which: Signal) -> Result<()> {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw).context("no process id")?;
    Ok(kill_process(pid, which)?)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Process {
    fn drop(&mut self) {
        sweep::forget(&format!("directory {}", self.dir.path().display()));
    }
}

/// Lines `key = value` of several texts, where a later one wins over an earlier one with the same key.
pub fn merged(texts: &[&str]) -> String {
    let mut lines: Vec<(&str, &str)> = Vec::new();
    for line in texts.iter().flat_map(|text| text.lines()).filter(|line| !line.trim().is_empty()) {
        let key = line.split('=').next().unwrap_or(line).trim();
        lines.retain(|(known, _)| *known != key);
        lines.push((key, line));
    }
    lines.iter().map(|(_, line)| format!("{line}\n")).collect()
}

/// What a node of a topology is made from, but for where it stands; `doors` are where it finds others. The topology's and the node's own settings
/// win over `base`.
pub(crate) fn planned(topology: &Topology, plan: &NodePlan, doors: Doors, base: &[&str]) -> Result<Plan> {
    let host = topology.host(plan);
    let clock = if plan.clock { format!("testing.clock = \"{CLOCK}\"\n") } else { String::new() };
    let host_of = |name: &str| Ok(topology.host(&topology.nodes[topology.index(name)?]));
    let pair = plan.pair.as_ref().map_or(Ok(String::new()), |pair| pair.lines(doors.mx, host_of))?;
    let smart = plan.smart_host.as_ref();
    let way = smart.map_or(Ok(String::new()), |smart| smart.lines(topology, doors))?;
    let keys = plan.pair.iter().flat_map(|pair| [("pair.crt", pair.chain.clone()), ("pair.key", pair.key.clone())]);
    let owned = |user: &String| {
        let senders = topology.senders(&plan.name, user).into_iter();
        senders.map(|sender| (user.clone(), sender)).collect::<Vec<_>>()
    };
    Ok(Plan {
        name: plan.name.clone(),
        domain: if plan.domain.is_empty() { host.clone() } else { plan.domain.clone() },
        host_name: Some(host),
        address: std::net::Ipv4Addr::UNSPECIFIED.into(),
        settings: merged(&[base, &[&clock, &pair, &way, &topology.settings, &plan.settings]].concat()),
        relay_domains: plan.relay_domains.clone(),
        aliases: plan.aliases.clone(),
        more: keys.chain(smart.and_then(SmartHost::password)).collect(),
        accounts: plan.accounts.iter().map(|user| (user.clone(), format!("secret-{user}"))).collect(),
        owned: plan.accounts.iter().flat_map(owned).collect(),
        // A test of the harness: does it notice a node that lacks something (`tests/tests/mutants.rs`)?
        environment: std::env::var("HARNESS_MUTANT")
            .ok()
            .map(|mutant| ("BONGSU_MUTANT".to_owned(), mutant))
            .into_iter()
            .collect(),
        binary: None,
        dir: None,
    })
}

/// The clock file of a node that has one: the real time.
fn set_first_clock(plan: &NodePlan, config: &std::path::Path) -> Result<()> {
    if plan.clock {
        std::fs::create_dir_all(config)?;
        std::fs::write(config.join(CLOCK), clock_line(0, 1.0)?)?;
    }
    Ok(())
}

/// Writes a file of the configuration as an editor would: whole, and then in the place of the old one.
fn replace(path: &std::path::Path, text: &str) -> Result<()> {
    let next = path.with_extension("next");
    std::fs::write(&next, text)?;
    Ok(std::fs::rename(&next, path)?)
}

/// Beside a node's data: the disk that its volumes lie on.
const DISK: &str = "disk";

/// The volumes of a plan, mounted where the node's data will lie, the inner first; and the disk that they lie on.
pub(crate) fn volumes(plan: &NodePlan, dir: &std::path::Path) -> Result<(Vec<Mounted>, Option<Disk>)> {
    let wanted = [("data", plan.volume, plan.inodes), ("data/mail", plan.mail_volume, None)];
    let sum: u64 = wanted.iter().filter_map(|(_, megabytes, _)| *megabytes).sum();
    if sum == 0 {
        return Ok((Vec::new(), None));
    }
    if let Some(why) = volume::impossible() {
        anyhow::bail!("{}{why}", crate::scenario::SKIPPED);
    }
    let disk = Disk::mount(&dir.join(DISK), sum + 1)?;
    let mut mounted = Vec::new();
    for (at, megabytes, inodes) in wanted {
        let Some(megabytes) = megabytes else { continue };
        let image = dir.join(DISK).join(format!("{}.img", at.replace('/', "-")));
        volume::make_ext4(&image, megabytes, inodes)?;
        mounted.insert(0, Mounted::mount(&image, &dir.join(at), false)?);
    }
    Ok((mounted, Some(disk)))
}

/// The text of a clock file: `ahead_ms` of the real clock now, and from now `rate` times as fast.
fn clock_line(ahead_ms: i64, rate: f64) -> Result<String> {
    let real = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
    Ok(format!("{real} {} {rate}\n", real + ahead_ms))
}

/// What the server says of itself, wherever it runs.
fn version(server: &impl Server) -> String {
    let said = server.command(&["--version"], b"").map(|ran| ran.text.trim().to_owned());
    said.unwrap_or_else(|_| "bongsu".to_owned())
}

impl Server for Process {
    fn plan(&self) -> &NodePlan {
        &self.plan
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn at(&self, port: Port) -> SocketAddr {
        self.node().at(number(port))
    }

    fn start(&self) -> Result<()> {
        let mut node = self.node();
        let started = node.start();
        if let Some(supervisor) = node.supervisor() {
            sweep::note(&format!("process {supervisor}"));
        }
        started
    }

    fn stop(&self) -> Result<i32> {
        self.node().stop()
    }

    fn kill(&self) -> Result<()> {
        // A frozen service would not notice that its supervisor is gone.
        for (_, process) in lock(&self.paused).drain(..) {
            let _ = signal(process, Signal::KILL);
        }
        self.node().kill()
    }

    fn pause(&self) -> Result<()> {
        self.signal_all(Signal::STOP);
        Ok(())
    }

    fn resume(&self) -> Result<()> {
        self.signal_all(Signal::CONT);
        Ok(())
    }

    fn runs(&self) -> bool {
        self.node().supervisor().is_some()
    }

    fn services(&self) -> &'static [&'static str] {
        SERVICES
    }

    fn kill_service(&self, service: &str) -> Result<()> {
        self.node().kill_role(service).map(|_| ())
    }

    fn pause_service(&self, service: &str) -> Result<()> {
        let process = self.node().role_process(service)?;
        lock(&self.paused).push((service.to_owned(), process));
        signal(process, Signal::STOP)
    }

    fn resume_service(&self, service: &str) -> Result<()> {
        // A frozen supervisor could not tell which process it was.
        let mut paused = lock(&self.paused);
        // One that was killed in the meantime is frozen no longer.
        let Some(at) = paused.iter().position(|(name, _)| name == service) else { return Ok(()) };
        let (_, process) = paused.remove(at);
        if crate::node::runs(process) { signal(process, Signal::CONT) } else { Ok(()) }
    }

    fn service_process(&self, service: &str) -> Result<u32> {
        self.node().role_process(service)
    }

    fn command(&self, args: &[&str], input: &[u8]) -> Result<Ran> {
        let command = self.node().command(args);
        crate::client::run_command(command, input).with_context(|| format!("bongsu {}", args.join(" ")))
    }

    fn run_queue(&self) -> Result<()> {
        self.command(&["queue", "run"], b"")?.ok().map(|_| ())
    }

    fn hold(&self, held: bool) -> Result<()> {
        let text = std::fs::read_to_string(self.node().config())?;
        let text = if held { format!("{HELD}{text}") } else { text.replacen(HELD, "", 1) };
        self.configure("bongsu.toml", &text)?;
        if self.runs() { self.reload() } else { Ok(()) }
    }

    fn list_queue(&self) -> Result<Ran> {
        self.command(&["mailq"], b"")?.ok()
    }

    fn version(&self) -> String {
        version(self)
    }

    fn queued(&self) -> Result<Vec<Found>> {
        let listing = self.command(&["mailq", "--json"], b"")?.ok()?;
        files::queued(&self.plan.name, &listing.stdout, &files::read_below(&self.node().data().join("spool"))?)
    }

    fn copies(&self) -> Result<Vec<Copy>> {
        Ok(files::copies(files::read_below(&self.node().data().join("mail"))?))
    }

    fn counts(&self) -> Counts {
        let data = self.node().data();
        Counts {
            queued: files::count_queued(&data.join("spool")).ok(),
            delivered: crate::maildir::messages(&data.join("mail")).ok().map(|all| all.len()),
        }
    }

    fn events(&self) -> Result<Vec<Event>> {
        Ok(files::events(&files::read_below(&self.node().data().join("state/events"))?))
    }

    fn configure(&self, file: &str, text: &str) -> Result<()> {
        replace(&self.node().config_file(file), text)
    }

    fn reload(&self) -> Result<()> {
        self.command(&["reload"], b"")?.ok().map(|_| ())
    }

    fn set_clock(&self, ahead_ms: i64, rate: f64) -> Result<()> {
        anyhow::ensure!(
            self.plan.clock,
            "{} has no clock that can be set: the topology says clock = true for one",
            self.plan.name
        );
        self.configure(CLOCK, &clock_line(ahead_ms, rate)?)
    }

    fn data(&self) -> Option<PathBuf> {
        Some(self.node().data())
    }

    fn processes(&self) -> Vec<u32> {
        self.node().supervisor().map(family).unwrap_or_default()
    }

    fn logged(&self, text: &str) -> bool {
        self.node().logged(text)
    }

    fn log_tail(&self, lines: usize) -> String {
        self.node().log_tail(lines)
    }
}

/// Patience of [`Server::start`] and the like, for messages.
pub const PATIENCE: Duration = crate::node::PATIENCE;

#[cfg(test)]
mod tests {
    use super::merged;

    #[test]
    fn a_later_setting_wins() {
        assert_eq!(merged(&["a.b = 1\nc = 2\n", "", "a.b = 3\n"]), "c = 2\na.b = 3\n");
    }
}
