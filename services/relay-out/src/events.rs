//! What is told to the log of a message's attempts.

use lib_mail::{By, Class, QueueId, Status, Timestamp};
use lib_record::{Outcome as Fared, What as Happened};
use lib_spool::{Claim, Ended, Settled};

use crate::shared::Shared;
use crate::walk::Fate;

/// What events say of a message that may be gone by then.
pub(crate) struct About {
    arrived: Timestamp,
    size: u64,
    to: Vec<String>,
}

impl About {
    pub(crate) fn of(claim: &Claim) -> About {
        let to = claim.envelope().recipients.iter().map(|recipient| recipient.address.to_string()).collect();
        About { arrived: claim.envelope().arrived, size: claim.message_len(), to }
    }
}

pub(crate) fn tell_events(shared: &Shared, id: QueueId, about: &About, fates: &[Fate]) {
    for fate in fates {
        tell_attempt(shared, id, about, fate.index, &fate.status);
    }
}

fn tell_attempt(shared: &Shared, id: QueueId, about: &About, index: usize, status: &Status) {
    let outcome = match status.class() {
        Class::Success => Fared::Relayed,
        Class::Temporary => Fared::Deferred,
        Class::Permanent => Fared::Failed,
    };
    let relay = match &status.by {
        By::Remote(host) => host.clone(),
        By::Local => String::new(),
    };
    let to = about.to.get(index).cloned().unwrap_or_default();
    let delay = shared.clock.now().since(about.arrived);
    shared.record(Some(id), Happened::Attempt { to, outcome, delay, relay, size: about.size, status: status.clone() });
}

pub(crate) fn tell_settled(shared: &Shared, id: QueueId, about: &About, settled: &Settled) {
    for (index, status) in &settled.given_up {
        tell_attempt(shared, id, about, *index, status);
    }
    for told in &settled.told {
        let what = Happened::Bounced { parent: id, to: told.to.to_string(), kind: told.kind.as_str().into() };
        shared.record(Some(told.id), what);
        shared.wake(told.queue, told.id);
    }
    let ordered = |order: &str, result: &str| Happened::Ordered { order: order.into(), result: result.into() };
    match settled.ended {
        Ended::Finished => shared.record(Some(id), Happened::Done { delay: shared.clock.now().since(about.arrived) }),
        Ended::Held => shared.record(Some(id), ordered("hold", "held")),
        Ended::Deleted => shared.record(Some(id), ordered("delete", "deleted")),
        Ended::Deferred(_) | Ended::Due => {}
    }
}
