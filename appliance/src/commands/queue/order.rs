//! Orders to messages, by id or by filter.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use lib_mail::QueueId;
use lib_net::wake::{Consumer, Wake, send_now};
use lib_record::What;
use lib_spool::{Command, Done, Effect};

use super::{chosen, id, mailq};
use crate::cli::Order;
use crate::commands::record::Record;
use crate::commands::settings;
use crate::commands::text::{Progress, count};
use crate::layout::Layout;

/// How long a busy consumer may take to answer an order that names the message.
const PATIENCE: Duration = Duration::from_secs(5);
/// And where the message is one of many: the order is obeyed all the same.
const PATIENCE_OF_MANY: Duration = Duration::from_millis(100);
/// Above so many messages the consumers are told to look, and not each id.
const WAKES_MAX: usize = 1000;

/// Gives messages a fresh start, with the deadline of one that arrives now.
pub(super) fn requeue(layout: &Layout, order: &Order) -> Result<ExitCode> {
    let settings = settings(layout)?;
    let queue = &settings.queue;
    let schedule = lib_spool::schedule_of(queue);
    run(layout, order, Command::Requeue(schedule.deadline(mailq::clock(layout, &settings)?.now())))
}

/// Gives an order to the messages that are meant, and says what came of it.
pub(super) fn run(layout: &Layout, order: &Order, command: Command) -> Result<ExitCode> {
    let settings = settings(layout)?;
    let spool = mailq::open(layout, &settings)?;
    let by_id = !order.ids.is_empty();
    if by_id && (order.all || !order.filter.is_open()) {
        bail!("give queue ids or a filter, not both");
    }
    let mut well = true;
    let ids: Vec<QueueId> = if by_id {
        let (good, bad): (Vec<_>, Vec<_>) = order.ids.iter().map(|text| id(text)).partition(Result::is_ok);
        for error in bad.into_iter().filter_map(Result::err) {
            eprintln!("bongsu: {error:#}");
            well = false;
        }
        good.into_iter().flatten().collect()
    } else {
        let mut ids: Vec<QueueId> = chosen(layout, &spool, &order.filter, order.all)?.into_iter().map(|(id, ..)| id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    };
    if order.dry_run {
        println!("{} to {}; nothing was done", count(ids.len(), "message"), verb(command));
        return Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut record = Record::new(layout, mailq::clock(layout, &settings)?);
    let mut tally = Tally { by_id, done: BTreeMap::new() };
    let mut progress = Progress::new(doing(command), ids.len());
    for (at, id) in ids.iter().enumerate() {
        progress.at(at);
        match spool.command(id, command, if by_id { PATIENCE } else { PATIENCE_OF_MANY }) {
            // With a filter it was there a moment ago, and has just been finished.
            Ok(effects) if effects.is_empty() && by_id => {
                eprintln!(
                    "bongsu: there is no message {id} in the queue; see mailq, and bongsu trace {id} for what became of it"
                );
                well = false;
            }
            Ok(effects) => {
                well &= tally.take(id, &effects);
                if let Some(effect) = effects.iter().find(|effect| is_deed(effect.done)) {
                    let result = words(effect.done).to_owned();
                    record.add(*id, What::Ordered { order: verb(command).into(), result });
                }
            }
            Err(error) => {
                eprintln!("bongsu: {id}: {error}");
                well = false;
            }
        }
        if ids.len() <= WAKES_MAX && makes_due(command) {
            wake(layout, &Wake::New(*id));
        }
    }
    drop(progress);
    if ids.len() > WAKES_MAX && makes_due(command) {
        wake(layout, &Wake::Look);
    }
    record.send();
    tally.print(ids.len());
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn makes_due(command: Command) -> bool {
    !matches!(command, Command::Delete | Command::Hold)
}

fn wake(layout: &Layout, wake: &Wake) {
    [Consumer::Local, Consumer::Relay].into_iter().for_each(|consumer| send_now(&layout.run(), consumer, wake));
}

/// What came of the orders so far.
struct Tally {
    by_id: bool,
    done: BTreeMap<&'static str, usize>,
}

impl Tally {
    /// Says it of a message that was named, or counts it. Whether the order could be obeyed.
    fn take(&mut self, id: &QueueId, effects: &[Effect]) -> bool {
        for Effect { queue, done, .. } in effects {
            if self.by_id {
                println!("{id} ({queue}): {}", words(*done));
            } else {
                *self.done.entry(words(*done)).or_default() += 1;
            }
        }
        // Among many, one that is not held needs no release.
        !self.by_id || effects.iter().all(|effect| effect.done != Done::Unfit)
    }

    fn print(&self, messages: usize) {
        if self.by_id {
            return;
        }
        if messages == 0 {
            println!("no message in the queue is meant");
        }
        for (words, number) in &self.done {
            println!("{number}: {words}");
        }
    }
}

/// Whether the command itself did something, which no consumer will record.
fn is_deed(done: Done) -> bool {
    !matches!(done, Done::Finished | Done::Unfit)
}

fn verb(command: Command) -> &'static str {
    match command {
        Command::Delete => "delete",
        Command::Bounce => "bounce",
        Command::Hold => "hold",
        Command::Release => "release",
        Command::Retry => "retry",
        Command::Requeue(_) => "requeue",
    }
}

fn doing(command: Command) -> &'static str {
    match command {
        Command::Delete => "deleting",
        Command::Bounce => "returning",
        Command::Hold => "putting on hold",
        Command::Release => "releasing",
        Command::Retry => "making due",
        Command::Requeue(_) => "requeueing",
    }
}

fn words(done: Done) -> &'static str {
    match done {
        Done::Deleted => "deleted",
        Done::Held => "held",
        Done::Released => "released and due now",
        Done::Due => "due now",
        Done::WillBounce => "will be returned to its sender",
        Done::Requeued => "has a fresh start and is due now",
        Done::Finished => "was finished before the order came",
        Done::Asked => "is being worked on; the order is obeyed after that",
        Done::Unfit => "not possible where the message is; see mailq",
    }
}
