//! What this process knows of the mailboxes that it delivers to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::batch::Batcher;

/// Mailboxes that are remembered as prepared. When there are more, all are forgotten, which costs each one preparation.
const MAX_SEATS: usize = 50_000;

/// What is known of one mailbox.
#[derive(Default)]
pub(crate) struct Seat {
    prepared: Mutex<Prepared>,
    /// The syncs of `new/`.
    pub(crate) new: Batcher,
}

/// How far a mailbox is prepared for deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Prepared {
    /// Nothing is known.
    #[default]
    Not,
    /// Its directories are there and its ledger is true; a power cut may take them back until a sync for all that begins from now on.
    /// By number, because it can be made, forgotten, and made again while a sync runs.
    Made(u64),
    /// Its directories last, too.
    Lasts,
}

/// Numbers the makings.
static MAKINGS: AtomicU64 = AtomicU64::new(0);

impl Prepared {
    /// Just made.
    pub(crate) fn made() -> Prepared {
        Prepared::Made(MAKINGS.fetch_add(1, Ordering::Relaxed))
    }
}

/// The seats of all mailboxes that this process has delivered to.
#[derive(Default)]
pub(crate) struct Seats(Mutex<HashMap<String, Arc<Seat>>>);

impl Seat {
    /// How far it is prepared. While this is held, nobody else prepares it.
    pub(crate) fn prepared(&self) -> MutexGuard<'_, Prepared> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sync for all succeeded that began when the mailbox was prepared as far as `then`.
    pub(crate) fn synced(&self, then: Prepared) {
        let mut prepared = self.prepared();
        if *prepared == then && then != Prepared::Not {
            *prepared = Prepared::Lasts;
        }
    }

    /// The mailbox is to be prepared again.
    pub(crate) fn forget(&self) {
        *self.prepared() = Prepared::Not;
    }
}

impl Seats {
    pub(crate) fn of(&self, account: &str) -> Arc<Seat> {
        let mut seats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seat) = seats.get(account) {
            return Arc::clone(seat);
        }
        if seats.len() >= MAX_SEATS {
            seats.clear();
        }
        Arc::clone(seats.entry(account.to_owned()).or_default())
    }
}
