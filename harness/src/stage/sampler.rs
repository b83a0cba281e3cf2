//! Counts over time, taken beside the scenario.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::journal::Journal;
use crate::ledger::{Ledger, Told};
use crate::record::{NodeRecord, Sample};
use crate::server::Server;

/// Between two samples.
const EVERY: Duration = Duration::from_millis(250);

/// Takes samples until it is dropped.
pub(super) struct Sampler {
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<()>>,
}

impl Sampler {
    pub(super) fn start(
        servers: Arc<Vec<Box<dyn Server>>>,
        ledger: Arc<Ledger>,
        journal: Arc<Journal>,
        nodes: Vec<NodeRecord>,
    ) -> Sampler {
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&stop);
        let worker = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                journal.sample(sample(&servers, &ledger, &journal), &nodes);
                std::thread::park_timeout(EVERY);
            }
        });
        Sampler { stop, worker: Some(worker) }
    }
}

fn sample(servers: &[Box<dyn Server>], ledger: &Ledger, journal: &Journal) -> Sample {
    let counts: Vec<_> = servers.iter().map(|server| server.counts()).collect();
    Sample {
        at: journal.start().elapsed(),
        accepted: ledger.accepted(),
        refused: ledger.told(Told::Refused),
        in_doubt: ledger.told(Told::Nothing),
        queued: counts.iter().map(|counts| counts.queued).collect(),
        delivered: counts.iter().map(|counts| counts.delivered).collect(),
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            worker.thread().unpark();
            // It ends at its next look; that it panicked would show in the samples alone.
            let _ = worker.join();
        }
    }
}
