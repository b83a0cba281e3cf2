//! Header lines: those that delivery puts in front of a copy, and the look for a loop in those that are there.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read};

use jiff::tz::TimeZone;
use lib_mail::{Address, Domain, Envelope, QueueId, Received, Recipient};

/// Octets of a header that are looked at for a loop.
const MAX_HEADER: u64 = 1024 * 1024;
const DELIVERED_TO: &[u8] = b"delivered-to:";

/// The mailboxes and aliases that the message says it has passed already, as keys.
pub(crate) fn delivered_to(body: impl Read) -> io::Result<HashSet<String>> {
    let mut reader = BufReader::new(body.take(MAX_HEADER));
    let (mut found, mut line) = (HashSet::new(), Vec::new());
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 || line == b"\r\n" || line == b"\n" {
            return Ok(found);
        }
        if line.len() > DELIVERED_TO.len() && line[..DELIVERED_TO.len()].eq_ignore_ascii_case(DELIVERED_TO) {
            let value = String::from_utf8_lossy(&line[DELIVERED_TO.len()..]);
            let value = value.trim().trim_start_matches('<').trim_end_matches('>');
            found.extend(value.parse::<Address>().ok().map(|address| address.key()));
        }
    }
}

/// The lines in front of a mailbox's copy.
pub(crate) struct Trace<'a> {
    pub(crate) envelope: &'a Envelope,
    pub(crate) id: &'a QueueId,
    pub(crate) host: &'a Domain,
    pub(crate) zone: &'a TimeZone,
}

impl Trace<'_> {
    /// Return-Path, Delivered-To and Received, then what was added on acceptance; CRLF line ends. `account` is the mailbox's key,
    /// `recipient` whom the message was for, as given.
    pub(crate) fn lines(&self, account: &str, recipient: Option<&Recipient>) -> String {
        let sender = self.envelope.sender.as_ref().map_or("", Address::as_str);
        let received = Received {
            envelope: self.envelope,
            host: self.host.as_str(),
            id: self.id,
            recipient: recipient.map(|recipient| &recipient.address),
        };
        format!(
            "Return-Path: <{sender}>\r\nDelivered-To: {}\r\n{}{}",
            wire_form(account),
            received.field(self.zone),
            self.envelope.added
        )
    }
}

/// The key of an account as an address: with quotes where its name needs them.
pub(crate) fn wire_form(account: &str) -> String {
    if account.parse::<Address>().is_ok() {
        return account.to_owned();
    }
    let (name, domain) = account.rsplit_once('@').unwrap_or((account, ""));
    format!("\"{}\"@{domain}", name.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_header_tells_of_a_loop() {
        for (message, found) in [
            ("Delivered-To: minji@example.kr\r\n\r\n", &["minji@example.kr"][..]),
            (
                "Subject: x\r\nDELIVERED-TO: <Minji@Example.kr>\r\nDelivered-To: sora@example.kr\r\n",
                &["minji@example.kr", "sora@example.kr"],
            ),
            ("Subject: x\r\n\r\nDelivered-To: minji@example.kr\r\n", &[]),
            ("X-Delivered-To: minji@example.kr\r\nDelivered-To: nobody\r\n", &[]),
            ("Delivered-To: \"a b\"@example.kr\r\n", &["a b@example.kr"]),
            ("", &[]),
        ] {
            let mut got: Vec<_> = delivered_to(message.as_bytes()).unwrap().into_iter().collect();
            got.sort();
            assert_eq!(got, found, "{message:?}");
        }
    }

    #[test]
    fn a_header_without_end_is_not_read_to_its_end() {
        let endless = io::repeat(b'x').take(64 * 1024 * 1024);
        assert!(delivered_to(endless).unwrap().is_empty());
    }

    #[test]
    fn keys_become_addresses_again() {
        for (key, address) in [
            ("minji@example.kr", "minji@example.kr"),
            ("a b@example.kr", "\"a b\"@example.kr"),
            ("a@x@example.kr", "\"a@x\"@example.kr"),
            ("a\"\\b@example.kr", "\"a\\\"\\\\b\"@example.kr"),
            ("@example.kr", "\"\"@example.kr"),
        ] {
            assert_eq!(wire_form(key), address);
            assert_eq!(address.parse::<Address>().unwrap().key(), key);
        }
    }
}
