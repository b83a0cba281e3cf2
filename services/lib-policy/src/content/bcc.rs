//! Taking Bcc out of a stream.

use super::field::{Begins, begins};

/// A filter that passes a message on but for its Bcc and Resent-Bcc fields, folded lines included. It holds back at most the
/// beginning of one line (`MAX_FIELD` octets).
#[derive(Debug, Clone, Default)]
pub struct BccFilter {
    held: Vec<u8>,
    place: Place,
    dropped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    /// At a line's beginning, or in what is held back of it. `dropping` tells of the field before.
    #[default]
    LineStart,
    /// The same, behind a Bcc field that may go on.
    AfterBcc,
    /// In a line that passes.
    Passing,
    /// In a line that is dropped.
    Dropping,
    /// Everything passes from here on.
    Body,
}

impl BccFilter {
    /// A filter at the beginning of a message.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether anything was taken out so far.
    pub fn has_dropped(&self) -> bool {
        self.dropped
    }

    /// Takes a part of the message, of any length, and appends to `out` what passes.
    pub fn feed(&mut self, mut chunk: &[u8], out: &mut Vec<u8>) {
        while !chunk.is_empty() {
            match self.place {
                Place::Body => {
                    out.extend_from_slice(chunk);
                    return;
                }
                Place::Passing | Place::Dropping => {
                    let end = memchr::memchr(b'\n', chunk).map(|at| at + 1);
                    let (line, rest) = chunk.split_at(end.unwrap_or(chunk.len()));
                    if self.place == Place::Passing {
                        out.extend_from_slice(line);
                    }
                    if end.is_some() {
                        self.place = if self.place == Place::Passing { Place::LineStart } else { Place::AfterBcc };
                    }
                    chunk = rest;
                }
                Place::LineStart | Place::AfterBcc => chunk = self.line_start(chunk, out),
            }
        }
    }

    /// The message has ended: appends what was held back.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        self.place = Place::Body;
    }

    /// Holds octets back until it is clear what the line is. Returns what is left of the chunk.
    fn line_start<'a>(&mut self, chunk: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        // Up to the colon or line end everything may be needed; further octets stay in the chunk.
        let take = memchr::memchr2(b':', b'\n', chunk).map_or(chunk.len(), |at| at + 1).min(super::MAX_FIELD - self.held.len());
        let (taken, rest) = chunk.split_at(take);
        self.held.extend_from_slice(taken);
        let Some(line) = begins(&self.held) else { return rest };
        let drops = match line {
            Begins::Field(name) => name.eq_ignore_ascii_case(b"bcc") || name.eq_ignore_ascii_case(b"resent-bcc"),
            Begins::Folded => self.place == Place::AfterBcc,
            Begins::Body => {
                out.append(&mut self.held);
                self.place = Place::Body;
                return rest;
            }
        };
        let ended = self.held.last() == Some(&b'\n');
        if drops {
            self.held.clear();
            self.dropped = true;
        } else {
            out.append(&mut self.held);
        }
        self.place = match (drops, ended) {
            (true, true) => Place::AfterBcc,
            (true, false) => Place::Dropping,
            (false, true) => Place::LineStart,
            (false, false) => Place::Passing,
        };
        rest
    }
}
