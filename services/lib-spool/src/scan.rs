//! Which messages are due, without opening one.

use std::sync::Arc;

use lib_mail::{QueueId, Timestamp};

use crate::error::{Doing, Error};
use crate::layout::Shared;
use crate::{Place, Queue};

/// One of the 32 parts of a queue, as a scan found it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shard {
    /// Due now, the longest due first. Some may be claimed already.
    pub due: Vec<QueueId>,
    /// When the next of the others is due.
    pub next: Option<Timestamp>,
    /// How many messages there are in all.
    pub count: usize,
}

/// A scan, one shard at a step so that the caller can pace it.
#[derive(Debug)]
pub struct Due {
    shared: Arc<Shared>,
    queue: Queue,
    now: Timestamp,
    /// Whether what is due further ahead than any schedule goes counts as due.
    mend: bool,
    shards: Vec<char>,
}

impl Due {
    pub(crate) fn new(shared: Arc<Shared>, queue: Queue, now: Timestamp) -> Due {
        Due { shared, queue, now, mend: true, shards: QueueId::shards().collect() }
    }

    /// Only what was due by then.
    pub(crate) fn strictly(self) -> Due {
        Due { mend: false, ..self }
    }

    fn look(&self, shard: char) -> std::io::Result<Shard> {
        let directory = self.shared.shard_of(self.queue, Place::Queued, shard)?;
        let mut found = Shard::default();
        let mut due = Vec::new();
        for id in self.shared.ids(self.queue, Place::Queued, shard)? {
            // Gone meanwhile: finished.
            let Some(meta) = directory.stat(id.as_str())? else { continue };
            found.count += 1;
            // Further ahead than any schedule goes: some clock was wrong, and waiting for it would be forever.
            let absurd = self.mend && meta.mtime > self.now.plus(self.shared.limits().longest_interval);
            if meta.mtime <= self.now || absurd {
                due.push((meta.mtime, id));
            } else {
                found.next = Some(found.next.map_or(meta.mtime, |next| next.min(meta.mtime)));
            }
        }
        due.sort_unstable();
        found.due = due.into_iter().map(|(_, id)| id).collect();
        Ok(found)
    }
}

impl Iterator for Due {
    type Item = Result<Shard, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let shard = self.shards.pop()?;
        Some(self.look(shard).doing("scan a queue"))
    }
}
