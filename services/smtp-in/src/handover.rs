//! What a peer of a pair brings: mail of others, that it took in our stead and that nobody may refuse any more (docs/pair.md).
//!
//! What the door would refuse for good is taken and put on hold. The first recipient decides whether a transaction is for quarantine; those of the
//! other kind are sent away with 452 4.5.3, and the peer brings them in a transaction of their own.

use std::net::SocketAddr;

use lib_mail::{Class, Enhanced, Peer, Status, Timestamp, Trust};
use lib_smtp::forward::Forward;
use lib_smtp::server::LIST_LINES;

use crate::shared::RecipientLines;

/// What is known of the transaction under way with a peer.
#[derive(Debug, Default)]
pub(crate) struct Handover {
    /// Why it goes on hold.
    quarantine: Option<Status>,
}

impl Handover {
    /// The answer to RCPT, where the door would say `status`; `first`: nobody was taken in this transaction yet.
    pub(crate) fn recipient(&mut self, status: Status, first: bool, now: Timestamp) -> Status {
        let refused = status.class() == Class::Permanent;
        if status.class() == Class::Temporary {
            return status;
        }
        if first {
            self.quarantine = None;
        } else if refused != self.quarantine.is_some() {
            return Status::local(452, Enhanced::new(4, 5, 3), "In a transaction of its own, please", now);
        }
        if !refused {
            return status;
        }
        self.quarantine.get_or_insert(status);
        Status::local(250, Enhanced::new(2, 1, 5), "Recipient taken, for quarantine", now)
    }

    /// The answer to the content, where the door would say `status`.
    pub(crate) fn content(&mut self, status: Status, now: Timestamp) -> Status {
        if status.class() != Class::Permanent {
            return status;
        }
        self.quarantine.get_or_insert(status);
        Status::local(250, Enhanced::new(2, 0, 0), "Message taken, for quarantine", now)
    }

    /// Why the message goes on hold, as its history is to say; and the transaction is over.
    pub(crate) fn why_held(&mut self, peer: &str, now: Timestamp) -> Option<Status> {
        let refusal = self.quarantine.take()?;
        let text = format!("Quarantined, handed over by {peer}: {} {} {}", refusal.code, refusal.enhanced, refusal.text);
        Some(Status::local(450, Enhanced::new(4, 7, 0), text, now))
    }
}

/// The client that a message came from: what the peer says of it, believed as far as an assertion is.
pub(crate) fn original(socket: Peer, forward: Option<&Forward>) -> Peer {
    let said = forward.and_then(|forward| Some(SocketAddr::new(forward.address?, forward.port.unwrap_or(0))));
    match said {
        Some(asserted) => Peer { asserted: Some(asserted), trust: Trust::Asserted, ..socket },
        None => socket,
    }
}

/// The lines of a reply to XLIST: digest and number of lines, then the lines from `from` on; only the first where the peer has that list.
pub(crate) fn listed(all: &RecipientLines, have: &str, from: Option<usize>) -> Vec<String> {
    let mut reply = vec![format!("{} {}", all.digest, all.lines.len())];
    if have != all.digest || from.is_some() {
        let from = from.filter(|_| have == all.digest).unwrap_or(0);
        reply.extend(all.lines.iter().skip(from).take(LIST_LINES).cloned());
    }
    reply
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Status {
        Status::local(code, Enhanced::new((code / 100) as u8, 1, 1), "x", Timestamp(0))
    }

    #[test]
    fn a_transaction_is_good_or_for_quarantine() {
        for (said, want, held) in [
            (&[250, 250][..], &[250, 250][..], false),
            (&[550, 552], &[250, 250], true),
            (&[250, 550, 250], &[250, 452, 250], false),
            (&[550, 250, 550], &[250, 452, 250], true),
            (&[451, 550], &[451, 250], true),
            (&[550, 451], &[250, 451], true),
        ] {
            let mut handover = Handover::default();
            let mut taken = 0;
            for (said, want) in said.iter().zip(want) {
                let answer = handover.recipient(status(*said), taken == 0, Timestamp(0));
                assert_eq!(answer.code, *want, "{said}");
                taken += usize::from(answer.is_success());
            }
            let why = handover.why_held("two", Timestamp(0));
            assert_eq!(why.is_some(), held, "{said:?}");
            assert!(why.is_none_or(|why| why.text.starts_with("Quarantined, handed over by two: 55")));
            assert_eq!(handover.why_held("two", Timestamp(0)), None, "once");
        }
    }

    #[test]
    fn content_that_is_refused_is_held_and_trouble_is_told() {
        for (said, want, held) in [(250, 250, false), (554, 250, true), (452, 452, false)] {
            let mut handover = Handover::default();
            handover.recipient(status(250), true, Timestamp(0));
            assert_eq!(handover.content(status(said), Timestamp(0)).code, want);
            assert_eq!(handover.why_held("two", Timestamp(0)).is_some(), held);
        }
        // A transaction that was given up leaves nothing to the next.
        let mut handover = Handover::default();
        handover.recipient(status(550), true, Timestamp(0));
        handover.recipient(status(250), true, Timestamp(0));
        assert_eq!(handover.why_held("two", Timestamp(0)), None);
    }

    #[test]
    fn a_list_goes_out_in_pieces_and_only_when_it_is_another() {
        let all = RecipientLines { digest: "d".into(), lines: (0..250).map(|n| format!("mailbox {n}@a.example")).collect() };
        for (have, from, lines, first) in [
            ("d", None, 0, ""),
            ("-", None, 100, "mailbox 0@"),
            ("e", None, 100, "mailbox 0@"),
            ("d", Some(0), 100, "mailbox 0@"),
            ("d", Some(100), 100, "mailbox 100@"),
            ("d", Some(200), 50, "mailbox 200@"),
            ("d", Some(999), 0, ""),
            ("e", Some(100), 100, "mailbox 0@"),
        ] {
            let reply = listed(&all, have, from);
            assert_eq!((reply[0].as_str(), reply.len() - 1), ("d 250", lines), "{have} {from:?}");
            assert!(reply.get(1).is_none_or(|line| line.starts_with(first)), "{have} {from:?}");
        }
    }
}
