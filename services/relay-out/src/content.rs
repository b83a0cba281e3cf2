//! What is in a message, found by reading it once before it is sent: hops, 8-bit octets, size.

use std::io::{self, Read};

use lib_mail::Envelope;
use lib_smtp::client::Content;

/// Octets read at a time, and of a message kept in memory between reading and sending: most messages are read once only.
pub(crate) const PIECE: usize = 64 * 1024;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Found {
    /// Received fields in the header.
    pub(crate) hops: u32,
    pub(crate) eight_bit_header: bool,
    pub(crate) eight_bit_body: bool,
    /// All of it, where it is short.
    pub(crate) whole: Option<Vec<u8>>,
}

impl Found {
    /// Reads a message of that length to its end.
    pub(crate) fn read(mut reader: impl Read, len: u64) -> io::Result<Found> {
        let mut scan = Scan::default();
        // A short message gets room for itself and one octet, so that its end is seen; more would be cleared for each of them.
        let room = usize::try_from(len).map_or(PIECE, |len| len.saturating_add(1).min(PIECE));
        let mut piece = vec![0; room];
        let mut filled = read_full(&mut reader, &mut piece)?;
        scan.piece(&piece[..filled]);
        if filled < room {
            piece.truncate(filled);
            return Ok(Found { whole: Some(piece), ..scan.end() });
        }
        while filled > 0 {
            filled = reader.read(&mut piece)?;
            scan.piece(&piece[..filled]);
        }
        Ok(scan.end())
    }

    /// As the client session wants to know it. `prefix` is what goes in front of the message.
    pub(crate) fn content(&self, envelope: &Envelope, prefix: &str, message_len: u64) -> Content {
        let header = self.eight_bit_header || !prefix.is_ascii();
        Content {
            size: message_len + prefix.len() as u64,
            eight_bit: header || self.eight_bit_body,
            utf8_header: envelope.utf8 && header,
        }
    }
}

/// Fills the piece as far as the reader goes.
pub(crate) fn read_full(reader: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match reader.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads header lines as they come; of each only the beginning is kept.
#[derive(Debug, Default)]
struct Scan {
    found: Found,
    /// The first octets of the line so far.
    start: Vec<u8>,
    line_len: usize,
    in_body: bool,
}

const RECEIVED: &[u8] = b"received:";

impl Scan {
    fn piece(&mut self, mut octets: &[u8]) {
        while !self.in_body && !octets.is_empty() {
            let end = memchr::memchr(b'\n', octets).map_or(octets.len(), |at| at + 1);
            let (line, rest) = octets.split_at(end);
            octets = rest;
            self.found.eight_bit_header |= !line.is_ascii();
            let room = RECEIVED.len() - self.start.len();
            self.start.extend_from_slice(&line[..line.len().min(room)]);
            self.line_len += line.len();
            if line.ends_with(b"\n") {
                self.end_line();
            }
        }
        self.found.eight_bit_body |= !octets.is_ascii();
    }

    fn end_line(&mut self) {
        self.in_body = self.line_len <= 2 && matches!(self.start.as_slice(), b"\r\n" | b"\n");
        self.found.hops += u32::from(self.start.eq_ignore_ascii_case(RECEIVED));
        self.start.clear();
        self.line_len = 0;
    }

    fn end(self) -> Found {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_and_eight_bit() {
        for (message, hops, header, body) in [
            ("", 0, false, false),
            ("Subject: a\r\n\r\nReceived: x\r\n", 0, false, false),
            ("Received: a\r\nRECEIVED: b\r\n c\r\nX-Received: d\r\n\r\n", 2, false, false),
            ("Received: a\r\n Received: folded\r\n\r\n", 1, false, false),
            ("\r\n한\r\n", 0, false, true),
            ("Subject: 한\r\n\r\na\r\n", 0, true, false),
            ("Subject: 한", 0, true, false),
            ("Received:", 0, false, false),
        ] {
            let want = Found { hops, eight_bit_header: header, eight_bit_body: body, whole: Some(message.into()) };
            assert_eq!(Found::read(message.as_bytes(), message.len() as u64).unwrap(), want, "{message:?}");
            for cut in 0..message.len() {
                let mut scan = Scan::default();
                scan.piece(&message.as_bytes()[..cut]);
                scan.piece(&message.as_bytes()[cut..]);
                assert_eq!(scan.end(), Found { whole: None, ..want.clone() }, "{message:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_long_message_is_not_kept() {
        let message = [b"A: b\r\n\r\n".to_vec(), vec![b'x'; 3 * PIECE], "한".into()].concat();
        let found = Found::read(&message[..], message.len() as u64).unwrap();
        assert_eq!(found, Found { eight_bit_body: true, ..Found::default() });
    }

    #[test]
    fn one_that_does_not_fill_a_piece_is_kept_and_has_no_room_to_spare() {
        for len in [0, 1, 2, PIECE - 2, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE] {
            let message = vec![b'x'; len];
            let whole = Found::read(&message[..], len as u64).unwrap().whole;
            assert_eq!(whole.as_ref(), (len < PIECE).then_some(&message), "{len}");
            assert!(whole.is_none_or(|whole| whole.capacity() <= len + 1), "{len}");
            // Whatever the length that was told, all of it is read.
            for told in [0, len as u64 / 2, u64::MAX] {
                let text = [&message[..], "한".as_bytes()].concat();
                let found = Found::read(&text[..], told).unwrap();
                assert!(found.eight_bit_header && found.whole.is_none_or(|whole| whole == text), "{len} told as {told}");
            }
        }
    }
}
