//! What is told to the log.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lib_host::Clock;
use lib_mail::{Address, Envelope, QueueId, Status};
use lib_net::Recorder;
use lib_record::{Event, Outcome, RoleName, What};
use lib_spool::Told;

/// The same subject is warned of at most this often: a full disk would fill the log with itself.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// Subjects whose last warning is remembered.
const SUBJECTS: usize = 1000;

/// The log of this role.
pub(crate) struct Journal {
    recorder: Recorder,
    clock: Clock,
    warned: Mutex<HashMap<String, Instant>>,
}

/// What became of a recipient in one attempt.
pub(crate) struct Fate<'a> {
    pub(crate) to: String,
    pub(crate) outcome: Outcome,
    pub(crate) size: u64,
    pub(crate) status: &'a Status,
}

impl Journal {
    pub(crate) fn new(recorder: Recorder, clock: Clock) -> Journal {
        Journal { recorder, clock, warned: Mutex::default() }
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// An attempt for a recipient ended.
    pub(crate) fn attempt(&self, id: QueueId, envelope: &Envelope, fate: Fate<'_>) {
        let Fate { to, outcome, size, status } = fate;
        let (delay, status) = (status.at.since(envelope.arrived), status.clone());
        self.record(Some(id), What::Attempt { to, outcome, delay, relay: "local".into(), size, status });
    }

    /// Nothing is left to do for the message.
    pub(crate) fn done(&self, id: QueueId, envelope: &Envelope) {
        self.record(Some(id), What::Done { delay: self.clock.now().since(envelope.arrived) });
    }

    /// A notification was committed.
    pub(crate) fn bounced(&self, parent: QueueId, told: &Told) {
        let kind = told.kind.as_str().to_owned();
        self.record(Some(told.id), What::Bounced { parent, to: told.to.to_string(), kind });
    }

    /// A message that another one was passed on as was committed.
    pub(crate) fn forwarded(&self, parent: QueueId, id: QueueId, envelope: &Envelope, size: u64) {
        let what = What::Accepted {
            from: envelope.sender.as_ref().map_or("", Address::as_str).to_owned(),
            size,
            nrcpts: u32::try_from(envelope.recipients.len()).unwrap_or(u32::MAX),
            msgid: String::new(),
            proto: "local".into(),
            relay: String::new(),
            account: None,
            parent: Some(parent),
        };
        self.record(Some(id), what);
    }

    /// An order ended the message's stay.
    pub(crate) fn ordered(&self, id: QueueId, order: &str, result: &str) {
        self.record(Some(id), What::Ordered { order: order.into(), result: result.into() });
    }

    /// Something for the operator to see to; the same subject not again within a minute.
    pub(crate) fn warn(&self, subject: &str, text: impl Into<String>) {
        let now = Instant::now();
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.get(subject).is_some_and(|at| now.duration_since(*at) < WARN_EVERY) {
            return;
        }
        if warned.len() >= SUBJECTS {
            warned.clear();
        }
        warned.insert(subject.to_owned(), now);
        self.record(None, What::Warning { subject: subject.to_owned(), text: text.into() });
    }

    fn record(&self, id: Option<QueueId>, what: What) {
        self.recorder.record(Event { at: self.clock.now(), role: RoleName::Deliver, id, what });
    }
}
