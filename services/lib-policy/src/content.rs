//! What is read of a message while it streams by: its header, in a few hundred octets of memory.
//!
//! `HeaderScan` tells what a decision needs, `BccFilter` takes Bcc fields out before the message reaches the spool, `fixes` says what a
//! submission lacks. All three agree on where a header ends: at an empty line, or at the first line that is no header field.
//! Any split of the message into chunks gives the same result.

mod bcc;
mod field;
mod scan;

use jiff::tz::TimeZone;
use lib_mail::Timestamp;

pub use bcc::BccFilter;
pub use field::MAX_FIELD;
pub use scan::HeaderScan;

/// What is put in front of a submission.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fixes {
    /// Header lines with CRLF; empty where nothing is missing.
    pub added: String,
    /// The Message-ID that was added, with its angle brackets.
    pub message_id: Option<String>,
}

/// The header lines that a submission lacks (RFC 6409 §8): Date and Message-ID. `unique` is a text that no other message has
/// (its queue id), `host` this node's name.
pub fn fixes(scan: &HeaderScan, now: Timestamp, zone: &TimeZone, unique: &str, host: &str) -> Fixes {
    let mut fixes = Fixes::default();
    if !scan.has_date() {
        fixes.added.push_str(&format!("Date: {}\r\n", now.rfc5322(zone)));
    }
    if scan.message_id().is_none() {
        let id = format!("<{unique}@{host}>");
        fixes.added.push_str(&format!("Message-ID: {id}\r\n"));
        fixes.message_id = Some(id);
    }
    fixes
}

#[cfg(test)]
mod tests;
