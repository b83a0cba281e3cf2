//! One attempt for one message: what is to be done for whom, and how it ends. In between its copies are written, together with those of
//! other attempts ([`crate::batch`]).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use lib_account::Maps;
use lib_mail::{Address, Enhanced, QueueId, Recipient, Status, Timestamp};
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

/// A copy for one mailbox, however many of the message's recipients lead there.
pub(crate) struct Copy {
    pub(crate) account: String,
    /// At least one.
    indexes: Vec<usize>,
}

/// An attempt at work.
pub(crate) struct Attempt<'a> {
    pub(crate) office: &'a Office,
    pub(crate) rules: Arc<Rules>,
    pub(crate) maps: Arc<Maps>,
    pub(crate) claim: Claim,
    /// When it began.
    now: Timestamp,
    /// When the attempt before it ended.
    previous: Option<Timestamp>,
    /// The mailboxes and aliases that the message has passed already.
    pub(crate) passed: HashSet<String>,
    /// What is known so far.
    pub(crate) ends: Vec<End>,
    /// Messages that this one was passed on as.
    pub(crate) passed_on: Vec<QueueId>,
    /// Notifications that an attempt before a crash owed.
    told: Vec<lib_spool::Told>,
    /// To be written.
    copies: Vec<Copy>,
    /// To be passed on: by the recipient whose members they are, or who is meant alone.
    elsewhere: BTreeMap<usize, Vec<(usize, Address)>>,
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
    /// Claims a message, if nobody else has it, and finds out what is to be done. Otherwise says when it is due.
    pub(crate) fn begin(office: &'a Office, id: QueueId) -> Result<Attempt<'a>, Next> {
        let claim = match office.spool.claim(Queue::Local, &id) {
            Ok(Some(claim)) => claim,
            Ok(None) => return Err(Next::None),
            Err(error) => {
                office.journal.warn(&format!("spool, message {id}"), error.to_string());
                return Err(Next::None);
            }
        };
        let rules = office.rules.load_full();
        let mut attempt = Attempt {
            office,
            maps: maps_for(office, &rules, &claim),
            rules,
            now: office.clock.now(),
            previous: claim.recipients().last_at(),
            claim,
            passed: HashSet::new(),
            ends: Vec::new(),
            passed_on: Vec::new(),
            told: Vec::new(),
            copies: Vec::new(),
            elsewhere: BTreeMap::new(),
        };
        match attempt.plan() {
            Ok(()) => Ok(attempt),
            Err(error) => Err(attempt.fail(&error)),
        }
    }

    /// The copies to be written.
    pub(crate) fn copies(&self) -> &[Copy] {
        &self.copies
    }

    /// The header lines in front of a copy.
    pub(crate) fn trace(&self, copy: &Copy) -> String {
        let (claim, id) = (&self.claim, self.claim.id());
        let recipients = claim.recipients();
        let origin = copy.indexes.first().and_then(|index| recipients.origin(*index));
        let recipient = origin.and_then(|origin| claim.envelope().recipients.get(origin));
        Trace { envelope: claim.envelope(), id: &id, host: &self.rules.host, zone: &self.rules.zone }
            .lines(&copy.account, recipient)
    }

    /// Notes what became of a copy, by its place among the copies: octets of the copy, where it is durable.
    pub(crate) fn delivered(&mut self, place: usize, delivered: Result<u64, lib_mailbox::Error>) {
        let Some(Copy { account, indexes }) = self.copies.get(place) else { return };
        let (account, indexes) = (account.clone(), indexes.clone());
        match delivered {
            Ok(size) => {
                let outcome = Outcome { what: What::Delivered, status: self.status(250, 0, 0, "Delivered") };
                let mut indexes = indexes.into_iter();
                self.ends.extend(indexes.next().map(|index| End { index, outcome, size }));
                indexes.for_each(|index| self.end_with_another(index));
            }
            Err(error) => {
                self.office.journal.warn(&format!("mailbox {account}"), error.to_string());
                indexes.into_iter().for_each(|index| self.not_delivered(index, &error));
            }
        }
    }

    /// Passes on what goes elsewhere, records what became of each recipient, and lets the message go.
    pub(crate) fn end(mut self) -> Next {
        match self.pass_on().and_then(|()| self.record()) {
            Ok(()) => self.settle(),
            Err(error) => self.fail(&error),
        }
    }

    /// The message waits: what became of it cannot be recorded.
    fn fail(self, error: &Error) -> Next {
        self.office.journal.warn("spool", format!("{error}; message {} waits", self.claim.id()));
        let (rules, maps) = (Arc::clone(&self.rules), Arc::clone(&self.maps));
        let queue_of = |address: &Address| queue_of(address, &maps, &rules);
        Next::At(settling(self.office, &rules, &queue_of, self.now).postpone(self.claim))
    }

    fn settle(self) -> Next {
        let Attempt { office, rules, maps, claim, now, previous, ends, passed_on, mut told, .. } = self;
        let queue_of = |address: &Address| queue_of(address, &maps, &rules);
        let (id, envelope, recipients) = (claim.id(), claim.envelope().clone(), claim.recipients());
        let shown = |index| shown(&envelope.recipients, &recipients, index);
        let settled = settling(office, &rules, &queue_of, now).settle(claim, previous);
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

    /// Finds out what is to be done for all that are pending.
    fn plan(&mut self) -> Result<(), Error> {
        let queue_of = |address: &Address| queue_of(address, &self.maps, &self.rules);
        self.told = settling(self.office, &self.rules, &queue_of, self.now).resume(&self.claim)?;
        if self.claim.pending().is_empty() || self.claim.bounce_wanted()? {
            return Ok(());
        }
        let read = |source| Error::Disk { doing: "read the message", source };
        self.passed = delivered_to(self.claim.body()).map_err(read)?;
        let direct = self.expand()?;
        self.sort(&direct);
        Ok(())
    }

    /// Notes what became of a recipient.
    pub(crate) fn end_one(&mut self, index: usize, what: What, status: Status) {
        self.ends.push(End { index, outcome: Outcome { what, status }, size: self.claim.message_len() });
    }

    pub(crate) fn status(&self, code: u16, subject: u16, detail: u16, text: impl Into<String>) -> Status {
        Status::local(code, Enhanced::new(0, subject, detail), text, self.office.clock.now())
    }

    /// Parts those that get a copy, those that are passed on, and those who get nothing.
    fn sort(&mut self, direct: &HashMap<usize, Target>) {
        let recipients = self.claim.recipients();
        let ended: HashSet<usize> = self.ends.iter().map(|end| end.index).collect();
        let before = self.copies_before(&recipients);
        let mut places = HashMap::new();
        for index in recipients.pending().into_iter().filter(|index| !ended.contains(index)) {
            let member = || recipients.member(index).and_then(|member| Target::parse(&member.target));
            match direct.get(&index).cloned().or_else(member) {
                Some(Target::Mailbox(account)) if before.contains(&account) => self.end_with_another(index),
                Some(Target::Mailbox(account)) => self.sort_copy(index, account, &mut places),
                Some(Target::Elsewhere(address)) => {
                    // The members of one alias leave together; whoever was no member leaves alone. So a repeat makes the same messages.
                    let together = recipients.member(index).map_or(index, |member| member.of);
                    self.elsewhere.entry(together).or_default().push((index, address));
                }
                Some(Target::Unknown(_)) => {
                    let status = self.status(550, 1, 1, "No such user here");
                    self.end_one(index, What::Failed, status);
                }
                Some(Target::Unsupported(word)) => {
                    let status = self.status(554, 3, 3, format!("Delivery to a {word} is not supported"));
                    self.end_one(index, What::Failed, status);
                }
                None => {
                    let status = self.status(451, 3, 5, "A newer version of this server has to deliver this");
                    self.end_one(index, What::Deferred, status);
                }
            }
        }
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

    /// One copy for one mailbox; `places` are those of the accounts that have one already.
    fn sort_copy(&mut self, index: usize, account: String, places: &mut HashMap<String, usize>) {
        if let Some(place) = places.get(&account) {
            return self.copies[*place].indexes.push(index);
        }
        if self.maps.accounts.as_ref().is_some_and(|accounts| accounts.find(&account).is_none()) {
            let status = self.status(550, 1, 1, "No such user here");
            return self.end_one(index, What::Failed, status);
        }
        if self.passed.contains(&account) {
            let status = self.status(554, 4, 6, format!("Mail loop: the message was delivered to {account} before"));
            return self.end_one(index, What::Failed, status);
        }
        // It came by a way on which its sender could not be told, or before the limit was lowered.
        if self.claim.message_len() > self.rules.size_limit {
            let status = lib_policy::too_large_for_mailbox(self.rules.size_limit, self.office.clock.now());
            return self.end_one(index, What::Failed, status);
        }
        places.insert(account.clone(), self.copies.len());
        self.copies.push(Copy { account, indexes: vec![index] });
    }

    fn end_with_another(&mut self, index: usize) {
        let status = self.status(250, 0, 0, "Delivered with the copy for another recipient");
        self.end_one(index, What::Delivered, status);
    }

    fn not_delivered(&mut self, index: usize, error: &lib_mailbox::Error) {
        let (what, status) = match error {
            lib_mailbox::Error::Name(_) => (What::Failed, self.status(550, 1, 3, "No mailbox can have this name")),
            error if error.is_full() => (What::Deferred, self.status(452, 3, 1, "Insufficient disk space")),
            _ => (What::Deferred, self.status(451, 3, 0, "The mailbox cannot be written now")),
        };
        self.end_one(index, what, status);
    }

    fn pass_on(&mut self) -> Result<(), Error> {
        std::mem::take(&mut self.elsewhere).into_iter().try_for_each(|(from, targets)| self.forward(from, &targets))
    }

    fn record(&self) -> Result<(), Error> {
        let outcomes: Vec<_> = (self.ends.iter())
            .filter(|end| !matches!(end.outcome.what, What::Expanded(_)))
            .map(|end| (end.index, end.outcome.clone()))
            .collect();
        if outcomes.is_empty() { Ok(()) } else { self.claim.record(&outcomes) }
    }
}

fn settling<'a>(office: &'a Office, rules: &'a Rules, queue_of: &'a dyn Fn(&Address) -> Queue, now: Timestamp) -> Settling<'a> {
    // What is delivered here has a domain of ours: that is right as it stands.
    let meant = &|_: &Address| None;
    Settling { spool: &office.spool, schedule: &rules.schedule, reporting: &rules.reporting, queue_of, meant, now }
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
