//! The end of an attempt: its fates are recorded, and the message waits or goes.

use std::sync::Arc;

use lib_mail::{Class, Timestamp};
use lib_spool::{Claim, Ended, Error, Outcome, Settled, Settling, What};

use crate::attempt::{Next, blocking};
use crate::events::{About, tell_settled};
use crate::shared::Shared;
use crate::terms::Terms;
use crate::walk::Fate;

/// The history lines of fates. Where the peer tells the sender of success itself, or the sender asked for nothing, we do not.
pub(crate) fn outcomes(claim: &Claim, fates: &[Fate]) -> Vec<(usize, Outcome)> {
    let mut outcomes = Vec::with_capacity(fates.len());
    for Fate { index, status, will_tell } in fates {
        let what = match status.class() {
            Class::Success => What::Relayed,
            Class::Temporary => What::Deferred,
            Class::Permanent => What::Failed,
        };
        outcomes.push((*index, Outcome { what, status: status.clone() }));
        let asked = claim.envelope().recipients.get(*index).is_some_and(|recipient| recipient.notify.on_success());
        if asked && status.is_success() && *will_tell {
            outcomes.push((*index, Outcome { what: What::Notified(None), status: status.clone() }));
        }
    }
    outcomes
}

/// Records the last fates, and lets the message wait or go.
pub(crate) async fn settle(
    shared: &Arc<Shared>,
    terms: &Arc<Terms>,
    claim: Arc<Claim>,
    last: Vec<Fate>,
    previous: Option<Timestamp>,
) -> Result<Next, Error> {
    let id = claim.id();
    let about = About::of(&claim);
    let settled = blocking({
        let (shared, terms) = (shared.clone(), terms.clone());
        move || conclude(&shared, &terms, claim, &last, previous)
    });
    let settled = settled.await?;
    tell_settled(shared, id, &about, &settled);
    Ok(next(settled.ended, shared))
}

/// How a message fares whose claim has ended so.
pub(crate) fn next(ended: Ended, shared: &Shared) -> Next {
    match ended {
        Ended::Deferred(due) => Next::Due(due),
        Ended::Due => Next::Due(shared.clock.now()),
        Ended::Held | Ended::Deleted | Ended::Finished => Next::Gone,
    }
}

fn conclude(
    shared: &Shared,
    terms: &Terms,
    claim: Arc<Claim>,
    last: &[Fate],
    previous: Option<Timestamp>,
) -> Result<Settled, Error> {
    let outcomes = outcomes(&claim, last);
    let recorded = if outcomes.is_empty() { Ok(()) } else { claim.record(&outcomes) };
    // Whoever read the message has ended: only this is left of the claim.
    let claim = Arc::into_inner(claim).ok_or(Error::Misuse("a message is settled while it is read"))?;
    let settling = Settling {
        spool: &shared.spool,
        schedule: &terms.schedule,
        reporting: &terms.reporting,
        queue_of: &|address| shared.queue_of(address, terms),
        meant: &|address| shared.local.meant(address, terms),
        now: shared.clock.now(),
    };
    if let Err(error) = recorded {
        // Whoever was relayed would be given up, or warned of, as if nothing had happened.
        settling.postpone(claim);
        return Err(error);
    }
    settling.settle(claim, previous)
}

