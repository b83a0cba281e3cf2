//! Lines out of octets, with a cap that holds for any split of the input.
//!
//! A line ends in CRLF; LF alone is taken as an end too. POP3 carries no message from the client to the server, so no second
//! reader could see other borders than we do, and whoever tries a mailbox by hand with `nc` sends LF alone (R5.1).

use memchr::memchr;

/// What lies at the front of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// No whole line yet; nothing was taken.
    Partial,
    /// A line without its end; `taken` octets with it.
    Whole {
        /// Without CRLF or LF.
        text: &'a [u8],
        /// Octets to take from the input.
        taken: usize,
    },
    /// Octets of a line over the limit, whose end has not come.
    Skipped {
        /// Octets to take from the input.
        taken: usize,
    },
    /// The end of a line over the limit.
    TooLong {
        /// Octets to take from the input.
        taken: usize,
    },
}

/// Finds lines in an input that the caller keeps. Holds no octets, only how many of an overlong line were skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lines {
    skipped: usize,
}

impl Lines {
    /// The next line of `input`; `limit` counts the line's end in.
    pub fn next<'a>(&mut self, input: &'a [u8], limit: usize) -> Line<'a> {
        match memchr(b'\n', input) {
            None if self.skipped == 0 && input.len() < limit => Line::Partial,
            None => {
                self.skipped = self.skipped.saturating_add(input.len());
                Line::Skipped { taken: input.len() }
            }
            Some(end) if self.skipped > 0 || end >= limit => {
                self.skipped = 0;
                Line::TooLong { taken: end + 1 }
            }
            Some(end) => {
                let text = &input[..end];
                Line::Whole { text: text.strip_suffix(b"\r").unwrap_or(text), taken: end + 1 }
            }
        }
    }

    /// Octets of the present line that were skipped; 0 where it is within its limit.
    pub fn skipped(&self) -> usize {
        self.skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_their_limit() {
        let whole = |text, taken| Line::Whole { text, taken };
        for (input, want) in [
            (&b""[..], Line::Partial),
            (b"NOOP", Line::Partial),
            (b"NOOP\r", Line::Partial),
            (b"NOOP\r\n", whole(&b"NOOP"[..], 6)),
            (b"NOOP\nQUIT\n", whole(b"NOOP", 5)),
            (b"\r\n", whole(b"", 2)),
            (b"a\r\r\n", whole(b"a\r", 4)),
            (b"12345678\r\n", whole(b"12345678", 10)),
            (b"123456789\n", whole(b"123456789", 10)),
            (b"123456789", Line::Partial),
            (b"123456789\r\n", Line::TooLong { taken: 11 }),
            (b"123456789\r", Line::Skipped { taken: 10 }),
        ] {
            assert_eq!(Lines::default().next(input, 10), want, "{input:?}");
        }
    }

    #[test]
    fn the_rest_of_a_long_line_is_skipped_to_its_end() {
        let mut lines = Lines::default();
        assert_eq!(lines.next(b"1234567890", 10), Line::Skipped { taken: 10 });
        assert_eq!(lines.next(b"", 10), Line::Skipped { taken: 0 });
        assert_eq!(lines.next(b"1", 10), Line::Skipped { taken: 1 });
        assert_eq!(lines.skipped(), 11);
        assert_eq!(lines.next(b"\r\nQUIT\r\n", 10), Line::TooLong { taken: 2 });
        assert_eq!(lines.next(b"QUIT\r\n", 10), Line::Whole { text: b"QUIT", taken: 6 });
    }
}
