//! Reading a message file: from octets to what they mean.

use std::io;

use lib_host::File;
use lib_mail::{Envelope, QueueId, Timestamp};

use crate::envelope::{self, MAX_ENVELOPE};
use crate::error::Fault;
use crate::first_line::{FIRST_LINE, FirstLine, Lengths, Sum};
use crate::tail::{self, Entry, Obeyed};
use crate::{Command, Queue, Recipients};

/// Files up to this length are read by one call.
const SMALL_FILE: u64 = 128 * 1024;
/// How much of a long message is read at a time to check its sum.
const STRETCH: usize = 256 * 1024;
/// The longest history that is read, in octets: some hundred thousand attempts.
pub(crate) const MAX_HISTORY: usize = 64 << 20;

/// A file that was opened: what it is by its content.
#[derive(Debug)]
pub(crate) enum Content {
    /// Line 1 is blank: being written, or left by a crash.
    Blank,
    /// Of a format, or with an envelope, that this version does not know.
    Newer,
    /// Not what was committed.
    Wrong(Fault),
    /// A committed message.
    Good(Box<Stored>),
}

/// A committed message.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) lengths: Lengths,
    pub(crate) envelope: Envelope,
    /// The queue of the parent that must name this message before it is attempted.
    pub(crate) parent_queue: Option<Queue>,
    pub(crate) history: History,
    /// The message's octets, where the file was small enough to be read at once.
    pub(crate) octets: Option<Vec<u8>>,
}

/// What was appended since the commit.
#[derive(Debug)]
pub(crate) struct History {
    pub(crate) recipients: Recipients,
    pub(crate) wants: Vec<Want>,
    /// Where a person gave the message a fresh start: its deadline since then.
    pub(crate) deadline: Option<Timestamp>,
}

/// An order to the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Want {
    pub(crate) number: u32,
    pub(crate) command: Command,
    pub(crate) obeyed: Option<Obeyed>,
}

impl History {
    pub(crate) fn read(id: &QueueId, octets: &[u8], recipients: usize) -> History {
        let mut history = History { recipients: Recipients::new(recipients), wants: Vec::new(), deadline: None };
        for (_, entry) in tail::parse(id, octets) {
            match entry {
                Entry::Outcome(line) => drop(history.recipients.take(line)),
                order => history.take_order(&order),
            }
        }
        history
    }

    /// Adds what a line says of orders; a line seen before adds nothing. An order for a fresh start is in force as soon as it is read.
    pub(crate) fn take_order(&mut self, entry: &Entry) {
        if let Entry::Want(number, Command::Requeue(deadline)) = entry
            && self.wants.iter().all(|want| want.number != *number)
        {
            self.recipients.start_afresh();
            self.deadline = Some(*deadline);
        }
        take_order(&mut self.wants, entry);
    }

    /// Whether a person asked for the message to be returned now.
    pub(crate) fn bounce_wanted(&self) -> bool {
        self.wants.iter().any(|want| want.command == Command::Bounce)
    }
}

/// Adds what a line says of orders; a line seen before adds nothing.
pub(crate) fn take_order(wants: &mut Vec<Want>, entry: &Entry) {
    match *entry {
        Entry::Want(number, command) if wants.iter().all(|want| want.number != number) => {
            wants.push(Want { number, command, obeyed: None });
        }
        Entry::Did(number, obeyed) => {
            wants.iter_mut().filter(|want| want.number == number).for_each(|want| want.obeyed = Some(obeyed));
        }
        _ => {}
    }
}

/// How thoroughly a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Care {
    /// The check sum is verified: for a claim.
    Sum,
    /// The message itself is not read: for a listing.
    Look,
}

/// Reads a file of this length under this name.
pub(crate) fn read(file: &File, len: u64, id: &QueueId, care: Care) -> io::Result<Content> {
    if len <= SMALL_FILE {
        let mut octets = vec![0; usize::try_from(len).unwrap_or(0)];
        let count = file.read_at(&mut octets, 0)?;
        octets.truncate(count);
        return Ok(read_octets(octets, id, care));
    }
    let mut first = [0; FIRST_LINE];
    let count = file.read_at(&mut first, 0)?;
    let (lengths, stated) = match FirstLine::read(&first[..count]) {
        FirstLine::Good(lengths, sum) => (lengths, sum),
        other => return Ok(no_message(other)),
    };
    if lengths.history_at() > len {
        return Ok(Content::Wrong(Fault::Short));
    }
    if lengths.envelope > MAX_ENVELOPE as u64 {
        return Ok(Content::Newer);
    }
    let mut sum = Sum::new(id);
    if care == Care::Sum && !add_message(file, lengths.message, &mut sum)? {
        return Ok(Content::Wrong(Fault::Short));
    }
    let mut envelope = vec![0; usize::try_from(lengths.envelope).unwrap_or(0)];
    if file.read_at(&mut envelope, lengths.envelope_at())? < envelope.len() {
        return Ok(Content::Wrong(Fault::Short));
    }
    sum.add(&envelope);
    if care == Care::Sum && lengths.sum(sum) != stated {
        return Ok(Content::Wrong(Fault::Sum));
    }
    let history = file.read_from(lengths.history_at(), MAX_HISTORY)?;
    Ok(understand(id, lengths, &envelope, &history, None))
}

fn no_message(first: FirstLine) -> Content {
    match first {
        FirstLine::Blank => Content::Blank,
        FirstLine::Newer => Content::Newer,
        FirstLine::Wrong | FirstLine::Good(..) => Content::Wrong(Fault::FirstLine),
    }
}

/// Adds the message's octets to the sum; `false` where the file ends before.
fn add_message(file: &File, len: u64, sum: &mut Sum) -> io::Result<bool> {
    let mut stretch = vec![0; STRETCH];
    let mut at = 0;
    while at < len {
        let want = usize::try_from(len - at).unwrap_or(STRETCH).min(STRETCH);
        if file.read_at(&mut stretch[..want], FIRST_LINE as u64 + at)? < want {
            return Ok(false);
        }
        sum.add(&stretch[..want]);
        at += want as u64;
    }
    Ok(true)
}

/// Reads a whole file from memory.
pub(crate) fn read_octets(mut octets: Vec<u8>, id: &QueueId, care: Care) -> Content {
    let (lengths, stated) = match FirstLine::read(&octets[..octets.len().min(FIRST_LINE)]) {
        FirstLine::Good(lengths, sum) => (lengths, sum),
        other => return no_message(other),
    };
    let place = |at: u64| usize::try_from(at).ok().filter(|at| *at <= octets.len());
    let (Some(envelope_at), Some(history_at)) = (place(lengths.envelope_at()), place(lengths.history_at())) else {
        return Content::Wrong(Fault::Short);
    };
    if care == Care::Sum {
        let mut sum = Sum::new(id);
        sum.add(&octets[FIRST_LINE..history_at]);
        if lengths.sum(sum) != stated {
            return Content::Wrong(Fault::Sum);
        }
    }
    let rest = octets.split_off(envelope_at);
    let (envelope, history) = rest.split_at(history_at - envelope_at);
    understand(id, lengths, envelope, history, Some(octets))
}

fn understand(id: &QueueId, lengths: Lengths, envelope: &[u8], history: &[u8], octets: Option<Vec<u8>>) -> Content {
    let Some((mut envelope, parent_queue)) = std::str::from_utf8(envelope).ok().and_then(envelope::parse) else {
        return Content::Newer;
    };
    let history = History::read(id, history, envelope.recipients.len());
    envelope.deadline = history.deadline.unwrap_or(envelope.deadline);
    Content::Good(Box::new(Stored { lengths, envelope, parent_queue, history, octets }))
}
