//! The books: what was accepted, and where each message of it is now.
//!
//! A message is known by a token of its own in an `X-Ledger` field, so that it is found again in any mailbox, queue file or
//! notification of any mail system. A message whose client saw no final reply is in doubt: it may lawfully be found once, or not at all.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Result;

/// The field that carries the token.
pub const FIELD: &str = "X-Ledger";

/// What the client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// 250 after the final dot.
    Accepted,
    /// 4yz or 5yz, at any stage.
    Refused,
    /// Nothing: the connection ended before the final reply.
    Nothing,
}

/// One message's line: what was told, and for how many final recipients.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// What the client was told.
    pub told: Told,
    /// Copies that must be found where it was accepted.
    pub copies: usize,
}

/// All lines of a scenario; shared by the clients that send.
#[derive(Debug, Default)]
pub struct Ledger {
    lines: Mutex<BTreeMap<String, Line>>,
}

/// The audit: each count in copies (a message for two recipients has two).
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
    /// Enters a message. A token is entered once.
    pub fn enter(&self, token: &str, line: Line) {
        self.lines().insert(token.to_owned(), line);
    }

    /// Messages entered.
    pub fn len(&self) -> usize {
        self.lines().len()
    }

    /// Whether nothing was entered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Accepted messages.
    pub fn accepted(&self) -> usize {
        self.lines().values().filter(|line| line.told == Told::Accepted).count()
    }

    /// Messages that got 4yz or 5yz.
    pub fn refused(&self) -> usize {
        self.lines().values().filter(|line| line.told == Told::Refused).count()
    }

    /// Tokens of accepted messages.
    pub fn accepted_tokens(&self) -> Vec<String> {
        self.lines().iter().filter(|(_, line)| line.told == Told::Accepted).map(|(token, _)| token.clone()).collect()
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
        for (token, line) in self.lines().iter() {
            let seen = copies.remove(token).unwrap_or(0);
            match line.told {
                Told::Accepted => {
                    audit.accepted += line.copies;
                    audit.found += seen.min(line.copies);
                    audit.lost.extend((seen < line.copies).then(|| token.clone()));
                    audit.duplicated.extend((seen > line.copies).then(|| token.clone()));
                }
                Told::Refused => audit.refused_but_found.extend((seen > 0).then(|| token.clone())),
                Told::Nothing => {
                    audit.in_doubt += 1;
                    audit.in_doubt_found += usize::from(seen > 0);
                    audit.duplicated.extend((seen > line.copies).then(|| token.clone()));
                }
            }
        }
        audit.unknown += copies.values().sum::<usize>();
        audit
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<String, Line>> {
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

/// The token in a message: the value of its first `X-Ledger` field.
pub fn token(message: &[u8]) -> Option<String> {
    let needle = format!("\n{FIELD}: ");
    let at = message.windows(needle.len()).position(|window| window == needle.as_bytes())?;
    let rest = &message[at + needle.len()..];
    let end = rest.iter().position(|octet| octet.is_ascii_whitespace()).unwrap_or(rest.len());
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(token: &str) -> Vec<u8> {
        format!("Received: x\r\n{FIELD}: {token}\r\n\r\nbody\r\n").into_bytes()
    }

    #[test]
    fn the_books() {
        let ledger = Ledger::default();
        ledger.enter("a", Line { told: Told::Accepted, copies: 1 });
        ledger.enter("b", Line { told: Told::Accepted, copies: 2 });
        ledger.enter("c", Line { told: Told::Refused, copies: 1 });
        ledger.enter("d", Line { told: Told::Nothing, copies: 1 });
        let audit = |tokens: &[&str]| {
            let found: Vec<_> = tokens.iter().map(|token| message(token)).collect();
            ledger.audit(found.iter().map(Vec::as_slice))
        };
        assert!(audit(&["a", "b", "b"]).balanced().is_ok());
        assert!(audit(&["a", "b", "b", "d"]).balanced().is_ok());
        for bad in
            [&["a", "b"][..], &["a", "a", "b", "b"], &["a", "b", "b", "c"], &["a", "b", "b", "d", "d"], &["a", "b", "b", "z"]]
        {
            assert!(audit(bad).balanced().is_err(), "{bad:?}");
        }
        assert_eq!(audit(&["a", "b"]).lost, ["b"]);
    }
}
