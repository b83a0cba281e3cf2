//! The end of an attempt: its fates are recorded, and the message waits or goes.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lib_mail::{Class, Timestamp};
use lib_spool::{Claim, Ended, Error, Outcome, Removals, Settled, Settling, What};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

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
    let (id, about) = (claim.id(), About::of(&claim));
    let together = goes_quietly(&claim, &last) && shared.spool.shares_removals();
    let end = End { terms: terms.clone(), claim, last, previous };
    let settled = if together {
        Endings::settle(shared, end).await?
    } else {
        let shared = shared.clone();
        blocking(move || end.conclude(&shared, None)).await?
    };
    tell_settled(shared, id, &about, &settled);
    Ok(next(settled.ended, shared))
}

/// Whether all is done with it and nobody is to be told: then there is little to its end, and its removal can share a sync.
fn goes_quietly(claim: &Claim, last: &[Fate]) -> bool {
    let asked = claim.envelope().recipients.iter().any(|recipient| recipient.notify.on_success());
    !asked && !last.is_empty() && last.iter().all(|fate| fate.status.is_success())
}

/// How a message fares whose claim has ended so.
pub(crate) fn next(ended: Ended, shared: &Shared) -> Next {
    match ended {
        Ended::Deferred(due) => Next::Due(due),
        Ended::Due => Next::Due(shared.clock.now()),
        Ended::Held | Ended::Deleted | Ended::Finished => Next::Gone,
    }
}

/// An attempt at its end.
struct End {
    terms: Arc<Terms>,
    claim: Arc<Claim>,
    last: Vec<Fate>,
    previous: Option<Timestamp>,
}

impl End {
    /// Blocks.
    fn conclude(self, shared: &Shared, removals: Option<&Removals<'_>>) -> Result<Settled, Error> {
        let End { terms, claim, last, previous } = self;
        let outcomes = outcomes(&claim, &last);
        let recorded = match removals {
            _ if outcomes.is_empty() => Ok(()),
            Some(_) => claim.record_at_end(&outcomes),
            None => claim.record(&outcomes),
        };
        // Whoever read the message has ended: only this is left of the claim.
        let claim = Arc::into_inner(claim).ok_or(Error::Misuse("a message is settled while it is read"))?;
        let settling = Settling {
            spool: &shared.spool,
            schedule: &terms.schedule,
            reporting: &terms.reporting,
            queue_of: &|address| shared.queue_of(address, &terms),
            meant: &|address| shared.local.meant(address, &terms),
            now: shared.clock.now(),
        };
        if let Err(error) = recorded {
            // Whoever was relayed would be given up, or warned of, as if nothing had happened.
            settling.postpone(claim);
            return Err(error);
        }
        match removals {
            Some(removals) => settling.settle_among(removals, claim, previous),
            None => settling.settle(claim, previous),
        }
    }
}

/// How long an end waits for a thread that is at work with others. As long as nothing on disk tells of what was sent, a crash repeats it;
/// a disk that is slow must not make that time long.
const PATIENCE: Duration = Duration::from_millis(5);
/// A fault of ours.
const BROKE_OFF: Error = Error::Misuse("the end of an attempt broke off");

/// Where it is told what came of an end.
type Answer = oneshot::Sender<Result<Settled, Error>>;

/// Messages at their end that wait to be settled: one thread settles together what has come meanwhile.
#[derive(Default)]
pub(crate) struct Endings(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    ends: Vec<(End, Answer)>,
    /// Threads that take them.
    attendants: usize,
}

impl Endings {
    /// Settles it, durably.
    async fn settle(shared: &Arc<Shared>, end: End) -> Result<Settled, Error> {
        let (answer, mut settled) = oneshot::channel();
        if shared.endings.add(end, answer) {
            attend(shared);
        }
        let answered = match timeout(PATIENCE, &mut settled).await {
            Ok(answered) => answered,
            Err(_) => {
                if shared.endings.hurry() {
                    attend(shared);
                }
                settled.await
            }
        };
        answered.unwrap_or(Err(BROKE_OFF))
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a thread is to take it.
    fn add(&self, end: End, answer: Answer) -> bool {
        let mut waiting = self.lock();
        waiting.ends.push((end, answer));
        let first = waiting.attendants == 0;
        waiting.attendants += usize::from(first);
        first
    }

    /// Whether a further thread is to take what waits: the others take long.
    fn hurry(&self) -> bool {
        let mut waiting = self.lock();
        let any = !waiting.ends.is_empty();
        waiting.attendants += usize::from(any);
        any
    }

    /// What waits; where nothing does, the thread has ended.
    fn take(&self) -> Option<Vec<(End, Answer)>> {
        let mut waiting = self.lock();
        let some = mem::take(&mut waiting.ends);
        waiting.attendants -= usize::from(some.is_empty());
        (!some.is_empty()).then_some(some)
    }
}

/// Settles what waits, in a thread that may block.
fn attend(shared: &Arc<Shared>) {
    let shared = shared.clone();
    spawn_blocking(move || {
        while let Some(some) = shared.endings.take() {
            settle_all(&shared, some);
        }
    });
}

fn settle_all(shared: &Shared, ends: Vec<(End, Answer)>) {
    let removals = shared.spool.removals(ends.len());
    let mut settled = Vec::with_capacity(ends.len());
    for (end, answer) in ends {
        // What was sent must not be sent again because of a fault with another message.
        let concluded = catch_unwind(AssertUnwindSafe(|| end.conclude(shared, removals.as_ref())));
        let one = concluded.unwrap_or(Err(BROKE_OFF));
        match removals {
            Some(_) => settled.push((one, answer)),
            // Who waited for it may have been broken off by a drain; so below.
            None => drop(answer.send(one)),
        }
    }
    if let Some(removals) = removals
        && let Err(error) = removals.sync()
    {
        // They are gone, as far as anybody can see; there is nothing to be tried again.
        shared.warn(None, "spool", error.to_string());
    }
    for (one, answer) in settled {
        let _ = answer.send(one);
    }
}

#[cfg(test)]
mod tests {
    use lib_mail::{Enhanced, Notify, QueueId, Status};
    use lib_spool::Queue;

    use super::*;
    use crate::tests::{MESSAGE, Node, START, settings};
    use crate::walk::all;

    fn end(node: &Node, id: QueueId, indexes: &[usize]) -> End {
        let claim = Arc::new(node.shared.spool.claim(Queue::Relay, &id).unwrap().unwrap());
        let last = all(indexes, &Status::local(250, Enhanced::new(2, 0, 0), "taken", START));
        End { terms: node.shared.terms.load_full(), claim, last, previous: None }
    }

    type Settling = oneshot::Receiver<Result<Settled, Error>>;

    fn ends(node: &Node, count: usize) -> (Vec<(End, Answer)>, Vec<Settling>) {
        let one = || {
            let (answer, settled) = oneshot::channel();
            ((end(node, node.submit(&["b@far.example"], MESSAGE), &[0]), answer), settled)
        };
        (0..count).map(|_| one()).unzip()
    }

    fn syncs(node: &Node) -> Vec<String> {
        node.disk.trace().into_iter().filter(|call| call.contains("sync")).collect()
    }

    #[test]
    fn one_sync_stands_for_all_that_end_together_and_a_few_have_their_own() {
        let node = Node::that_syncs_all(&settings(25));
        for (count, want) in [(1, 1), (2, 2), (3, 1), (20, 1)] {
            let (ends, settled) = ends(&node, count);
            let before = syncs(&node).len();
            settle_all(&node.shared, ends);
            for mut settled in settled {
                assert_eq!(settled.try_recv().unwrap().unwrap().ended, Ended::Finished);
            }
            let syncs = syncs(&node).split_off(before);
            assert_eq!(syncs.len(), want, "{syncs:?}");
            assert!(node.queue(Queue::Relay).is_empty());
        }
    }

    #[test]
    fn one_thread_takes_what_waits_and_another_what_waits_for_long() {
        let node = Node::that_syncs_all(&settings(25));
        let (ends, _settled) = ends(&node, 4);
        let endings = Endings::default();
        let mut ends = ends.into_iter();
        let mut add = || ends.next().map(|(end, answer)| endings.add(end, answer));
        let take = || endings.take().map(|some| some.len());
        assert!(!endings.hurry(), "nobody waits");
        assert_eq!([add(), add()], [Some(true), Some(false)], "the first needs a thread");
        assert_eq!(take(), Some(2));
        assert_eq!(add(), Some(false), "it comes back when it is done with those");
        assert!(endings.hurry(), "but that takes long");
        assert_eq!(take(), Some(1), "the second thread");
        assert!(!endings.hurry());
        assert_eq!([take(), take()], [None, None], "both end");
        assert_eq!(add(), Some(true));
    }

    #[test]
    fn a_message_that_has_not_ended_is_recorded_among_others_that_have() {
        let node = Node::that_syncs_all(&settings(25));
        let (mut ends, mut settled) = ends(&node, 3);
        let waits = node.submit(&["b@far.example", "c@far.example"], MESSAGE);
        let (answer, waiting) = oneshot::channel();
        ends.push((end(&node, waits, &[0]), answer));
        settled.push(waiting);
        settle_all(&node.shared, ends);
        let ended: Vec<_> = settled.iter_mut().map(|settled| settled.try_recv().unwrap().unwrap().ended).collect();
        assert!(matches!(ended[..], [Ended::Finished, Ended::Finished, Ended::Finished, Ended::Deferred(_)]), "{ended:?}");
        let [listing] = node.queue(Queue::Relay).try_into().unwrap();
        assert_eq!((listing.id, listing.recipients.pending()), (waits, vec![1]));
    }

    #[test]
    fn they_are_settled_where_their_sync_fails() {
        let node = Node::that_syncs_all(&settings(25));
        let (ends, settled) = ends(&node, 3);
        node.disk.fail_next("syncfs", std::io::ErrorKind::Other);
        settle_all(&node.shared, ends);
        for mut settled in settled {
            assert_eq!(settled.try_recv().unwrap().unwrap().ended, Ended::Finished, "it must not be sent again");
        }
        assert!(node.shared.spool.in_trouble());
    }

    #[test]
    fn only_what_everybody_is_content_with_goes_quietly() {
        let node = Node::new(&settings(25));
        let status = |code, class| Status::local(code, Enhanced::new(class, 0, 0), "so it is", START);
        for (notify, last, want) in [
            (Notify::Default, all(&[0], &status(250, 2)), true),
            (Notify::Never, all(&[0], &status(250, 2)), true),
            (Notify::On { success: true, failure: true, delay: false }, all(&[0], &status(250, 2)), false),
            (Notify::Default, all(&[0], &status(450, 4)), false),
            (Notify::Default, all(&[0], &status(550, 5)), false),
            (Notify::Default, Vec::new(), false),
        ] {
            let id = node.submit_with(&["b@far.example"], MESSAGE, |envelope| envelope.recipients[0].notify = notify);
            let claim = node.shared.spool.claim(Queue::Relay, &id).unwrap().unwrap();
            assert_eq!(goes_quietly(&claim, &last), want, "{notify:?}, {last:?}");
        }
    }
}
