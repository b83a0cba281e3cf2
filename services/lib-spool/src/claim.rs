//! A message in the hands of its consumer.

use std::sync::{Arc, Mutex};

use lib_host::{File, Purpose};
use lib_mail::{Envelope, QueueId, Timestamp};

use crate::body::BodyReader;
use crate::error::{Corruption, Doing, Error};
use crate::family::{self, Family};
use crate::layout::{Shared, Spot, locked};
use crate::lock::{Taken, take};
use crate::removals::Removals;
use crate::stored::{self, Care, Content, History, MAX_HISTORY, Stored, Want};
use crate::tail::{self, Entry, Obeyed};
use crate::{Command, Line, Outcome, Place, Queue, Recipients, What, ballast, thrift, trouble};

/// The exclusive right to a message: nobody else attempts, moves or removes it. It goes with this value and with the process. Threads
/// may share one; what they record does not mix.
#[derive(Debug)]
pub struct Claim {
    shared: Arc<Shared>,
    spot: Spot,
    file: Arc<File>,
    envelope: Envelope,
    message_len: u64,
    /// Line 1 and message, where they are short.
    octets: Option<Arc<Vec<u8>>>,
    history_at: u64,
    first_attempt: bool,
    state: Mutex<State>,
    /// Held during a sync, so that whoever comes second returns only when its own lines are durable too.
    syncing: Mutex<()>,
    family: Arc<Family>,
}

#[derive(Debug)]
struct State {
    history: History,
    /// Octets of the history: what this claim found and wrote or keeps back.
    length: u64,
    /// Lines of deliveries that are not written yet: they need not be where the message goes at once.
    kept_back: String,
    /// Something was recorded that must not be forgotten.
    unsynced: bool,
    /// Among it is something that must be durable before the name goes. A delivery need not: a repeat is recognised where it went, by the
    /// message's id.
    unsynced_for_removal: bool,
    /// Among it is what another server took: it must be durable, or the removal of the message.
    unsynced_or_removed: bool,
    /// Lines are missing in the file.
    unwritten: bool,
    /// A sync failed: nothing that this claim recorded can be called durable any more.
    failed: bool,
    /// The name is gone or another's; there is no lock to let go.
    gone: bool,
}

/// Whether the tail is read for orders once more.
#[derive(PartialEq, Eq)]
enum Look {
    /// Before the claim is let go.
    Last,
    /// It was read a moment ago, and will be before the claim is let go.
    NotAgain,
}

/// How a claim ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It waits until that moment.
    Deferred(Timestamp),
    /// A command came meanwhile: it is due at once (`retry`, or `bounce`, see [`Claim::bounce_wanted`]).
    Due,
    /// It is on hold, by the caller or by a command.
    Held,
    /// A command came meanwhile: it is gone, without a word to the sender.
    Deleted,
    /// Nothing was left to do, and it is gone.
    Finished,
}

/// Takes a queued message if it may be attempted.
pub(crate) fn claim(shared: &Arc<Shared>, queue: Queue, id: &QueueId) -> Result<Option<Claim>, Error> {
    if shared.trouble.rests(shared.options.clock.ticks()) {
        return Ok(None);
    }
    let spot = Spot { queue, place: Place::Queued, id: *id };
    let Taken::Ours(file, len) = take(shared, spot).doing("take a message")? else { return Ok(None) };
    let stored = match stored::read(&file, len, id, Care::Sum).doing("read a message")? {
        Content::Blank => {
            let inode = file.meta().doing("look at a message")?.inode;
            let ticks = shared.options.clock.ticks();
            locked(&shared.suspects).entry(spot).or_insert((inode, ticks));
            return Ok(None);
        }
        Content::Newer => return Err(Error::Newer { queue, id: *id }),
        Content::Wrong(fault) => {
            let set_aside = shared.relocate(spot, Place::Corrupt).is_ok();
            return Err(Error::Corrupt(Corruption { id: *id, queue, fault, set_aside }));
        }
        Content::Good(stored) => *stored,
    };
    if let (Some(parent), Some(queue)) = (stored.envelope.parent, stored.parent_queue)
        && !family::released(shared, id, parent, queue)?
    {
        return Ok(None);
    }
    shared.begin_consuming(queue).doing("look at the queue")?;
    let claim = Claim::new(shared.clone(), spot, (file, len), stored);
    if let Some(obeyed) = claim.obey_all(Look::NotAgain)?
        && obeyed != Obeyed::Due
    {
        return Ok(None);
    }
    if claim.recipients().all_done() {
        claim.finish()?;
        return Ok(None);
    }
    claim.try_out()?;
    Ok(Some(claim))
}

impl Claim {
    fn new(shared: Arc<Shared>, spot: Spot, (file, len): (File, u64), stored: Stored) -> Claim {
        let lines = stored.history.recipients.lines();
        Claim {
            first_attempt: lines.is_empty() && shared.never_met(spot),
            // Whoever recorded them may have died before the sync.
            state: Mutex::new(State {
                unsynced: lines.iter().any(must_last),
                unsynced_for_removal: lines.iter().any(must_last_beyond_removal),
                unsynced_or_removed: false,
                unwritten: false,
                failed: false,
                gone: false,
                length: len.saturating_sub(stored.lengths.history_at()),
                kept_back: String::new(),
                history: stored.history,
            }),
            syncing: Mutex::default(),
            family: Arc::new(Family::new(spot.id, spot.queue)),
            shared,
            spot,
            file: Arc::new(file),
            envelope: stored.envelope,
            message_len: stored.lengths.message,
            history_at: stored.lengths.history_at(),
            octets: stored.octets.map(Arc::new),
        }
    }

    /// The message.
    pub fn id(&self) -> QueueId {
        self.spot.id
    }

    /// The queue it lies in.
    pub fn queue(&self) -> Queue {
        self.spot.queue
    }

    /// The envelope, with this queue's recipients only.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// A copy of the recipients' state, with what was recorded so far.
    pub fn recipients(&self) -> Recipients {
        locked(&self.state).history.recipients.clone()
    }

    /// The history's lines so far.
    pub fn history(&self) -> Vec<Line> {
        locked(&self.state).history.recipients.lines().to_vec()
    }

    /// Indexes of those to be attempted, ascending; beyond the envelope's recipients they name members.
    pub fn pending(&self) -> Vec<usize> {
        locked(&self.state).history.recipients.pending()
    }

    /// Whether this is surely the first attempt, so that no copy can lie anywhere yet: nothing was ever recorded, the message came in after
    /// this process began to consume the queue, and no claim of this process let it go without a record. (A queue has one consumer process.)
    pub fn first_attempt(&self) -> bool {
        self.first_attempt
    }

    /// The message's octets as received, without the header lines that we add.
    pub fn body(&self) -> BodyReader {
        BodyReader::new(&self.file, self.octets.as_ref(), self.message_len)
    }

    /// Octets of the message as received.
    pub fn message_len(&self) -> u64 {
        self.message_len
    }

    pub(crate) fn family(&self) -> &Arc<Family> {
        &self.family
    }

    /// As [`bounce_wanted`](Self::bounce_wanted), of what was asked before this claim. Reads nothing.
    pub fn bounce_was_wanted(&self) -> bool {
        locked(&self.state).history.bounce_wanted()
    }

    /// Whether a person asked, before this claim or since, to return the message now: treat what is pending as failed.
    pub fn bounce_wanted(&self) -> Result<bool, Error> {
        let mut state = locked(&self.state);
        self.look_for_orders(&mut state)?;
        Ok(state.history.bounce_wanted())
    }

    /// After this moment a failed attempt is the last: the envelope's, or a later one that a person gave with a fresh start, before
    /// this claim or since.
    pub fn deadline(&self) -> Result<Timestamp, Error> {
        let mut state = locked(&self.state);
        self.look_for_orders(&mut state)?;
        Ok(state.history.deadline.unwrap_or(self.envelope.deadline))
    }

    /// Appends outcomes, in one write; mere deliveries are kept back until the message is not to go at once. Equal outcomes of several
    /// recipients share a line; where the history is long, words are left out. Not durable before [`sync`](Self::sync). `Misuse`, and nothing is written, where an index names nobody, or an expansion grows too large.
    pub fn record(&self, outcomes: &[(usize, Outcome)]) -> Result<(), Error> {
        self.take_down(outcomes, |what| *what == What::Delivered)
    }

    /// As [`record`](Self::record), for who settles the message in the next moment, by [`Settling::settle_among`](crate::Settling::settle_among):
    /// what other servers took is kept back, too.
    pub fn record_at_end(&self, outcomes: &[(usize, Outcome)]) -> Result<(), Error> {
        self.take_down(outcomes, |what| matches!(what, What::Delivered | What::Relayed))
    }

    /// Records; lines that are all such are kept back.
    fn take_down(&self, outcomes: &[(usize, Outcome)], keeps_back: fn(&What) -> bool) -> Result<(), Error> {
        let lines = thrift::gather(outcomes);
        let mut state = locked(&self.state);
        if outcomes.iter().any(|(index, _)| state.history.recipients.fate(*index).is_none()) {
            return Err(Error::Misuse("an outcome names a recipient that does not exist"));
        }
        if !state.history.recipients.has_room(&lines) {
            return Err(Error::Misuse("the aliases of a message have too many members"));
        }
        let last = state.history.recipients.last_deferral();
        let fitted =
            thrift::fit(&self.spot.id, state.length, &lines, last).ok_or_else(|| std::io::ErrorKind::FileTooLarge.into());
        let fitted = fitted.doing("record outcomes")?;
        let kept_back = lines.iter().all(|line| keeps_back(&line.outcome.what));
        if kept_back {
            state.length += fitted.len() as u64;
            state.kept_back.push_str(&fitted);
        } else {
            self.append(&mut state, &fitted)?;
        }
        for line in lines {
            state.unsynced |= must_last(&line);
            let for_removal = must_last_beyond_removal(&line);
            state.unsynced_for_removal |= for_removal && !kept_back;
            state.unsynced_or_removed |= for_removal && kept_back;
            state.history.recipients.take(line);
        }
        Ok(())
    }

    /// Writes what was kept back and this behind it.
    fn append(&self, state: &mut State, text: &str) -> Result<(), Error> {
        // A part of it, or two, may lie there even where it failed.
        state.length += text.len() as u64;
        let text = std::mem::take(&mut state.kept_back) + text;
        if text.is_empty() {
            return Ok(());
        }
        let written = ballast::append(&self.shared, &self.file, &text);
        if written.is_err() {
            state.unwritten = true;
            self.in_trouble(text.len());
        }
        written.doing("record outcomes")
    }

    fn in_trouble(&self, octets: usize) {
        self.shared.trouble.begin(self.shared.options.clock.ticks(), octets);
    }

    /// Where outcomes could not be recorded before: whether they can be now. Else the message waits.
    fn try_out(&self) -> Result<(), Error> {
        let tried = trouble::try_out(&self.shared, &self.file);
        if tried.is_err() {
            let clock = &self.shared.options.clock;
            // Where even this fails the message stays due, and is met again when the next one is tried.
            let _ = self.file.set_mtime(clock.now().plus(self.shared.trouble.pause(clock.ticks())));
        }
        tried.doing("record outcomes; nothing is attempted before that")
    }

    /// Makes what was recorded durable, and then lets go the children that it names. Does nothing where nothing needs it:
    /// a deferral that a power cut takes back costs an attempt, no mail. After an error the claim is good for nothing but to be dropped.
    pub fn sync(&self) -> Result<(), Error> {
        let _one = locked(&self.syncing);
        // The state is free during the sync: what others record meanwhile is theirs to sync.
        let named = {
            let mut state = locked(&self.state);
            if state.failed {
                return Err(Error::Misuse("outcomes were lost by an earlier sync"));
            }
            if !state.unsynced {
                return Ok(());
            }
            self.append(&mut state, "")?;
            state.unsynced = false;
            state.unsynced_for_removal = false;
            state.unsynced_or_removed = false;
            (!self.family.is_empty()).then(|| state.history.recipients.clone())
        };
        let synced = self.file.sync(Purpose::Outcome);
        if synced.is_err() {
            locked(&self.state).failed = true;
            self.in_trouble(0);
        } else if let Some(named) = named {
            self.family.release(|child| named.names(child));
        }
        synced.doing("sync outcomes")
    }

    /// Lets the message wait until that moment, or obeys a command that came meanwhile. Syncs first where that is needed; also where that
    /// fails the message waits.
    pub fn defer(self, until: Timestamp) -> Result<Ended, Error> {
        let synced = self.sync();
        let timed = self.file.set_mtime(until).doing("set the time of a message");
        synced.and(timed)?;
        Ok(match self.obey_all(Look::Last)? {
            None => Ended::Deferred(until),
            Some(Obeyed::Due) => Ended::Due,
            Some(Obeyed::Held) => Ended::Held,
            Some(Obeyed::Deleted) => Ended::Deleted,
        })
    }

    /// Removes the message. Syncs first where that is needed: not after deliveries alone, since a mailbox recognises a repeat. `Misuse` while a recipient is pending or a sender is to be told.
    pub fn finish(self) -> Result<Ended, Error> {
        self.finish_with(None)
    }

    /// As [`finish`](Self::finish); where the removal itself is synced with others, outcomes that are kept back need not be.
    pub(crate) fn finish_with(self, removals: Option<&Removals<'_>>) -> Result<Ended, Error> {
        let (for_removal, or_removed) = {
            let state = locked(&self.state);
            if !state.history.recipients.all_done() {
                return Err(Error::Misuse("a message with recipients left cannot be finished"));
            }
            (state.unsynced_for_removal, state.unsynced_or_removed)
        };
        // A removal that a power cut takes back brings a delivery again, which its mailbox recognises; anything else it would repeat.
        if for_removal || !self.family.is_empty() {
            self.sync()?;
        } else if or_removed {
            match removals {
                Some(removals) => removals.expect(),
                None => self.sync()?,
            }
        }
        let unlinked = self.shared.shard(self.spot).and_then(|shard| shard.unlink(self.spot.id.as_str()));
        unlinked.doing("remove a message")?;
        locked(&self.state).gone = true;
        self.shared.forget(self.spot);
        Ok(Ended::Finished)
    }

    /// Puts the message on hold. Syncs first where that is needed.
    pub fn hold(self) -> Result<Ended, Error> {
        self.sync()?;
        self.shared.relocate(self.spot, Place::Held).doing("put a message on hold")?;
        Ok(Ended::Held)
    }

    /// Reads what was appended behind the commit for orders. The owner's own lines say none.
    fn look_for_orders(&self, state: &mut State) -> Result<(), Error> {
        let octets = self.file.read_from(self.history_at, MAX_HISTORY).doing("read the history of a message")?;
        // Outcomes are the owner's own, and known.
        let orders = tail::parse(&self.spot.id, &octets).filter(|(_, entry)| !matches!(entry, Entry::Outcome(_)));
        orders.for_each(|(_, entry)| state.history.take_order(&entry));
        Ok(())
    }

    /// Obeys all orders that were not obeyed yet, and tells what came of the last that counts; `None` where there was none.
    fn obey_all(&self, look: Look) -> Result<Option<Obeyed>, Error> {
        let mut state = locked(&self.state);
        if look == Look::Last {
            self.look_for_orders(&mut state)?;
        }
        let open: Vec<Want> = state.history.wants.iter().filter(|want| want.obeyed.is_none()).copied().collect();
        let Some(last) = open.last() else { return Ok(None) };
        let obeyed = match last.command {
            _ if open.iter().any(|want| want.command == Command::Delete) => Obeyed::Deleted,
            Command::Hold => Obeyed::Held,
            _ => Obeyed::Due,
        };
        let now = self.shared.options.clock.now();
        let mut answer = String::new();
        for want in &open {
            tail::print(&mut answer, &self.spot.id, now, &Entry::Did(want.number, obeyed));
        }
        // The act comes before the answer, so that no crash leaves an answer without an act. Who asked has the file open, and waits
        // for the lock at the longest.
        match obeyed {
            Obeyed::Deleted => {
                self.shared.remove(self.spot).doing("remove a message")?;
                state.gone = true;
                // Where this fails, who asked is told that the message was finished first.
                let _ = self.append(&mut state, &answer);
            }
            Obeyed::Held => {
                self.shared.relocate(self.spot, Place::Held).doing("put a message on hold")?;
                self.append(&mut state, &answer)?;
            }
            Obeyed::Due => {
                self.append(&mut state, &answer)?;
                self.file.set_mtime(now).doing("set the time of a message")?;
            }
        }
        open.iter().for_each(|want| state.history.take_order(&Entry::Did(want.number, obeyed)));
        Ok(Some(obeyed))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // A body reader may keep the file open; the lock must not live with it. Where this fails, closing lets it go.
        let mut state = locked(&self.state);
        if !state.gone {
            let written = self.append(&mut state, "");
            if state.history.recipients.lines().is_empty() || written.is_err() || state.unwritten {
                self.shared.remember(self.spot);
            }
            let _ = self.file.unlock();
        }
    }
}

/// Whether forgetting the line would repeat or lose something.
fn must_last(line: &Line) -> bool {
    line.outcome.what != What::Deferred
}

/// Whether forgetting the line together with the removal of the message would repeat or lose something.
fn must_last_beyond_removal(line: &Line) -> bool {
    must_last(line) && line.outcome.what != What::Delivered
}
