//! The Received field that every hop puts in front (RFC 5321 §4.4).

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::{Address, Envelope, QueueId};

/// What a Received field says. It names the host, never the product (R1.6).
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// Where the message came from and how.
    pub envelope: &'a Envelope,
    /// This node's name.
    pub host: &'a str,
    /// The message's id here.
    pub id: &'a QueueId,
    /// The recipient, where the copy has only one (others would be disclosed).
    pub recipient: Option<&'a Address>,
}

impl Received<'_> {
    /// The field, folded, with CRLF at the end of each line. Nothing that a client sent can end a line or open a comment: all but
    /// letters, digits and `-._:[]` of its HELO argument becomes `?`.
    pub fn field(&self, zone: &TimeZone) -> String {
        let mut field = String::with_capacity(256);
        let envelope = self.envelope;
        field.push_str("Received: ");
        if let Some(peer) = envelope.peer {
            let helo: String =
                envelope.helo.chars().map(|c| if c.is_alphanumeric() || "-._:[]".contains(c) { c } else { '?' }).collect();
            let address = peer.address().ip().to_canonical();
            let tag = if address.is_ipv6() { "IPv6:" } else { "" };
            let helo = if helo.is_empty() { "unknown" } else { &helo };
            let _ = write!(field, "from {helo} ([{tag}{address}])\r\n\t");
            if peer.asserted.is_some() {
                // Whose word it is that the message came from there.
                let by = peer.socket.ip().to_canonical();
                let tag = if by.is_ipv6() { "IPv6:" } else { "" };
                let _ = write!(field, "(handed over by [{tag}{by}])\r\n\t");
            }
        }
        let _ = write!(field, "by {} with {} id {}", self.host, envelope.protocol.name(), self.id);
        if let Some(recipient) = self.recipient {
            let _ = write!(field, "\r\n\tfor <{recipient}>");
        }
        let _ = write!(field, ";\r\n\t{}\r\n", envelope.arrived.rfc5322(zone));
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BodyType, Peer, Protocol, Recipient, Timestamp};

    #[test]
    fn a_hostile_helo_stays_in_its_place() {
        let mut envelope = Envelope {
            sender: None,
            recipients: vec![Recipient::new("b@example.net".parse().unwrap())],
            ret: None,
            envid: None,
            body: BodyType::SevenBit,
            utf8: false,
            arrived: Timestamp(1_795_401_000_123),
            deadline: Timestamp(0),
            peer: Some(Peer::direct("[2001:db8::1]:2525".parse().unwrap())),
            helo: "a b)(\r\nX: y".into(),
            protocol: Protocol { extended: true, tls: true, auth: false, utf8: false, local: false },
            account: None,
            added: String::new(),
            parent: None,
        };
        let id = QueueId::new(envelope.arrived, 1, 2);
        let recipient = envelope.recipients[0].address.clone();
        let field = Received { envelope: &envelope, host: "mail.example.net", id: &id, recipient: Some(&recipient) }
            .field(&TimeZone::UTC);
        assert_eq!(
            field,
            format!(
                "Received: from a?b????X:?y ([IPv6:2001:db8::1])\r\n\tby mail.example.net with ESMTPS id {id}\r\n\tfor <b@example.net>;\r\n\tMon, 23 Nov 2026 02:30:00 +0000\r\n"
            )
        );
        if let Some(peer) = &mut envelope.peer {
            (peer.asserted, peer.trust) = (Some("192.0.2.7:5000".parse().unwrap()), crate::Trust::Asserted);
        }
        let field = Received { envelope: &envelope, host: "h.example", id: &id, recipient: None }.field(&TimeZone::UTC);
        assert!(field.contains("([192.0.2.7])\r\n\t(handed over by [IPv6:2001:db8::1])\r\n\tby h.example"), "{field}");
        envelope.peer = None;
        envelope.protocol.local = true;
        let field = Received { envelope: &envelope, host: "h.example", id: &id, recipient: None }.field(&TimeZone::UTC);
        assert_eq!(field, format!("Received: by h.example with local id {id};\r\n\tMon, 23 Nov 2026 02:30:00 +0000\r\n"));
    }
}
