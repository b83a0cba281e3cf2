//! What a person may ask of a message, whatever state it is in.

use std::time::Duration;

use lib_host::{File, random_bytes};
use lib_mail::{QueueId, Timestamp};

use crate::error::{Doing, Error};
use crate::first_line::{FIRST_LINE, FirstLine};
use crate::layout::{Shared, Spot, queues_and_places};
use crate::lock::{Taken, still_named, take};
use crate::stored::{MAX_HISTORY, Want, take_order};
use crate::tail::{self, Entry, Obeyed};
use crate::{Place, Queue, ballast, thrift};

/// How often a message in flight is asked whether it has answered.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// An order to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Remove it without a word to the sender. Also from `corrupt/`, and only so.
    Delete,
    /// Return it to the sender now.
    Bounce,
    /// Leave it alone until it is released.
    Hold,
    /// Put it back into its queue, due at once.
    Release,
    /// Attempt it now.
    Retry,
    /// Give it a fresh start with this deadline: attempts are counted anew, it is due at once, and held no longer.
    Requeue(Timestamp),
}

/// What a command did to one of a message's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effect {
    /// The file's queue.
    pub queue: Queue,
    /// Where it lay.
    pub place: Place,
    /// What came true.
    pub done: Done,
}

/// What came true of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The message is gone by this command.
    Deleted,
    /// It is on hold.
    Held,
    /// It is back in its queue and due.
    Released,
    /// It is due now.
    Due,
    /// It is due now, and its consumer will return it.
    WillBounce,
    /// It has a fresh start, and is due now.
    Requeued,
    /// Its consumer finished it first.
    Finished,
    /// Its consumer is busy with it and has not answered in time; it will obey before it lets go.
    Asked,
    /// The command does not fit where the message is, as a release of what is not held.
    Unfit,
}

/// Orders each file of a message.
pub(crate) fn command(shared: &Shared, id: &QueueId, command: Command, patience: Duration) -> Result<Vec<Effect>, Error> {
    let mut effects: Vec<Effect> = Vec::new();
    // Once more in the queues: a release may have moved a file there between the looks at its two places.
    let again = Queue::ALL.map(|queue| (queue, Place::Queued));
    for (queue, place) in queues_and_places().chain(again) {
        let met = effects.iter().any(|effect| effect.queue == queue && (effect.done != Done::Unfit || effect.place == place));
        if met {
            // The file was met on this round already, before the command moved it.
            continue;
        }
        let order = Order { shared, spot: Spot { queue, place, id: *id }, command };
        if let Some(done) = order.give(patience)? {
            effects.push(Effect { queue, place, done });
        }
    }
    Ok(effects)
}

/// One order to one file.
struct Order<'a> {
    shared: &'a Shared,
    spot: Spot,
    command: Command,
}

impl Order<'_> {
    /// `None` where there is no committed message.
    fn give(&self, patience: Duration) -> Result<Option<Done>, Error> {
        match take(self.shared, self.spot).doing("take a message")? {
            Taken::Gone => Ok(None),
            Taken::Ours(file, _) => self.act(&file),
            Taken::Busy(file) => self.ask(&file, patience),
        }
    }

    /// Whether the command means anything where the message lies.
    fn fits(&self) -> bool {
        match (self.command, self.spot.place) {
            (Command::Delete, _) => true,
            (_, Place::Corrupt) | (Command::Release, Place::Queued) | (Command::Hold | Command::Retry, Place::Held) => false,
            _ => true,
        }
    }

    fn committed(&self, file: &File) -> Result<bool, Error> {
        let mut first = [0; FIRST_LINE];
        let count = file.read_at(&mut first, 0).doing("read a message")?;
        Ok(FirstLine::read(&first[..count]) != FirstLine::Blank)
    }

    /// Under the lock.
    fn act(&self, file: &File) -> Result<Option<Done>, Error> {
        if self.spot.place != Place::Corrupt && !self.committed(file)? {
            return Ok(None);
        }
        if !self.fits() {
            return Ok(Some(Done::Unfit));
        }
        let done = match (self.command, self.spot.place) {
            (Command::Delete, _) => {
                self.shared.remove(self.spot).doing("remove a message")?;
                Done::Deleted
            }
            (Command::Hold, _) => {
                self.shared.relocate(self.spot, Place::Held).doing("put a message on hold")?;
                Done::Held
            }
            (Command::Retry, _) => self.due(file, Done::Due)?,
            (Command::Bounce | Command::Requeue(_), place) => {
                if !self.is_asked(file, self.command)? {
                    self.append(file, &Entry::Want(random_number(), self.command))?;
                }
                if place == Place::Held {
                    self.shared.relocate(self.spot, Place::Queued).doing("release a message")?;
                }
                self.due(file, if self.command == Command::Bounce { Done::WillBounce } else { Done::Requeued })?
            }
            (Command::Release, _) => {
                self.close_orders(file)?;
                self.shared.relocate(self.spot, Place::Queued).doing("release a message")?;
                self.due(file, Done::Released)?
            }
        };
        Ok(Some(done))
    }

    /// Answers what was asked before, or a hold whose owner died after the move would be obeyed a second time.
    fn close_orders(&self, file: &File) -> Result<(), Error> {
        let wants = self.wants(file)?;
        let open = wants.iter().filter(|want| want.obeyed.is_none() && want.command != Command::Bounce);
        open.map(|want| Entry::Did(want.number, Obeyed::Due)).try_for_each(|answer| self.append(file, &answer))
    }

    fn due(&self, file: &File, done: Done) -> Result<Done, Error> {
        file.set_mtime(self.shared.options.clock.now()).doing("set the time of a message")?;
        Ok(done)
    }

    fn append(&self, file: &File, entry: &Entry) -> Result<(), Error> {
        let mut text = String::new();
        tail::print(&mut text, &self.spot.id, self.shared.options.clock.now(), entry);
        ballast::append(self.shared, file, &text).doing("write an order to a message")
    }

    fn wants(&self, file: &File) -> Result<Vec<Want>, Error> {
        let mut wants = Vec::new();
        self.history(file)?.iter().for_each(|entry| take_order(&mut wants, entry));
        Ok(wants)
    }

    /// Whether a person gave that order before.
    fn is_asked(&self, file: &File, command: Command) -> Result<bool, Error> {
        Ok(self.wants(file)?.iter().any(|want| want.command == command))
    }

    /// Where another holds the lock: leaves word, and waits for the answer, the message's end, or the lock.
    fn ask(&self, file: &File, patience: Duration) -> Result<Option<Done>, Error> {
        if !self.committed(file)? {
            return Ok(None);
        }
        if !self.fits() {
            return Ok(Some(Done::Unfit));
        }
        if file.meta().doing("look at a message")?.len.saturating_sub(self.history_at(file)?) > thrift::MOST_FOR_ORDERS {
            return Err(Error::Misuse("the message has had too many orders; give this one while it is not attempted"));
        }
        let number = random_number();
        self.append(file, &Entry::Want(number, self.command))?;
        self.due(file, Done::Due)?;
        let mut left = patience;
        loop {
            if let Some(obeyed) = self.answer(file, number)? {
                return Ok(Some(self.translate(obeyed)));
            }
            if file.try_lock().doing("take a message")? {
                return self.after_owner(file, number);
            }
            if left.is_zero() {
                return Ok(Some(Done::Asked));
            }
            std::thread::sleep(ASK_AGAIN.min(left));
            left = left.saturating_sub(ASK_AGAIN);
        }
    }

    /// The owner let go, perhaps with an answer that came between the two looks.
    fn after_owner(&self, file: &File, number: u32) -> Result<Option<Done>, Error> {
        if let Some(obeyed) = self.answer(file, number)? {
            return Ok(Some(self.translate(obeyed)));
        }
        let shard = self.shared.shard(self.spot).doing("open a directory")?;
        if still_named(shard, &self.spot.id, file).doing("look at a message")?.is_none() {
            return self.after_move(file);
        }
        let done = self.act(file)?;
        if matches!(self.command, Command::Hold | Command::Retry) {
            // Else the next claim would obey the word that was left, a second time.
            let obeyed = if done == Some(Done::Held) { Obeyed::Held } else { Obeyed::Due };
            self.append(file, &Entry::Did(number, obeyed))?;
            self.due(file, Done::Due)?;
        }
        Ok(done)
    }

    /// Whoever had the lock let go, and the name is gone from where it was: moved by another order or by a rule, or finished. The lock
    /// is ours.
    fn after_move(&self, file: &File) -> Result<Option<Done>, Error> {
        for place in [Place::Held, Place::Queued] {
            let moved = Order { spot: Spot { place, ..self.spot }, ..*self };
            let shard = self.shared.shard(moved.spot).doing("open a directory")?;
            if still_named(shard, &self.spot.id, file).doing("look at a message")?.is_some() {
                return match (self.command, place) {
                    (Command::Hold, Place::Held) => Ok(Some(Done::Held)),
                    (Command::Release, Place::Queued) => Ok(Some(Done::Released)),
                    // Said of where it lies, when the round comes there.
                    _ if !moved.fits() => Ok(None),
                    _ => moved.act(file),
                };
            }
        }
        Ok(Some(Done::Finished))
    }

    /// Where the history begins; nowhere in a file that is none of ours.
    fn history_at(&self, file: &File) -> Result<u64, Error> {
        let mut first = [0; FIRST_LINE];
        let count = file.read_at(&mut first, 0).doing("read a message")?;
        Ok(match FirstLine::read(&first[..count]) {
            FirstLine::Good(lengths, _) => lengths.history_at(),
            _ => u64::MAX,
        })
    }

    fn history(&self, file: &File) -> Result<Vec<Entry>, Error> {
        let octets = file.read_from(self.history_at(file)?, MAX_HISTORY).doing("read the history of a message")?;
        Ok(tail::parse(&self.spot.id, &octets).map(|(_, entry)| entry).collect())
    }

    fn answer(&self, file: &File, number: u32) -> Result<Option<Obeyed>, Error> {
        Ok(self.history(file)?.into_iter().find_map(|entry| match entry {
            Entry::Did(of, obeyed) if of == number => Some(obeyed),
            _ => None,
        }))
    }

    fn translate(&self, obeyed: Obeyed) -> Done {
        match (obeyed, self.command) {
            (Obeyed::Deleted, _) => Done::Deleted,
            (Obeyed::Held, _) => Done::Held,
            (Obeyed::Due, Command::Bounce) => Done::WillBounce,
            (Obeyed::Due, Command::Requeue(_)) => Done::Requeued,
            (Obeyed::Due, _) => Done::Due,
        }
    }
}

fn random_number() -> u32 {
    u32::from_le_bytes(random_bytes())
}
