//! LIST and UIDL. A long listing leaves in pieces, so that its length in memory is bounded.

use super::transaction::{Busy, Transaction};
use super::{Maildrop, Next, digits, reply};
use crate::LISTING_PIECE;
use crate::command::Verb;

/// A listing that goes on with the message at `next`.
pub(super) struct Listing {
    sizes: bool,
    next: usize,
}

impl<M: Maildrop> Transaction<M> {
    pub(super) fn list(&mut self, verb: Verb, which: Option<usize>, output: &mut Vec<u8>) -> Next {
        let sizes = verb == Verb::List;
        match which {
            Some(number) => {
                if let Some(index) = self.find(number, output) {
                    output.extend_from_slice(b"+OK ");
                    self.list_one(sizes, index, output);
                }
                Next::Again
            }
            None => {
                if sizes {
                    self.reply_totals("There are", output);
                } else {
                    reply(output, true, "Unique ids follow");
                }
                self.busy = Busy::Listing(Listing { sizes, next: 0 });
                self.list_on(output)
            }
        }
    }

    pub(super) fn is_listing(&self) -> bool {
        matches!(self.busy, Busy::Listing(_))
    }

    /// Appends the next piece of the listing under way.
    pub(super) fn list_on(&mut self, output: &mut Vec<u8>) -> Next {
        let Busy::Listing(Listing { sizes, next }) = self.busy else { return Next::Again };
        let start = output.len();
        for index in next..self.maildrop.count() {
            if output.len() - start >= LISTING_PIECE {
                self.busy = Busy::Listing(Listing { sizes, next: index });
                return Next::Write;
            }
            if !self.is_deleted(index) {
                self.list_one(sizes, index, output);
            }
        }
        output.extend_from_slice(b".\r\n");
        self.busy = Busy::No;
        Next::Again
    }

    fn list_one(&self, sizes: bool, index: usize, output: &mut Vec<u8>) {
        digits(output, index as u64 + 1);
        output.push(b' ');
        if sizes {
            digits(output, self.maildrop.size(index));
        } else {
            output.extend_from_slice(self.maildrop.uid(index).as_bytes());
        }
        output.extend_from_slice(b"\r\n");
    }
}
