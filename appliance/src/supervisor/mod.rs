//! The supervisor: opens the sockets, keeps one process of each role running, hands out settings, ends in order.
//!
//! Threads and a channel, no runtime: everything that happens (a signal, a word from a role, a request) is a value in one
//! channel, and one thread acts on it. It touches no mail. What it must never do is wait for a role: all waiting is a
//! deadline in its state.

pub(crate) mod child;
pub(crate) mod control;
pub(crate) mod events;
pub(crate) mod journal;
mod look;
mod reload;
mod report;
pub(crate) mod signals;
mod sockets_of;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use anyhow::Result;
use lib_net::line::{FromRole, Start};
use lib_net::role::RoleName;
use lib_record::What;
use rustix::process::{WaitOptions, WaitStatus};

use crate::layout::Layout;
use crate::plan::Plan;
use child::{Backoff, Child};
use control::Request;
use events::Outlet;
use sockets_of::Sockets;

/// How long roles may take to drain before they are killed; less than the container's grace period.
const DRAIN_TIME: Duration = Duration::from_secs(25);
/// A deadline that nobody set lies this far away.
const IDLE: Duration = Duration::from_secs(3600);

/// What the supervisor acts on.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A role said something.
    Said {
        /// The number its process was started with.
        number: u64,
        /// What it said.
        said: FromRole,
    },
    /// A process ended, ours or one that we inherited as PID 1.
    ChildEnded,
    /// The watch looked around.
    Watched {
        /// Roles that do not answer any more, by name.
        stuck: Vec<String>,
        /// What lies overdue in the queues.
        overdue: Vec<watch::Overdue>,
    },
    /// SIGHUP.
    Reload,
    /// SIGTERM, SIGINT.
    Stop,
    /// Somebody asks over the control socket.
    Asked {
        /// What.
        request: Request,
        /// Where the answer goes, as JSON.
        reply: Sender<String>,
    },
}

/// What is known of a role beside its process.
#[derive(Debug, Default)]
struct Place {
    backoff: Backoff,
    /// When to start it again; nothing while it runs.
    due: Option<Instant>,
    restarts: u64,
    /// How its last process ended.
    ended: String,
}

/// Ends in this order: those who take work in, those who carry it, the one that both ask.
const STAGES: [&[RoleName]; 3] =
    [&[RoleName::SmtpIn, RoleName::Submission, RoleName::Pop3], &[RoleName::Deliver, RoleName::RelayOut], &[RoleName::Auth]];

/// A running node.
#[derive(Debug)]
pub(crate) struct Supervisor {
    layout: Layout,
    plan: Plan,
    generation: u64,
    since: Instant,
    sockets: Sockets,
    places: BTreeMap<RoleName, Place>,
    children: BTreeMap<u64, Child>,
    next_number: u64,
    outlet: Arc<Outlet>,
    happenings: Receiver<Happening>,
    inlet: Sender<Happening>,
    reloading: Option<reload::Reloading>,
    looking: Vec<look::Looking>,
    /// Number of the last order to look.
    last_look: u64,
    /// What the watch found in the queues last, and when the log was told.
    overdue: Vec<watch::Overdue>,
    told_overdue: Option<Instant>,
    /// When the roles that still drain are killed.
    stop_by: Option<Instant>,
    /// Printed once, as soon as everything serves.
    welcome: Option<String>,
}

impl Supervisor {
    /// Opens the sockets and starts the threads that listen; no role runs yet. The caller holds the data directory.
    ///
    /// # Errors
    /// A port or a socket that cannot be had; one line that says what to do.
    pub(crate) fn prepare(layout: Layout, plan: Plan, welcome: String) -> Result<Self> {
        let (inlet, happenings) = mpsc::channel();
        let sockets = Sockets::open(&layout, &plan)?;
        let outlet = report::outlet(&layout, &plan)?;
        control::serve(crate::sockets::unix(&layout.control_socket())?, inlet.clone())?;
        signals::watch(inlet.clone())?;
        watch::start(&layout, &plan.settings, inlet.clone())?;
        Ok(Self {
            layout,
            plan,
            generation: 1,
            since: Instant::now(),
            sockets,
            places: BTreeMap::new(),
            children: BTreeMap::new(),
            next_number: 0,
            outlet,
            happenings,
            inlet,
            reloading: None,
            looking: Vec::new(),
            last_look: 0,
            overdue: Vec::new(),
            told_overdue: None,
            stop_by: None,
            welcome: Some(welcome),
        })
    }

    /// Runs until everything has ended in order.
    pub(crate) fn run(mut self) {
        self.place_roles();
        while !(self.stop_by.is_some() && self.children.is_empty()) {
            let wait = self.deadline().saturating_duration_since(Instant::now());
            match self.happenings.recv_timeout(wait) {
                Ok(happening) => self.act(happening),
                // We hold a sender ourselves, so the only other outcome is the deadline.
                Err(_) => self.on_time(),
            }
        }
        self.note(What::Notice { text: "stopped; everything that was accepted is on disk".into() });
        self.outlet.flush();
    }

    fn act(&mut self, happening: Happening) {
        match happening {
            Happening::Said { number, said } => self.heard(number, said),
            Happening::ChildEnded => self.reap(),
            Happening::Watched { stuck, overdue } => self.watched(&stuck, overdue),
            Happening::Reload => self.reload(None),
            Happening::Stop if self.stop_by.is_some() => self.children.values().for_each(Child::kill),
            Happening::Stop => self.stop(),
            Happening::Asked { request: Request::Status, reply } => {
                let _ = reply.send(serde_json::to_string(&self.status()).unwrap_or_default());
            }
            Happening::Asked { request: Request::Reload, reply } => self.reload(Some(reply)),
            Happening::Asked { request: Request::Look, reply } => self.look(reply),
            Happening::Asked { request: Request::Record(lines), reply } => {
                self.outlet.write(lines.as_bytes());
                let _ = reply.send("{}".into());
            }
            Happening::Asked { request: Request::Stop, reply } => {
                let _ = reply.send("true".into());
                self.stop();
            }
        }
    }

    /// The next moment at which something is to be done unasked.
    fn deadline(&self) -> Instant {
        let dues = self.places.values().filter_map(|place| place.due);
        let others = self.stop_by.into_iter().chain(self.reloading.as_ref().map(|reloading| reloading.until));
        let looks = self.looking.iter().map(|looking| looking.until);
        dues.chain(others).chain(looks).min().unwrap_or_else(|| Instant::now() + IDLE)
    }

    fn on_time(&mut self) {
        let now = Instant::now();
        if self.stop_by.is_some_and(|by| by <= now) {
            self.children.values().for_each(Child::kill);
            self.stop_by = Some(now + IDLE);
        }
        if self.reloading.as_ref().is_some_and(|reloading| reloading.until <= now) {
            self.reloaded();
        }
        self.end_looks();
        let due: Vec<RoleName> =
            self.places.iter().filter(|(_, place)| place.due.is_some_and(|due| due <= now)).map(|(role, _)| *role).collect();
        for role in due {
            self.start(role);
        }
    }

    /// Starts the roles that should run and do not, and drains those that should not.
    fn place_roles(&mut self) {
        let wanted = self.plan.roles();
        for role in &wanted {
            if !self.places.contains_key(role) {
                self.places.insert(*role, Place::default());
                self.start(*role);
            }
        }
        self.places.retain(|role, _| wanted.contains(role));
        for child in self.children.values_mut().filter(|child| !wanted.contains(&child.role)) {
            child.drain();
        }
    }

    fn start(&mut self, role: RoleName) {
        let (names, sockets) = self.sockets.of(role, &self.plan);
        let start = Start {
            role,
            generation: self.generation,
            data: self.layout.data().to_path_buf(),
            config: self.layout.existing_config(),
            settings: self.plan.settings.clone(),
            secrets: self.plan.secrets_of(role),
            sockets: names,
        };
        self.next_number += 1;
        let number = self.next_number;
        let user = crate::owner::user_of(role, &self.plan.settings);
        match Child::start(number, start, &sockets, user, (&self.inlet, &self.outlet)) {
            Ok(child) => {
                self.children.insert(number, child);
                if let Some(place) = self.places.get_mut(&role) {
                    place.due = None;
                }
            }
            Err(error) => {
                if let Some(place) = self.places.get_mut(&role) {
                    place.due = Some(Instant::now() + place.backoff.after(None));
                    place.ended = format!("{error:#}");
                }
                self.note(What::Warning { subject: role.to_string(), text: format!("{error:#}") });
            }
        }
    }

    fn heard(&mut self, number: u64, said: FromRole) {
        let Some(child) = self.children.get_mut(&number) else { return };
        child.note(&said);
        let (role, pid) = (child.role, child.pid.as_raw_nonzero());
        match said {
            FromRole::Ready => {
                self.note(What::Role { name: role.to_string(), did: "ready".into(), detail: format!("process {pid}") })
            }
            FromRole::InForce { generation } => self.answered(number, generation, None),
            FromRole::Refused { generation, why } => self.answered(number, generation, Some(why)),
            FromRole::Looked(look) => self.looked(number, look),
            FromRole::Isolated(how) if how.starts_with("none") => {
                self.note(What::Warning {
                    subject: role.to_string(),
                    text: format!("is not kept apart from the other roles: {how}"),
                });
            }
            FromRole::Isolated(_) | FromRole::State(_) => {}
        }
        if self.all_ready()
            && let Some(welcome) = self.welcome.take()
        {
            self.outlet.print(welcome);
        }
    }

    fn all_ready(&self) -> bool {
        self.places.keys().all(|role| self.children.values().any(|child| child.role == *role && child.known.ready))
    }

    /// Collects every process that ended; as PID 1 also those that are not ours.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let number = self.children.iter().find(|(_, child)| child.pid == pid).map(|(number, _)| *number);
            if let Some(child) = number.and_then(|number| self.children.remove(&number)) {
                self.ended(&child, status);
            }
        }
        self.end_looks();
    }

    fn ended(&mut self, child: &Child, status: WaitStatus) {
        let how = describe(status);
        let name = child.role.to_string();
        if self.stop_by.is_some() {
            self.drain_next();
        }
        if child.draining || self.stop_by.is_some() {
            self.note(What::Role { name, did: "ended".into(), detail: how });
            return;
        }
        let Some(place) = self.places.get_mut(&child.role) else { return };
        let pause = place.backoff.after(child.known.ready.then(|| child.since.elapsed()));
        place.due = Some(Instant::now() + pause);
        place.restarts += 1;
        place.ended.clone_from(&how);
        let text = format!("its process ended by itself ({how}); it is started again in {} ms", pause.as_millis());
        self.note(What::Warning { subject: name, text });
    }

    fn stop(&mut self) {
        if self.stop_by.is_some() {
            return;
        }
        self.stop_by = Some(Instant::now() + DRAIN_TIME);
        self.places.values_mut().for_each(|place| place.due = None);
        self.note(What::Notice { text: "stopping: no new sessions; what runs may finish".into() });
        self.drain_next();
    }

    /// Drains the first stage that still runs.
    fn drain_next(&mut self) {
        let runs = |stage: &&&[RoleName]| self.children.values().any(|child| stage.contains(&child.role));
        let Some(stage) = STAGES.iter().find(runs) else { return };
        self.children.values_mut().filter(|child| stage.contains(&child.role)).for_each(Child::drain);
    }
}

fn describe(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (_, Some(signal)) => format!("signal {signal}"),
        _ => "ended".into(),
    }
}
