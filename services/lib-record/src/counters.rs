//! Events folded into numbers: what `status` and `stats` show.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{Event, Outcome, What};

/// Messages and their octets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many.
    pub messages: u64,
    /// Octets of them.
    pub octets: u64,
}

impl Count {
    fn add(&mut self, octets: u64) {
        self.messages += 1;
        self.octets += octets;
    }
}

/// Sums over events. Messages are counted where they come in, recipients where they go out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// Messages taken from clients.
    pub accepted: Count,
    /// Messages that arose here.
    pub arisen: Count,
    /// Recipients whose copy reached a mailbox.
    pub delivered: Count,
    /// Recipients whose copy another server took.
    pub relayed: Count,
    /// Attempts that ended in waiting.
    pub deferred: u64,
    /// Recipients that failed.
    pub failed: u64,
    /// Recipients dropped by a rule or an order.
    pub discarded: u64,
    /// Notifications made.
    pub bounced: u64,
    /// Commands and messages refused, by reply code.
    pub rejected: BTreeMap<u16, u64>,
    /// Clients let in, by listener.
    pub connected: BTreeMap<String, u64>,
    /// Clients turned away or lost.
    pub dropped: u64,
    /// Logins that fitted.
    pub logins: u64,
    /// Logins that did not.
    pub refused_logins: u64,
    /// Messages that clients fetched.
    pub fetched: Count,
    /// Warnings.
    pub warnings: u64,
    /// Events that were lost before they were written.
    pub lost_events: u64,
}

/// Listener names kept apart in `connected`; further ones are summed under `other`.
const MAX_LISTENERS: usize = 64;

impl Counters {
    /// Adds one event.
    pub fn count(&mut self, event: &Event) {
        match &event.what {
            What::Connected { listener, .. } => {
                let known = self.connected.len() < MAX_LISTENERS || self.connected.contains_key(listener);
                *self.connected.entry(if known { listener.clone() } else { "other".into() }).or_default() += 1;
            }
            What::Dropped { .. } => self.dropped += 1,
            What::Accepted { size, relay, .. } if relay.is_empty() => self.arisen.add(*size),
            What::Accepted { size, .. } => self.accepted.add(*size),
            What::Rejected { status, .. } => *self.rejected.entry(status.code).or_default() += 1,
            What::Attempt { outcome, size, .. } => self.attempt(*outcome, *size),
            What::Bounced { .. } => self.bounced += 1,
            What::Login { ok: true, .. } => self.logins += 1,
            What::Login { ok: false, .. } => self.refused_logins += 1,
            What::Fetched { retrieved, octets, .. } => {
                self.fetched.messages += u64::from(*retrieved);
                self.fetched.octets += octets;
            }
            What::Warning { .. } => self.warnings += 1,
            What::Lost { count } => self.lost_events += count,
            What::Done { .. } | What::Ordered { .. } | What::Role { .. } | What::Notice { .. } => {}
        }
    }

    fn attempt(&mut self, outcome: Outcome, size: u64) {
        match outcome {
            Outcome::Delivered => self.delivered.add(size),
            Outcome::Relayed => self.relayed.add(size),
            Outcome::Deferred => self.deferred += 1,
            Outcome::Failed => self.failed += 1,
            Outcome::Discarded => self.discarded += 1,
            Outcome::Expanded => {}
        }
    }
}
