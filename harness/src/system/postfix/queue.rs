//! Postfix's queue, read from its files: records of a type, a length and octets, as `postcat` prints them. It looks without asking a daemon, since a
//! scenario looks several times a second, and at servers too that are frozen or dead.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::ledger::{Found, Place, token};

/// Where messages lie. A message goes from `incoming` over `active` to `deferred`, and back over `incoming`: looked at in this order it is seen wherever
/// it goes meanwhile.
const QUEUES: [&str; 5] = ["deferred", "incoming", "active", "deferred", "hold"];

/// What waits; messages without a sender are notifications, and no copies.
pub(super) fn queued(node: &str, queue: &Path) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for (id, path) in files(queue) {
        // It may be gone by now, or be somewhere else with another number of recipients done.
        let Some(octets) = std::fs::read(&path).ok().or_else(|| again(queue, &id)) else { continue };
        let message = read(&octets);
        let token = token(&message.text).filter(|_| !message.sender.is_empty()).unwrap_or_default();
        let place = Place::Queue { node: node.to_owned(), id, recipients: message.recipients };
        found.push(Found { token, place, text: None });
    }
    Ok(found)
}

/// How many wait.
pub(super) fn count(queue: &Path) -> usize {
    files(queue).len()
}

fn again(queue: &Path, id: &str) -> Option<Vec<u8>> {
    files(queue).get(id).and_then(|path| std::fs::read(path).ok())
}

/// The files of messages that were accepted, by id. A file that is still being written may not be executed: that is how Postfix tells them apart.
fn files(queue: &Path) -> BTreeMap<String, PathBuf> {
    let mut found = BTreeMap::new();
    for name in QUEUES {
        let mut todo = vec![queue.join(name)];
        while let Some(dir) = todo.pop() {
            let Ok(entries) = std::fs::read_dir(&dir) else { continue };
            for entry in entries.map_while(std::result::Result::ok) {
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() {
                    todo.push(entry.path());
                } else if metadata.permissions().mode() & 0o100 != 0 {
                    found.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
                }
            }
        }
    }
    found
}

/// A queue file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    sender: String,
    /// Those for whom something is left to do.
    recipients: Vec<String>,
    text: Vec<u8>,
}

fn read(octets: &[u8]) -> Message {
    let (mut message, mut rest) = (Message::default(), octets);
    while let Some((kind, data, later)) = record(rest) {
        rest = later;
        let text = || String::from_utf8_lossy(data).into_owned();
        match kind {
            b'S' => message.sender = text(),
            // It becomes `D` once it is done.
            b'R' => message.recipients.push(text()),
            b'N' => {
                message.text.extend_from_slice(data);
                message.text.push(b'\n');
            }
            b'L' => message.text.extend_from_slice(data),
            _ => {}
        }
    }
    message
}

/// Type and octets of the first record, and what follows it. The length is in pieces of seven bits, the lowest first.
fn record(octets: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&kind, mut rest) = octets.split_first()?;
    let (mut length, mut shift) = (0usize, 0u32);
    loop {
        let (&octet, later) = rest.split_first()?;
        rest = later;
        length |= usize::from(octet & 0x7f).checked_shl(shift)?;
        if octet & 0x80 == 0 {
            break;
        }
        shift += 7;
    }
    let (data, later) = rest.split_at_checked(length)?;
    Some((kind, data, later))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_and_a_torn_file_gives_what_it_has() {
        let long = vec![b'x'; 300];
        let mut file = b"S\x09a@a.exampR\x03b@bD\x03c@cN\x0dX-Ledger: t-1N".to_vec();
        file.extend([0xac, 0x02]);
        file.extend(&long);
        let message = read(&file);
        assert_eq!((message.sender.as_str(), message.recipients.clone()), ("a@a.examp", vec!["b@b".to_owned()]));
        assert_eq!(token(&message.text).as_deref(), Some("t-1"));
        assert_eq!(message.text.len(), 14 + 301);
        for length in 0..file.len() {
            assert!(read(&file[..length]).text.len() <= 14, "{length}");
        }
    }
}
