//! A message on its way in: gathered in memory up to 64 KiB, then written through; durable by one call.

use std::sync::Arc;

use lib_host::{File, Purpose};
use lib_mail::{Envelope, QueueId, Status, Timestamp};

use crate::envelope::{self, MAX_ENVELOPE};
use crate::error::{Doing, Error};
use crate::family::Family;
use crate::first_line::{BLANK, FIRST_LINE, Lengths, Sum};
use crate::layout::{Shared, Spot};
use crate::space;
use crate::tail::{self, Entry};
use crate::{Line, Outcome, Place, Queue, What};

/// Octets that are kept in memory before a message touches the disk.
const SMALL_MESSAGE: usize = 64 * 1024;
/// Octets that a longer message gathers between two writes.
const STRETCH: usize = 256 * 1024;

/// What is to be committed.
#[derive(Debug, Clone)]
pub struct Commit {
    /// The envelope for the queue `local`, with its recipients only.
    pub local: Option<Envelope>,
    /// The envelope for the queue `relay`, with its recipients only. At least one of the two is given.
    pub relay: Option<Envelope>,
    /// Put it on hold instead of into the queue.
    pub held: bool,
    /// The first attempt; now, in general.
    pub due: Timestamp,
}

/// The receipt: the message is durable, or was swallowed on purpose. Only the spool makes one, so only then a session can say 250.
#[derive(Debug)]
pub struct Committed {
    id: QueueId,
    wakes: [bool; 2],
}

impl Committed {
    /// The message's id.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Whether it lies in that queue, ready to be attempted, so that the consumer should be woken. A child can be attempted only after its parent's
    /// [`sync`](crate::Claim::sync), so wake for it then.
    pub fn wakes(&self, queue: Queue) -> bool {
        self.wakes[queue as usize]
    }
}

/// A message that another caused.
#[derive(Debug)]
pub enum Child {
    /// To be written and committed now.
    New(Box<Incoming>),
    /// It was committed before: by this claim and not recorded yet, or the parent's history names it.
    Made(QueueId),
}

impl Child {
    /// Its id, which is the same for the same parent, cause and member.
    pub fn id(&self) -> QueueId {
        match self {
            Child::New(incoming) => incoming.id,
            Child::Made(id) => *id,
        }
    }
}

/// The id, as the client is told it.
impl std::fmt::Display for Committed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.id.fmt(f)
    }
}

/// A message being received. Dropped, it leaves nothing behind.
#[derive(Debug)]
pub struct Incoming {
    shared: Arc<Shared>,
    id: QueueId,
    /// What is not written yet. Before the first write it begins with the blank line 1.
    buffer: Vec<u8>,
    /// Over id and message so far.
    sum: Sum,
    len: u64,
    expected: Queue,
    /// Where the message goes once it is long.
    draft: Option<Draft>,
    family: Option<Arc<Family>>,
    /// What stands in its history from the start.
    why: Option<Status>,
}

/// A file in row B: ours, locked, line 1 blank.
#[derive(Debug)]
pub(crate) struct Draft {
    spot: Spot,
    file: File,
    /// Octets written: line 1 and the message so far.
    written: u64,
    /// Line 1 was written, or that was tried.
    lined: bool,
    /// Its name needs a sync of its directory.
    named_unsynced: bool,
}

impl Incoming {
    pub(crate) fn new(shared: Arc<Shared>, id: QueueId, family: Option<Arc<Family>>) -> Incoming {
        let sum = Sum::new(&id);
        Incoming { shared, id, buffer: BLANK.to_vec(), sum, len: 0, expected: Queue::Local, draft: None, family, why: None }
    }

    /// The id the message will have.
    pub fn id(&self) -> QueueId {
        self.id
    }

    /// Says for which queue the message is probably meant (for both: `Local`). A long message is then written in the right place from the
    /// start; a wrong guess costs one directory sync. Without it, `Local` is guessed.
    pub fn expect(&mut self, queue: Queue) {
        self.expected = queue;
    }

    /// Says why the message is to be held: the reason stands as a deferral of all recipients in its history, durable with the commit.
    pub fn explain(&mut self, why: Status) {
        self.why = Some(why);
    }

    /// Adds octets of the message, as received and dot-unstuffed. The first 64 KiB stay in memory.
    pub fn append(&mut self, octets: &[u8]) -> Result<(), Error> {
        let blocks = self.blocks(octets.len());
        self.sum.add(octets);
        self.len += octets.len() as u64;
        self.buffer.extend_from_slice(octets);
        if blocks { self.spill() } else { Ok(()) }
    }

    /// Whether an append of so many octets will touch the disk, and so belongs in the pool.
    pub fn blocks(&self, octets: usize) -> bool {
        let limit = if self.draft.is_some() { STRETCH } else { FIRST_LINE + SMALL_MESSAGE };
        self.buffer.len() + octets > limit
    }

    /// Whether it has a file, so that dropping it waits for the disk.
    pub fn has_file(&self) -> bool {
        self.draft.is_some()
    }

    /// Octets so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// No octet so far.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn spill(&mut self) -> Result<(), Error> {
        if self.draft.is_none() {
            let spot = Spot { queue: self.expected, place: Place::Queued, id: self.id };
            self.draft = Some(Draft::create(&self.shared, spot)?);
        }
        let Some(draft) = &mut self.draft else { return Ok(()) };
        draft.write(&self.shared, &self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    /// Makes the message durable in its queues: all of them, or an error and none. After a crash in here it may be in either, both or
    /// none; no 250 was sent.
    pub fn commit(mut self, commit: Commit) -> Result<Committed, Error> {
        let Commit { local, relay, held, due } = commit;
        let place = if held { Place::Held } else { Place::Queued };
        let envelopes: Vec<_> =
            [(Queue::Local, local), (Queue::Relay, relay)].into_iter().filter_map(|(queue, of)| Some((queue, of?))).collect();
        if envelopes.is_empty() || envelopes.iter().any(|(_, envelope)| envelope.recipients.is_empty()) {
            return Err(Error::Misuse("a message needs a recipient in each of its queues"));
        }
        let mut drafts = Vec::with_capacity(envelopes.len());
        if let Err(error) = self.write_all(&envelopes, place, due, &mut drafts) {
            drafts.into_iter().for_each(|draft| draft.abandon(&self.shared));
            return Err(error);
        }
        let mut wakes = [false; 2];
        envelopes.iter().for_each(|(queue, _)| wakes[*queue as usize] = !held);
        if let Some(family) = &self.family {
            family.adopt(self.id, drafts.into_iter().map(|draft| draft.file).collect());
        }
        Ok(Committed { id: self.id, wakes })
    }

    /// From nothing, or a first draft, to synced files; those begun are in `drafts` also after an error.
    fn write_all(
        &mut self,
        envelopes: &[(Queue, Envelope)],
        place: Place,
        due: Timestamp,
        drafts: &mut Vec<Draft>,
    ) -> Result<(), Error> {
        let mut lines = Vec::with_capacity(envelopes.len());
        for (queue, envelope) in envelopes {
            let text = self.envelope_text(envelope)?;
            let spot = Spot { queue: *queue, place, id: self.id };
            let behind = self.why.as_ref().map(|why| self.history_text(why, envelope.recipients.len())).unwrap_or_default();
            self.write_draft(spot, format!("{text}{behind}").as_bytes(), drafts)?;
            let lengths = Lengths { message: self.len, envelope: text.len() as u64 };
            let mut sum = self.sum.clone();
            sum.add(text.as_bytes());
            lines.push(lengths.line(lengths.sum(sum)));
        }
        for (draft, line) in drafts.iter_mut().zip(&lines) {
            draft.lined = true;
            draft.file.write_at(line, 0).doing("write the first line of a message")?;
            draft.file.set_mtime(due).doing("set the time of a message")?;
        }
        drafts.iter().try_for_each(|draft| draft.sync(&self.shared))
    }

    fn envelope_text(&self, envelope: &Envelope) -> Result<String, Error> {
        let text = match &self.family {
            None => envelope::print(envelope, None),
            Some(family) => {
                let envelope = Envelope { parent: Some(family.parent), ..envelope.clone() };
                envelope::print(&envelope, Some(family.queue))
            }
        };
        if text.len() > MAX_ENVELOPE { Err(Error::Misuse("the envelope is too large")) } else { Ok(text) }
    }

    fn history_text(&self, why: &Status, recipients: usize) -> String {
        let outcome = Outcome { what: What::Deferred, status: why.clone() };
        let mut text = String::new();
        tail::print(&mut text, &self.id, why.at, &Entry::Outcome(Line { recipients: (0..recipients).collect(), outcome }));
        text
    }

    /// Puts the whole message and its envelope into a file at that spot.
    fn write_draft(&mut self, spot: Spot, envelope: &[u8], drafts: &mut Vec<Draft>) -> Result<(), Error> {
        let shared = self.shared.clone();
        let fresh = self.draft.is_none();
        let mut draft = if let Some(draft) = self.draft.take() { draft } else { Draft::create(&shared, spot)? };
        let first = drafts.first().filter(|_| self.buffer.is_empty());
        let written = match first {
            // A long message for both queues: its octets are in the first file only.
            Some(first) if fresh => {
                let end = FIRST_LINE as u64 + self.len;
                draft.copy(&shared, first, end).and_then(|()| draft.write(&shared, envelope))
            }
            _ => {
                let message_end = self.buffer.len();
                self.buffer.extend_from_slice(envelope);
                let written = draft.write(&shared, &self.buffer);
                // What went to a file of its own is not kept; what is still in memory serves for the second queue.
                self.buffer.truncate(if fresh { message_end } else { 0 });
                written
            }
        };
        let placed = written.and_then(|()| draft.move_to(&shared, spot));
        drafts.push(draft);
        placed
    }

    /// Swallows the message on purpose (a rule said DISCARD): nothing is kept, and the receipt still allows 250.
    pub fn discard(self) -> Committed {
        Committed { id: self.id, wakes: [false; 2] }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some(draft) = self.draft.take() {
            draft.unlink(&self.shared);
        }
    }
}

impl Draft {
    pub(crate) fn create(shared: &Shared, spot: Spot) -> Result<Draft, Error> {
        let file = shared.shard(spot).and_then(|shard| shard.create(spot.id.as_str())).doing("make the file of a message")?;
        space::took(shared, 0, 1);
        let draft = Draft { spot, file, written: 0, lined: false, named_unsynced: !shared.names_follow };
        // A scan may have met the file between the two calls; it sees a blank file and lets go.
        let ours = draft.file.lock().and_then(|()| draft.file.meta()).doing("lock the file of a message");
        match ours {
            Ok(meta) if meta.links > 0 => Ok(draft),
            Ok(_) => Err(std::io::Error::other("it was removed")).doing("lock the file of a message"),
            Err(error) => {
                draft.unlink(shared);
                Err(error)
            }
        }
    }

    pub(crate) fn write(&mut self, shared: &Shared, octets: &[u8]) -> Result<(), Error> {
        self.file.write_at(octets, self.written).doing("write a message")?;
        space::took(shared, octets.len(), 0);
        self.written += octets.len() as u64;
        Ok(())
    }

    /// Line 1 and message, up to `end`, from another draft.
    fn copy(&mut self, shared: &Shared, from: &Draft, end: u64) -> Result<(), Error> {
        let mut stretch = vec![0; STRETCH];
        while self.written < end {
            let want = usize::try_from(end - self.written).unwrap_or(STRETCH).min(STRETCH);
            let count = from.file.read_at(&mut stretch[..want], self.written).doing("read back a message")?;
            if count == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)).doing("read back a message");
            }
            self.write(shared, &stretch[..count])?;
        }
        Ok(())
    }

    fn move_to(&mut self, shared: &Shared, to: Spot) -> Result<(), Error> {
        if self.spot == to {
            return Ok(());
        }
        let moved =
            shared.shard(self.spot).and_then(|old| old.rename_new(self.spot.id.as_str(), shared.shard(to)?, to.id.as_str()));
        moved.doing("move the file of a message")?;
        self.spot = to;
        self.named_unsynced = true;
        Ok(())
    }

    pub(crate) fn id(&self) -> QueueId {
        self.spot.id
    }

    /// Row B to E, of a file that is whole but for its line 1.
    pub(crate) fn commit(&mut self, shared: &Shared, line: &[u8; FIRST_LINE], due: Timestamp) -> Result<(), Error> {
        self.lined = true;
        self.file.write_at(line, 0).doing("write the first line of a message")?;
        self.file.set_mtime(due).doing("set the time of a message")?;
        self.sync(shared)
    }

    /// The commit.
    fn sync(&self, shared: &Shared) -> Result<(), Error> {
        if self.named_unsynced {
            let shard = shared.shard(self.spot).doing("open a directory")?;
            shard.sync(Purpose::SpoolMessage).doing("sync the directory of a message")?;
        }
        self.file.sync(Purpose::SpoolMessage).doing("sync a message")
    }

    /// Row D or B to nothing, as durably as the disk still allows; the error that counts is the first.
    pub(crate) fn abandon(self, shared: &Shared) {
        if self.lined {
            let _ = self.file.write_at(&BLANK, 0);
        }
        let _ = shared.remove(self.spot);
    }

    /// Row B to nothing.
    pub(crate) fn unlink(&self, shared: &Shared) {
        let _ = shared.shard(self.spot).and_then(|shard| shard.unlink(self.spot.id.as_str()));
    }
}
