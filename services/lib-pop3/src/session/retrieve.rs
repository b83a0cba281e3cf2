//! RETR and TOP: a message streams through in pieces, never held whole.

use super::transaction::{Busy, Transaction};
use super::{Ask, Maildrop, Next, digits, reply};
use crate::stuff::{Stuffer, TopCut};

/// A message that is being sent.
pub(super) struct Reading {
    index: usize,
    /// `None` for RETR.
    cut: Option<TopCut>,
    stuffer: Stuffer,
    /// The first line of the reply is out, so that no `-ERR` can follow.
    begun: bool,
}

impl<M: Maildrop> Transaction<M> {
    pub(super) fn read(&mut self, number: usize, lines: Option<u64>, output: &mut Vec<u8>) -> Next {
        let Some(index) = self.find(number, output) else { return Next::Again };
        self.read = true;
        self.busy = Busy::Reading(Reading { index, cut: lines.map(TopCut::new), stuffer: Stuffer::default(), begun: false });
        Next::Ask(Ask::Read { index, lines })
    }

    pub(super) fn is_reading(&self) -> bool {
        matches!(self.busy, Busy::Reading(_))
    }

    pub(super) fn piece(&mut self, octets: &[u8], last: bool, output: &mut Vec<u8>) -> Next {
        let Busy::Reading(reading) = &mut self.busy else { return Next::Again };
        if !reading.begun {
            reading.begun = true;
            begin(reading.cut.is_none().then(|| self.maildrop.size(reading.index)), output);
        }
        let shown = reading.cut.as_mut().map_or(octets.len(), |cut| cut.shown(octets));
        reading.stuffer.push(&octets[..shown], output);
        if !last && !reading.cut.as_ref().is_some_and(TopCut::reached) {
            return Next::Ask(Ask::More);
        }
        reading.stuffer.finish(output);
        self.busy = Busy::No;
        Next::Again
    }

    /// The message cannot be read. In the midst of it, the only honest way out is to break the connection: with a final dot the client
    /// would take the part for the whole, and delete it.
    pub(super) fn unreadable(&mut self, output: &mut Vec<u8>) -> Next {
        let Busy::Reading(reading) = std::mem::replace(&mut self.busy, Busy::No) else { return Next::Again };
        if reading.begun {
            return Next::Close;
        }
        reply(output, false, "[SYS/TEMP] The message cannot be read now");
        Next::Again
    }
}

/// `+OK 120 octets` for a whole message, of `size` octets before stuffing.
fn begin(size: Option<u64>, output: &mut Vec<u8>) {
    let Some(size) = size else { return reply(output, true, "The top of the message follows") };
    output.extend_from_slice(b"+OK ");
    digits(output, size);
    output.extend_from_slice(b" octets\r\n");
}
