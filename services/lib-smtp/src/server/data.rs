//! DATA (RFC 5321 §4.1.1.4).

use std::fmt;

use super::print::{self, Reply};
use super::{Output, Phase, Session, State};
use crate::data::Unstuffer;

impl<R: fmt::Display> Session<R> {
    pub(super) fn data(&mut self) {
        if self.message.is_some() {
            return self.complain(Reply::new(503, 5, 1, "The message came by BDAT so far; go on with BDAT"));
        }
        if let Some(reply) = self.without_recipients() {
            return self.complain(reply);
        }
        print::lines(&mut self.out, 354, &["Send the message; end it with CR LF . CR LF".into()]);
        self.begin();
        self.state = State::Data(Unstuffer::default());
    }

    /// Why no message can begin: no MAIL, or no recipient that was accepted.
    pub(super) fn without_recipients(&self) -> Option<Reply> {
        match &self.transaction {
            None => Some(Reply::new(503, 5, 1, "MAIL comes first")),
            Some(transaction) if transaction.recipients.is_empty() => Some(Reply::new(554, 5, 1, "No valid recipients")),
            Some(_) => None,
        }
    }

    pub(super) fn data_octets<'a>(&mut self, input: &'a [u8]) -> (usize, Option<Output<'a>>) {
        let State::Data(unstuffer) = &mut self.state else { return (0, None) };
        let piece = unstuffer.next(input);
        if piece.end {
            self.whole("DATA");
            return (piece.taken, None);
        }
        if piece.taken == 0 {
            return (0, Some(Output::Read(Phase::Message)));
        }
        let fault = unstuffer.fault();
        let kept = self.admit(piece.octets.len(), fault);
        (piece.taken, kept.then_some(Output::Append(piece.octets)))
    }
}
