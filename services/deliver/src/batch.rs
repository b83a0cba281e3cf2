//! A batch: messages that one thread attempts together, so that their copies share the syncs.

use std::sync::PoisonError;

use lib_mail::QueueId;
use lib_mailbox::{Delivered, Delivery, Error};

use crate::attempt::Attempt;
use crate::backlog::Next;
use crate::office::Office;

/// A batch takes no further message once those in it have so many octets: the first waits for the last.
const MOST_OCTETS: u64 = 1 << 20;

/// Messages in work.
pub(crate) struct Batch<'a> {
    office: &'a Office,
    /// How many it takes.
    most: usize,
    attempts: Vec<Attempt<'a>>,
    octets: u64,
    /// Those with which nothing is left to do.
    ended: Vec<(QueueId, Next)>,
}

/// A copy: the place of its attempt, and its own there.
type Place = (usize, usize);

impl<'a> Batch<'a> {
    pub(crate) fn new(office: &'a Office, most: usize) -> Batch<'a> {
        Batch { office, most, attempts: Vec::new(), octets: 0, ended: Vec::new() }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.attempts.len() + self.ended.len() >= self.most || self.octets >= MOST_OCTETS
    }

    /// Claims a message, if nobody else has it.
    pub(crate) fn add(&mut self, id: QueueId) {
        match Attempt::begin(self.office, id) {
            Ok(attempt) => {
                self.octets += attempt.claim.message_len();
                self.attempts.push(attempt);
            }
            Err(next) => self.ended.push((id, next)),
        }
    }

    /// Attempts all of them, and says when each is due again.
    pub(crate) fn run(mut self) -> Vec<(QueueId, Next)> {
        let copies = |(at, attempt): (usize, &Attempt<'_>)| (0..attempt.copies().len()).map(move |copy| (at, copy));
        let places: Vec<Place> = self.attempts.iter().enumerate().flat_map(copies).collect();
        for some in places.chunks(self.office.mailboxes.together()) {
            let delivered = self.deliver(some);
            for ((at, copy), delivered) in some.iter().zip(delivered) {
                self.attempts[*at].delivered(*copy, delivered.map(|delivered| delivered.size));
            }
        }
        self.ended.extend(self.attempts.into_iter().map(|attempt| (attempt.claim.id(), attempt.end())));
        self.ended
    }

    /// Writes copies; on a full disk once more, with the room that was kept for this. Then one copy alone is written at a time: the ballast has
    /// room for one message of any size, and not for as many as are in work at one time.
    fn deliver(&self, places: &[Place]) -> Vec<Result<Delivered, Error>> {
        let among_others = self.office.room.read().unwrap_or_else(PoisonError::into_inner);
        let mut delivered = self.put(places, false);
        drop(among_others);
        let full: Vec<usize> = (0..places.len()).filter(|nth| delivered[*nth].as_ref().is_err_and(Error::is_full)).collect();
        if full.is_empty() {
            return delivered;
        }
        let _alone = self.office.room.write().unwrap_or_else(PoisonError::into_inner);
        self.office.spool.release_ballast();
        for nth in full {
            if let Some(put) = self.put(&places[nth..=nth], true).pop() {
                delivered[nth] = put;
            }
        }
        delivered
    }

    fn put(&self, places: &[Place], again: bool) -> Vec<Result<Delivered, Error>> {
        let copies = || places.iter().map(|(at, copy)| (&self.attempts[*at], &self.attempts[*at].copies()[*copy]));
        let ids: Vec<QueueId> = copies().map(|(attempt, _)| attempt.claim.id()).collect();
        let traces: Vec<String> = copies().map(|(attempt, copy)| attempt.trace(copy)).collect();
        let mut bodies: Vec<_> = copies().map(|(attempt, _)| attempt.claim.body()).collect();
        let parts = copies().zip(&ids).zip(&traces).zip(&mut bodies);
        let mut deliveries: Vec<_> = parts
            .map(|((((attempt, copy), id), trace), body)| {
                let repeat = again || !attempt.claim.first_attempt();
                (copy.account.as_str(), Delivery { id, trace: trace.as_bytes(), body, repeat })
            })
            .collect();
        self.office.mailboxes.deliver_all(&mut deliveries)
    }
}
