//! What all sessions of the process share, and the events they record.

use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use lib_account::Maps;
use lib_host::Clock;
use lib_mail::{Peer, QueueId, Status, Timestamp};
use lib_net::auth::AuthClient;
use lib_net::gate::Gate;
use lib_net::pin::sha256;
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
    pub(crate) gate: Arc<Gate>,
    /// For sessions that begin.
    pub(crate) rules: ArcSwap<Rules>,
    /// For each question.
    pub(crate) maps: ArcSwap<Maps>,
    /// What peers are told of our recipients; empty until one asks, and when maps or settings changed.
    pub(crate) recipients: ArcSwapOption<RecipientLines>,
}

/// Who has mail here, as XLIST says it.
#[derive(Debug)]
pub(crate) struct RecipientLines {
    pub(crate) digest: String,
    pub(crate) lines: Vec<String>,
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

    /// Who has mail here; `None` where the accounts cannot be read.
    pub(crate) fn recipients(&self) -> Option<Arc<RecipientLines>> {
        if let Some(known) = self.recipients.load_full() {
            return Some(known);
        }
        let lines = self.maps().recipients(&self.rules.load().settings)?.lines();
        let made = Arc::new(RecipientLines { digest: sha256(lines.join("\n").as_bytes()), lines });
        self.recipients.store(Some(made.clone()));
        Some(made)
    }

    /// Puts other maps into force.
    pub(crate) fn set_maps(&self, maps: Maps) {
        self.maps.store(Arc::new(maps));
        self.recipients.store(None);
    }

    /// The maps now.
    pub(crate) fn maps(&self) -> Arc<Maps> {
        self.maps.load_full()
    }
}
