//! The part that programs read: message/delivery-status (RFC 3464 §2), or message/global-delivery-status (RFC 6533 §4.2), whose addresses
//! of type utf-8 hold characters as they are.

use std::fmt::Write as _;

use super::{Notification, NotificationKind, Reported};
use crate::{Address, By, Recipient, Status};

/// Where a field is folded, in octets.
const FOLD_AT: usize = 76;

/// All fields: one group for the message, one for each recipient. In ASCII, unless they are to be `global`.
pub(super) fn fields(told: &Notification<'_>, global: bool) -> String {
    let mut out = Fields { text: String::new(), global };
    out.field("Reporting-MTA", &format!("dns; {}", told.host.key()));
    if let Some(envid) = &told.envelope.envid {
        out.field("Original-Envelope-Id", &from_xtext(envid));
    }
    out.field("Arrival-Date", &told.envelope.arrived.rfc5322(told.zone));
    for Reported { recipient, status, .. } in told.recipients {
        out.text.push_str("\r\n");
        one(&mut out, told, recipient, status);
    }
    out.text
}

struct Fields {
    text: String,
    global: bool,
}

fn one(out: &mut Fields, told: &Notification<'_>, recipient: &Recipient, status: &Status) {
    if let Some((kind, address)) = recipient.ascii_orcpt().as_ref().and_then(|orcpt| orcpt.split_once(';')) {
        // An address of type utf-8 is no xtext: in 7 bits its `\x{…}` stand in this field, too (RFC 6533 §3).
        let address = match kind.eq_ignore_ascii_case("utf-8") {
            true if out.global => from_utf8_xtext(address),
            true => address.to_owned(),
            false => from_xtext(address),
        };
        out.field("Original-Recipient", &format!("{kind}; {address}"));
    }
    out.field("Final-Recipient", &typed(&recipient.address, out.global));
    out.field("Action", told.kind.as_str());
    out.field("Status", &status.enhanced.to_string());
    if let By::Remote(name) = &status.by {
        out.field("Remote-MTA", &format!("dns; {}", name.split(' ').next().unwrap_or_default()));
    }
    if matches!(told.kind, NotificationKind::Failed | NotificationKind::Delayed) || matches!(status.by, By::Remote(_)) {
        let said = match (&status.by, status.last_attempt()) {
            (By::Remote(_), Some(last)) => last.to_owned(),
            _ => status.to_string(),
        };
        out.field("Diagnostic-Code", &format!("smtp; {said}"));
    }
    out.field("Last-Attempt-Date", &status.at.rfc5322(told.zone));
    if told.kind == NotificationKind::Delayed {
        out.field("Will-Retry-Until", &told.envelope.deadline.rfc5322(told.zone));
    }
}

/// `rfc822; a@example.net`, or for an address that is not ASCII `utf-8; 민@example.net`, whose 7-bit form (RFC 6533 §3) is
/// `utf-8; \x{BBFC}@example.net`.
fn typed(address: &Address, global: bool) -> String {
    if address.is_ascii() {
        return format!("rfc822; {address}");
    }
    if global {
        return format!("utf-8; {address}");
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

/// Undoes utf-8-addr-xtext (RFC 6533 §3): `\x{BBFC}` is 민. What stands for no character, or for one that is none of an address, stays.
fn from_utf8_xtext(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\x{") {
        plain.push_str(&rest[..at]);
        let (hex, behind) = rest[at + 3..].split_once('}').unwrap_or(("", ""));
        let lawful = (2..=6).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit());
        let meant = lawful.then(|| u32::from_str_radix(hex, 16).ok().and_then(char::from_u32)).flatten();
        match meant.filter(|c| !c.is_control() && !c.is_whitespace()) {
            Some(c) => {
                plain.push(c);
                rest = behind;
            }
            None => {
                plain.push_str(&rest[at..at + 3]);
                rest = &rest[at + 3..];
            }
        }
    }
    plain + rest
}

impl Fields {
    /// Appends a field, folded. What is not printable, and in 7 bits what is not ASCII, becomes `?`, so nothing in a value can end the
    /// field.
    fn field(&mut self, name: &str, value: &str) {
        let fits = |c: char| c == ' ' || c.is_ascii_graphic() || self.global && !c.is_ascii() && !c.is_control();
        let value: String = value.chars().map(|c| if fits(c) { c } else { '?' }).collect();
        let mut width = name.len() + 1;
        let _ = write!(self.text, "{name}:");
        for word in value.split(' ').filter(|word| !word.is_empty()) {
            // A word without end is cut: no line may be over 998 octets.
            for (index, piece) in pieces(word, FOLD_AT * 10).enumerate() {
                let folds = index > 0 || (width + 1 + piece.len() > FOLD_AT && width > name.len() + 1);
                self.text.push_str(if folds { "\r\n " } else { " " });
                self.text.push_str(piece);
                width = if folds { 1 } else { width + 1 } + piece.len();
            }
        }
        self.text.push_str("\r\n");
    }
}

/// `word` in pieces of at most `most` octets, which are at least four.
fn pieces(word: &str, most: usize) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let (piece, behind) = rest.split_at(rest.floor_char_boundary(most));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_a_utf8_address() {
        for (text, want) in [
            ("a@b.example", "a@b.example"),
            ("\\x{BBFC}\\x{c9c0}@b.example", "민지@b.example"),
            ("a\\x{2B}b", "a+b"),
            ("\\x{5C}x{41}", "\\x{41}"),
            ("\\x{1F600}", "😀"),
            // No characters of an address, or none at all.
            ("\\x{0D}\\x{0A}", "\\x{0D}\\x{0A}"),
            ("\\x{20}", "\\x{20}"),
            ("\\x{D800}\\x{110000}\\x{}\\x{+41}\\x{0000041}", "\\x{D800}\\x{110000}\\x{}\\x{+41}\\x{0000041}"),
            ("\\x{41", "\\x{41"),
            ("a+41", "a+41"),
        ] {
            assert_eq!(from_utf8_xtext(text), want, "{text}");
        }
    }

    #[test]
    fn pieces_end_between_characters() {
        assert_eq!(pieces("한글ab", 4).collect::<Vec<_>>(), ["한", "글a", "b"]);
        assert_eq!(pieces("", 4).count(), 0);
    }
}
