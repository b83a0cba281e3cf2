//! A message while it comes in: scanned, stripped of Bcc where it is a submission, and passed to the spool in pieces.
//!
//! A small message stays in memory until its commit, which is then one job in the pool. A long one goes to the disk in pieces; while one
//! is written, the client is not read from.

use lib_mail::{Envelope, Status, Timestamp};
use lib_net::wake::{Consumer, Wake};
use lib_policy::{BccFilter, HeaderScan};
use lib_record::What;
use lib_spool::{Commit, Committed, Error, Incoming, Queue};

use crate::answers;
use crate::shared::Shared;

/// A message that has begun.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) scan: HeaderScan,
    pub(crate) arrived: Timestamp,
    bcc: Option<BccFilter>,
    store: Store,
}

/// What goes through the pool as a whole: the spool's side of a message, and octets that it does not have yet.
#[derive(Debug)]
pub(crate) struct Store {
    incoming: Incoming,
    piece: Vec<u8>,
}

impl Message {
    /// Begins a message; `strip`: take out Bcc fields. `queue` is where it probably goes.
    pub(crate) fn begin(shared: &Shared, strip: bool, queue: Queue) -> Message {
        let mut incoming = shared.spool.begin();
        incoming.expect(queue);
        Message {
            scan: HeaderScan::new(),
            arrived: shared.now(),
            bcc: strip.then(BccFilter::new),
            store: Store { incoming, piece: Vec::new() },
        }
    }

    /// The id it will have.
    pub(crate) fn id(&self) -> lib_mail::QueueId {
        self.store.incoming.id()
    }

    /// Octets that the spool has or will have.
    pub(crate) fn len(&self) -> u64 {
        self.store.incoming.len() + self.store.piece.len() as u64
    }

    /// Takes octets. `Ok(true)`: [`Store::write`] is due in the pool.
    pub(crate) fn take(&mut self, octets: &[u8]) -> Result<bool, Error> {
        self.scan.feed(octets);
        match &mut self.bcc {
            Some(filter) => {
                let mut passed = Vec::with_capacity(octets.len());
                filter.feed(octets, &mut passed);
                self.store.take(&passed)
            }
            None => self.store.take(octets),
        }
    }

    /// The last octet came.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.scan.finish();
        if let Some(filter) = &mut self.bcc {
            let mut passed = Vec::new();
            filter.finish(&mut passed);
            self.store.take(&passed)?;
        }
        Ok(())
    }

    /// Gives up the message's store, for the pool.
    pub(crate) fn into_store(self) -> Store {
        self.store
    }

    /// Lends the store to the pool; [`Message::put_back`] follows.
    pub(crate) fn lend(self: Box<Self>) -> (Parts, Store) {
        let Message { scan, arrived, bcc, store } = *self;
        (Parts { scan, arrived, bcc }, store)
    }

    /// The message again, after the pool had its store.
    pub(crate) fn put_back(parts: Parts, store: Store) -> Message {
        Message { scan: parts.scan, arrived: parts.arrived, bcc: parts.bcc, store }
    }
}

/// A message without its store.
#[derive(Debug)]
pub(crate) struct Parts {
    scan: HeaderScan,
    arrived: Timestamp,
    bcc: Option<BccFilter>,
}

impl Store {
    /// `Ok(true)`: the disk would be touched, so these octets are for [`Store::write`], before any others.
    fn take(&mut self, octets: &[u8]) -> Result<bool, Error> {
        if self.piece.is_empty() && !self.incoming.blocks(octets.len()) {
            self.incoming.append(octets)?;
            return Ok(false);
        }
        self.piece.extend_from_slice(octets);
        Ok(true)
    }

    /// Whether there may be a file of it: more came than the spool keeps in memory.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.incoming.has_file()
    }

    /// Writes what is in memory, where there is still room on the disk. Blocks.
    pub(crate) fn write(&mut self, shared: &Shared) -> Result<(), Status> {
        if let Some(full) = answers::room(&shared.spool.space(), None, shared.now()) {
            return Err(full);
        }
        self.append().map_err(|error| told(shared, &error))
    }

    fn append(&mut self) -> Result<(), Error> {
        let appended = self.incoming.append(&self.piece);
        self.piece = Vec::new();
        appended
    }

    /// Makes the message durable and wakes its consumers. Blocks.
    pub(crate) fn commit(mut self, envelopes: Envelopes, shared: &Shared) -> Result<Committed, Status> {
        let Envelopes { local, relay, held } = envelopes;
        let commit = Commit { local, relay, held: held.is_some(), due: shared.now() };
        if let Some(why) = held {
            self.incoming.explain(why);
        }
        let committed = self.append().and_then(|()| self.incoming.commit(commit)).map_err(|error| told(shared, &error))?;
        for (queue, consumer) in [(Queue::Local, Consumer::Local), (Queue::Relay, Consumer::Relay)] {
            if committed.wakes(queue) {
                shared.waker.send(consumer, &Wake::New(committed.id()));
            }
        }
        Ok(committed)
    }
}

/// The client hears that it is to come again; the operator hears why.
fn told(shared: &Shared, error: &Error) -> Status {
    shared.record(None, What::Warning { subject: "spool".into(), text: error.to_string() });
    answers::spool_error(error, shared.now())
}

/// The same message for its two queues; at least one has recipients.
#[derive(Debug, PartialEq)]
pub(crate) struct Envelopes {
    pub(crate) local: Option<Envelope>,
    pub(crate) relay: Option<Envelope>,
    /// Why it goes on hold and not into the queues.
    pub(crate) held: Option<Status>,
}

impl Envelopes {
    /// Parts the recipients of `whole`.
    pub(crate) fn split(whole: Envelope, is_local: impl Fn(&lib_mail::Address) -> bool) -> Envelopes {
        let (local, relay): (Vec<_>, Vec<_>) = whole.recipients.iter().cloned().partition(|to| is_local(&to.address));
        let with = |recipients: Vec<_>| (!recipients.is_empty()).then(|| Envelope { recipients, ..whole.clone() });
        Envelopes { local: with(local), relay: with(relay), held: None }
    }
}
