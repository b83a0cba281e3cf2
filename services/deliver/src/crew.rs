//! The threads that attempt messages: as many as there is work for, at most as many as the setting says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lib_mail::{QueueId, Timestamp};
use lib_spool::Queue;
use tokio::sync::Notify;

use crate::attempt::attempt;
use crate::backlog::Backlog;
use crate::office::Office;

/// All of them, and their work.
pub(crate) struct Crew {
    office: Arc<Office>,
    work: Mutex<Work>,
    most: usize,
    draining: AtomicBool,
    /// Told when a thread has no more work, and when a moment was learned at which there is some.
    pub(crate) changed: Notify,
}

#[derive(Default)]
struct Work {
    backlog: Backlog,
    threads: usize,
}

impl Crew {
    pub(crate) fn new(office: Arc<Office>, most: usize) -> Arc<Crew> {
        let (work, draining, changed) = (Mutex::default(), AtomicBool::new(false), Notify::new());
        Arc::new(Crew { office, work, most, draining, changed })
    }

    /// Adds messages to be attempted, and starts threads for them. To be called inside the runtime.
    pub(crate) fn add(self: &Arc<Self>, ids: impl IntoIterator<Item = QueueId>) {
        let mut work = self.lock();
        let new = ids.into_iter().filter(|id| work.backlog.add(*id)).count();
        let start = if self.is_draining() { 0 } else { new.min(self.most.saturating_sub(work.threads)) };
        work.threads += start;
        drop(work);
        for _ in 0..start {
            let crew = Arc::clone(self);
            tokio::task::spawn_blocking(move || crew.run());
        }
    }

    /// Attempts messages until none waits.
    fn run(&self) {
        while let Some(id) = self.take() {
            let next = attempt(&self.office, id);
            self.lock().backlog.done(id, next);
        }
        self.changed.notify_one();
    }

    fn take(&self) -> Option<QueueId> {
        let mut work = self.lock();
        let id = if self.is_draining() { None } else { work.backlog.take() };
        if id.is_none() {
            work.threads -= 1;
        }
        id
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
