//! The stories of a trace: each message with its events, and below the event that made it each message that came of it.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

use jiff::tz::TimeZone;
use lib_mail::{QueueId, Timestamp};
use lib_record::{Outcome, Threads, What, next_id, remote_id, sentence};
use lib_spool::{Place, Spool};
use serde_json::{Value, json};

use super::Told;
use crate::commands::select::waiting;
use crate::commands::text::{plain, shortened, span, times};

/// Stories are told so deep; deeper they are a loop of mail.
const DEPTH_MAX: usize = 30;

pub(super) struct Stories {
    /// Names of the nodes.
    pub(super) nodes: Vec<String>,
    pub(super) threads: Threads,
    pub(super) events: HashMap<QueueId, Vec<Told>>,
    pub(super) refusals: Vec<Told>,
    pub(super) spool: Option<Spool>,
    pub(super) zone: TimeZone,
    pub(super) now: Timestamp,
}

impl Stories {
    /// The messages that no other caused, as far as is known, oldest first.
    fn roots(&self) -> Vec<QueueId> {
        let told = |id: &QueueId| self.events.get(id).is_some_and(|told| !told.is_empty()) || !self.waits(id).is_empty();
        let mut roots: Vec<QueueId> =
            self.events.keys().filter(|id| told(id) && !self.threads.causes(id).any(|cause| told(&cause))).copied().collect();
        if roots.is_empty() {
            // All of them caused one another: a loop.
            roots.extend(self.events.keys().min());
        }
        roots.sort_by_key(|id| (self.begins(id), *id));
        roots
    }

    fn begins(&self, id: &QueueId) -> Timestamp {
        self.events.get(id).and_then(|told| told.first()).map_or_else(|| id.arrived(), |(_, event)| event.at)
    }

    /// Where the children stand: behind the event that names them, else behind the last that is not later.
    fn children(&self, id: &QueueId) -> Vec<(usize, QueueId)> {
        let none = Vec::new();
        let events = self.events.get(id).unwrap_or(&none);
        let place = |child: &QueueId| {
            let named = events.iter().position(|(_, event)| next_id(&event.what) == Some(*child));
            let before = || events.iter().rposition(|(_, event)| event.at <= self.begins(child));
            named.or_else(before).unwrap_or(0)
        };
        self.threads.children(id).map(|child| (place(&child), child)).collect()
    }

    /// What is left to do here.
    fn waits(&self, id: &QueueId) -> Vec<String> {
        let listings = self.spool.as_ref().and_then(|spool| spool.show(id).ok()).unwrap_or_default();
        let wait = |listing: &lib_spool::Listing| {
            let whom: Vec<String> = waiting(listing).map(|waiting| format!("<{}>", plain(&waiting.name()))).collect();
            let when = match listing.place {
                Place::Held => "on hold".to_owned(),
                _ if listing.due <= self.now => "due now".to_owned(),
                _ => format!("next attempt in {}", span(listing.due.since(self.now))),
            };
            let more = if whom.len() > 3 { format!(" and {} more", whom.len() - 3) } else { String::new() };
            format!(
                "waits in the {} queue, {when}: {}{more}",
                listing.queue,
                whom.iter().take(3).cloned().collect::<Vec<_>>().join(" ")
            )
        };
        listings.iter().map(wait).collect()
    }

    /// Prints them for a reader.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut seen = HashSet::new();
        let mut refusals: Vec<&Told> = self.refusals.iter().collect();
        refusals.sort_by_key(|(_, event)| event.at);
        let mut refusals = refusals.into_iter().peekable();
        for root in self.roots() {
            while let Some(told) = refusals.next_if(|(_, event)| event.at < self.begins(&root)) {
                self.line(out, 0, told, "")?;
            }
            self.message(out, &root, 0, &mut seen)?;
        }
        refusals.try_for_each(|told| self.line(out, 0, told, ""))
    }

    fn message(&self, out: &mut dyn Write, id: &QueueId, depth: usize, seen: &mut HashSet<QueueId>) -> io::Result<()> {
        if depth > DEPTH_MAX || !seen.insert(*id) {
            return Ok(());
        }
        let none = Vec::new();
        let events = self.events.get(id).unwrap_or(&none);
        let node = events.first().map(|(node, _)| *node);
        if events.is_empty() && self.waits(id).is_empty() {
            return writeln!(out, "{:1$}{id}: its events are not here; see --with", "", depth * 4);
        }
        let name = node.and_then(|node| self.nodes.get(node)).or(self.nodes.first());
        writeln!(out, "{:1$}{id} on {2}", "", depth * 4, name.map_or("", String::as_str))?;
        let children = self.children(id);
        let below = |at: usize| children.iter().filter(move |(place, _)| *place == at).map(|(_, child)| *child);
        // A message that waits for days says the same each half hour.
        let keys: Vec<Option<(&str, &str)>> = events.iter().map(|(_, event)| waiting_words(&event.what)).collect();
        let shown = shortened(&keys);
        for (at, told) in events.iter().enumerate() {
            if let Some(Some(count)) = shown.get(at) {
                self.line(out, depth * 4 + 2, told, &times(*count))?;
            }
            // A message that was moved goes on elsewhere under its own id.
            if let Some((next, _)) = events.get(at + 1)
                && *next != told.0
            {
                writeln!(out, "{:1$}on {2}", "", depth * 4 + 2, self.nodes.get(*next).map_or("", String::as_str))?;
            }
            for child in below(at) {
                self.message(out, &child, depth + 1, seen)?;
            }
        }
        if events.is_empty() {
            for child in below(0) {
                self.message(out, &child, depth + 1, seen)?;
            }
        }
        self.waits(id).iter().try_for_each(|waits| writeln!(out, "{:1$}now: {waits}", "", depth * 4 + 2))
    }

    fn line(&self, out: &mut dyn Write, indent: usize, (node, event): &Told, more: &str) -> io::Result<()> {
        let place = if event.id.is_none() { self.nodes.get(*node).map(|name| format!("{name} ")) } else { None };
        writeln!(out, "{:indent$}{} {}{}{more}", "", event.at.maillog(&self.zone), place.unwrap_or_default(), sentence(event))
    }

    /// Prints one object a story; what came of a message is in its `children`.
    pub(super) fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut seen = HashSet::new();
        for root in self.roots() {
            writeln!(out, "{}", self.value(&root, 0, &mut seen))?;
        }
        self.refusals.iter().try_for_each(|told| writeln!(out, "{}", self.event(told)))
    }

    fn event(&self, (node, event): &Told) -> Value {
        let mut value = json!(event);
        value["node"] = json!(self.nodes.get(*node));
        value["time"] = json!(event.at.rfc3339(&self.zone));
        if let What::Attempt { status, .. } = &event.what
            && let Some(id) = remote_id(&status.text)
        {
            value["remote_id"] = json!(id);
        }
        value
    }

    fn value(&self, id: &QueueId, depth: usize, seen: &mut HashSet<QueueId>) -> Value {
        if depth > DEPTH_MAX || !seen.insert(*id) {
            return json!({ "id": id.to_string(), "told_above": true });
        }
        let events: Vec<Value> = self.events.get(id).into_iter().flatten().map(|told| self.event(told)).collect();
        let children: Vec<Value> = self.threads.children(id).map(|child| self.value(&child, depth + 1, seen)).collect();
        json!({ "id": id.to_string(), "events": events, "children": children, "queue": self.waits(id) })
    }
}

/// Whom a deferral is about and its words; nothing for other events.
fn waiting_words(what: &What) -> Option<(&str, &str)> {
    match what {
        What::Attempt { to, outcome: Outcome::Deferred, status, .. } => Some((to, &status.text)),
        _ => None,
    }
}
