//! Messages that end together: their removals share one sync, and stand for the records that each of them would need by itself.

use std::cell::Cell;

use lib_host::{Purpose, SyncAll};

use crate::error::{Doing, Error};
use crate::layout::Shared;

/// Removals that one sync makes durable. Begun before the first of them.
#[derive(Debug)]
pub struct Removals<'a> {
    shared: &'a Shared,
    all: SyncAll,
    expected: Cell<bool>,
}

impl<'a> Removals<'a> {
    /// Of so many messages; `None` where each is to be settled by itself, with a sync of its own.
    pub(crate) fn begin(shared: &'a Shared, count: usize) -> Option<Removals<'a>> {
        let all = shared.together.begin(&shared.root, count)?;
        Some(Removals { shared, all, expected: Cell::new(false) })
    }

    /// A message is removed that counts on the sync.
    pub(crate) fn expect(&self) {
        self.expected.set(true);
    }

    /// Makes durable what was removed, where anybody counts on it.
    ///
    /// # Errors
    /// The disk's. Nothing is lost; but a power cut may bring the messages back, and then they are sent once more.
    pub fn sync(self) -> Result<(), Error> {
        if !self.expected.get() {
            return Ok(());
        }
        let synced = self.shared.together.sync(&self.all, Purpose::Outcome);
        if synced.is_err() {
            self.shared.trouble.begin(self.shared.options.clock.ticks(), 0);
        }
        synced.doing("make the removal of relayed messages durable")
    }
}
