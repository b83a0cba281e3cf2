//! When one sync of the whole file system stands for those of many files and directories.
//!
//! It costs about as much as one file's, so messages that are delivered or settled together share it. But it also waits for what other
//! programs have written: where that is much, each is synced by itself for a while.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Dir, Purpose, SyncAll};

/// Below this each has its own: a sync for all costs more than one file's.
const FEWEST: usize = 3;
/// A sync for all that took longer had somebody else's writes to wait for.
const SLOW: Duration = Duration::from_secs(2);
/// After that there is none for this long.
const REST: Duration = Duration::from_secs(30);

/// The choice between one sync for all and one for each.
#[derive(Debug)]
pub struct Together {
    possible: bool,
    rests: Mutex<Option<Instant>>,
}

impl Together {
    /// For the file system of that directory.
    pub fn on(dir: &Dir) -> io::Result<Together> {
        Ok(Together { possible: dir.can_sync_all()?, rests: Mutex::default() })
    }

    /// Whether one sync stands for many here and now.
    pub fn is_of_use(&self) -> bool {
        self.possible && !self.rests()
    }

    /// To be called before the first of so many is written; `None` where each is to be synced by itself.
    pub fn begin(&self, dir: &Dir, count: usize) -> Option<SyncAll> {
        if count < FEWEST || !self.is_of_use() {
            return None;
        }
        // Where no descriptor is left, each one's own will do.
        dir.begin_sync_all().ok()
    }

    /// Makes all of them durable. On an error none can be called so.
    pub fn sync(&self, all: &SyncAll, purpose: Purpose) -> io::Result<()> {
        let start = Instant::now();
        let synced = all.sync(purpose);
        if start.elapsed() > SLOW {
            *self.rests.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
        }
        synced
    }

    fn rests(&self) -> bool {
        self.rests.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }
}
