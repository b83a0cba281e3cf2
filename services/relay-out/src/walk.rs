//! One message to one destination: from server to server until every recipient has an answer that counts (R3.1).

use std::collections::VecDeque;
use std::time::Duration;

use lib_mail::{Class, Enhanced, Status};
use lib_smtp::client::{Content, Done, Transaction};
use tokio::time::timeout;

use crate::connection::Connection;
use crate::convert::converted;
use crate::dial::{Dialer, Manner};
use crate::message::{Message, Source};
use crate::pair::forward;
use crate::targets::Target;

/// Recipients of one transaction; every server must take so many (RFC 5321 §4.5.3.1.8).
const RECIPIENTS_EACH: usize = 100;
/// The longest that one server may keep a message busy, whatever it does within its other limits.
const SERVER_LIMIT: Duration = Duration::from_secs(2 * 3600);

/// What became of a recipient in this attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fate {
    /// Its index in the envelope.
    pub(crate) index: usize,
    pub(crate) status: Status,
    /// The server that took it tells the sender more, should that be wanted (DSN).
    pub(crate) will_tell: bool,
}

/// Gives these recipients one fate.
pub(crate) fn all(indexes: &[usize], status: &Status) -> Vec<Fate> {
    indexes.iter().map(|index| Fate { index: *index, status: status.clone(), will_tell: false }).collect()
}

/// Tries the targets in turn for those whose fate is not final. `targets` is not empty.
pub(crate) async fn walk(
    dialer: &Dialer,
    manner: &Manner<'_>,
    targets: &[Target],
    message: &Message,
    recipients: &[usize],
) -> Vec<Fate> {
    let mut settled = Vec::new();
    let mut waiting = all(recipients, &nothing_tried(dialer));
    let mut visited: Vec<&Target> = Vec::new();
    for (index, target) in targets.iter().enumerate() {
        // The other family of a host before may have answered in its place.
        if visited.contains(&target) {
            continue;
        }
        let indexes: Vec<usize> = waiting.iter().map(|fate| fate.index).collect();
        let other = targets.get(index + 1).filter(|other| other.is_other_family_of(target));
        let mut visit = Visit { dialer, manner, target, other, message, fates: Vec::new() };
        let outcome = timeout(SERVER_LIMIT, visit.run(&indexes)).await;
        let rest = match outcome {
            Ok(Ok(())) => None,
            Ok(Err(status)) => Some(status),
            Err(_) => Some(too_slow(dialer, target)),
        };
        visited.push(visit.target);
        let mut fates = visit.fates;
        let open: Vec<usize> = indexes.iter().copied().filter(|index| !fates.iter().any(|fate| fate.index == *index)).collect();
        if let Some(status) = rest {
            fates.extend(all(&open, &status));
        }
        let (temporary, final_ones): (Vec<_>, Vec<_>) =
            fates.into_iter().partition(|fate| fate.status.class() == Class::Temporary);
        settled.extend(final_ones);
        waiting = temporary;
        if waiting.is_empty() {
            break;
        }
    }
    settled.extend(waiting);
    settled
}

fn nothing_tried(dialer: &Dialer) -> Status {
    Status::local(451, Enhanced::new(4, 4, 0), "No server was tried", dialer.clock.now())
}

fn too_slow(dialer: &Dialer, target: &Target) -> Status {
    let text = format!("{} took too long", target.peer());
    Status::local(451, Enhanced::new(4, 4, 7), text, dialer.clock.now())
}

/// What came of one transaction.
struct Transacted {
    done: Done,
    /// The server offered DSN.
    will_tell: bool,
    /// The connection, where it can take the next message.
    left: Option<Connection>,
}

/// The transactions with one server.
struct Visit<'a> {
    dialer: &'a Dialer,
    manner: &'a Manner<'a>,
    target: &'a Target,
    /// An address of another family of the same host.
    other: Option<&'a Target>,
    message: &'a Message,
    /// Those that are known so far, also where the visit is broken off.
    fates: Vec<Fate>,
}

impl Visit<'_> {
    /// An error is the fate of all who have none.
    async fn run(&mut self, indexes: &[usize]) -> Result<(), Status> {
        let mut todo: VecDeque<usize> = indexes.iter().copied().collect();
        let mut connection = self.reused().await;
        while !todo.is_empty() {
            let some: Vec<usize> = todo.drain(..todo.len().min(RECIPIENTS_EACH)).collect();
            let (current, was_reused) = match connection.take() {
                Some(connection) => (connection, true),
                None => {
                    let (connection, reached) = self.dialer.dial(self.target, self.other, self.manner).await?;
                    self.target = reached;
                    (connection, false)
                }
            };
            let Transacted { done, will_tell, left } = self.transact(current, &some).await;
            // A connection that had been closed meanwhile is replaced at once and is no attempt.
            if was_reused && done.unheard && left.is_none() {
                some.iter().rev().for_each(|index| todo.push_front(*index));
                continue;
            }
            connection = left;
            todo.extend(self.sort(&some, done, will_tell, connection.is_some()));
        }
        if let Some(connection) = connection {
            self.leave(connection);
        }
        Ok(())
    }

    async fn reused(&self) -> Option<Connection> {
        while let Some(mut connection) = self.dialer.idle.take(&self.manner.line(self.target)) {
            if !connection.is_stale().await {
                return Some(connection);
            }
        }
        None
    }

    /// Sends to some.
    async fn transact(&self, mut connection: Connection, some: &[usize]) -> Transacted {
        let envelope = &self.message.envelope;
        let mut content = self.message.found.content(envelope, &self.message.prefix, self.message.message_len);
        let mut source = self.message.source();
        let mut room = None;
        if content.eight_bit && !content.utf8_header && !connection.client().offered().eight_bit && self.manner.converts() {
            match converted(self.message, self.dialer.clock.now()).await {
                Ok(None) => {}
                Ok(Some(converted)) => {
                    content = Content { size: converted.octets.len() as u64, eight_bit: false, utf8_header: false };
                    source = Source::of(converted.octets);
                    room = Some(converted.room);
                }
                Err(status) => {
                    let done = Done { fates: vec![status; some.len()], unheard: false };
                    return Transacted { done, will_tell: false, left: Some(connection) };
                }
            }
        }
        let transaction = Transaction {
            sender: envelope.sender.clone(),
            recipients: some.iter().filter_map(|index| envelope.recipients.get(*index).cloned()).collect(),
            ret: envelope.ret,
            envid: envelope.envid.clone(),
            forward: self.manner.hands_over().then(|| Box::new(forward(envelope, &self.message.id))),
            content,
        };
        let done = connection.send(transaction, source).await;
        drop(room);
        // What was offered to this message counts, also where the server hangs up behind its 250.
        let will_tell = connection.client().offered().dsn;
        let left = connection.until_ready().await.is_ok().then_some(connection);
        Transacted { done, will_tell, left }
    }

    /// Keeps the fates, and gives those to be asked again now: a server that took some of them and has too many of the others would
    /// take these in a transaction of their own.
    fn sort(&mut self, some: &[usize], done: Done, will_tell: bool, goes_on: bool) -> Vec<usize> {
        let progress = done.fates.iter().any(Status::is_success);
        let too_many = |status: &Status| status.code == 452 && (status.enhanced.subject, status.enhanced.detail) == (5, 3);
        let mut again = Vec::new();
        for (index, status) in some.iter().zip(done.fates) {
            if progress && goes_on && too_many(&status) {
                again.push(*index);
            } else {
                self.fates.push(Fate { index: *index, status, will_tell });
            }
        }
        again
    }

    fn leave(&self, connection: Connection) {
        if let Some(connection) = self.dialer.idle.keep(self.manner.line(self.target), connection) {
            tokio::spawn(connection.quit());
        }
    }
}
