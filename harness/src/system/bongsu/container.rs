//! bongsu as a node in a container.

use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;
use rustix::process::Signal;
use serde_json::Value;

use super::{CLOCK, SCENARIO, SERVICES, accounts, clock_line, files, lock, planned, replace, set_first_clock, signal, volumes};
use crate::Result;
use crate::client::Ran;
use crate::driver::containers::{Machine, Run, Spec, Stand, number_within, user};
use crate::driver::processes::number;
use crate::ledger::Found;
use crate::node::{PATIENCE, binary};
use crate::server::{Copy, Counts, Event, Port, Server};
use crate::smtp::Smtp;
use crate::topology::{Doors, NodePlan, Topology};
use crate::volume::{Disk, Mounted};
use crate::wait::{wait_for, wait_until};

/// The program within the image.
const PROGRAM: &str = "/bin/bongsu";
/// One look at whether a door answers.
const LOOK: Duration = Duration::from_secs(2);
/// The doors, and the port of each within the container.
const DOORS: [(Port, u16); 5] =
    [(Port::Mx, 25), (Port::Submission, 587), (Port::Submissions, 465), (Port::Pop3, 110), (Port::Pop3s, 995)];

/// A bongsu node in a container: configuration and data lie in a directory of this machine, which it sees as its own.
pub struct Contained {
    plan: NodePlan,
    host: String,
    index: usize,
    started: AtomicBool,
    paused: Mutex<Vec<(String, u32)>>,
    // In this order: what uses the volumes, the volumes (the inner first), the run with the directory that they are in.
    machine: Arc<Machine>,
    _volumes: Vec<Mounted>,
    _disk: Option<Disk>,
    run: Arc<Run>,
    dir: PathBuf,
}

impl Contained {
    /// Makes directory, volumes, settings, accounts and the container; starts nothing.
    pub(crate) fn make(topology: &Topology, plan: &NodePlan, index: usize, run: &Arc<Run>) -> Result<Contained> {
        let dir = run.dir(&plan.name)?;
        let node =
            planned(topology, plan, Doors::USUAL, &[SCENARIO, &format!("relay.nameservers = [\"{}:53\"]\n", run.names())])?;
        let (config, data) = (dir.join("etc"), dir.join("data"));
        node.write(&config, &node.heads())?;
        set_first_clock(plan, &config)?;
        let (volumes, disk) = volumes(plan, &dir)?;
        std::fs::create_dir_all(&data)?;
        let mut spec = run.bongsu(&plan.name, &binary()?)?;
        spec.binds = vec![format!("{}:/etc/bongsu:ro", config.display()), format!("{}:/var/lib/bongsu", data.display())];
        own(&data)?;
        accounts::make(&node, &spec, &data)?;
        spec.environment = node.environment.iter().map(|(name, value)| format!("{name}={value}")).collect();
        spec.hostname = node.host();
        spec.network = run.network().to_owned();
        spec.names = Some(run.names());
        let published = DOORS.map(|(door, within)| (within, SocketAddr::new(run.client_side(index), number(door))));
        spec.stand = Some(Stand {
            address: run.node(index),
            aliases: vec![node.host(), plan.name.clone()],
            published: published.to_vec(),
        });
        Ok(Contained {
            plan: plan.clone(),
            host: node.host(),
            index,
            started: AtomicBool::new(false),
            paused: Mutex::default(),
            machine: run.member(&plan.name, spec)?,
            run: Arc::clone(run),
            _volumes: volumes,
            _disk: disk,
            dir,
        })
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Every role and its process, by the numbers of the container.
    fn roles(&self) -> Result<Vec<(String, u32)>> {
        let ran = self.command(&["status", "--json"], b"")?;
        let status: Value =
            serde_json::from_slice(&ran.stdout).with_context(|| format!("status --json printed {}", ran.text))?;
        let roles = status["roles"].as_array().context("status has no roles")?;
        let role = |role: &Value| Some((role["role"].as_str()?.to_owned(), u32::try_from(role["pid"].as_u64()?).ok()?));
        Ok(roles.iter().filter_map(role).collect())
    }

    /// The process of a service by the numbers of this machine, once it has one. The image holds no `kill`: signals come from here.
    fn service_process(&self, service: &str) -> Result<u32> {
        let seen = self.processes();
        anyhow::ensure!(
            !seen.is_empty(),
            "SKIPPED: the engine's processes can't be seen from here, so one service can't get a signal"
        );
        wait_for(&format!("service {service} of {}", self.plan.name), PATIENCE, || {
            let within = self.roles()?.into_iter().find(|(name, _)| name == service).map(|(_, pid)| pid);
            Ok(within.and_then(|within| self.processes().into_iter().find(|pid| number_within(*pid) == Some(within))))
        })
    }

    fn signal_service(&self, process: u32, which: Signal) -> Result<()> {
        let sent = signal(process, which);
        let forbidden = sent.as_ref().is_err_and(|error| error.downcast_ref() == Some(&rustix::io::Errno::PERM));
        anyhow::ensure!(!forbidden, "SKIPPED: a signal to one service of a container needs root, or the container's own user");
        sent
    }
}

/// Gives the data directory, and the mounts below it, to the user of the container.
fn own(data: &Path) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let (user, group) = user();
    for dir in [data.to_owned(), data.join("mail")].into_iter().filter(|dir| dir.exists()) {
        chown(&dir, Some(user), Some(group))?;
    }
    Ok(())
}

impl Drop for Contained {
    fn drop(&mut self) {
        self.run.end();
    }
}

impl Server for Contained {
    fn plan(&self) -> &NodePlan {
        &self.plan
    }

    fn host(&self) -> &str {
        &self.host
    }

    fn at(&self, port: Port) -> SocketAddr {
        SocketAddr::new(self.run.client_side(self.index), number(port))
    }

    fn start(&self) -> Result<()> {
        anyhow::ensure!(!self.runs(), "{} runs already", self.plan.name);
        self.machine.start()?;
        self.started.store(true, Ordering::Relaxed);
        // A published port accepts before anybody behind it listens: only a greeting counts.
        let greeted = wait_for(&format!("the greeting of {}", self.plan.name), PATIENCE, || {
            let greeting = Smtp::connect(self.at(Port::Mx), LOOK);
            if greeting.is_err() && !self.machine.runs() {
                return Ok(Some(false));
            }
            greeting.map(|_| Some(true))
        });
        let greeted = greeted.with_context(|| self.log_tail(40))?;
        anyhow::ensure!(greeted, "{} ended by itself\n{}", self.plan.name, self.log_tail(40));
        let up = || self.command(&["status", "--quiet"], b"").is_ok_and(|ran| ran.code == 0);
        wait_until(&format!("status of {}", self.plan.name), PATIENCE, up).with_context(|| self.log_tail(40))
    }

    fn stop(&self) -> Result<i32> {
        self.started.store(false, Ordering::Relaxed);
        self.machine.stop()
    }

    fn kill(&self) -> Result<()> {
        self.started.store(false, Ordering::Relaxed);
        self.machine.kill()
    }

    fn pause(&self) -> Result<()> {
        self.machine.pause()
    }

    fn resume(&self) -> Result<()> {
        self.machine.resume()
    }

    fn runs(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }

    fn services(&self) -> &'static [&'static str] {
        SERVICES
    }

    fn kill_service(&self, service: &str) -> Result<()> {
        self.signal_service(self.service_process(service)?, Signal::KILL)
    }

    fn pause_service(&self, service: &str) -> Result<()> {
        let process = self.service_process(service)?;
        lock(&self.paused).push((service.to_owned(), process));
        self.signal_service(process, Signal::STOP)
    }

    fn resume_service(&self, service: &str) -> Result<()> {
        // A frozen supervisor could not tell which process it was.
        let mut paused = lock(&self.paused);
        // One that was killed in the meantime is frozen no longer.
        let Some(at) = paused.iter().position(|(name, _)| name == service) else { return Ok(()) };
        let (_, process) = paused.remove(at);
        if crate::node::runs(process) { self.signal_service(process, Signal::CONT) } else { Ok(()) }
    }

    fn command(&self, args: &[&str], input: &[u8]) -> Result<Ran> {
        if self.runs() {
            let command: Vec<&str> = std::iter::once(PROGRAM).chain(args.iter().copied()).collect();
            return self.machine.exec(&command, input).with_context(|| format!("bongsu {}", args.join(" ")));
        }
        beside(self.machine.spec(), args, &[], input)
    }

    fn run_queue(&self) -> Result<()> {
        self.command(&["queue", "run"], b"")?.ok().map(|_| ())
    }

    fn list_queue(&self) -> Result<Ran> {
        self.command(&["mailq"], b"")?.ok()
    }

    fn version(&self) -> String {
        super::version(self)
    }

    fn queued(&self) -> Result<Vec<Found>> {
        let listing = self.command(&["mailq", "--json"], b"")?.ok()?;
        files::queued(&self.plan.name, &listing.stdout, &files::read_below(&self.data_dir().join("spool"))?)
    }

    fn copies(&self) -> Result<Vec<Copy>> {
        Ok(files::copies(files::read_below(&self.data_dir().join("mail"))?))
    }

    fn counts(&self) -> Counts {
        let data = self.data_dir();
        Counts {
            queued: files::count_queued(&data.join("spool")).ok(),
            delivered: crate::maildir::messages(&data.join("mail")).ok().map(|all| all.len()),
        }
    }

    fn events(&self) -> Result<Vec<Event>> {
        Ok(files::events(&files::read_below(&self.data_dir().join("state/events"))?))
    }

    fn configure(&self, file: &str, text: &str) -> Result<()> {
        replace(&self.dir.join("etc").join(file), text)
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
        Some(self.data_dir())
    }

    fn processes(&self) -> Vec<u32> {
        self.machine.init().map(super::family).unwrap_or_default()
    }

    fn logged(&self, text: &str) -> bool {
        self.machine.log().holds(text)
    }

    fn log_tail(&self, lines: usize) -> String {
        self.machine.log().tail(&self.plan.name, lines)
    }
}

/// Runs `bongsu ARGS` in a container of its own that sees the same directories: for a node that does not run.
pub(super) fn beside(node: &Spec, args: &[&str], environment: &[String], input: &[u8]) -> Result<Ran> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let spec = Spec {
        name: format!("{}-command-{number}", node.name),
        image: node.image.clone(),
        binds: node.binds.clone(),
        labels: node.labels.clone(),
        command: args.iter().map(|word| (*word).to_owned()).collect(),
        environment: environment.to_vec(),
        fed: !input.is_empty(),
        ..Spec::default()
    };
    Machine::make(spec)?.run(input).with_context(|| format!("bongsu {}", args.join(" ")))
}
