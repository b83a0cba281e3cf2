//! What the supervisor says: its own events, and the answer to `status`.

use std::sync::Arc;

use anyhow::Result;
use lib_mail::Timestamp;
use lib_record::{Event, RoleName as Author, What};
use lib_settings::{LogFormat, Settings};

use super::Supervisor;
use super::control::{RoleStatus, Status};
use super::events::{Outlet, Printer};
use super::journal::Journal;
use crate::layout::Layout;
use crate::plan::{Plan, addresses, role_of};

/// The outlet that the plan asks for, printing to standard output.
pub(super) fn outlet(layout: &Layout, plan: &Plan) -> Result<Arc<Outlet>> {
    let log = &plan.settings.log;
    let journal = Journal::open(&layout.events(), log.keep_size.0, log.keep_time);
    Outlet::start(journal, printer(&plan.settings), std::io::stdout())
}

/// Puts new settings of the log in force.
pub(super) fn change(outlet: &Outlet, plan: &Plan) {
    let log = &plan.settings.log;
    outlet.change(|journal| journal.set_caps(log.keep_size.0, log.keep_time), printer(&plan.settings));
}

fn printer(settings: &Settings) -> Printer {
    if settings.log.format == LogFormat::Json {
        return Box::new(|line, text| {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        });
    }
    let zone = settings.time_zone.rules();
    // The maillog names the host without its domain, as syslog does.
    let host = settings.hostname.as_str().split('.').next().unwrap_or_default().to_owned();
    Box::new(move |line, text| {
        if let Some(event) = lib_record::from_json(line) {
            lib_record::maillog_line(&event, &zone, &host, text);
        }
    })
}

impl Supervisor {
    /// Records an event of the supervisor's own.
    pub(super) fn note(&self, what: What) {
        let event = Event { at: now(), role: Author::Supervisor, id: None, what };
        let mut line = Vec::new();
        lib_record::json_line(&event, None, &mut line);
        self.outlet.write(&line);
    }

    /// How all fares.
    pub(super) fn status(&self) -> Status {
        let roles: Vec<RoleStatus> = self.plan.roles().into_iter().map(|role| self.role_status(role)).collect();
        let settings = self.layout.settings_file().map_or_else(|| "none (defaults)".into(), |path| path.display().to_string());
        Status {
            well: self.stop_by.is_none() && roles.iter().all(|role| role.condition == "running"),
            hostname: self.plan.settings.hostname.to_string(),
            data: self.layout.data().display().to_string(),
            settings,
            generation: self.generation,
            seconds: self.since.elapsed().as_secs(),
            roles,
            overdue: self.overdue.iter().map(super::watch::Overdue::text).collect(),
        }
    }

    fn role_status(&self, role: lib_net::role::RoleName) -> RoleStatus {
        let child =
            self.children.values().filter(|child| child.role == role).max_by_key(|child| (!child.draining, child.since));
        let place = self.places.get(&role);
        let listeners = self.plan.settings.listen.iter().filter(|listener| role_of(listener.role) == role);
        let listens = listeners.flat_map(|listener| {
            addresses(listener, crate::sockets::has_ipv6()).into_iter().map(|address| format!("{} {address}", listener.name))
        });
        let mut status = RoleStatus {
            role: role.to_string(),
            condition: "down".into(),
            restarts: place.map_or(0, |place| place.restarts),
            listens: listens.collect(),
            ..RoleStatus::default()
        };
        let Some(child) = child else {
            status.why = place.map(|place| place.ended.clone()).unwrap_or_default();
            return status;
        };
        status.condition = if child.draining {
            "draining".into()
        } else if child.known.ready {
            "running".into()
        } else {
            "starting".into()
        };
        status.pid = Some(child.pid.as_raw_nonzero().get());
        status.seconds = child.since.elapsed().as_secs();
        status.generation = child.known.generation;
        status.sessions = child.known.state.sessions;
        status.accepting.clone_from(&child.known.state.accepting);
        status.why.clone_from(&child.known.state.why);
        status.isolation.clone_from(&child.known.isolation);
        status
    }
}

/// The supervisor's events bear the real time: it lives outside the queue clock of tests.
fn now() -> Timestamp {
    lib_host::Clock::system().now()
}
