//! The order to stop: told once, heard by every session and listener.

use std::sync::Arc;

use tokio::sync::watch;

/// Gives the order. Clones give the same one.
#[derive(Debug, Clone)]
pub struct Drain {
    order: Arc<watch::Sender<bool>>,
}

impl Drain {
    /// Not yet given.
    pub fn new() -> Drain {
        Drain { order: Arc::new(watch::Sender::new(false)) }
    }

    /// Gives the order: listeners close, sessions at rest end, others get their grace.
    pub fn begin(&self) {
        self.order.send_replace(true);
    }

    /// Whether the order was given.
    pub fn has_begun(&self) -> bool {
        *self.order.borrow()
    }

    /// Waits until the order is given.
    pub async fn begun(&self) {
        // The sender lives in self, so the wait can only end with the order.
        let _ = self.order.subscribe().wait_for(|begun| *begun).await;
    }
}

impl Default for Drain {
    fn default() -> Self {
        Drain::new()
    }
}
