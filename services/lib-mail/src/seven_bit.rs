//! 8-bit parts of a message written as 7-bit ones, for a server that does not offer 8BITMIME (RFC 6152 §3).

use std::ops::Range;

use lettre::message::Body;
use lettre::message::header::ContentTransferEncoding;
use mail_parser::{Encoding, Header, HeaderName, Message, MessageParser, MessagePart, MimeHeaders, PartType};

/// Header fields whose signatures cover the body.
const SIGNATURES: [&str; 4] = ["DKIM-Signature", "ARC-Message-Signature", "ARC-Seal", "DomainKey-Signature"];

/// The encoding of what needs none.
const SEVEN_BIT: &str = "7bit";
/// Messages within messages that are looked into.
const DEPTH: usize = 20;
/// Most fields of this name, and so most parts within parts: a message made of nothing else would cost time without end, and the parser's
/// stack for messages within messages.
const CONTENT_TYPE: &[u8] = b"content-type";
const MOST_NESTED: usize = 1000;
/// Most parts in all.
const MOST_PARTS: usize = 10_000;

/// The message with its 8-bit parts in quoted-printable (texts) or base64 (the rest), all else octet for octet as it was.
///
/// Nothing where it cannot be done: the header of the message or of a part holds 8-bit characters, a signature would break
/// (DKIM, ARC, `multipart/signed`), the parts cannot be told apart for certain or are very many, or what comes out does not decode to what was there.
/// What is no MIME message becomes one, with the character set UTF-8 where its octets are such, else `unknown-8bit` (RFC 1428 §3).
pub fn seven_bit(message: &[u8]) -> Option<Vec<u8>> {
    if message.is_ascii() {
        return Some(message.to_vec());
    }
    let named = message.windows(CONTENT_TYPE.len()).filter(|octets| octets.eq_ignore_ascii_case(CONTENT_TYPE));
    if named.take(MOST_NESTED + 1).count() > MOST_NESTED {
        return None;
    }
    let parsed = MessageParser::default().parse(message)?;
    let mut conversion = Conversion { message, edits: Vec::new(), kept: 0, parts: 0 };
    conversion.message(&parsed, DEPTH)?;
    let converted = conversion.applied()?;
    let decodes = || Some(decode_alike(&MessageParser::default().parse(&converted)?, &parsed, DEPTH));
    (converted.is_ascii() && decodes()?).then_some(converted)
}

/// Whether each part decodes to the same in both.
fn decode_alike(one: &Message<'_>, other: &Message<'_>, depth: usize) -> bool {
    let alike = |one: &MessagePart<'_>, other: &MessagePart<'_>| match (&one.body, &other.body) {
        // Further down nothing was changed.
        (PartType::Message(one), PartType::Message(other)) => depth == 0 || decode_alike(one, other, depth - 1),
        (PartType::Multipart(one), PartType::Multipart(other)) => one == other,
        (PartType::Message(_) | PartType::Multipart(_), _) | (_, PartType::Message(_) | PartType::Multipart(_)) => false,
        _ => one.contents() == other.contents(),
    };
    one.parts.len() == other.parts.len() && one.parts.iter().zip(&other.parts).all(|(one, other)| alike(one, other))
}

struct Conversion<'a> {
    message: &'a [u8],
    /// What stands in place of which octets; disjoint.
    edits: Vec<(Range<usize>, Vec<u8>)>,
    /// Up to here nothing may change: the parts before are 7-bit, and perhaps signed.
    kept: usize,
    /// Parts seen.
    parts: usize,
}

impl Conversion<'_> {
    fn message(&mut self, parsed: &Message<'_>, depth: usize) -> Option<()> {
        let root = parsed.parts.first()?;
        if root.headers.iter().any(|header| SIGNATURES.iter().any(|name| header.name.as_str().eq_ignore_ascii_case(name))) {
            return None;
        }
        let has = |name: &HeaderName<'_>| root.headers.iter().any(|header| header.name == *name);
        if !has(&HeaderName::MimeVersion) {
            let mut fields = b"MIME-Version: 1.0\r\n".to_vec();
            if !has(&HeaderName::ContentType) {
                let utf8 = std::str::from_utf8(self.octets(&body(root))?).is_ok();
                let charset = if utf8 { "utf-8" } else { "unknown-8bit" };
                fields.extend_from_slice(format!("Content-Type: text/plain; charset={charset}\r\n").as_bytes());
            }
            let at = self.header_end(root)?;
            self.edits.push((at..at, fields));
        }
        parsed.parts.iter().try_for_each(|part| self.part(part, depth))
    }

    fn part(&mut self, part: &MessagePart<'_>, depth: usize) -> Option<()> {
        let whole = part.offset_header as usize..part.offset_end as usize;
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return None;
        }
        // Parts come in the order of their beginnings, each before the parts within it.
        if whole.start < self.kept {
            return Some(());
        }
        if !self.octets(&(whole.start..part.offset_body as usize))?.is_ascii() {
            return None;
        }
        let is_ascii = self.octets(&whole)?.is_ascii();
        let media = part.content_type().map(|kind| (kind.ctype(), kind.subtype().unwrap_or_default()));
        let is = |kind: &str| media.is_some_and(|(found, _)| found.eq_ignore_ascii_case(kind));
        match &part.body {
            PartType::Multipart(_) | PartType::Message(_) if is_ascii => {
                self.kept = whole.end;
                Some(())
            }
            PartType::Multipart(_) if media.is_some_and(|(_, kind)| kind.eq_ignore_ascii_case("signed")) => None,
            PartType::Multipart(_) => self.label(part),
            PartType::Message(inner) => {
                self.label(part)?;
                self.message(inner, depth.checked_sub(1)?)
            }
            _ if is_ascii => self.label(part),
            _ if is("multipart") || is("message") => None,
            _ => self.leaf(part, media.is_none() || is("text")),
        }
    }

    fn leaf(&mut self, part: &MessagePart<'_>, text: bool) -> Option<()> {
        // 8-bit octets in what is encoded already: nobody knows what they mean.
        if part.encoding != Encoding::None || part.is_encoding_problem {
            return None;
        }
        let place = body(part);
        let octets = self.octets(&place)?;
        let (encoding, name) = if text {
            (ContentTransferEncoding::QuotedPrintable, "quoted-printable")
        } else {
            (ContentTransferEncoding::Base64, "base64")
        };
        let mut encoded = Body::new_with_encoding(octets.to_vec(), encoding).ok()?.into_vec();
        if octets.ends_with(b"\r\n") && !encoded.ends_with(b"\r\n") {
            encoded.extend_from_slice(b"\r\n");
        }
        self.edits.push((place, encoded));
        self.encoding(part, name)
    }

    /// Says 7bit where 8bit or binary was said.
    fn label(&mut self, part: &MessagePart<'_>) -> Option<()> {
        if encoding_fields(part).next().is_some() { self.encoding(part, SEVEN_BIT) } else { Some(()) }
    }

    /// Writes the Content-Transfer-Encoding of a part that has had none, or an identity.
    fn encoding(&mut self, part: &MessagePart<'_>, name: &str) -> Option<()> {
        let mut fields = encoding_fields(part);
        let (field, more) = (fields.next(), fields.next());
        let place = match field {
            None => {
                let at = self.header_end(part)?;
                at..at
            }
            Some(_) if more.is_some() => return None,
            Some(field) => {
                let value = field.value.as_text().unwrap_or_default().trim().to_ascii_lowercase();
                match value.as_str() {
                    "8bit" | "binary" => {}
                    // As it is to be, or an encoding of its own whose octets are ASCII.
                    _ if name == SEVEN_BIT => return Some(()),
                    SEVEN_BIT => {}
                    _ => return None,
                }
                field.offset_field as usize..self.field_end(field.offset_start as usize)?
            }
        };
        self.edits.push((place, format!("Content-Transfer-Encoding: {name}\r\n").into_bytes()));
        Some(())
    }

    fn octets(&self, place: &Range<usize>) -> Option<&[u8]> {
        self.message.get(place.clone())
    }

    /// Where the empty line behind the header of a part begins.
    fn header_end(&self, part: &MessagePart<'_>) -> Option<usize> {
        let at = (part.offset_body as usize).checked_sub(2)?;
        (at >= part.offset_header as usize && self.octets(&(at..at + 2))? == b"\r\n").then_some(at)
    }

    /// Behind the field that has an octet at `at`, with the lines that continue it.
    fn field_end(&self, at: usize) -> Option<usize> {
        let mut end = at;
        loop {
            end += self.message.get(end..)?.iter().position(|octet| *octet == b'\n')? + 1;
            if !matches!(self.message.get(end), Some(b' ' | b'\t')) {
                return Some(end);
            }
        }
    }

    fn applied(mut self) -> Option<Vec<u8>> {
        self.edits.sort_by_key(|(place, _)| (place.start, place.end));
        let (mut out, mut at) = (Vec::with_capacity(self.message.len() * 4 / 3), 0);
        for (place, octets) in &self.edits {
            out.extend_from_slice(self.octets(&(at..place.start))?);
            out.extend_from_slice(octets);
            at = place.end;
        }
        out.extend_from_slice(self.octets(&(at..self.message.len()))?);
        Some(out)
    }
}

fn encoding_fields<'p, 'm>(part: &'p MessagePart<'m>) -> impl Iterator<Item = &'p Header<'m>> {
    part.headers.iter().filter(|header| header.name == HeaderName::ContentTransferEncoding)
}

fn body(part: &MessagePart<'_>) -> Range<usize> {
    part.offset_body as usize..part.offset_end as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn converted(message: &[u8]) -> Option<String> {
        seven_bit(message).map(|octets| String::from_utf8(octets).unwrap())
    }

    #[test]
    fn a_text_becomes_quoted_printable_and_the_header_stays() {
        for (before, after) in [
            (
                "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain;\r\n charset=utf-8\r\nContent-Transfer-Encoding:\r\n 8bit\r\nX: y\r\n\r\ncaf\u{e9} = 1 \r\n.\r\n",
                "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain;\r\n charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\nX: y\r\n\r\ncaf=C3=A9 =3D 1=20\r\n.\r\n",
            ),
            // A label that is not true, and none.
            (
                "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\u{e9}\r\n",
                "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9\r\n",
            ),
            (
                "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\u{e9}\r\n",
                "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9\r\n",
            ),
            // No MIME at all.
            (
                "Subject: x\r\n\r\n\u{e9}\r\n",
                "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9\r\n",
            ),
        ] {
            assert_eq!(converted(before.as_bytes()).as_deref(), Some(after), "{before}");
        }
        let latin = converted(b"Subject: x\r\n\r\ncaf\xe9\r\n").unwrap();
        assert!(latin.contains("charset=unknown-8bit\r\n") && latin.ends_with("\r\n\r\ncaf=E9\r\n"), "{latin}");
    }

    #[test]
    fn of_many_parts_only_the_8_bit_ones_change() {
        let before = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n\
                      --b\r\nContent-Type: text/plain\r\n\r\nplain =  \r\n\
                      --b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n<p>\u{e9}</p>\r\n\
                      --b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n\u{fffd}\u{1}\r\n\
                      --b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: within\r\nMIME-Version: 1.0\r\n\
                      Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\u{fc}\r\n\
                      --b--\r\nepilogue\r\n";
        let after = converted(before.as_bytes()).unwrap();
        let want = "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\npreamble\r\n\
                    --b\r\nContent-Type: text/plain\r\n\r\nplain =  \r\n\
                    --b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>=C3=A9</p>\r\n\
                    --b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n77+9AQ==\r\n\
                    --b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: within\r\nMIME-Version: 1.0\r\n\
                    Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=C3=BC\r\n\
                    --b--\r\nepilogue\r\n";
        assert_eq!(after, want);
    }

    #[test]
    fn what_would_break_or_is_not_understood_stays() {
        let part = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\u{e9}\r\n";
        for message in [
            format!("DKIM-Signature: v=1; b=x\r\nMIME-Version: 1.0\r\n{part}"),
            format!("arc-seal: i=1\r\nMIME-Version: 1.0\r\n{part}"),
            format!("Subject: \u{e9}\r\nMIME-Version: 1.0\r\n{part}"),
            format!(
                "MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n{part}--b\r\n\r\nsignature\r\n--b--\r\n"
            ),
            format!("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\u{e9}\r\n--b\r\n{part}--b--\r\n"),
            format!(
                "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: \u{e9}\r\n{part}--b--\r\n"
            ),
            format!("MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n{part}"),
            "MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n\u{e9}\r\n".into(),
            "MIME-Version: 1.0\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n\u{e9}\r\n".into(),
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed\r\n\r\n\u{e9}\r\n".into(),
        ] {
            assert_eq!(converted(message.as_bytes()), None, "{message}");
        }
    }

    /// Neither the stack nor the time that such a message takes is without limit.
    #[test]
    fn parts_within_parts_without_end_are_left_alone() {
        for levels in [1000, 20_000] {
            let messages = "content-Type: message/rfc822\r\n\r\n".repeat(levels);
            let multiparts: String = (0..levels)
                .map(|level| format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"))
                .collect();
            let flat = format!("Content-Type: multipart/digest; boundary=b\r\n\r\n{}", "--b\r\n\r\nx\r\n".repeat(levels * 11));
            for message in [messages, multiparts, flat] {
                assert_eq!(converted(format!("{message}\r\n\u{e9}\r\n").as_bytes()), None);
            }
        }
    }

    /// What is signed and 7-bit stays as it is beside a part that changes.
    #[test]
    fn a_signed_part_of_7_bits_is_not_touched() {
        let signed = "Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\nsigned\r\n--s\r\n\r\nx\r\n--s--\r\n";
        let text = format!(
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{signed}\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\u{e9}\r\n--b--\r\n"
        );
        let after = converted(text.as_bytes()).unwrap();
        assert!(after.contains(signed) && after.contains("\r\n\r\n=C3=A9\r\n--b--"), "{after}");
    }

    proptest::proptest! {
        /// Whatever comes in: no panic, and what comes out is 7-bit and no longer 8-bit.
        #[test]
        fn anything(octets: Vec<u8>) {
            proptest::prop_assert!(seven_bit(&octets).is_none_or(|out| out.is_ascii()));
        }

        #[test]
        fn any_text(lines in proptest::collection::vec("[ -~\u{a1}-\u{ffff}=\\.\t]{0,200}", 0..20)) {
            let body: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let message = format!("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}");
            let out = seven_bit(message.as_bytes());
            proptest::prop_assert!(out.is_some_and(|out| out.split(|octet| *octet == b'\n').all(|line| line.len() <= 999)));
        }
    }
}
