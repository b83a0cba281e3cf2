//! Replies of the server, as octets (RFC 5321 §4.2, RFC 2034).

use std::borrow::Cow;
use std::io::Write as _;

use lib_mail::{Enhanced, Status};

/// Octets of a reply line, CRLF included (RFC 5321 §4.5.3.1.5).
const MAX_LINE: usize = 512;

/// A reply of one line that the session makes up itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) enhanced: Enhanced,
    pub(super) text: Cow<'static, str>,
}

impl Reply {
    /// The class of the enhanced code follows the reply code.
    pub(super) fn new(code: u16, subject: u16, detail: u16, text: impl Into<Cow<'static, str>>) -> Self {
        Reply { code, enhanced: Enhanced::new((code / 100) as u8, subject, detail), text: text.into() }
    }
}

impl From<&Status> for Reply {
    fn from(status: &Status) -> Reply {
        Reply { code: status.code, enhanced: status.enhanced, text: status.text.clone().into() }
    }
}

/// Appends `250 2.0.0 Text` CRLF.
pub(super) fn reply(out: &mut Vec<u8>, reply: &Reply) {
    // Writing into memory does not fail.
    let _ = write!(out, "{} {} ", reply.code, reply.enhanced);
    text(out, &reply.text);
}

/// Appends a whole reply of several lines, without enhanced codes: `250-first` … `250 last`.
pub(super) fn lines(out: &mut Vec<u8>, code: u16, lines: &[Cow<'_, str>]) {
    for (index, line) in lines.iter().enumerate() {
        let mark = if index + 1 == lines.len() { b' ' } else { b'-' };
        let _ = write!(out, "{code}");
        out.push(mark);
        text(out, line);
    }
}

/// The same, where the client is known to read UTF-8: without a bound of a line's length but that of what a list may hold.
pub(super) fn letters(out: &mut Vec<u8>, code: u16, lines: &[Cow<'_, str>]) {
    for (index, line) in lines.iter().enumerate() {
        let mark = if index + 1 == lines.len() { ' ' } else { '-' };
        let _ = write!(out, "{code}{mark}");
        out.extend(line.chars().map(|c| if c.is_control() { '?' } else { c }).collect::<String>().into_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the words of a line and CRLF. A reply is ASCII (RFC 5321 §4.2.4 is not asked for here), one line, and not too long:
/// what is not, becomes `?` or is cut, wherever the words came from.
fn text(out: &mut Vec<u8>, words: &str) {
    const ROOM: usize = MAX_LINE - "250 5.999.999 \r\n".len();
    let start = out.len();
    if words.bytes().all(|b| (b' '..=b'~').contains(&b)) && words.len() <= ROOM {
        out.extend_from_slice(words.as_bytes());
    } else {
        out.extend(words.chars().take(ROOM).map(|c| if (' '..='~').contains(&c) { c as u8 } else { b'?' }));
    }
    while out.len() > start && out.last() == Some(&b' ') {
        out.pop();
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_are_one_short_ascii_line() {
        for (words, want) in [
            ("Ok", "250 2.0.0 Ok\r\n".to_owned()),
            ("a\r\n550 b", "250 2.0.0 a??550 b\r\n".to_owned()),
            ("봉수 ", "250 2.0.0 ??\r\n".to_owned()),
            (&"x".repeat(1000), format!("250 2.0.0 {}\r\n", "x".repeat(496))),
        ] {
            let mut out = Vec::new();
            reply(&mut out, &Reply::new(250, 0, 0, words.to_owned()));
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
        let mut out = Vec::new();
        lines(&mut out, 250, &["a".into(), "b".into()]);
        assert_eq!(out, b"250-a\r\n250 b\r\n");
    }
}
