//! What stands around a message: who sent it, who is to have it, where it came from.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::{Address, QueueId, ReversePath, Timestamp};

/// When a recipient's sender wants to be told (RFC 3461 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notify {
    /// No NOTIFY was given: failure, and delay where the server does so.
    Default,
    /// NEVER.
    Never,
    /// Any of SUCCESS, FAILURE, DELAY; at least one.
    On {
        /// Tell of delivery.
        success: bool,
        /// Tell of failure.
        failure: bool,
        /// Tell of delay.
        delay: bool,
    },
}

impl Notify {
    /// Whether a failure is told.
    pub fn on_failure(self) -> bool {
        matches!(self, Notify::Default | Notify::On { failure: true, .. })
    }

    /// Whether a delivery is told.
    pub fn on_success(self) -> bool {
        matches!(self, Notify::On { success: true, .. })
    }

    /// Whether a delay is told.
    pub fn on_delay(self) -> bool {
        matches!(self, Notify::Default | Notify::On { delay: true, .. })
    }
}

/// How much of the message a notification returns (RFC 3461 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Return {
    /// RET=FULL.
    Full,
    /// RET=HDRS.
    Headers,
}

/// BODY= of MAIL (RFC 6152). BINARYMIME is never accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BodyType {
    /// 7BIT, or not given.
    SevenBit,
    /// 8BITMIME.
    EightBitMime,
}

/// One who is to have the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// As given in RCPT, before any routing or expansion.
    pub address: Address,
    /// NOTIFY=.
    pub notify: Notify,
    /// ORCPT= in wire form, `addr-type;xtext` (RFC 3461 §4.2), carried through unread.
    pub orcpt: Option<String>,
}

impl Recipient {
    /// A recipient without DSN parameters.
    pub fn new(address: Address) -> Self {
        Recipient { address, notify: Notify::Default, orcpt: None }
    }

    /// ORCPT= in ASCII: a character beyond it becomes `\x{…}`, which means the same in an address of type utf-8 (RFC 6533 §3).
    pub fn ascii_orcpt(&self) -> Option<String> {
        let orcpt = self.orcpt.as_ref()?;
        let mut text = String::with_capacity(orcpt.len());
        for c in orcpt.chars() {
            if c.is_ascii() {
                text.push(c);
            } else {
                // Writing into memory does not fail.
                let _ = write!(text, "\\x{{{:X}}}", u32::from(c));
            }
        }
        Some(text)
    }
}

/// How far a client's address may be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trust {
    /// The socket's own peer.
    Direct,
    /// Asserted by a gateway that the settings name.
    Asserted,
    /// The socket's peer is a gateway that hides its clients: no right comes from the address, and no refusal.
    Hidden,
}

/// The client's address: what the socket says and what a trusted gateway says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The other end of the connection.
    pub socket: SocketAddr,
    /// What a gateway named in the settings said of its client.
    pub asserted: Option<SocketAddr>,
    /// How far `address` may be believed.
    pub trust: Trust,
}

impl Peer {
    /// The client at the other end of the socket.
    pub fn direct(socket: SocketAddr) -> Self {
        Peer { socket, asserted: None, trust: Trust::Direct }
    }

    /// The client's address as far as known: asserted, else the socket's.
    pub fn address(&self) -> SocketAddr {
        self.asserted.unwrap_or(self.socket)
    }
}

/// The protocol of a Received field's `with` (RFC 3848, RFC 6531 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocol {
    /// EHLO was used; HELO otherwise.
    pub extended: bool,
    /// Under TLS.
    pub tls: bool,
    /// After AUTH.
    pub auth: bool,
    /// SMTPUTF8 was asked for this message.
    pub utf8: bool,
    /// The message arose here: a notification, a forward.
    pub local: bool,
}

impl Protocol {
    /// `SMTP`, `ESMTP`, `ESMTPS`, `ESMTPA`, `ESMTPSA`, `UTF8SMTPSA`, … or `local`.
    pub fn name(&self) -> &'static str {
        match (self.local, self.extended, self.utf8, self.tls, self.auth) {
            (true, ..) => "local",
            (_, false, ..) => "SMTP",
            (_, _, false, false, false) => "ESMTP",
            (_, _, false, false, true) => "ESMTPA",
            (_, _, false, true, false) => "ESMTPS",
            (_, _, false, true, true) => "ESMTPSA",
            (_, _, true, false, false) => "UTF8SMTP",
            (_, _, true, false, true) => "UTF8SMTPA",
            (_, _, true, true, false) => "UTF8SMTPS",
            (_, _, true, true, true) => "UTF8SMTPSA",
        }
    }
}

/// Everything about a message but its own octets. Fixed at commit; what happens later is history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The sender; `None` is `<>`.
    pub sender: ReversePath,
    /// At least one; the index in this list names a recipient in the history.
    pub recipients: Vec<Recipient>,
    /// RET=.
    pub ret: Option<Return>,
    /// ENVID= in wire form (xtext), carried through unread.
    pub envid: Option<String>,
    /// BODY=.
    pub body: BodyType,
    /// SMTPUTF8 was asked.
    pub utf8: bool,
    /// When the message came in, by the queue clock.
    pub arrived: Timestamp,
    /// After this moment, by the queue clock, a failed attempt is the last.
    pub deadline: Timestamp,
    /// The client, or `None` for a message that arose here.
    pub peer: Option<Peer>,
    /// The argument of HELO or EHLO, as given (printable, capped by the session); empty where there was none.
    pub helo: String,
    /// How it came in.
    pub protocol: Protocol,
    /// The account that authenticated, as its full address.
    pub account: Option<String>,
    /// Header lines that we add in front of the message: whole lines with CRLF, or empty. They are no part of the received octets.
    pub added: String,
    /// The message that caused this one.
    pub parent: Option<QueueId>,
}
