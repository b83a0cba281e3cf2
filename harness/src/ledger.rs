//! The books: what was accepted for whom, and where each copy of it is now.
//!
//! A message is known by a token of its own in an `X-Ledger` field, so that it is found again in any mailbox, queue file or
//! notification of any mail system. A message whose client saw no final reply is in doubt: it may lawfully be found once, or not at all,
//! or once for each retry.

mod balance;
mod found;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::Result;

pub use found::{Found, Place, bounced_recipients, token};

/// The field that carries the token.
pub const FIELD: &str = "X-Ledger";

/// What the client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// 250 after the final dot; for a recipient, 2yz at RCPT.
    Accepted,
    /// 4yz or 5yz, at any stage.
    Refused,
    /// Nothing: the connection ended before the final reply.
    Nothing,
}

impl Told {
    /// The word for it in reports.
    pub fn word(self) -> &'static str {
        match self {
            Told::Accepted => "accepted",
            Told::Refused => "refused",
            Told::Nothing => "nothing",
        }
    }
}

/// The octets of a message, so that every copy can be compared with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    size: usize,
    digest: [u8; 32],
}

impl Sent {
    /// `message` is as it was before dot-stuffing, with CRLF line ends.
    pub fn of(message: &[u8]) -> Sent {
        Sent { size: message.len(), digest: Sha256::digest(message).into() }
    }

    /// Whether a copy ends with exactly these octets; LF line ends count as CRLF.
    pub fn ends(&self, copy: &[u8]) -> bool {
        let wire = with_crlf(copy);
        wire.len().checked_sub(self.size).is_some_and(|start| Sha256::digest(&wire[start..])[..] == self.digest)
    }
}

fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(text.len() + text.len() / 40);
    let mut last = 0;
    for &octet in text {
        if octet == b'\n' && last != b'\r' {
            wire.push(b'\r');
        }
        wire.push(octet);
        last = octet;
    }
    wire
}

/// One message's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What the client was told in the end.
    pub told: Told,
    /// The words of the last reply; empty where there was none.
    pub reply: String,
    /// Each recipient as given at RCPT, and what the client was told of it there.
    pub recipients: Vec<(String, Told)>,
    /// Earlier tries to send it that ended without a final reply: each may lawfully have left a copy.
    pub doubtful: usize,
    /// What was sent; `None` where copies are not compared.
    pub sent: Option<Sent>,
}

impl Line {
    /// A message that was told `told` as a whole, for these recipients.
    pub fn new(told: Told, recipients: &[&str]) -> Line {
        let of_each = if told == Told::Refused { Told::Refused } else { Told::Accepted };
        let recipients = recipients.iter().map(|recipient| ((*recipient).to_owned(), of_each)).collect();
        Line { told, reply: String::new(), recipients, doubtful: 0, sent: None }
    }

    /// Copies that must be found where it was accepted, without any expansion.
    fn copies(&self) -> usize {
        self.recipients.iter().filter(|(_, told)| *told == Told::Accepted).count()
    }
}

/// A line, and when it was entered.
#[derive(Debug, Clone)]
struct Entry {
    line: Line,
    at: Duration,
    discarded: bool,
}

/// All lines of a scenario; shared by the clients that send.
#[derive(Debug)]
pub struct Ledger {
    lines: Mutex<BTreeMap<String, Entry>>,
    took: Mutex<Vec<Duration>>,
    start: Instant,
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger::since(Instant::now())
    }
}

/// The audit by token alone: each count in copies (a message for two recipients has two).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// Accepted copies.
    pub accepted: usize,
    /// Accepted copies found exactly once.
    pub found: usize,
    /// Accepted copies found nowhere: tokens.
    pub lost: Vec<String>,
    /// Copies found more often than accepted: tokens.
    pub duplicated: Vec<String>,
    /// Found although refused: tokens.
    pub refused_but_found: Vec<String>,
    /// Messages without a final reply.
    pub in_doubt: usize,
    /// Those of them that were found.
    pub in_doubt_found: usize,
    /// Found, but never sent by this ledger.
    pub unknown: usize,
}

impl Ledger {
    /// An empty ledger whose times count from `start`.
    pub fn since(start: Instant) -> Ledger {
        Ledger { lines: Mutex::default(), took: Mutex::default(), start }
    }

    /// Enters a message. A message that is sent again after a try without a final reply is entered again.
    pub fn enter(&self, token: &str, mut line: Line) {
        let mut lines = self.lines();
        if let Some(before) = lines.get(token) {
            line.doubtful = before.line.doubtful + usize::from(before.line.told == Told::Nothing);
        }
        lines.insert(token.to_owned(), Entry { line, at: self.start.elapsed(), discarded: false });
    }

    /// Notes how long a message took to be accepted, from its first try on.
    pub fn note_took(&self, took: Duration) {
        self.took.lock().unwrap_or_else(PoisonError::into_inner).push(took);
    }

    /// How long messages took to be accepted, sorted; of those that a load sent.
    pub fn took(&self) -> Vec<Duration> {
        let mut sorted = self.took.lock().unwrap_or_else(PoisonError::into_inner).clone();
        sorted.sort();
        sorted
    }

    /// Notes that a rule or an administrator dropped the message.
    pub fn discard(&self, token: &str) {
        if let Some(entry) = self.lines().get_mut(token) {
            entry.discarded = true;
        }
    }

    /// Messages entered.
    pub fn len(&self) -> usize {
        self.lines().len()
    }

    /// Whether nothing was entered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Messages that were told this in the end.
    pub fn told(&self, told: Told) -> usize {
        self.lines().values().filter(|entry| entry.line.told == told).count()
    }

    /// Accepted messages.
    pub fn accepted(&self) -> usize {
        self.told(Told::Accepted)
    }

    /// Messages that got 4yz or 5yz.
    pub fn refused(&self) -> usize {
        self.told(Told::Refused)
    }

    /// Tries that ended without a final reply: each may lawfully have left a copy.
    pub fn doubtful(&self) -> usize {
        self.lines().values().map(|entry| entry.line.doubtful + usize::from(entry.line.told == Told::Nothing)).sum()
    }

    /// Tokens of accepted messages.
    pub fn accepted_tokens(&self) -> Vec<String> {
        let accepted = |entry: &Entry| entry.line.told == Told::Accepted;
        self.lines().iter().filter(|(_, entry)| accepted(entry)).map(|(token, _)| token.clone()).collect()
    }

    /// The line of a message.
    pub fn line(&self, token: &str) -> Option<Line> {
        self.lines().get(token).map(|entry| entry.line.clone())
    }

    /// Balances the lines against the copies that were found, one text per copy: anything that holds the message's header.
    pub fn audit<'a>(&self, found: impl IntoIterator<Item = &'a [u8]>) -> Audit {
        let mut copies: BTreeMap<String, usize> = BTreeMap::new();
        let mut audit = Audit::default();
        for text in found {
            match token(text) {
                Some(token) => *copies.entry(token).or_default() += 1,
                None => audit.unknown += 1,
            }
        }
        for (token, Entry { line, .. }) in self.lines().iter() {
            let (seen, expected) = (copies.remove(token).unwrap_or(0), line.copies());
            match line.told {
                Told::Accepted => {
                    audit.accepted += expected;
                    audit.found += seen.min(expected);
                    audit.lost.extend((seen < expected).then(|| token.clone()));
                    audit.duplicated.extend((seen > expected).then(|| token.clone()));
                }
                Told::Refused => audit.refused_but_found.extend((seen > 0).then(|| token.clone())),
                Told::Nothing => {
                    audit.in_doubt += 1;
                    audit.in_doubt_found += usize::from(seen > 0);
                    audit.duplicated.extend((seen > expected).then(|| token.clone()));
                }
            }
        }
        audit.unknown += copies.values().sum::<usize>();
        audit
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Audit {
    /// An error that shows the books where anything is lost, duplicated or found although refused.
    pub fn balanced(&self) -> Result<()> {
        let even = self.lost.is_empty() && self.duplicated.is_empty() && self.refused_but_found.is_empty() && self.unknown == 0;
        anyhow::ensure!(even, "the books do not balance: {self}");
        Ok(())
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "accepted {} = found {} + lost {}; duplicated {}, refused but found {}, in doubt {} (found {}), unknown {}",
            self.accepted,
            self.found,
            self.lost.len(),
            self.duplicated.len(),
            self.refused_but_found.len(),
            self.in_doubt,
            self.in_doubt_found,
            self.unknown
        )?;
        for (what, tokens) in [("lost", &self.lost), ("duplicated", &self.duplicated), ("refused", &self.refused_but_found)] {
            if !tokens.is_empty() {
                write!(f, "; {what}: {}", tokens.iter().take(5).cloned().collect::<Vec<_>>().join(" "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
