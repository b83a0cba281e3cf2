//! Lines of commands: cut at CRLF and nowhere else.
//!
//! A line is taken whole or not at all; what is incomplete stays with the caller. A bare LF is no line end (RFC 5321 §2.3.8): two
//! parties that disagree about where a command ends can be made to disagree about what the commands are.

use memchr::memchr;

/// Octets of a command line, CRLF included: 512 of RFC 5321 §4.5.3.1.4 and what the parameters of our extensions may add.
pub const MAX_COMMAND: usize = 2048;
/// Octets of a line of an AUTH exchange, CRLF included (RFC 4954 §4).
pub const MAX_AUTH: usize = 12_288;
/// Octets that are skipped of a line that is too long before the client is given up.
pub const MAX_SKIPPED: usize = 64 * 1024;

/// What stands at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Cut<'a> {
    /// No line end yet. Octets are taken only from a line that is skipped.
    More {
        /// Octets used up.
        taken: usize,
    },
    /// A line without its CRLF; it may hold any octet but LF.
    Line {
        /// The line.
        line: &'a [u8],
        /// Octets used up, CRLF included.
        taken: usize,
    },
    /// No line.
    Fault {
        /// Why.
        fault: LineFault,
        /// Octets used up.
        taken: usize,
    },
}

/// Why something is no line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFault {
    /// Over the limit. It was read to its CRLF, so the next line stands at its place.
    TooLong,
    /// So far over the limit that its end was not waited for: the connection is of no more use.
    Endless,
    /// A LF without CR: where the next line begins is a matter of opinion, so the connection is of no more use.
    BareLf,
}

/// Cuts lines off the front of a caller's buffer.
#[derive(Debug, Default)]
pub struct Lines {
    /// Octets at the front of the input that were searched already, so that a line that comes octet by octet is searched once.
    searched: usize,
    /// A line that is too long: how much of it is gone, and whether the last octet was CR.
    skipping: Option<(usize, bool)>,
}

impl Lines {
    /// Cuts one line of at most `limit` octets, CRLF included.
    pub fn cut<'a>(&mut self, input: &'a [u8], limit: usize) -> Cut<'a> {
        if let Some((gone, after_cr)) = self.skipping {
            return self.skip(input, gone, after_cr);
        }
        let window = input.len().min(limit);
        match memchr(b'\n', input.get(self.searched..window).unwrap_or_default()) {
            Some(found) => {
                let lf = self.searched + found;
                let taken = lf + 1;
                self.searched = 0;
                match input[..lf].strip_suffix(b"\r") {
                    Some(line) => Cut::Line { line, taken },
                    None => Cut::Fault { fault: LineFault::BareLf, taken },
                }
            }
            None if input.len() >= limit => {
                self.searched = 0;
                self.skip(input, 0, false)
            }
            None => {
                self.searched = window;
                Cut::More { taken: 0 }
            }
        }
    }

    fn skip<'a>(&mut self, input: &'a [u8], gone: usize, after_cr: bool) -> Cut<'a> {
        let window = input.len().min(MAX_SKIPPED - gone);
        if let Some(lf) = memchr(b'\n', &input[..window]) {
            self.skipping = None;
            let cr = if lf == 0 { after_cr } else { input[lf - 1] == b'\r' };
            let fault = if cr { LineFault::TooLong } else { LineFault::BareLf };
            return Cut::Fault { fault, taken: lf + 1 };
        }
        if gone + window == MAX_SKIPPED {
            self.skipping = None;
            return Cut::Fault { fault: LineFault::Endless, taken: window };
        }
        let after_cr = if window == 0 { after_cr } else { input[window - 1] == b'\r' };
        self.skipping = Some((gone + window, after_cr));
        Cut::More { taken: window }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_crlf_alone() {
        for (input, want) in [
            (&b""[..], Cut::More { taken: 0 }),
            (b"NOOP", Cut::More { taken: 0 }),
            (b"NOOP\r", Cut::More { taken: 0 }),
            (b"NOOP\r\n", Cut::Line { line: b"NOOP", taken: 6 }),
            (b"\r\nX", Cut::Line { line: b"", taken: 2 }),
            (b"NOOP\rQUIT\r\n", Cut::Line { line: b"NOOP\rQUIT", taken: 11 }),
            (b"NOOP\r\r\n", Cut::Line { line: b"NOOP\r", taken: 7 }),
            (b"NOOP\nQUIT\r\n", Cut::Fault { fault: LineFault::BareLf, taken: 5 }),
            (b"\nQUIT\r\n", Cut::Fault { fault: LineFault::BareLf, taken: 1 }),
            (b"12345678901234\r\n", Cut::Line { line: b"12345678901234", taken: 16 }),
            (b"123456789012345\r\n", Cut::Fault { fault: LineFault::TooLong, taken: 17 }),
            (b"1234567890123456\n", Cut::Fault { fault: LineFault::BareLf, taken: 17 }),
        ] {
            assert_eq!(Lines::default().cut(input, 16), want, "{}", input.escape_ascii());
        }
    }

    /// Feeds octet by octet and keeps what is not taken, as a driver does.
    fn dribble(input: &[u8], limit: usize) -> Vec<Result<Vec<u8>, LineFault>> {
        let (mut lines, mut buffer, mut got) = (Lines::default(), Vec::new(), Vec::new());
        for octet in input {
            buffer.push(*octet);
            let taken = match lines.cut(&buffer, limit) {
                Cut::More { taken } => taken,
                Cut::Line { line, taken } => {
                    got.push(Ok(line.to_vec()));
                    taken
                }
                Cut::Fault { fault, taken } => {
                    got.push(Err(fault));
                    taken
                }
            };
            buffer.drain(..taken);
            assert!(buffer.len() <= limit, "the buffer is bounded");
        }
        got
    }

    #[test]
    fn a_long_line_is_skipped_to_its_end_and_no_further() {
        let mut input = vec![b'x'; 1000];
        input.extend(b"\r\nNOOP\r\n");
        assert_eq!(dribble(&input, 16), [Err(LineFault::TooLong), Ok(b"NOOP".to_vec())]);
        let mut input = vec![b'x'; 1000];
        input.extend(b"\nNOOP\r\n");
        assert_eq!(dribble(&input, 16)[0], Err(LineFault::BareLf));
    }

    #[test]
    fn an_endless_line_is_given_up() {
        assert_eq!(dribble(&vec![b'x'; MAX_SKIPPED + 10], 16), [Err(LineFault::Endless)]);
    }
}
