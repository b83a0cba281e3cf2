//! BDAT (RFC 3030). The octets of a chunk are counted out whatever becomes of it, so that they are never read as commands.

use std::fmt;

use super::print::Reply;
use super::{Output, Phase, Session, State};

/// A chunk under way.
#[derive(Debug)]
pub(super) struct Chunk {
    /// Octets still to come.
    left: u64,
    /// Octets it has in all.
    size: u64,
    last: bool,
    /// Why the command was refused: its octets belong to no message.
    refused: Option<Reply>,
}

impl<R: fmt::Display> Session<R> {
    pub(super) fn bdat(&mut self, size: u64, last: bool) {
        let refused = if self.config.extensions.chunking {
            self.without_recipients()
        } else {
            Some(Reply::new(502, 5, 1, "BDAT is not offered"))
        };
        if refused.is_none() {
            self.chunk_begins(size);
        }
        self.state = State::Chunk(Chunk { left: size, size, last, refused });
    }

    fn chunk_begins(&mut self, size: u64) {
        let before = self.message.as_ref().map_or(0, |message| message.received);
        if self.is_too_large(before.saturating_add(size)) {
            self.spoil();
        } else if self.message.is_none() {
            self.begin();
        }
    }

    pub(super) fn chunk_octets<'a>(&mut self, input: &'a [u8]) -> (usize, Option<Output<'a>>) {
        let State::Chunk(chunk) = &mut self.state else { return (0, None) };
        if chunk.left == 0 {
            let (size, last, refused) = (chunk.size, chunk.last, chunk.refused.take());
            return (0, self.chunk_ends(size, last, refused));
        }
        let taken = usize::try_from(chunk.left).unwrap_or(usize::MAX).min(input.len());
        if taken == 0 {
            return (0, Some(Output::Read(Phase::Message)));
        }
        chunk.left -= taken as u64;
        if chunk.refused.is_some() {
            return (taken, None);
        }
        let octets = &input[..taken];
        let fault = self.message.as_mut().and_then(|message| {
            message.scan.look(octets);
            message.scan.fault()
        });
        let kept = self.admit(taken, fault);
        (taken, kept.then_some(Output::Append(octets)))
    }

    fn chunk_ends<'a>(&mut self, size: u64, last: bool, refused: Option<Reply>) -> Option<Output<'a>> {
        self.state = State::Command;
        if let Some(reply) = refused {
            self.complain(reply);
            return None;
        }
        if !last {
            if !self.reply_to_refused("BDAT") {
                self.say(&Reply::new(250, 0, 0, format!("{size} octets received")));
            }
            return None;
        }
        let finish = self.message.as_ref().map_or(Ok(false), |message| message.scan.finish());
        if let Err(fault) = finish {
            self.admit(0, Some(fault));
        }
        self.whole("BDAT");
        // A message is lines, and the next hop may know DATA only: the last line gets the end that it lacks.
        (finish == Ok(true) && self.is_asking()).then_some(Output::Append(b"\r\n"))
    }

    fn is_asking(&self) -> bool {
        matches!(self.state, State::Asked(_))
    }
}
