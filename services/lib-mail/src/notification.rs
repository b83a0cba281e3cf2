//! The message that tells a sender what became of a message: a delivery status notification (RFC 3461, 3462, 3464).
//!
//! Pure: date, boundary and message id are arguments. The result is 7-bit and holds no long line whatever the original was, so that
//! no server on the way back can refuse it for its form; only a sender whose own local part is not ASCII needs SMTPUTF8 to be
//! reached at all. Our own header lines are written here rather than by the library's builder, whose address type refuses
//! mailboxes that exist (`a..b@docomo.example`): no sender may be impossible to tell. The parts are the library's.

mod report;
#[cfg(test)]
mod tests;
mod words;

use jiff::tz::TimeZone;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, MultiPart, SinglePart};

use crate::{Address, BodyType, Domain, Envelope, Protocol, QueueId, Recipient, Return, Status, Timestamp};

/// How much of the original to hand in, in octets: what a notification returns at most.
pub const MAX_RETURNED: usize = 128 * 1024;
/// Octets of a line on the wire without CRLF (RFC 5321 §4.5.3.1.6).
const MAX_LINE: usize = 998;

/// What a notification tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotificationKind {
    /// The message will not be tried again.
    Failed,
    /// It waits, and will be tried again.
    Delayed,
    /// It lies in the mailbox.
    Delivered,
    /// A server took it that will not tell what becomes of it.
    Relayed,
    /// A list or alias took it, and more than one will get it.
    Expanded,
}

impl NotificationKind {
    /// The word of the field Action (RFC 3464 §2.3.3), and of the log.
    pub fn as_str(self) -> &'static str {
        match self {
            NotificationKind::Failed => "failed",
            NotificationKind::Delayed => "delayed",
            NotificationKind::Delivered => "delivered",
            NotificationKind::Relayed => "relayed",
            NotificationKind::Expanded => "expanded",
        }
    }

    /// Whether `recipient`'s sender wants to be told of this.
    pub fn is_wanted(self, recipient: &Recipient) -> bool {
        match self {
            NotificationKind::Failed => recipient.notify.on_failure(),
            NotificationKind::Delayed => recipient.notify.on_delay(),
            NotificationKind::Delivered | NotificationKind::Relayed | NotificationKind::Expanded => {
                recipient.notify.on_success()
            }
        }
    }
}

/// A recipient that a notification tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reported<'a> {
    /// As the sender knows it.
    pub recipient: &'a Recipient,
    /// What became of it.
    pub status: &'a Status,
    /// The domain that was probably meant, where it looks mistyped ([`meant_domain`](crate::meant_domain)); said of failures and
    /// delays only.
    pub meant: Option<String>,
}

/// Everything that a notification is made of.
#[derive(Debug, Clone, Copy)]
pub struct Notification<'a> {
    /// What is told, of all of `recipients`.
    pub kind: NotificationKind,
    /// Of the original.
    pub envelope: &'a Envelope,
    /// At least one.
    pub recipients: &'a [Reported<'a>],
    /// The first [`MAX_RETURNED`] octets of the original, or all of it where it is shorter.
    pub original: &'a [u8],
    /// `original` is all of it.
    pub complete: bool,
    /// This node.
    pub host: &'a Domain,
    /// Whom the notification is from: `MAILER-DAEMON@mail.example.net`.
    pub from: &'a Address,
    /// Whom it is to: the original's sender, or the postmaster where that one cannot be told.
    pub to: &'a Address,
    /// When it is written.
    pub date: Timestamp,
    /// For whom dates are written.
    pub zone: &'a TimeZone,
    /// Letters and digits that stand in no part: a random text of 24 or more. Others are left out.
    pub boundary: &'a str,
    /// For the Message-ID, without angle brackets: `queueid@mail.example.net`.
    pub message_id: &'a str,
}

impl Notification<'_> {
    /// The message: CRLF lines, 7-bit but for the address of a sender that is none.
    pub fn message(&self) -> Vec<u8> {
        let mut message = self.header().into_bytes();
        message.extend_from_slice(&self.parts().formatted());
        message
    }

    /// The envelope under which the message is to be committed: from nobody, so that nobody is told of its failure.
    pub fn envelope(&self, deadline: Timestamp) -> Envelope {
        let utf8 = !self.to.local().is_ascii();
        Envelope {
            sender: None,
            recipients: vec![Recipient::new(self.to.clone())],
            ret: None,
            envid: None,
            body: if utf8 { BodyType::EightBitMime } else { BodyType::SevenBit },
            utf8,
            arrived: self.date,
            deadline,
            peer: None,
            helo: String::new(),
            protocol: Protocol { extended: false, tls: false, auth: false, utf8, local: true },
            account: None,
            added: String::new(),
            parent: None,
        }
    }

    fn header(&self) -> String {
        format!(
            "From: Mail Delivery System <{from}>\r\nTo: <{to}>\r\nSubject: {subject}\r\nDate: {date}\r\nMessage-ID: <{id}>\r\n\
             Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n",
            from = wire_address(self.from),
            to = wire_address(self.to),
            subject = words::subject(self.kind),
            date = self.date.rfc5322(self.zone),
            id = self.message_id.replace(|c: char| c.is_control() || "<> ".contains(c), ""),
        )
    }

    fn parts(&self) -> MultiPart {
        let boundary: String = self.boundary.chars().filter(char::is_ascii_alphanumeric).take(60).collect();
        let kind = format!("multipart/report; report-type=\"delivery-status\"; boundary=\"={boundary}\"");
        let text = words::text(self);
        let (returned, body) = self.returned();
        MultiPart::builder()
            .header(content_type(&kind))
            .singlepart(SinglePart::plain(text))
            .singlepart(part("message/delivery-status", seven_bit(report::fields(self).into_bytes())))
            .singlepart(part(returned, body))
    }

    /// The original's header, or all of it where that was asked for and can be passed as it is: nothing may be encoded in a
    /// `message/rfc822` part, and an 8-bit one could come to a server that cannot take it.
    fn returned(&self) -> (&'static str, Body) {
        let whole = self.kind == NotificationKind::Failed
            && self.envelope.ret == Some(Return::Full)
            && self.complete
            && fits_seven_bit(self.original)
            && fits_seven_bit(self.envelope.added.as_bytes());
        let added = self.envelope.added.as_bytes();
        if whole {
            return ("message/rfc822", seven_bit([added, self.original].concat()));
        }
        let mut header = [added, header_of(self.original)].concat();
        let kind = "text/rfc822-headers";
        if fits_seven_bit(&header) {
            return (kind, seven_bit(header));
        }
        header.truncate(MAX_RETURNED);
        let body = Body::new_with_encoding(header, ContentTransferEncoding::QuotedPrintable);
        (kind, body.unwrap_or_else(|_| seven_bit(Vec::new())))
    }
}

/// An address for a header field: a non-ASCII domain as A-labels where that makes the address ASCII.
fn wire_address(address: &Address) -> String {
    let needs_a_labels = !address.is_ascii() && address.local().is_ascii();
    if needs_a_labels { format!("{}@{}", address.local(), address.domain().key()) } else { address.to_string() }
}

fn part(kind: &str, body: Body) -> SinglePart {
    SinglePart::builder().header(content_type(kind)).body(body)
}

fn content_type(text: &str) -> ContentType {
    ContentType::parse(text).unwrap_or(ContentType::TEXT_PLAIN)
}

fn seven_bit(octets: Vec<u8>) -> Body {
    Body::dangerous_pre_encoded(octets, ContentTransferEncoding::SevenBit)
}

/// The header with its last CRLF and without the empty line.
fn header_of(message: &[u8]) -> &[u8] {
    if message.starts_with(b"\r\n") {
        return b"";
    }
    let end = message.windows(4).position(|window| window == b"\r\n\r\n").map_or(message.len(), |at| at + 2);
    &message[..end]
}

fn fits_seven_bit(octets: &[u8]) -> bool {
    octets.is_ascii() && !octets.contains(&0) && octets.split(|octet| *octet == b'\n').all(|line| line.len() <= MAX_LINE + 1)
}

/// The id of the notification's Message-ID field, made of its queue id.
pub fn notification_message_id(id: &QueueId, host: &Domain) -> String {
    format!("{id}@{}", host.key())
}
