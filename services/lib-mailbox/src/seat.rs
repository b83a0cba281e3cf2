//! What this process knows of the mailboxes that it delivers to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::batch::Batcher;

/// Mailboxes that are remembered as prepared. When there are more, all are forgotten, which costs each one preparation.
const MAX_SEATS: usize = 50_000;

/// What is known of one mailbox.
#[derive(Default)]
pub(crate) struct Seat {
    prepared: Mutex<bool>,
    /// The syncs of `new/`.
    pub(crate) new: Batcher,
}

/// The seats of all mailboxes that this process has delivered to.
#[derive(Default)]
pub(crate) struct Seats(Mutex<HashMap<String, Arc<Seat>>>);

impl Seat {
    /// Whether its directories last and its ledger is true. While this is held, nobody else prepares the mailbox.
    pub(crate) fn prepared(&self) -> MutexGuard<'_, bool> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The mailbox is to be prepared again.
    pub(crate) fn forget(&self) {
        *self.prepared() = false;
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
