//! One attempt for one message: from the claim to its end.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use lib_account::Maps;
use lib_mail::{Address, Enhanced, QueueId, Recipient, Status};
use lib_mailbox::Delivery;
use lib_policy::{Route, route};
use lib_record::Outcome as Told;
use lib_spool::{Claim, Ended, Error, Outcome, Queue, Recipients, Settled, Settling, What};

use crate::backlog::Next;
use crate::events::Fate;
use crate::header::{Trace, delivered_to};
use crate::office::{Office, Rules, queue_of};
use crate::target::Target;

/// What became of a recipient in this attempt.
pub(crate) struct End {
    pub(crate) index: usize,
    pub(crate) outcome: Outcome,
    /// Octets that were delivered.
    pub(crate) size: u64,
}

/// An attempt at work.
pub(crate) struct Attempt<'a> {
    pub(crate) office: &'a Office,
    pub(crate) rules: &'a Rules,
    pub(crate) maps: &'a Maps,
    pub(crate) claim: &'a Claim,
    /// The mailboxes and aliases that the message has passed already.
    pub(crate) passed: HashSet<String>,
    /// What is known so far.
    pub(crate) ends: Vec<End>,
    /// Messages that this one was passed on as.
    pub(crate) passed_on: Vec<QueueId>,
}

/// Attempts a message, if nobody else has it.
pub(crate) fn attempt(office: &Office, id: QueueId) -> Next {
    match office.spool.claim(Queue::Local, &id) {
        Ok(Some(claim)) => run(office, claim),
        Ok(None) => Next::None,
        Err(error) => {
            office.journal.warn(&format!("spool, message {id}"), error.to_string());
            Next::None
        }
    }
}

fn run(office: &Office, claim: Claim) -> Next {
    let rules = office.rules.load_full();
    let maps = maps_for(office, &rules, &claim);
    let (id, envelope, previous) = (claim.id(), claim.envelope().clone(), claim.recipients().last_at());
    let queue_of = |address: &Address| queue_of(address, &maps, &rules);
    let now = office.clock.now();
    let settling =
        Settling { spool: &office.spool, schedule: &rules.schedule, reporting: &rules.reporting, queue_of: &queue_of, now };
    let worked = settling.resume(&claim).and_then(|told| {
        let (ends, passed_on) = Attempt::work(office, &rules, &maps, &claim)?;
        Ok((told, ends, passed_on))
    });
    let (mut told, ends, passed_on) = match worked {
        Ok(worked) => worked,
        Err(error) => {
            office.journal.warn("spool", format!("{error}; message {id} waits"));
            return Next::At(settling.postpone(claim));
        }
    };
    let recipients = claim.recipients();
    let shown = |index| shown(&envelope.recipients, &recipients, index);
    let settled = settling.settle(claim, previous);
    for End { index, outcome, size } in &ends {
        let fate = Fate { to: shown(*index), outcome: told_as(&outcome.what), size: *size, status: &outcome.status };
        office.journal.attempt(id, &envelope, fate);
    }
    let Settled { ended, told: told_now, given_up } = match settled {
        Ok(settled) => settled,
        Err(error) => {
            office.journal.warn("spool", format!("{error}; message {id} waits"));
            return Next::At(now.plus(office.spool.pause()));
        }
    };
    for (index, status) in &given_up {
        office.journal.attempt(id, &envelope, Fate { to: shown(*index), outcome: Told::Failed, size: 0, status });
    }
    told.extend(told_now);
    told.iter().for_each(|told| office.journal.bounced(id, told));
    office.wake(&told);
    office.wake_relay(&passed_on);
    match ended {
        Ended::Deferred(until) => return Next::At(until),
        Ended::Due => return Next::At(now),
        Ended::Held => office.journal.ordered(id, "hold", "held"),
        Ended::Deleted => office.journal.ordered(id, "delete", "deleted"),
        Ended::Finished => office.journal.done(id, &envelope),
    }
    Next::None
}

/// The maps to route by. Where they know nobody of a recipient's name, they are looked at first: whoever took the message may have
/// looked later than we did, and mail for a new account must not be returned.
fn maps_for(office: &Office, rules: &Rules, claim: &Claim) -> Arc<Maps> {
    let maps = office.maps.load_full();
    let recipients = &claim.envelope().recipients;
    let unknown = |index: usize| {
        let facts = maps.facts(&rules.default_domain);
        recipients.get(index).is_some_and(|recipient| route(&recipient.address, &facts) == Route::Unknown)
    };
    if !claim.pending().into_iter().any(unknown) {
        return maps;
    }
    office.look();
    office.maps.load_full()
}

impl<'a> Attempt<'a> {
    /// Does what can be done for all that are pending, and records it.
    fn work(
        office: &'a Office,
        rules: &'a Arc<Rules>,
        maps: &'a Arc<Maps>,
        claim: &'a Claim,
    ) -> Result<(Vec<End>, Vec<QueueId>), Error> {
        if claim.pending().is_empty() || claim.bounce_wanted()? {
            return Ok((Vec::new(), Vec::new()));
        }
        let read = |source| Error::Disk { doing: "read the message", source };
        let passed = delivered_to(claim.body()).map_err(read)?;
        let mut attempt = Attempt { office, rules, maps, claim, passed, ends: Vec::new(), passed_on: Vec::new() };
        let direct = attempt.expand()?;
        attempt.deliver(&direct)?;
        attempt.record()?;
        Ok((attempt.ends, attempt.passed_on))
    }

    /// Notes what became of a recipient.
    pub(crate) fn end(&mut self, index: usize, what: What, status: Status) {
        self.ends.push(End { index, outcome: Outcome { what, status }, size: self.claim.message_len() });
    }

    pub(crate) fn status(&self, code: u16, subject: u16, detail: u16, text: impl Into<String>) -> Status {
        Status::local(code, Enhanced::new(0, subject, detail), text, self.office.clock.now())
    }

    fn deliver(&mut self, direct: &HashMap<usize, Target>) -> Result<(), Error> {
        let recipients = self.claim.recipients();
        let ended: HashSet<usize> = self.ends.iter().map(|end| end.index).collect();
        let mut copies = self.copies_before(&recipients);
        let mut elsewhere: BTreeMap<usize, Vec<(usize, Address)>> = BTreeMap::new();
        for index in recipients.pending().into_iter().filter(|index| !ended.contains(index)) {
            let member = || recipients.member(index).and_then(|member| Target::parse(&member.target));
            match direct.get(&index).cloned().or_else(member) {
                Some(Target::Mailbox(account)) => self.deliver_to(index, &recipients, account, &mut copies),
                Some(Target::Elsewhere(address)) => {
                    // The members of one alias leave together; whoever was no member leaves alone. So a repeat makes the same messages.
                    let together = recipients.member(index).map_or(index, |member| member.of);
                    elsewhere.entry(together).or_default().push((index, address));
                }
                Some(Target::Unknown(_)) => {
                    let status = self.status(550, 1, 1, "No such user here");
                    self.end(index, What::Failed, status);
                }
                Some(Target::Unsupported(word)) => {
                    let status = self.status(554, 3, 3, format!("Delivery to a {word} is not supported"));
                    self.end(index, What::Failed, status);
                }
                None => {
                    let status = self.status(451, 3, 5, "A newer version of this server has to deliver this");
                    self.end(index, What::Deferred, status);
                }
            }
        }
        elsewhere.into_iter().try_for_each(|(from, targets)| self.forward(from, &targets))
    }

    /// The mailboxes that have their copy from an earlier attempt.
    fn copies_before(&self, recipients: &Recipients) -> HashSet<String> {
        let delivered = |index: &usize| recipients.last(*index).is_some_and(|last| last.what == What::Delivered);
        let account = |index: usize| match recipients.member(index) {
            Some(member) => match Target::parse(&member.target) {
                Some(Target::Mailbox(account)) => Some(account),
                _ => None,
            },
            None => {
                let recipient = self.claim.envelope().recipients.get(index)?;
                match route(&recipient.address, &self.maps.facts(&self.rules.default_domain)) {
                    Route::Mailbox(account) => Some(account),
                    _ => None,
                }
            }
        };
        (0..recipients.len()).filter(delivered).filter_map(account).collect()
    }

    /// One copy of a message for one mailbox, however many of its recipients lead there.
    fn deliver_to(&mut self, index: usize, recipients: &Recipients, account: String, copies: &mut HashSet<String>) {
        if copies.contains(&account) {
            let status = self.status(250, 0, 0, "Delivered with the copy for another recipient");
            return self.end(index, What::Delivered, status);
        }
        if self.maps.accounts.as_ref().is_some_and(|accounts| accounts.find(&account).is_none()) {
            let status = self.status(550, 1, 1, "No such user here");
            return self.end(index, What::Failed, status);
        }
        if self.passed.contains(&account) {
            let status = self.status(554, 4, 6, format!("Mail loop: the message was delivered to {account} before"));
            return self.end(index, What::Failed, status);
        }
        // It came by a way on which its sender could not be told, or before the limit was lowered.
        if self.claim.message_len() > self.rules.size_limit {
            let status = lib_policy::too_large_for_mailbox(self.rules.size_limit, self.office.clock.now());
            return self.end(index, What::Failed, status);
        }
        let origin = recipients.origin(index).and_then(|origin| self.claim.envelope().recipients.get(origin));
        match self.put(&account, origin) {
            Ok(size) => {
                let outcome = Outcome { what: What::Delivered, status: self.status(250, 0, 0, "Delivered") };
                self.ends.push(End { index, outcome, size });
                copies.insert(account);
            }
            Err(error) => self.not_delivered(index, &account, &error),
        }
    }

    /// Writes the copy; on a full disk once more, with the room that was kept for this. Then it is the only one that writes: the ballast has
    /// room for one message of any size, and not for as many as are in work at one time.
    fn put(&self, account: &str, origin: Option<&Recipient>) -> Result<u64, lib_mailbox::Error> {
        let (claim, id) = (self.claim, self.claim.id());
        let trace = Trace { envelope: claim.envelope(), id: &id, host: &self.rules.host, zone: &self.rules.zone };
        let trace = trace.lines(account, origin);
        let deliver = |repeat| {
            let mut body = claim.body();
            let delivery = Delivery { id: &id, trace: trace.as_bytes(), body: &mut body, repeat };
            self.office.mailboxes.deliver(account, delivery)
        };
        let among_others = self.office.room.read().unwrap_or_else(PoisonError::into_inner);
        let first = deliver(!claim.first_attempt());
        drop(among_others);
        let delivered = if first.as_ref().is_err_and(lib_mailbox::Error::is_full) {
            let _alone = self.office.room.write().unwrap_or_else(PoisonError::into_inner);
            self.office.spool.release_ballast();
            deliver(true)
        } else {
            first
        };
        delivered.map(|delivered| delivered.size)
    }

    fn not_delivered(&mut self, index: usize, account: &str, error: &lib_mailbox::Error) {
        let (what, status) = match error {
            lib_mailbox::Error::Name(_) => (What::Failed, self.status(550, 1, 3, "No mailbox can have this name")),
            error if error.is_full() => (What::Deferred, self.status(452, 3, 1, "Insufficient disk space")),
            _ => (What::Deferred, self.status(451, 3, 0, "The mailbox cannot be written now")),
        };
        self.office.journal.warn(&format!("mailbox {account}"), error.to_string());
        self.end(index, what, status);
    }

    fn record(&self) -> Result<(), Error> {
        let outcomes: Vec<_> = (self.ends.iter())
            .filter(|end| !matches!(end.outcome.what, What::Expanded(_)))
            .map(|end| (end.index, end.outcome.clone()))
            .collect();
        if outcomes.is_empty() { Ok(()) } else { self.claim.record(&outcomes) }
    }
}

/// Whom an index means, for the log.
fn shown(envelope: &[Recipient], recipients: &Recipients, index: usize) -> String {
    match (recipients.member(index), envelope.get(index)) {
        (Some(member), _) => Target::parse(&member.target).map_or_else(|| member.target.clone(), |target| target.shown()),
        (None, Some(recipient)) => recipient.address.to_string(),
        (None, None) => String::new(),
    }
}

fn told_as(what: &What) -> Told {
    match what {
        What::Delivered => Told::Delivered,
        What::Relayed => Told::Relayed,
        What::Forwarded(_) | What::Expanded(_) => Told::Expanded,
        What::Discarded => Told::Discarded,
        What::Failed => Told::Failed,
        What::Deferred | What::Notified(_) => Told::Deferred,
    }
}
