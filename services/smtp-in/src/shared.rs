//! What all sessions of the process share, and the events they record.

use std::sync::Arc;

use arc_swap::ArcSwap;
use lib_account::Maps;
use lib_host::Clock;
use lib_mail::{Peer, QueueId, Status, Timestamp};
use lib_net::auth::AuthClient;
use lib_net::recorder::Recorder;
use lib_net::tls::Certificates;
use lib_net::wake::Waker;
use lib_record::{Event, RoleName, What};
use lib_spool::Spool;

use crate::etrn::Runs;
use crate::rules::Rules;

/// Shared by all sessions of the process.
pub(crate) struct Shared {
    pub(crate) role: RoleName,
    pub(crate) spool: Spool,
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) waker: Waker,
    pub(crate) auth: AuthClient,
    pub(crate) certificates: Certificates,
    pub(crate) runs: Runs,
    /// For sessions that begin.
    pub(crate) rules: ArcSwap<Rules>,
    /// For each question.
    pub(crate) maps: ArcSwap<Maps>,
}

/// A client as events name it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'a> {
    pub(crate) peer: Peer,
    /// The argument of HELO; may be empty.
    pub(crate) helo: &'a str,
}

/// `mx1.example.net [192.0.2.1]`
impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let address = self.peer.address().ip().to_canonical();
        if self.helo.is_empty() { write!(f, "[{address}]") } else { write!(f, "{} [{address}]", self.helo) }
    }
}

impl Shared {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Records what happened, to a message or to none.
    pub(crate) fn record(&self, id: Option<QueueId>, what: What) {
        self.recorder.record(Event { at: self.now(), role: self.role, id, what });
    }

    /// Records that a command or message was refused.
    pub(crate) fn refused(&self, client: Named<'_>, stage: &str, from: &str, to: &str, status: Status) {
        let (relay, stage, from, to) = (client.to_string(), stage.to_owned(), from.to_owned(), to.to_owned());
        self.record(None, What::Rejected { relay, stage, from, to, status });
    }

    /// Records something that an operator should know.
    pub(crate) fn warn(&self, subject: impl Into<String>, text: impl Into<String>) {
        self.record(None, What::Warning { subject: subject.into(), text: text.into() });
    }

    /// The maps now.
    pub(crate) fn maps(&self) -> Arc<Maps> {
        self.maps.load_full()
    }
}
