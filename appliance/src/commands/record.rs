//! What an administrator ordered goes into the kept events, so that a trace tells it.

use lib_host::Clock;
use lib_mail::QueueId;
use lib_record::{Event, RoleName, What, json_line};

use crate::layout::Layout;
use crate::supervisor::control::{Request, ask};
use crate::supervisor::journal::append_once;

/// Octets that go to the supervisor at a time.
const BATCH: usize = 16 * 1024;

/// Events of this command, on their way to the supervisor, or into the files of events where none runs. What cannot be written is lost:
/// an order counts without it.
pub(crate) struct Record<'a> {
    layout: &'a Layout,
    clock: Clock,
    lines: Vec<u8>,
}

impl Record<'_> {
    pub(crate) fn new(layout: &Layout, clock: Clock) -> Record<'_> {
        Record { layout, clock, lines: Vec::new() }
    }

    /// Adds an event about a message.
    pub(crate) fn add(&mut self, id: QueueId, what: What) {
        let event = Event { at: self.clock.now(), role: RoleName::Command, id: Some(id), what };
        json_line(&event, None, &mut self.lines);
        if self.lines.len() >= BATCH {
            self.send();
        }
    }

    /// Sends what was added.
    pub(crate) fn send(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        if lines.is_empty() {
            return;
        }
        let asked = ask::<serde_json::Value>(self.layout, Request::Record(String::from_utf8_lossy(&lines).into_owned()));
        if asked.is_err() {
            append_once(&self.layout.events(), &lines);
        }
    }
}
