//! When one sync of the whole file system stands for those of many files and directories.
//!
//! It costs about as much as one file's, so copies that are delivered together share it. But it also waits for what other programs have
//! written: where that is much, copies are synced one by one for a while.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use lib_host::{Dir, Purpose, SyncAll};

/// Copies that are gathered at most for one sync.
pub(crate) const MOST: usize = 64;
/// Below this each has its own: two syncs for all cost no less.
const FEWEST: usize = 3;
/// A sync for all that took longer had somebody else's writes to wait for.
const SLOW: Duration = Duration::from_secs(2);
/// After that there is none for this long.
const REST: Duration = Duration::from_secs(30);

/// The choice between one sync for all and one for each.
pub(crate) struct Together {
    possible: bool,
    rests: Mutex<Option<Instant>>,
}

impl Together {
    pub(crate) fn on(mail: &Dir) -> io::Result<Together> {
        Ok(Together { possible: mail.can_sync_all()?, rests: Mutex::default() })
    }

    /// Whether one sync stands for many here and now.
    pub(crate) fn is_of_use(&self) -> bool {
        self.possible && !self.rests()
    }

    /// To be called before the first of so many copies is written; `None` where each is to be synced by itself.
    pub(crate) fn begin(&self, mail: &Dir, copies: usize) -> Option<SyncAll> {
        if copies < FEWEST || !self.is_of_use() {
            return None;
        }
        // Where no descriptor is left, each copy's own will do.
        mail.begin_sync_all().ok()
    }

    pub(crate) fn sync(&self, all: &SyncAll, purpose: Purpose) -> io::Result<()> {
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
