//! A reload: validate everything, open what is new, send, and wait until each role says that it is in force.
//!
//! A role whose listeners changed is replaced: a new process begins on the new sockets while the old one drains. The other
//! roles get the new settings over the line and drop no session.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use lib_net::line::{NewSettings, ToRole};
use lib_net::role::RoleName;
use lib_record::What;

use super::control::Reloaded;
use super::{Place, Supervisor, report};
use crate::layout::Layout;
use crate::plan::Plan;

/// How long roles may take to put settings in force.
const PATIENCE: Duration = Duration::from_secs(10);

/// A reload that waits for roles.
#[derive(Debug)]
pub(super) struct Reloading {
    /// When it stops waiting.
    pub(super) until: Instant,
    /// The processes that have not answered, by number.
    waiting: BTreeMap<u64, RoleName>,
    notes: Vec<String>,
    replies: Vec<Sender<String>>,
}

impl Supervisor {
    /// Begins a reload; the answer goes to `reply` when all roles have answered or time is up.
    pub(super) fn reload(&mut self, reply: Option<Sender<String>>) {
        if self.stop_by.is_some() {
            return refuse(reply, self.generation, vec!["the server is stopping".into()]);
        }
        if self.reloading.is_some() {
            return refuse(reply, self.generation, vec!["another reload is under way; try again in a moment".into()]);
        }
        // The settings file may have come since the start, or moved to where a plain `up` finds it.
        let named = self.layout.settings_file().map(std::path::Path::to_path_buf);
        let layout = Layout::find(Some(self.layout.data()), named.as_deref());
        let loaded = layout.map_err(|error| vec![error.to_string()]).and_then(|layout| Ok((Plan::load(&layout)?, layout)));
        let opened = loaded.and_then(|(plan, layout)| {
            let listeners = self.sockets.reopen(&plan).map_err(|error| vec![format!("{error:#}")])?;
            Ok((plan, layout, listeners))
        });
        match opened {
            Ok((plan, layout, listeners)) => {
                let replaced = self.replaced_roles(&plan);
                self.sockets.replace(listeners);
                self.layout = layout;
                self.apply(plan, &replaced, reply);
            }
            Err(problems) => {
                for problem in &problems {
                    self.note(What::Warning { subject: "reload".into(), text: problem.clone() });
                }
                self.note(What::Notice { text: format!("settings {} stay in force", self.generation) });
                refuse(reply, self.generation, problems);
            }
        }
    }

    /// Roles that serve now and serve other listeners in the new plan.
    fn replaced_roles(&self, plan: &Plan) -> Vec<RoleName> {
        let listeners = |plan: &Plan, role: RoleName| {
            let own = plan.settings.listen.iter().filter(|listener| crate::plan::role_of(listener.role) == role);
            own.cloned().collect::<Vec<_>>()
        };
        let changed = |role: &RoleName| listeners(plan, *role) != listeners(&self.plan, *role);
        plan.roles().into_iter().filter(|role| self.places.contains_key(role)).filter(changed).collect()
    }

    fn apply(&mut self, plan: Plan, replaced: &[RoleName], reply: Option<Sender<String>>) {
        self.generation += 1;
        let mut notes = Vec::new();
        let restart = self.plan.settings.restart_needed(&plan.settings);
        if !restart.is_empty() {
            notes.push(format!("in force only after a restart: {}", restart.join(", ")));
        }
        self.plan = plan;
        report::change(&self.outlet, &self.plan);
        for child in self.children.values_mut().filter(|child| replaced.contains(&child.role)) {
            child.drain();
        }
        for role in replaced {
            self.places.insert(*role, Place::default());
            self.start(*role);
        }
        let mut waiting = BTreeMap::new();
        for (number, child) in self.children.iter().filter(|(_, child)| !child.draining && !replaced.contains(&child.role)) {
            let (settings, secrets) = (self.plan.settings.clone(), self.plan.secrets_of(child.role));
            child.tell(&ToRole::Reload(Box::new(NewSettings { generation: self.generation, settings, secrets })));
            waiting.insert(*number, child.role);
        }
        self.place_roles();
        self.reloading =
            Some(Reloading { until: Instant::now() + PATIENCE, waiting, notes, replies: reply.into_iter().collect() });
        self.settle();
    }

    /// A role answered.
    pub(super) fn answered(&mut self, number: u64, generation: u64, refused: Option<String>) {
        let Some(reloading) = self.reloading.as_mut().filter(|_| generation == self.generation) else { return };
        if let Some(role) = reloading.waiting.remove(&number)
            && let Some(why) = refused
        {
            reloading.notes.push(format!("{role} keeps its settings: {why}"));
        }
        self.settle();
    }

    /// Ends the reload when nobody is waited for. A role that died meanwhile starts with the new settings anyway.
    fn settle(&mut self) {
        let children = &self.children;
        if let Some(reloading) = &mut self.reloading {
            reloading.waiting.retain(|number, _| children.contains_key(number));
            if reloading.waiting.is_empty() {
                self.reloaded();
            }
        }
    }

    /// Says what came of the reload.
    pub(super) fn reloaded(&mut self) {
        let Some(mut reloading) = self.reloading.take() else { return };
        let late = reloading.waiting.iter().filter(|(number, _)| self.children.contains_key(number));
        let late: Vec<String> =
            late.map(|(_, role)| format!("{role} did not answer within {} s", PATIENCE.as_secs())).collect();
        let done = late.is_empty() && !reloading.notes.iter().any(|note| note.contains("keeps its settings"));
        reloading.notes.extend(late);
        for note in &reloading.notes {
            self.note(What::Warning { subject: "reload".into(), text: note.clone() });
        }
        if done {
            self.note(What::Notice { text: format!("settings {} are in force", self.generation) });
        }
        let answer = Reloaded { done, generation: self.generation, notes: reloading.notes };
        let text = serde_json::to_string(&answer).unwrap_or_default();
        for reply in reloading.replies {
            let _ = reply.send(text.clone());
        }
    }
}

fn refuse(reply: Option<Sender<String>>, generation: u64, notes: Vec<String>) {
    let answer = Reloaded { done: false, generation, notes };
    if let Some(reply) = reply {
        let _ = reply.send(serde_json::to_string(&answer).unwrap_or_default());
    }
}
