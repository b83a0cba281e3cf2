//! Where a message was found: a copy in a mailbox, a file in a queue, a server outside, a notification to its sender.

use super::FIELD;

/// One place where a message was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its token.
    pub token: String,
    /// Where.
    pub place: Place,
    /// Whether the octets at the end are exactly those that were sent; `None` where only a part of the message lies there.
    pub text: Option<Vec<u8>>,
}

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a mailbox of a node.
    Mailbox {
        /// The node.
        node: String,
        /// The mailbox, as an address.
        address: String,
    },
    /// In a node's queue.
    Queue {
        /// The node.
        node: String,
        /// The node's own id for it.
        id: String,
        /// Recipients for whom something is left to do.
        recipients: Vec<String>,
    },
    /// At a server outside of the topology, that took it with its 250.
    Outside {
        /// The server.
        peer: String,
        /// The recipients that it took.
        recipients: Vec<String>,
    },
    /// In a notification that says that recipients failed.
    Bounce {
        /// The node with the mailbox that it lies in, or the server outside that took it.
        node: String,
        /// Recipients that failed.
        recipients: Vec<String>,
    },
}

impl Found {
    /// What lies in the mailbox `address` of `node`: a copy, or a notification of failure. `None` where no token is in it, or where
    /// it tells of a delay or a success.
    pub fn in_mailbox(node: &str, address: &str, text: &[u8]) -> Option<Found> {
        Found::copy(node, text, || Place::Mailbox { node: node.to_owned(), address: address.to_owned() })
    }

    /// What a server outside took for these recipients, read in the same way: a sender who is told of a failure may be there.
    pub fn outside(peer: &str, recipients: Vec<String>, text: &[u8]) -> Option<Found> {
        Found::copy(peer, text, || Place::Outside { peer: peer.to_owned(), recipients })
    }

    fn copy(at: &str, text: &[u8], place: impl FnOnce() -> Place) -> Option<Found> {
        let (header, _) = split(text);
        if let Some(token) = token(header) {
            return Some(Found { token, place: place(), text: Some(text.to_vec()) });
        }
        let recipients = bounced_recipients(text);
        let token = token(text).filter(|_| !recipients.is_empty())?;
        Some(Found { token, place: Place::Bounce { node: at.to_owned(), recipients }, text: None })
    }
}

/// Header with its last line end, and the rest.
fn split(text: &[u8]) -> (&[u8], &[u8]) {
    let end = |blank: &[u8]| text.windows(blank.len()).position(|window| window == blank);
    let at = [end(b"\n\n").map(|at| at + 1), end(b"\n\r\n").map(|at| at + 1)].into_iter().flatten().min();
    text.split_at(at.unwrap_or(text.len()))
}

/// The token in a message: the value of its first `X-Ledger` field.
pub fn token(message: &[u8]) -> Option<String> {
    let needle = format!("{FIELD}: ");
    let line_start = |at: usize| at == 0 || message[at - 1] == b'\n';
    let at = (message.windows(needle.len()).enumerate())
        .find_map(|(at, window)| (window == needle.as_bytes() && line_start(at)).then_some(at))?;
    let rest = &message[at + needle.len()..];
    let end = rest.iter().position(|octet| octet.is_ascii_whitespace()).unwrap_or(rest.len());
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

/// The recipients that a notification (RFC 3464) says have failed, as `Original-Recipient` gives them, else `Final-Recipient`.
pub fn bounced_recipients(notification: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(notification);
    let mut failed = Vec::new();
    let (mut original, mut last, mut action) = (None, None, String::new());
    for line in text.lines().map(str::trim_end).chain([""]) {
        let Some((name, value)) = line.split_once(':') else {
            if line.is_empty() {
                let recipient: Option<String> = original.take().or(last.take());
                failed.extend(recipient.filter(|_| action == "failed"));
                (last, action) = (None, String::new());
            }
            continue;
        };
        let address = || value.rsplit(';').next().unwrap_or_default().trim().trim_matches(['<', '>']).to_owned();
        match name.to_ascii_lowercase().as_str() {
            "original-recipient" => original = Some(address()),
            "final-recipient" => last = Some(address()),
            "action" => action = value.trim().to_ascii_lowercase(),
            _ => {}
        }
    }
    failed
}
