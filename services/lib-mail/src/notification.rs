//! The message that tells a sender what became of a message: a delivery status notification (RFC 3461, 3462, 3464).
//!
//! Pure: date, boundary and message id are arguments. The result is 7-bit and holds no long line whatever the original was, so that
//! no server on the way back can refuse it for its form; only a sender whose own local part is not ASCII needs SMTPUTF8 to be
//! reached at all, and only then a part may be 8-bit. To the sender of an SMTPUTF8 message, whose software knows them, go the types of
//! RFC 6533 §4 where the plain ones cannot hold what there is to say; to every other sender its 7-bit forms. Our own header lines are
//! written here rather than by the library's builder, whose address type refuses mailboxes that exist (`a..b@docomo.example`): no
//! sender may be impossible to tell. The parts are the library's.

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
        MultiPart::builder()
            .header(content_type(&kind))
            .singlepart(SinglePart::plain(text))
            .singlepart(self.status())
            .singlepart(self.returned())
    }

    /// The part for programs: with characters as they are where the sender's software knows that, else in ASCII.
    fn status(&self) -> SinglePart {
        let fields = report::fields(self, self.envelope.utf8);
        if fields.is_ascii() {
            return part("message/delivery-status", unencoded(report::fields(self, false).into_bytes()));
        }
        part("message/global-delivery-status", self.any_bits(fields.into_bytes(), ContentTransferEncoding::QuotedPrintable))
    }

    /// The original's header, or all of it where that was asked for and can be passed: nothing may be encoded in a `message/rfc822` part,
    /// and an 8-bit one could come to a server that cannot take it. A `message/global` part may be (RFC 6533 §4).
    fn returned(&self) -> SinglePart {
        let added = self.envelope.added.as_bytes();
        let mut header = [added, header_of(self.original)].concat();
        let whole = self.kind == NotificationKind::Failed && self.envelope.ret == Some(Return::Full) && self.complete;
        let global = self.envelope.utf8 && !header.is_ascii() && std::str::from_utf8(&header).is_ok();
        if whole && global {
            return part("message/global", self.any_bits([added, self.original].concat(), ContentTransferEncoding::Base64));
        }
        if whole && fits_seven_bit(self.original) && fits_seven_bit(added) {
            return part("message/rfc822", unencoded([added, self.original].concat()));
        }
        let kind = if global { "message/global-headers" } else { "text/rfc822-headers" };
        if fits_seven_bit(&header) {
            return part(kind, unencoded(header));
        }
        header.truncate(MAX_RETURNED);
        if global {
            return part(kind, self.any_bits(header, ContentTransferEncoding::QuotedPrintable));
        }
        part(kind, encoded(header, ContentTransferEncoding::QuotedPrintable))
    }

    /// Octets of a `message/global…` part: as they are where the sender cannot be reached but over servers that take them, else encoded.
    fn any_bits(&self, octets: Vec<u8>, otherwise: ContentTransferEncoding) -> Body {
        let as_it_is = !self.to.local().is_ascii() && fits_a_line(&octets);
        if as_it_is {
            return Body::dangerous_pre_encoded(octets, ContentTransferEncoding::EightBit);
        }
        encoded(octets, otherwise)
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

fn encoded(octets: Vec<u8>, encoding: ContentTransferEncoding) -> Body {
    Body::new_with_encoding(octets, encoding).unwrap_or_else(|_| unencoded(Vec::new()))
}

fn unencoded(octets: Vec<u8>) -> Body {
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
    octets.is_ascii() && fits_a_line(octets)
}

/// Whether there is no NUL and no line is too long.
fn fits_a_line(octets: &[u8]) -> bool {
    !octets.contains(&0) && octets.split(|octet| *octet == b'\n').all(|line| line.len() <= MAX_LINE + 1)
}

/// The id of the notification's Message-ID field, made of its queue id.
pub fn notification_message_id(id: &QueueId, host: &Domain) -> String {
    format!("{id}@{}", host.key())
}
