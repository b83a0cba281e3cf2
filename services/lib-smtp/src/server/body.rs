//! The message of a transaction, however its octets come: counted, checked, and answered once it is whole.

use std::fmt;

use lib_mail::{Class, Status};

use super::print::Reply;
use super::{Ask, Output, Question, Session, State};
use crate::bdat::ChunkScan;
use crate::data::ContentFault;

/// Octets of a refused message that are read to reach its end. Beyond, the connection is given up.
const MAX_REFUSED: u64 = 1 << 32;

/// A message under way.
#[derive(Debug, Default)]
pub(super) struct Message {
    /// Octets so far, without dot-stuffing and without the end.
    pub(super) received: u64,
    /// The driver was told of it and not yet to discard it.
    begun: bool,
    /// It will be refused once its end is reached; nothing more of it is passed on.
    refused: bool,
    /// What is wrong with its octets.
    fault: Option<ContentFault>,
    /// Why the driver cannot keep it.
    broken: Option<Reply>,
    /// Line ends of the chunks.
    pub(super) scan: ChunkScan,
}

impl<R: fmt::Display> Session<R> {
    /// `Message is too large; N bytes max` (R1.1).
    pub(super) fn too_large(&self) -> Reply {
        let max = self.config.size_limit.unwrap_or(u64::MAX);
        let text = format!("Message is too large; {max} bytes max");
        Reply::new(552, self.config.oversize.subject, self.config.oversize.detail, text)
    }

    /// Whether a message of `octets` is over the limit.
    pub(super) fn is_too_large(&self, octets: u64) -> bool {
        // What a peer took is handed over, whatever its size: to refuse it here would send a bounce.
        self.pair.is_none() && self.config.size_limit.is_some_and(|limit| octets > limit)
    }

    /// Begins the message of the transaction.
    pub(super) fn begin(&mut self) {
        self.message = Some(Message { begun: true, ..Message::default() });
        self.queue.push_back(Output::Begin);
    }

    /// The message will be refused at its end; nothing of it is kept.
    pub(super) fn spoil(&mut self) {
        self.message.get_or_insert_default().refused = true;
        self.discard();
    }

    fn discard(&mut self) {
        if let Some(message) = &mut self.message
            && std::mem::take(&mut message.begun)
        {
            self.queue.push_back(Output::Discard);
        }
    }

    /// Forgets the message, if there is one.
    pub(super) fn drop_message(&mut self) {
        self.discard();
        self.message = None;
    }

    /// Counts octets of the message; whether they are to be kept.
    pub(super) fn admit(&mut self, octets: usize, fault: Option<ContentFault>) -> bool {
        let Some(message) = &mut self.message else { return false };
        message.received += octets as u64;
        message.fault = message.fault.or(fault);
        let (received, refused) = (message.received, message.refused);
        if refused && received > MAX_REFUSED {
            self.hang_up(Reply::new(421, 3, 4, "The refused message does not end; closing the connection"));
            return false;
        }
        let unfit = fault.is_some() || self.is_too_large(received);
        if unfit && !refused {
            self.spoil();
        }
        !unfit && !refused
    }

    /// The last octet came.
    pub(super) fn whole(&mut self, stage: &'static str) {
        if !self.reply_to_refused(stage) {
            self.ask(Question::Content, Ask::Content);
        }
    }

    /// Answers a message that is refused, and ends its transaction. False where it is not. The reasons have an order of rank, not of
    /// time, so that the reply does not depend on how the octets were split.
    pub(super) fn reply_to_refused(&mut self, stage: &'static str) -> bool {
        let Some(message) = self.message.as_mut().filter(|message| message.refused) else { return false };
        let (received, fault, broken) = (message.received, message.fault, message.broken.take());
        self.state = State::Command;
        self.reset();
        match (fault, broken) {
            _ if self.is_too_large(received) => self.refuse(stage, self.too_large()),
            (Some(fault), _) => self.refuse(stage, fault_reply(fault)),
            (None, Some(reply)) => self.tell(reply),
            (None, None) => self.say(&Reply::new(451, 3, 0, "The message was lost; try again later")),
        }
        true
    }

    /// The verdict on the content: folds the statuses of the recipients into one reply.
    pub(super) fn content(&mut self, verdict: &[Status]) {
        if !matches!(self.state, State::Asked(Question::Content)) {
            return;
        }
        if verdict.iter().any(Status::is_success) {
            self.state = State::Committing;
            self.queue.push_back(Output::Commit);
            // From here on the message is the driver's: there is nothing to discard.
            if let Some(message) = &mut self.message {
                message.begun = false;
            }
            return;
        }
        let temporary = verdict.iter().find(|status| status.class() == Class::Temporary);
        let reply = match temporary.or(verdict.first()) {
            Some(status) => Reply::from(status),
            None => Reply::new(451, 3, 0, "No verdict on the message; try again later"),
        };
        self.state = State::Command;
        self.reset();
        self.tell(reply);
    }

    /// The message is durable, or not.
    pub(super) fn committed(&mut self, receipt: Result<R, Status>) {
        if !matches!(self.state, State::Committing) {
            return;
        }
        self.state = State::Command;
        self.reset();
        match receipt {
            Ok(receipt) => self.say(&Reply::new(250, 0, 0, format!("queued as {receipt}"))),
            Err(status) => self.tell(never_success(&status)),
        }
    }

    /// The driver cannot keep the message.
    pub(super) fn broken(&mut self, status: &Status) {
        if matches!(self.state, State::Committing) {
            return;
        }
        let Some(message) = &mut self.message else { return };
        message.broken.get_or_insert(never_success(status));
        self.spoil();
        if matches!(self.state, State::Asked(Question::Content)) {
            // The whole message has come: the reply is due, and a verdict that was not asked for yet is not wanted any more.
            self.queue.retain(|output| *output != Output::Ask(Ask::Content));
            self.reply_to_refused("DATA");
        }
    }
}

/// Makes the reply to a message that was found unfit.
fn fault_reply(fault: ContentFault) -> Reply {
    match fault {
        ContentFault::BareLf => Reply::new(550, 6, 11, "The message holds LF without CR; lines end with CR LF"),
        ContentFault::BareCr => Reply::new(550, 6, 11, "The message holds CR without LF; lines end with CR LF"),
        ContentFault::Nul => Reply::new(550, 6, 11, "The message holds octets of value zero"),
    }
}

/// A failure that calls itself a success is not passed on as one.
fn never_success(status: &Status) -> Reply {
    if status.is_success() {
        Reply::new(451, 3, 0, "The message could not be stored; try again later")
    } else {
        Reply::from(status)
    }
}
