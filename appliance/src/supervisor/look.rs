//! A look: every role reads the accounts and the map files that changed, now, and says so.
//!
//! Roles look by themselves each second. This is for whoever changed something and wants to go on only when it counts.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use lib_net::line::ToRole;
use lib_net::role::RoleName;

use super::Supervisor;
use super::control::Looked;

/// How long roles may take; by then they have looked by themselves, unless they are stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// A look that waits for roles.
#[derive(Debug)]
pub(super) struct Looking {
    /// The order's number.
    number: u64,
    /// When it stops waiting.
    pub(super) until: Instant,
    /// The processes that have not answered, by number.
    waiting: BTreeMap<u64, RoleName>,
    reply: Sender<String>,
}

impl Supervisor {
    /// Orders all roles to look; the answer goes to `reply` when all have, or time is up. A role that is down looks when it starts.
    pub(super) fn look(&mut self, reply: Sender<String>) {
        self.last_look += 1;
        let number = self.last_look;
        let mut waiting = BTreeMap::new();
        for (child_number, child) in self.children.iter().filter(|(_, child)| !child.draining) {
            child.tell(&ToRole::Look(number));
            waiting.insert(*child_number, child.role);
        }
        self.looking.push(Looking { number, until: Instant::now() + PATIENCE, waiting, reply });
        self.end_looks();
    }

    /// A role looked.
    pub(super) fn looked(&mut self, child_number: u64, number: u64) {
        if let Some(looking) = self.looking.iter_mut().find(|looking| looking.number == number) {
            looking.waiting.remove(&child_number);
        }
        self.end_looks();
    }

    /// Answers those who wait for nobody any more, or have waited long enough.
    pub(super) fn end_looks(&mut self) {
        let (now, children) = (Instant::now(), &self.children);
        self.looking.retain_mut(|looking| {
            // Whoever died meanwhile begins with a look.
            looking.waiting.retain(|child_number, _| children.contains_key(child_number));
            let waits = !looking.waiting.is_empty() && looking.until > now;
            if !waits {
                let answer = Looked { late: looking.waiting.values().map(ToString::to_string).collect() };
                let _ = looking.reply.send(serde_json::to_string(&answer).unwrap_or_default());
            }
            waits
        });
    }
}
