//! OpenSMTPD's queue, read from its files: a directory for each message with its text in `message`, and beside it a file for each recipient.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::foreign::Waiting;

/// Hexadecimal digits of a message's id, and of a recipient's, which begins with it.
const DIGITS: (usize, usize) = (8, 16);

/// Messages that were accepted: they come into this directory whole, by a rename.
pub(super) fn waiting(queue: &Path) -> Vec<Waiting> {
    let mut messages: BTreeMap<String, Waiting> = BTreeMap::new();
    for (id, dir) in messages_below(queue) {
        for (_, path) in entries(&dir, DIGITS.1) {
            // It may be gone by now.
            let Ok(envelope) = std::fs::read_to_string(&path) else { continue };
            let message = messages.entry(id.clone()).or_default();
            let (bounce, sender, recipient) = read(&envelope);
            message.sender = if bounce { String::new() } else { sender };
            message.recipients.push(recipient);
        }
        if let Some(message) = messages.get_mut(&id) {
            message.text = std::fs::read(dir.join("message")).unwrap_or_default();
        }
    }
    messages.into_iter().map(|(id, message)| Waiting { id, ..message }).collect()
}

/// How many they are.
pub(super) fn count(queue: &Path) -> usize {
    messages_below(queue).iter().filter(|(_, dir)| !entries(dir, DIGITS.1).is_empty()).count()
}

fn messages_below(queue: &Path) -> Vec<(String, PathBuf)> {
    entries(&queue.join("queue"), 2).into_iter().flat_map(|(_, shard)| entries(&shard, DIGITS.0)).collect()
}

/// Names of so many hexadecimal digits in a directory.
fn entries(dir: &Path, digits: usize) -> Vec<(String, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let name = |entry: std::fs::DirEntry| Some((entry.file_name().into_string().ok()?, entry.path()));
    let named = entries.map_while(std::result::Result::ok).filter_map(name);
    named.filter(|(name, _)| name.len() == digits && name.bytes().all(|octet| octet.is_ascii_hexdigit())).collect()
}

/// A recipient's file of lines `NAME: VALUE`: whether it is for a notification, the sender, and the recipient as it was given. For one that came of another
/// by an alias that is the other.
fn read(envelope: &str) -> (bool, String, String) {
    let field = |name: &str| {
        let of_name = |line: &str| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned);
        envelope.lines().find_map(of_name)
    };
    let recipient = field("rcpt").or_else(|| field("dest")).unwrap_or_default();
    (field("type").as_deref() == Some("bounce"), field("sender").unwrap_or_default(), recipient)
}

/// The numbers of routes that it does not use now, of `smtpctl show routes`: `5. 127.1.2.10 <-> 127.1.2.99 (gate.cut.example) DN 1 0 …`.
pub(super) fn disabled_routes(listing: &str) -> Vec<String> {
    let disabled = |line: &str| {
        let (number, rest) = line.trim_start().split_once(". ")?;
        let flags = rest.split_once(") ").map_or(rest, |(_, flags)| flags).split(' ').next()?;
        flags.contains('D').then(|| number.to_owned())
    };
    listing.lines().filter_map(disabled).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::token;

    const ENVELOPE: &str = "version: 3\ndispatcher: backup\ntype: mta\nsmtpname: b.office.example\nhelo: [127.0.0.1]\nerrorline: Temporary failure in MX lookup\n\
        sender: sora@office.example\nrcpt: x@office.example\ndest: far@c1.cut.example\nctime: 1795744792\n";

    #[test]
    fn a_queue_is_listed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!((count(dir.path()), waiting(dir.path()).len()), (0, 0));
        let message = dir.path().join("queue/22/22e38638");
        // One whose recipients are all done goes as a whole in the next moment.
        std::fs::create_dir_all(dir.path().join("queue/23/23e38638")).unwrap();
        std::fs::create_dir_all(&message).unwrap();
        let other = ENVELOPE.replace("x@", "y@");
        for (name, text) in [
            ("message", "Received: x\nX-Ledger: t-1\n\nhi\n"),
            ("22e38638b41314f3", ENVELOPE),
            ("22e38638b41314f4", &other),
            ("22e38638b41314f5.tmp", "half"),
        ] {
            std::fs::write(message.join(name), text).unwrap();
        }
        let got = waiting(dir.path());
        assert_eq!((count(dir.path()), got.len(), got[0].id.as_str()), (1, 1, "22e38638"));
        assert_eq!((got[0].sender.as_str(), token(&got[0].text).as_deref()), ("sora@office.example", Some("t-1")));
        let mut recipients = got[0].recipients.clone();
        recipients.sort_unstable();
        assert_eq!(recipients, ["x@office.example", "y@office.example"]);
        std::fs::write(message.join("22e38638b41314f3"), ENVELOPE.replace("mta", "bounce")).unwrap();
        std::fs::remove_file(message.join("22e38638b41314f4")).unwrap();
        assert_eq!(waiting(dir.path())[0].sender, "");
    }

    #[test]
    fn routes_that_are_not_used_are_found() {
        let listing =
            "1. 127.1.2.10 <-> 127.1.2.99 (gate.cut.example) -- 1 0 0 0\n12. [] <-> 127.1.2.98 (127.1.2.98) D- 0 0 3 8s\n";
        assert_eq!(disabled_routes(listing), ["12"]);
        assert_eq!(disabled_routes(""), Vec::<String>::new());
    }
}
