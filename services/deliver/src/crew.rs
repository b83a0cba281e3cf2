//! The threads that attempt messages: as many as there is work for, at most as many as the setting says.
//!
//! Where a batch of messages can share its syncs, few threads do more than many: two take turns, so that one claims and writes while the
//! other waits for the disk. Where each copy has its own syncs, there is a thread for each message instead.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lib_mail::{QueueId, Timestamp};
use lib_spool::Queue;
use tokio::sync::Notify;

use crate::backlog::{Backlog, Next};
use crate::batch::Batch;
use crate::office::Office;

/// Threads with a batch each that take turns.
const FEW: usize = 2;
/// A batch that takes longer waits for something else than the disk's usual turn: another thread takes its place.
const LONG: Duration = Duration::from_millis(500);

/// All of them, and their work.
pub(crate) struct Crew {
    office: Arc<Office>,
    work: Mutex<Work>,
    /// Threads at most.
    most: usize,
    draining: AtomicBool,
    /// Told when a thread has no more work, and when a moment was learned at which there is some.
    pub(crate) changed: Notify,
}

#[derive(Default)]
struct Work {
    backlog: Backlog,
    threads: usize,
    /// The batches in work, by a number, and since when.
    batches: HashMap<u64, Instant>,
    numbers: u64,
}

impl Crew {
    pub(crate) fn new(office: Arc<Office>, most: usize) -> Arc<Crew> {
        let (work, draining, changed) = (Mutex::default(), AtomicBool::new(false), Notify::new());
        Arc::new(Crew { office, work, most, draining, changed })
    }

    /// Messages of a batch, at most. One where copies do not share their syncs, or not now.
    fn batch(&self) -> usize {
        self.office.mailboxes.together().min(self.most)
    }

    /// Adds messages to be attempted, and starts threads for what waits. To be called inside the runtime, also without messages now and
    /// then: a batch may have come to take long.
    pub(crate) fn add(self: &Arc<Self>, ids: impl IntoIterator<Item = QueueId>) {
        let mut work = self.lock();
        for id in ids {
            work.backlog.add(id);
        }
        let start = if self.is_draining() { 0 } else { self.wanted(&work) };
        work.threads += start;
        drop(work);
        for _ in 0..start {
            let crew = Arc::clone(self);
            tokio::task::spawn_blocking(move || crew.run());
        }
    }

    /// How many threads there should be more.
    fn wanted(&self, work: &Work) -> usize {
        let long = work.batches.values().filter(|since| since.elapsed() > LONG).count();
        let enough = if self.batch() == 1 { self.most } else { FEW };
        let moving = work.threads.saturating_sub(long);
        enough.saturating_sub(moving).min(work.backlog.waiting()).min(self.most.saturating_sub(work.threads))
    }

    /// Attempts messages until none waits.
    fn run(&self) {
        while let Some((number, batch)) = self.gather() {
            self.ended(number, batch.run());
        }
        self.changed.notify_one();
    }

    /// Claims what waits, as much as a batch takes; `None`, and the thread ends, where nothing does.
    fn gather(&self) -> Option<(u64, Batch<'_>)> {
        let (number, first) = self.begin()?;
        let mut batch = Batch::new(&self.office, self.batch());
        batch.add(first);
        while !batch.is_full()
            && let Some(id) = self.take()
        {
            batch.add(id);
        }
        Some((number, batch))
    }

    fn begin(&self) -> Option<(u64, QueueId)> {
        let mut work = self.lock();
        let id = if self.is_draining() { None } else { work.backlog.take() };
        let Some(id) = id else {
            work.threads -= 1;
            return None;
        };
        work.numbers += 1;
        let number = work.numbers;
        work.batches.insert(number, Instant::now());
        Some((number, id))
    }

    fn take(&self) -> Option<QueueId> {
        if self.is_draining() { None } else { self.lock().backlog.take() }
    }

    fn ended(&self, number: u64, ended: Vec<(QueueId, Next)>) {
        let mut work = self.lock();
        work.batches.remove(&number);
        ended.into_iter().for_each(|(id, next)| work.backlog.done(id, next));
    }

    /// Takes nothing new from now on.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Whether no message is in work.
    pub(crate) fn is_idle(&self) -> bool {
        self.lock().threads == 0
    }

    /// Messages that wait or are in work.
    pub(crate) fn len(&self) -> usize {
        self.lock().backlog.len()
    }

    /// When the queue should be scanned, if that is known.
    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.lock().backlog.next_due()
    }

    /// Looks through the queue: what is due, or all that waits, and how many messages there are. Blocks.
    pub(crate) fn scan(&self, all: bool) -> (Vec<QueueId>, usize) {
        self.lock().backlog.scanning();
        let (mut due, mut messages) = (Vec::new(), 0);
        let until = if all { Timestamp(i64::MAX) } else { self.office.clock.now() };
        for shard in self.office.spool.due(Queue::Local, until) {
            match shard {
                Ok(shard) => {
                    due.extend(shard.due);
                    messages += shard.count;
                    shard.next.into_iter().for_each(|at| self.lock().backlog.note_due(at));
                }
                Err(error) => self.office.journal.warn("spool", error.to_string()),
            }
        }
        (due, messages)
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
