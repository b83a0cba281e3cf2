//! The TRANSACTION state: STAT, DELE, RSET, NOOP and QUIT; listings and messages have files of their own.

use super::listing::Listing;
use super::retrieve::Reading;
use super::{Ask, Maildrop, Next, Session, State, digits, reply};
use crate::command::{Command, Verb};

/// A maildrop that this session holds.
pub(super) struct Transaction<M> {
    pub(super) maildrop: M,
    /// One for each message; empty until the first DELE, which most sessions never give.
    deleted: Vec<bool>,
    /// Messages that are not deleted.
    left: usize,
    /// Their octets.
    octets: u64,
    pub(super) busy: Busy,
    /// A message was asked for.
    pub(super) read: bool,
}

/// A command whose reply is not complete.
pub(super) enum Busy {
    No,
    Listing(Listing),
    Reading(Reading),
}

impl<M: Maildrop> Session<M> {
    pub(super) fn in_transaction(&mut self, command: Command<'_>, output: &mut Vec<u8>) -> Next {
        let State::Transaction(transaction) = &mut self.state else { return self.end() };
        match command {
            Command::Stat => transaction.stat(output),
            Command::List(which) => return transaction.list(Verb::List, which, output),
            Command::Uidl(which) => return transaction.list(Verb::Uidl, which, output),
            Command::Retr(number) => return transaction.read(number, None, output),
            Command::Top(number, lines) => return transaction.read(number, Some(lines), output),
            Command::Dele(number) => transaction.dele(number, output),
            Command::Noop => reply(output, true, "Still here"),
            Command::Rset => transaction.rset(output),
            Command::Quit => {
                let deleted = transaction.deleted();
                self.state = State::Committing;
                return Next::Ask(Ask::Commit { deleted });
            }
            Command::Stls => return self.bad("STLS comes before the login", output),
            _ => return self.bad("You are logged in already", output),
        }
        Next::Again
    }
}

impl<M: Maildrop> Transaction<M> {
    pub(super) fn new(maildrop: M) -> Self {
        let mut transaction = Transaction { maildrop, deleted: Vec::new(), left: 0, octets: 0, busy: Busy::No, read: false };
        transaction.count();
        transaction
    }

    fn count(&mut self) {
        self.left = self.maildrop.count();
        self.octets = (0..self.left).fold(0, |sum, index| sum.saturating_add(self.maildrop.size(index)));
    }

    pub(super) fn is_deleted(&self, index: usize) -> bool {
        self.deleted.get(index).copied().unwrap_or(false)
    }

    /// No message was asked for, none is deleted, no reply is under way.
    pub(super) fn is_untouched(&self) -> bool {
        !self.read && self.deleted.is_empty() && matches!(self.busy, Busy::No)
    }

    fn deleted(&self) -> Vec<usize> {
        (0..self.deleted.len()).filter(|index| self.deleted[*index]).collect()
    }

    /// The index of a message by the number that a client gave; else the reply is appended.
    pub(super) fn find(&self, number: usize, output: &mut Vec<u8>) -> Option<usize> {
        let index = number.checked_sub(1).filter(|index| *index < self.maildrop.count());
        match index {
            None => reply(output, false, "No such message"),
            Some(index) if self.is_deleted(index) => reply(output, false, "That message is deleted"),
            Some(index) => return Some(index),
        }
        None
    }

    /// `+OK 2 320`, and nothing behind it (RFC 1939 §5).
    fn stat(&self, output: &mut Vec<u8>) {
        output.extend_from_slice(b"+OK ");
        digits(output, self.left as u64);
        output.push(b' ');
        digits(output, self.octets);
        output.extend_from_slice(b"\r\n");
    }

    fn dele(&mut self, number: usize, output: &mut Vec<u8>) {
        let Some(index) = self.find(number, output) else { return };
        self.deleted.resize(self.maildrop.count(), false);
        self.deleted[index] = true;
        self.left -= 1;
        self.octets = self.octets.saturating_sub(self.maildrop.size(index));
        reply(output, true, "Deleted");
    }

    fn rset(&mut self, output: &mut Vec<u8>) {
        self.deleted = Vec::new();
        self.count();
        self.reply_totals("The maildrop has", output);
    }

    /// `+OK … 2 messages (320 octets)`
    pub(super) fn reply_totals(&self, words: &str, output: &mut Vec<u8>) {
        let noun = if self.left == 1 { "message" } else { "messages" };
        reply(output, true, &format!("{words} {} {noun} ({} octets)", self.left, self.octets));
    }
}
