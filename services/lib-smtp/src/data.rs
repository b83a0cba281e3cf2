//! The octets after DATA: dot-unstuffing, and the one true end CRLF `.` CRLF (RFC 5321 §4.1.1.4, §4.5.2).
//!
//! A bare CR, a bare LF or a NUL neither ends a line nor the message; it makes the message unfit, which is remembered, and reading
//! goes on to the true end. So whatever a sender believes to be an end, what follows it here is message and never a command.

use memchr::memchr3;

/// Why a message cannot be taken (docs/known-attacks.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentFault {
    /// LF without CR before it.
    BareLf,
    /// CR without LF behind it.
    BareCr,
    /// An octet of value zero.
    Nul,
}

/// What stands at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Octets used up; zero where more are needed.
    pub taken: usize,
    /// Octets of the message among them.
    pub octets: &'a [u8],
    /// The end was among them.
    pub end: bool,
}

/// Takes the stuffing out of a message and finds its end.
#[derive(Debug)]
pub struct Unstuffer {
    line_start: bool,
    fault: Option<ContentFault>,
}

impl Default for Unstuffer {
    fn default() -> Self {
        Unstuffer { line_start: true, fault: None }
    }
}

impl Unstuffer {
    /// The first fault of the octets taken so far.
    pub fn fault(&self) -> Option<ContentFault> {
        self.fault
    }

    /// Takes as much as can be told. A CR or a dot whose meaning hangs on what follows is left to the caller.
    pub fn next<'a>(&mut self, input: &'a [u8]) -> Piece<'a> {
        const MORE: Piece<'static> = Piece { taken: 0, octets: &[], end: false };
        let mut from = 0;
        if self.line_start {
            match input {
                [b'.', b'\r', b'\n', ..] => return Piece { taken: 3, octets: &[], end: true },
                [] | [b'.'] | [b'.', b'\r'] => return MORE,
                [b'.', ..] => from = 1,
                _ => {}
            }
        }
        let to = self.scan(input, from);
        if to > from {
            Piece { taken: to, octets: &input[from..to], end: false }
        } else {
            // Only a CR whose LF is not here yet can stop a scan at its first octet; a dot before it is not lost by waiting.
            MORE
        }
    }

    /// Runs over `input[from..]` to the first place where a line begins with a dot, or to a CR that ends the input, or to the end.
    fn scan(&mut self, input: &[u8], from: usize) -> usize {
        let mut at = from;
        while let Some(found) = memchr3(b'\r', b'\n', 0, &input[at..]) {
            let place = at + found;
            let fault = match (input[place], input.get(place + 1)) {
                (b'\r', Some(b'\n')) => {
                    at = place + 2;
                    if matches!(input.get(at), Some(b'.') | None) {
                        self.line_start = true;
                        return at;
                    }
                    continue;
                }
                (b'\r', None) => {
                    if place > from {
                        self.line_start = false;
                    }
                    return place;
                }
                (b'\r', Some(_)) => ContentFault::BareCr,
                (b'\n', _) => ContentFault::BareLf,
                _ => ContentFault::Nul,
            };
            self.fault.get_or_insert(fault);
            at = place + 1;
        }
        self.line_start = false;
        input.len()
    }
}

#[cfg(test)]
mod tests {
    use super::ContentFault::{BareCr, BareLf, Nul};
    use super::*;

    /// Feeds `input` in pieces of `step` octets and keeps what is not taken.
    fn feed(input: &[u8], step: usize) -> (Vec<u8>, Option<ContentFault>, Option<usize>) {
        let (mut unstuffer, mut message) = (Unstuffer::default(), Vec::new());
        let (mut start, mut end) = (0, 0);
        loop {
            let piece = unstuffer.next(&input[start..end]);
            message.extend_from_slice(piece.octets);
            start += piece.taken;
            if piece.end {
                return (message, unstuffer.fault(), Some(start));
            }
            if piece.taken == 0 {
                assert!(end - start <= 3, "at most a few octets wait");
                if end == input.len() {
                    return (message, unstuffer.fault(), None);
                }
                end = (end + step).min(input.len());
            }
        }
    }

    #[test]
    fn messages() {
        for (input, message, fault, rest) in [
            (&b".\r\n"[..], &b""[..], None, &b""[..]),
            (b".\r\nQUIT", b"", None, b"QUIT"),
            (b"a\r\n.\r\n", b"a\r\n", None, b""),
            (b"..\r\n.\r\n", b".\r\n", None, b""),
            (b"a\r\n..b\r\n...\r\n.\r\n", b"a\r\n.b\r\n..\r\n", None, b""),
            // A dot alone at the front of a line is stuffing, whatever follows.
            (b".a\r\n.\r\n", b"a\r\n", None, b""),
            (b"\r\n\r\n.\r\n.\r\n", b"\r\n\r\n", None, b".\r\n"),
            (b"a.\r\n.\r\n", b"a.\r\n", None, b""),
            (b"a\n.\r\n\r\n.\r\n", b"a\n.\r\n\r\n", Some(BareLf), b""),
            (b"a\r.\r\n\r\n.\r\n", b"a\r.\r\n\r\n", Some(BareCr), b""),
            (b"\n.\n\r\n.\r\n", b"\n.\n\r\n", Some(BareLf), b""),
            (b".\n\r\n.\r\n", b"\n\r\n", Some(BareLf), b""),
            (b".\rx\r\n.\r\n", b"\rx\r\n", Some(BareCr), b""),
            (b".\r\r\n.\r\n", b"\r\r\n", Some(BareCr), b""),
            (b"\r\r\n.\r\n", b"\r\r\n", Some(BareCr), b""),
            (b"\0.\r\n.\r\n", b"\0.\r\n", Some(Nul), b""),
            (b".\0\r\n.\r\n", b"\0\r\n", Some(Nul), b""),
            (b"\xff\xfe\r\n.\r\n", b"\xff\xfe\r\n", None, b""),
        ] {
            for step in [1, 2, 3, 5, 100] {
                let (got, got_fault, end) = feed(input, step);
                let end = end.expect("an end");
                assert_eq!(
                    (got.as_slice(), got_fault, &input[end..]),
                    (message, fault, rest),
                    "{} by {step}",
                    input.escape_ascii()
                );
            }
        }
    }

    #[test]
    fn nothing_else_is_an_end() {
        for input in
            ["a\r\n", "a\r\n.", "a\r\n.\r", "a\n.\n", "a\r.\r", "a\n.\r\n", "a\r.\r\n", "a\r\n.\n", "a\r\n.\r\r\n", "a.\r\n"]
        {
            for step in [1, 2, 100] {
                assert_eq!(feed(input.as_bytes(), step).2, None, "{}", input.escape_debug());
            }
        }
    }

    #[test]
    fn large_slices() {
        let body = "0123456789\r\n".repeat(1000);
        let piece = Unstuffer::default().next(body.as_bytes()).octets.len();
        assert_eq!(piece, body.len(), "lines without dots are one piece");
    }
}
