//! A claimed message as it goes out: our header lines, then the received octets.

use std::io;
use std::sync::Arc;

use jiff::tz::TimeZone;
use lib_mail::{Envelope, QueueId, Received};
use lib_spool::{BodyReader, Claim};
use tokio::task::spawn_blocking;

use crate::content::{Found, PIECE, read_full};

/// A message in work.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) id: QueueId,
    pub(crate) envelope: Envelope,
    pub(crate) message_len: u64,
    pub(crate) found: Found,
    /// Where a long one is read from again for each server; `None` only in tests.
    pub(crate) claim: Option<Arc<Claim>>,
    /// The Received field and the header lines that we add.
    pub(crate) prefix: String,
}

impl Message {
    /// Reads the claimed message once. Blocks.
    pub(crate) fn read(claim: &Arc<Claim>, host: &str, zone: &TimeZone) -> io::Result<Message> {
        let found = Found::read(claim.body(), claim.message_len())?;
        let envelope = claim.envelope().clone();
        Ok(Message {
            id: claim.id(),
            prefix: prefix(&envelope, &claim.id(), host, zone),
            message_len: claim.message_len(),
            found,
            claim: Some(claim.clone()),
            envelope,
        })
    }

    /// The octets, from the first.
    pub(crate) fn source(&self) -> Source {
        let rest = match (&self.found.whole, &self.claim) {
            (Some(whole), _) => Rest::Whole(whole.clone()),
            (None, Some(claim)) => Rest::Reader(Box::new(claim.body())),
            (None, None) => Rest::Whole(Vec::new()),
        };
        Source { prefix: Some(self.prefix.clone().into_bytes()), rest }
    }
}

/// What goes in front of the received octets. Without SMTPUTF8 it is ASCII: a peer's name in other letters must not make a message
/// 8-bit that was not.
fn prefix(envelope: &Envelope, id: &QueueId, host: &str, zone: &TimeZone) -> String {
    let alone = match envelope.recipients.as_slice() {
        [only] if only.address.is_ascii() || envelope.utf8 => Some(&only.address),
        _ => None,
    };
    let mut field = Received { envelope, host, id, recipient: alone }.field(zone);
    if !envelope.utf8 {
        field = field.replace(|c: char| !c.is_ascii(), "?");
    }
    field + &envelope.added
}

enum Rest {
    Whole(Vec<u8>),
    Reader(Box<BodyReader>),
    Nothing,
}

/// Gives the octets of a message piece by piece; the disk is read in the pool of blocking threads.
pub(crate) struct Source {
    prefix: Option<Vec<u8>>,
    rest: Rest,
}

impl Source {
    /// Of octets in memory.
    pub(crate) fn of(octets: Vec<u8>) -> Source {
        Source { prefix: None, rest: Rest::Whole(octets) }
    }

    /// What is sent at one time, about: all of a message in memory, else one piece of it.
    pub(crate) fn portion(&self) -> usize {
        let rest = match &self.rest {
            Rest::Whole(whole) => whole.len(),
            Rest::Reader(_) => PIECE,
            Rest::Nothing => 0,
        };
        self.prefix.as_ref().map_or(0, Vec::len) + rest
    }

    /// The next piece, or `None` at the end.
    pub(crate) async fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        if let Some(prefix) = self.prefix.take() {
            return Ok(Some(prefix));
        }
        match std::mem::replace(&mut self.rest, Rest::Nothing) {
            Rest::Nothing => Ok(None),
            Rest::Whole(whole) => Ok(Some(whole)),
            Rest::Reader(mut reader) => {
                let read = spawn_blocking(move || {
                    let mut piece = vec![0; PIECE];
                    let count = read_full(&mut reader, &mut piece)?;
                    piece.truncate(count);
                    io::Result::Ok((piece, reader))
                });
                let (piece, reader) = read.await.map_err(io::Error::other)??;
                if piece.is_empty() {
                    return Ok(None);
                }
                self.rest = Rest::Reader(reader);
                Ok(Some(piece))
            }
        }
    }
}
