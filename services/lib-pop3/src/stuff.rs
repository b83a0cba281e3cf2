//! A message as a multi-line reply: a dot put in front of each line that begins with one, and the final `.` (RFC 1939 §3).

use memchr::{memchr, memmem};

/// Turns the pieces of a message in wire form into the body of a multi-line reply. Any split of the message gives the same octets.
///
/// Lines are not looked at one by one: dots at their begin are rare, and a search for them runs at the speed of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuffer {
    /// The last octets that came, the newest last; at first as if a line had ended.
    last: [u8; 2],
}

impl Default for Stuffer {
    fn default() -> Self {
        Stuffer { last: *b"\r\n" }
    }
}

impl Stuffer {
    /// Appends a piece of the message, whose lines end in CRLF.
    pub fn push(&mut self, piece: &[u8], output: &mut Vec<u8>) {
        let Some(first) = piece.first() else { return };
        output.reserve(piece.len() + 64);
        if *first == b'.' && self.last[1] == b'\n' {
            output.push(b'.');
        }
        let mut copied = 0;
        for line_end in memmem::find_iter(piece, b"\n.") {
            output.extend_from_slice(&piece[copied..=line_end]);
            output.push(b'.');
            copied = line_end + 1;
        }
        output.extend_from_slice(&piece[copied..]);
        self.last = match piece {
            [.., before, last] => [*before, *last],
            _ => [self.last[1], *first],
        };
    }

    /// Ends the reply. A message whose last line has no end gets one, as the final dot must stand alone.
    pub fn finish(&mut self, output: &mut Vec<u8>) {
        match self.last {
            [b'\r', b'\n'] => {}
            [_, b'\r'] => output.push(b'\n'),
            _ => output.extend_from_slice(b"\r\n"),
        }
        output.extend_from_slice(b".\r\n");
        *self = Stuffer::default();
    }
}

/// Finds where TOP ends: the header, the blank line, and so many lines of the body (RFC 1939 §7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopCut {
    /// The blank line has not come.
    in_header: bool,
    /// Only CR, or nothing, has come of this line.
    blank: bool,
    /// Lines of the body still to be shown.
    left: u64,
}

impl TopCut {
    /// Header and `lines` lines of the body.
    pub fn new(lines: u64) -> Self {
        TopCut { in_header: true, blank: true, left: lines }
    }

    /// How much of `piece` is shown; less than the whole, or [`TopCut::reached`], means that nothing behind it is.
    pub fn shown(&mut self, piece: &[u8]) -> usize {
        let mut shown = 0;
        while !self.reached() && shown < piece.len() {
            let rest = &piece[shown..];
            let end = memchr(b'\n', rest);
            let line = &rest[..end.unwrap_or(rest.len())];
            self.blank &= line.iter().all(|octet| *octet == b'\r');
            shown += line.len();
            if end.is_some() {
                shown += 1;
                self.line_ended();
            }
        }
        shown
    }

    /// Nothing more is shown.
    pub fn reached(&self) -> bool {
        !self.in_header && self.left == 0
    }

    fn line_ended(&mut self) {
        if self.in_header {
            self.in_header = !self.blank;
        } else {
            self.left -= 1;
        }
        self.blank = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stuffed(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut stuffer, mut output) = (Stuffer::default(), Vec::new());
        pieces.iter().for_each(|piece| stuffer.push(piece, &mut output));
        stuffer.finish(&mut output);
        output
    }

    #[test]
    fn messages_and_replies() {
        for (message, want) in [
            ("", ".\r\n"),
            ("a\r\n", "a\r\n.\r\n"),
            (".\r\n", "..\r\n.\r\n"),
            ("..a\r\n.b\r\n", "...a\r\n..b\r\n.\r\n"),
            ("a.\r\n", "a.\r\n.\r\n"),
            ("\r\n\r\n", "\r\n\r\n.\r\n"),
            ("no end", "no end\r\n.\r\n"),
            ("cr at the end\r", "cr at the end\r\n.\r\n"),
            (".", "..\r\n.\r\n"),
            // Not in wire form; a dot behind a bare LF must not end the reply for whoever reads LF as a line end.
            ("a\n.\nb", "a\n..\nb\r\n.\r\n"),
            ("a\n", "a\n\r\n.\r\n"),
        ] {
            assert_eq!(String::from_utf8_lossy(&stuffed(&[message.as_bytes()])), want, "{message:?}");
        }
    }

    #[test]
    fn top_cuts() {
        for (lines, message, want) in [
            (0, "H: 1\n\nbody\n", "H: 1\n\n"),
            (1, "H: 1\n\none\ntwo\n", "H: 1\n\none\n"),
            (9, "H: 1\n\none\ntwo\n", "H: 1\n\none\ntwo\n"),
            (0, "H: 1\r\n\r\nbody\r\n", "H: 1\r\n\r\n"),
            (0, "no body\n", "no body\n"),
            (1, "\n\n\n", "\n\n"),
            (u64::MAX, "H: 1\n\nx", "H: 1\n\nx"),
        ] {
            let shown = TopCut::new(lines).shown(message.as_bytes());
            assert_eq!(&message[..shown], want, "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same(message in "[a.\r\n]{0,40}", cut in 0usize..40, lines in 0u64..4) {
            let octets = message.as_bytes();
            let (one, two) = octets.split_at(cut.min(octets.len()));
            prop_assert_eq!(stuffed(&[octets]), stuffed(&[one, two]));
            let mut top = TopCut::new(lines);
            let shown = top.shown(one);
            let shown = shown + if shown == one.len() { top.shown(two) } else { 0 };
            prop_assert_eq!(shown, TopCut::new(lines).shown(octets));
        }

        #[test]
        fn what_a_client_unstuffs_is_the_message(lines in proptest::collection::vec("[a.]{0,5}", 0..8)) {
            let message: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let reply = String::from_utf8(stuffed(&[message.as_bytes()])).unwrap();
            let body = reply.strip_suffix(".\r\n").unwrap();
            let read: String = body.split_inclusive("\r\n").map(|l| l.strip_prefix('.').unwrap_or(l)).collect();
            prop_assert_eq!(read, message);
        }
    }
}
