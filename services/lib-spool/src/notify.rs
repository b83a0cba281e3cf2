//! Telling senders what became of their message: which notification is due, made once, committed as a child.
//!
//! What is due is read from the history alone, so a crash anywhere costs no notification and makes none twice: a child's id
//! follows from the parent and the recipient, and failures are synced before the sender is told of them, so that a
//! repeat tells of the same ones.

use std::collections::HashSet;
use std::io::Read;

use jiff::tz::TimeZone;
use lib_mail::{
    Address, Domain, Enhanced, MAX_RETURNED, Notification, NotificationKind, QueueId, Recipient, Reported, Status, Timestamp,
    notification_message_id,
};

use crate::error::Doing;
use crate::{Child, Claim, Commit, Error, Outcome, Queue, Recipients, Spool, What};

/// The host that notifications are from (RFC 3464 §2.2.2).
#[derive(Debug, Clone)]
pub struct ReportingMta {
    /// This node's name.
    pub host: Domain,
    /// The address in From: `MAILER-DAEMON@mail.example.net`.
    pub from: Address,
    /// Who is told where a sender cannot be: of failures of notifications.
    pub postmaster: Address,
    /// The zone of dates.
    pub zone: TimeZone,
}

/// A notification that was committed. It is not attempted before the parent's line naming it is synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its id.
    pub id: QueueId,
    /// Whom it is to.
    pub to: Address,
    /// What it tells.
    pub kind: NotificationKind,
    /// The queue it lies in, whose consumer is to be woken after the sync.
    pub queue: Queue,
}

/// Makes the notifications of one claim.
pub(crate) struct Teller<'a> {
    pub(crate) spool: &'a Spool,
    pub(crate) claim: &'a Claim,
    pub(crate) reporting: &'a ReportingMta,
    pub(crate) queue_of: &'a dyn Fn(&Address) -> Queue,
    pub(crate) meant: &'a dyn Fn(&Address) -> Option<String>,
    pub(crate) now: Timestamp,
    /// Of the notifications.
    pub(crate) deadline: Timestamp,
}

impl Teller<'_> {
    /// Tells of all failures that nobody was told of yet, in one notification. The failures must be synced.
    pub(crate) fn tell_failures(&self) -> Result<Option<Told>, Error> {
        let recipients = self.claim.recipients();
        let failed = recipients.failed();
        let (told, silent): (Vec<usize>, Vec<usize>) =
            failed.into_iter().partition(|index| self.wants(&recipients, *index, NotificationKind::Failed));
        self.record(&silent, None)?;
        match told.first() {
            None => Ok(None),
            Some(first) => self.tell(NotificationKind::Failed, *first, &told, &recipients),
        }
    }

    /// Tells of each success whose sender asked for it and was not told yet. One for each recipient: a repeat after a crash
    /// may find more of them.
    pub(crate) fn tell_successes(&self) -> Result<Vec<Told>, Error> {
        let recipients = self.claim.recipients();
        let mut all = Vec::new();
        for index in 0..recipients.len() {
            let Some(kind) = recipients.last(index).and_then(|last| success(&last.what)) else { continue };
            if !self.wants(&recipients, index, kind) || recipients.notified(index) || in_a_crowd(&recipients, index) {
                continue;
            }
            all.extend(self.tell(kind, index, &[index], &recipients)?);
        }
        Ok(all)
    }

    /// Tells, once for the message, that it waits.
    pub(crate) fn tell_delay(&self) -> Result<Option<Told>, Error> {
        let recipients = self.claim.recipients();
        let mut waiting = recipients.pending();
        waiting.retain(|index| {
            self.claim.envelope().sender.is_some() && self.wants(&recipients, *index, NotificationKind::Delayed)
        });
        if waiting.is_empty() { Ok(None) } else { self.tell(NotificationKind::Delayed, 0, &waiting, &recipients) }
    }

    /// Whether somebody is to be told of this. A notification's own failure goes to the postmaster, and if that fails, nowhere.
    fn wants(&self, recipients: &Recipients, index: usize, kind: NotificationKind) -> bool {
        let Some(recipient) = self.recipient(recipients, index) else { return false };
        match self.claim.envelope().sender {
            Some(_) => kind.is_wanted(recipient),
            None => kind == NotificationKind::Failed && recipient.address != self.reporting.postmaster,
        }
    }

    /// The recipient that the sender knows: where an alias stood for others, the alias.
    fn recipient(&self, recipients: &Recipients, index: usize) -> Option<&Recipient> {
        self.claim.envelope().recipients.get(recipients.origin(index)?)
    }

    fn tell(
        &self,
        kind: NotificationKind,
        member: usize,
        about: &[usize],
        recipients: &Recipients,
    ) -> Result<Option<Told>, Error> {
        let to = self.claim.envelope().sender.as_ref().unwrap_or(&self.reporting.postmaster).clone();
        let queue = (self.queue_of)(&to);
        let id = match self.spool.begin_child(self.claim, kind.as_str(), member)? {
            Child::Made(id) => id,
            Child::New(incoming) => {
                let id = incoming.id();
                let (message, envelope) = self.message(kind, about, recipients, &to, &id)?;
                let mut incoming = incoming;
                incoming.expect(queue);
                incoming.append(&message)?;
                let (local, relay) = if queue == Queue::Local { (Some(envelope), None) } else { (None, Some(envelope)) };
                incoming.commit(Commit { local, relay, held: false, due: self.now })?;
                id
            }
        };
        self.record(about, Some(id))?;
        Ok(Some(Told { id, to, kind, queue }))
    }

    fn message(
        &self,
        kind: NotificationKind,
        about: &[usize],
        recipients: &Recipients,
        to: &Address,
        id: &QueueId,
    ) -> Result<(Vec<u8>, lib_mail::Envelope), Error> {
        let mut seen = HashSet::new();
        let unclear = self.unclear();
        // Several members of one alias are one recipient to the sender, who hears of the first.
        let told: Vec<Reported<'_>> = (about.iter())
            .filter(|index| seen.insert(recipients.origin(**index)))
            .filter_map(|index| {
                let status = recipients.last(*index).map_or(&unclear, |last| &last.status);
                let recipient = self.recipient(recipients, *index)?;
                Some(Reported { recipient, status, meant: (self.meant)(&recipient.address) })
            })
            .collect();
        let original = self.original()?;
        let boundary: String = lib_host::random_bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        let notification = Notification {
            kind,
            envelope: self.claim.envelope(),
            recipients: &told,
            original: &original,
            complete: original.len() as u64 == self.claim.message_len(),
            host: &self.reporting.host,
            from: &self.reporting.from,
            to,
            date: self.now,
            zone: &self.reporting.zone,
            boundary: &boundary,
            message_id: &notification_message_id(id, &self.reporting.host),
        };
        Ok((notification.message(), notification.envelope(self.deadline)))
    }

    fn original(&self) -> Result<Vec<u8>, Error> {
        let mut original = Vec::new();
        self.claim.body().take(MAX_RETURNED as u64).read_to_end(&mut original).doing("read the message")?;
        Ok(original)
    }

    /// For a recipient without any outcome, which cannot be among those told.
    fn unclear(&self) -> Status {
        Status::local(450, Enhanced::new(4, 0, 0), "No attempt was made yet", self.now)
    }

    fn record(&self, indexes: &[usize], child: Option<QueueId>) -> Result<(), Error> {
        let words = if child.is_some() { "The sender was told" } else { "Nobody is to be told" };
        let status = Status::local(250, Enhanced::new(2, 0, 0), words, self.now);
        let outcome = Outcome { what: What::Notified(child), status };
        let lines: Vec<_> = indexes.iter().map(|index| (*index, outcome.clone())).collect();
        if lines.is_empty() { Ok(()) } else { self.claim.record(&lines) }
    }
}

/// The success that an outcome is to a sender who asked for a notification.
fn success(what: &What) -> Option<NotificationKind> {
    match what {
        What::Delivered => Some(NotificationKind::Delivered),
        What::Relayed => Some(NotificationKind::Relayed),
        // One member carries the sender's wish on; of several, nobody could say when they are all served (RFC 3461 §5.2.7.3).
        What::Expanded(members) => (members.len() > 1).then_some(NotificationKind::Expanded),
        _ => None,
    }
}

/// Whether the recipient is one of several members that an alias stood for.
fn in_a_crowd(recipients: &Recipients, index: usize) -> bool {
    let of = |index: usize| recipients.member(index).map(|member| member.of);
    of(index).is_some_and(|alias| (0..recipients.len()).filter(|other| of(*other) == Some(alias)).nth(1).is_some())
}
