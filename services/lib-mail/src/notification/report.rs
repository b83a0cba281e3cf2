//! The part that programs read: message/delivery-status (RFC 3464 §2).

use std::fmt::Write as _;

use super::{Notification, NotificationKind, Reported};
use crate::{Address, By, Recipient, Status};

/// Where a field is folded, in octets.
const FOLD_AT: usize = 76;

/// All fields: one group for the message, one for each recipient.
pub(super) fn fields(told: &Notification<'_>) -> String {
    let mut out = String::new();
    field(&mut out, "Reporting-MTA", &format!("dns; {}", told.host.key()));
    if let Some(envid) = &told.envelope.envid {
        field(&mut out, "Original-Envelope-Id", &from_xtext(envid));
    }
    field(&mut out, "Arrival-Date", &told.envelope.arrived.rfc5322(told.zone));
    for Reported { recipient, status, .. } in told.recipients {
        out.push_str("\r\n");
        one(&mut out, told, recipient, status);
    }
    out
}

fn one(out: &mut String, told: &Notification<'_>, recipient: &Recipient, status: &Status) {
    if let Some((kind, address)) = recipient.ascii_orcpt().as_ref().and_then(|orcpt| orcpt.split_once(';')) {
        // An address of type utf-8 is no xtext: its `\x{…}` stand in this field, too (RFC 6533 §3).
        let address = if kind.eq_ignore_ascii_case("utf-8") { address.to_owned() } else { from_xtext(address) };
        field(out, "Original-Recipient", &format!("{kind}; {address}"));
    }
    field(out, "Final-Recipient", &typed(&recipient.address));
    field(out, "Action", told.kind.as_str());
    field(out, "Status", &status.enhanced.to_string());
    if let By::Remote(name) = &status.by {
        field(out, "Remote-MTA", &format!("dns; {}", name.split(' ').next().unwrap_or_default()));
    }
    if matches!(told.kind, NotificationKind::Failed | NotificationKind::Delayed) || matches!(status.by, By::Remote(_)) {
        field(out, "Diagnostic-Code", &format!("smtp; {status}"));
    }
    field(out, "Last-Attempt-Date", &status.at.rfc5322(told.zone));
    if told.kind == NotificationKind::Delayed {
        field(out, "Will-Retry-Until", &told.envelope.deadline.rfc5322(told.zone));
    }
}

/// `rfc822; a@example.net`, or for an address that is not ASCII the 7-bit form of RFC 6533 §3, `utf-8; \x{BBFC}@example.net`.
fn typed(address: &Address) -> String {
    if address.is_ascii() {
        return format!("rfc822; {address}");
    }
    let mut text = String::from("utf-8; ");
    for c in address.as_str().chars() {
        // EmbeddedUnicodeChar stands for what is not ASCII and for the characters that would be taken for syntax.
        if c.is_ascii_graphic() && !matches!(c, '\\' | '+' | '=') {
            text.push(c);
        } else {
            let _ = write!(text, "\\x{{{:X}}}", u32::from(c));
        }
    }
    text
}

/// Undoes xtext (RFC 3461 §4): `+2B` is `+`. What is no xtext stays.
pub(super) fn from_xtext(text: &str) -> String {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (first, hex) {
            (b'+', Some(octet)) => {
                plain.push(octet);
                rest = &tail[2..];
            }
            _ => {
                plain.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Appends a field, folded. What is not printable ASCII becomes `?`, so nothing in a value can end the field.
fn field(out: &mut String, name: &str, value: &str) {
    let value: String = value.chars().map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' }).collect();
    let mut width = name.len() + 1;
    let _ = write!(out, "{name}:");
    for word in value.split(' ').filter(|word| !word.is_empty()) {
        // A word without end is cut: no line may be over 998 octets.
        for (index, piece) in word.as_bytes().chunks(FOLD_AT * 10).enumerate() {
            let piece = String::from_utf8_lossy(piece);
            let folds = index > 0 || (width + 1 + piece.len() > FOLD_AT && width > name.len() + 1);
            out.push_str(if folds { "\r\n " } else { " " });
            out.push_str(&piece);
            width = if folds { 1 } else { width + 1 } + piece.len();
        }
    }
    out.push_str("\r\n");
}
