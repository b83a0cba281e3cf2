//! The end of an attempt, the same for every consumer: what waits gets its next moment, what has waited too long fails, who is to
//! be told is told, and the message is let go or removed.

use lib_mail::{Address, Enhanced, Envelope, Status, Timestamp};
use lib_policy::{AfterFailure, Failure, Schedule};

use crate::notify::{ReportingMta, Teller, Told};
use crate::{Claim, Ended, Error, Outcome, Queue, Removals, Spool, What};

/// The schedule that the settings describe.
pub fn schedule_of(queue: &lib_settings::Queue) -> Schedule {
    Schedule {
        retry: queue.retry.clone(),
        growth: queue.retry_growth,
        most: queue.retry_most,
        return_after: queue.return_after,
        return_bounce_after: queue.return_bounce_after,
        warn_after: queue.warn_after,
    }
}

/// What is needed to settle an attempt.
pub struct Settling<'a> {
    /// The spool.
    pub spool: &'a Spool,
    /// When to try again, to warn, and to give up.
    pub schedule: &'a Schedule,
    /// Who tells the sender.
    pub reporting: &'a ReportingMta,
    /// The queue for a notification to this address.
    pub queue_of: &'a dyn Fn(&Address) -> Queue,
    /// The domain that was probably meant where an address looks mistyped; asked only when a sender is told.
    pub meant: &'a dyn Fn(&Address) -> Option<String>,
    /// By the queue clock.
    pub now: Timestamp,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Where the message is now.
    pub ended: Ended,
    /// The notifications that were committed; their consumers are to be woken.
    pub told: Vec<Told>,
    /// Recipients that were given up now, after waiting too long or by an order, with what was recorded. An event is due for each.
    pub given_up: Vec<(usize, Status)>,
}

/// How an attempt is to end.
struct Conclusion {
    /// The next moment, where something waits.
    due: Option<Timestamp>,
    told: Vec<Told>,
    given_up: Vec<(usize, Status)>,
}

impl Settling<'_> {
    /// Tells of what an attempt before a crash left untold; to be called before anything is attempted, so that its notification
    /// stays the same one.
    ///
    /// # Errors
    /// The disk's.
    pub fn resume(&self, claim: &Claim) -> Result<Vec<Told>, Error> {
        if claim.recipients().failed().is_empty() {
            return Ok(Vec::new());
        }
        claim.sync()?;
        let told = self.teller(claim).tell_failures()?;
        claim.sync()?;
        Ok(told.into_iter().collect())
    }

    /// Settles an attempt whose outcomes are recorded: each recipient that was pending has one, `Deferred` at least. `previous` is
    /// when the attempt before it ended ([`Recipients::last_at`](crate::Recipients::last_at), asked before this one's outcomes were recorded).
    ///
    /// # Errors
    /// The disk's. The message then waits ([`Spool::pause`]), with what could be recorded; nothing is lost.
    pub fn settle(&self, claim: Claim, previous: Option<Timestamp>) -> Result<Settled, Error> {
        self.settle_with(claim, previous, None)
    }

    /// As [`settle`](Self::settle), for one of several that end together; its outcomes may have been recorded by
    /// [`Claim::record_at_end`]. That it ended is durable once [`Removals::sync`] has returned.
    ///
    /// # Errors
    /// As [`settle`](Self::settle).
    pub fn settle_among(&self, removals: &Removals<'_>, claim: Claim, previous: Option<Timestamp>) -> Result<Settled, Error> {
        self.settle_with(claim, previous, Some(removals))
    }

    fn settle_with(
        &self,
        claim: Claim,
        previous: Option<Timestamp>,
        removals: Option<&Removals<'_>>,
    ) -> Result<Settled, Error> {
        match self.conclude(&claim, previous) {
            Ok(Conclusion { due, told, given_up }) => {
                let ended = match due {
                    Some(due) => claim.defer(due)?,
                    None => claim.finish_with(removals)?,
                };
                Ok(Settled { ended, told, given_up })
            }
            Err(error) => {
                self.postpone(claim);
                Err(error)
            }
        }
    }

    /// Lets a message wait whose outcomes could not be recorded, and says until when. It must not be settled: what happened is not known.
    pub fn postpone(&self, claim: Claim) -> Timestamp {
        let until = self.now.plus(self.spool.pause());
        // Where even this fails the message stays due, and waits for the disk to take a test.
        let _ = claim.defer(until);
        until
    }

    /// All but the end.
    fn conclude(&self, claim: &Claim, previous: Option<Timestamp>) -> Result<Conclusion, Error> {
        let after = self.verdict(claim, previous)?;
        let given_up = match after {
            Some(AfterFailure::GiveUp) => self.give_up(claim)?,
            _ => Vec::new(),
        };
        let mut told = Vec::new();
        if !claim.recipients().failed().is_empty() {
            // A repeat must find the same failures that the sender is told of now.
            claim.sync()?;
        }
        let teller = self.teller(claim);
        told.extend(teller.tell_failures()?);
        told.extend(teller.tell_successes()?);
        let due = match after {
            Some(AfterFailure::Wait { due, warn }) => {
                told.extend(if warn { teller.tell_delay()? } else { None });
                Some(due)
            }
            _ => None,
        };
        if !told.is_empty() {
            claim.sync()?;
        }
        Ok(Conclusion { due, told, given_up })
    }

    /// What follows for those that are still pending; `None` where nobody is.
    fn verdict(&self, claim: &Claim, previous: Option<Timestamp>) -> Result<Option<AfterFailure>, Error> {
        let recipients = claim.recipients();
        let pending = recipients.pending();
        if pending.is_empty() {
            return Ok(None);
        }
        if claim.bounce_wanted()? {
            return Ok(Some(AfterFailure::GiveUp));
        }
        let attempts = pending.iter().map(|index| recipients.deferrals(*index)).max().unwrap_or(0);
        if attempts == 0 {
            // Nobody was ever attempted, as far as is known: a schedule would say at once.
            return Ok(Some(AfterFailure::Wait { due: self.now.plus(self.spool.pause()), warn: false }));
        }
        let failure = Failure {
            now: self.now,
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            previous,
            warned: pending.iter().any(|index| recipients.notified(*index)),
        };
        let deadline = claim.deadline()?;
        if deadline == claim.envelope().deadline {
            return Ok(Some(self.schedule.verdict_after_failure(claim.envelope(), failure)));
        }
        let envelope = Envelope { deadline, ..claim.envelope().clone() };
        Ok(Some(self.schedule.verdict_after_failure(&envelope, failure)))
    }

    /// Records the failure of all that is pending.
    fn give_up(&self, claim: &Claim) -> Result<Vec<(usize, Status)>, Error> {
        let ordered = claim.bounce_wanted()?;
        let recipients = claim.recipients();
        let given_up: Vec<(usize, Status)> = (recipients.pending().into_iter())
            .map(|index| {
                let last = recipients.last(index).map(|last| &last.status);
                (index, if ordered { returned(self.now) } else { Status::expired(last, self.now) })
            })
            .collect();
        let failed = |(index, status): &(usize, Status)| (*index, Outcome { what: What::Failed, status: status.clone() });
        claim.record(&given_up.iter().map(failed).collect::<Vec<_>>())?;
        Ok(given_up)
    }

    fn teller<'a>(&'a self, claim: &'a Claim) -> Teller<'a> {
        Teller {
            spool: self.spool,
            claim,
            reporting: self.reporting,
            queue_of: self.queue_of,
            meant: self.meant,
            now: self.now,
            deadline: self.schedule.bounce_deadline(self.now),
        }
    }
}

fn returned(now: Timestamp) -> Status {
    Status::local(554, Enhanced::new(5, 0, 0), "Returned by an administrator of this server", now)
}
