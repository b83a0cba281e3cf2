//! A message in the form of DATA: dot-stuffed, ended by a dot on a line of its own (RFC 5321 §4.5.2).

/// Encodes a message that comes in pieces. The octets are CRLF lines; a message that lacks its last CRLF gets one, for the dot
/// needs a line of its own. Nothing else is changed.
#[derive(Debug, Clone)]
pub(crate) struct Stuffing {
    /// The last octet was LF, or nothing was sent yet: a dot here would begin a line.
    line_start: bool,
    /// The last two octets were CRLF, or nothing was sent yet.
    after_crlf: bool,
    last_was_cr: bool,
}

impl Stuffing {
    pub(crate) fn new() -> Self {
        Stuffing { line_start: true, after_crlf: true, last_was_cr: false }
    }

    /// Appends `piece` to `out`, with a dot doubled where it begins a line. A bare LF counts as a line end too: no such octets are
    /// in a spool, and if they ever were, this keeps them from ending the message at a lenient server.
    pub(crate) fn encode(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let Some(last) = piece.last() else { return };
        out.reserve(piece.len() + 16);
        if self.line_start && piece[0] == b'.' {
            out.push(b'.');
        }
        let mut from = 0;
        for at in memchr::memmem::find_iter(piece, b"\n.") {
            out.extend_from_slice(&piece[from..=at]);
            out.push(b'.');
            from = at + 1;
        }
        out.extend_from_slice(&piece[from..]);
        self.line_start = *last == b'\n';
        let cr_before = if piece.len() > 1 { piece[piece.len() - 2] == b'\r' } else { self.last_was_cr };
        self.after_crlf = self.line_start && cr_before;
        self.last_was_cr = *last == b'\r';
    }

    /// Appends the end of the message.
    pub(crate) fn end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.after_crlf { b".\r\n" } else { b"\r\n.\r\n" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut stuffing, mut out) = (Stuffing::new(), Vec::new());
        for piece in pieces {
            stuffing.encode(piece, &mut out);
        }
        stuffing.end(&mut out);
        out
    }

    #[test]
    fn dots_and_ends() {
        for (message, want) in [
            (&b""[..], &b".\r\n"[..]),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b".\r\n", b"..\r\n.\r\n"),
            (b"..\r\n.a\r\n", b"...\r\n..a\r\n.\r\n"),
            (b"a.b\r\n", b"a.b\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b"a\r\n.", b"a\r\n..\r\n.\r\n"),
            (b"a\n.\n", b"a\n..\n\r\n.\r\n"),
            (b"\r\n\r\n.\r\n.\r\n", b"\r\n\r\n..\r\n..\r\n.\r\n"),
        ] {
            assert_eq!(encode(&[message]), want, "{message:?}");
            for cut in 0..=message.len() {
                assert_eq!(encode(&[&message[..cut], &message[cut..]]), want, "{message:?} cut at {cut}");
            }
        }
    }

    proptest! {
        /// What a server makes of it (RFC 5321 §4.5.2) is the message again.
        #[test]
        fn a_server_reads_the_same(lines in proptest::collection::vec("[.a]{0,4}", 0..20), cut in 0usize..100) {
            let message: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let cut = cut.min(message.len());
            let wire = encode(&[&message.as_bytes()[..cut], &message.as_bytes()[cut..]]);
            let wire = String::from_utf8(wire).unwrap();
            let body = wire.strip_suffix(".\r\n").unwrap();
            let unstuffed: String = body.split_inclusive("\r\n").map(|line| line.strip_prefix('.').unwrap_or(line)).collect();
            prop_assert!(body.split("\r\n").all(|line| line != "."));
            prop_assert_eq!(unstuffed, message);
        }
    }
}
