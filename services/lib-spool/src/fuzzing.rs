//! What must hold for any octets under a message's name; run by the fuzzer, and over its corpus by the tests.

use lib_mail::QueueId;

use crate::envelope::{parse, print};
use crate::first_line::{FIRST_LINE, Lengths, Sum};
use crate::stored::{Care, Content, Stored, read_octets};
use crate::{Fate, tail};

/// Reads the octets as a message file: as they are, and, so that more than the check sums is tried, with all sums put right. The first octet
/// says then how long the message is; the envelope ends after the first "." line; whole lines behind it that begin with "@" get a sum.
///
/// # Panics
/// Where something does not hold.
pub fn message_file(octets: &[u8]) {
    let id: QueueId = "1m833t92000000emczdn".parse().expect("because it is 20 digits");
    for care in [Care::Sum, Care::Look] {
        prove(read_octets(octets.to_vec(), &id, care), &id);
    }
    prove(read_octets(repair(octets, &id), &id, Care::Sum), &id);
}

/// A file whose sums are right.
fn repair(octets: &[u8], id: &QueueId) -> Vec<u8> {
    let Some((len, rest)) = octets.split_first() else { return Vec::new() };
    let message = usize::from(*len).min(rest.len());
    let end = rest[message..].windows(3).position(|word| word == b"\n.\n").map_or(rest.len(), |at| message + at + 3);
    let lengths = Lengths { message: message as u64, envelope: (end - message) as u64 };
    let mut sum = Sum::new(id);
    sum.add(&rest[..end]);
    let mut file = lengths.line(lengths.sum(sum)).to_vec();
    file.extend_from_slice(&rest[..end]);
    for line in rest[end..].split(|octet| *octet == b'\n') {
        file.push(b'\n');
        match std::str::from_utf8(line) {
            Ok(line) if line.starts_with('@') => file.extend_from_slice(tail::summed(id, line).as_bytes()),
            _ => file.extend_from_slice(line),
        }
    }
    file
}

fn prove(content: Content, id: &QueueId) {
    let Content::Good(stored) = content else { return };
    let Stored { lengths, envelope, parent_queue, history, octets } = *stored;
    let octets = octets.unwrap_or_default();
    assert_eq!(octets.len(), FIRST_LINE + usize::try_from(lengths.message).unwrap_or(0));
    assert_eq!(parse(&print(&envelope, parent_queue)), Some((envelope.clone(), parent_queue)));
    let recipients = history.recipients;
    let mut left = 0;
    for index in 0..recipients.len() {
        assert!(recipients.origin(index).is_some_and(|origin| origin < envelope.recipients.len()));
        left += usize::from(recipients.fate(index) != Some(Fate::Done));
    }
    assert_eq!(left, recipients.pending().len() + recipients.failed().len());
    for line in recipients.lines() {
        let mut text = String::new();
        let entry = tail::Entry::Outcome(line.clone());
        tail::print(&mut text, id, line.outcome.status.at, &entry);
        assert_eq!(tail::parse(id, text.as_bytes()).collect::<Vec<_>>(), [(line.outcome.status.at, entry)]);
    }
}
