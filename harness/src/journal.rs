//! What is done and seen while a stage runs, with the time since its start, for the reports and for whoever watches.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::record::{Moment, MomentKind, NodeRecord, Sample, Span};
use crate::report::live::Playing;

/// Samples that are kept of one scenario; past that every second one is dropped and the rest are taken half as often.
const MAX_SAMPLES: usize = 1200;

/// Somebody who watches a stage while it runs.
pub trait Witness: Send + Sync {
    /// Something was done or seen.
    fn moment(&self, moment: &Moment);

    /// A node is in this state from now on; `up` is the ordinary one.
    fn state(&self, node: &str, state: &str);

    /// Counts were taken.
    fn sample(&self, sample: &Sample, nodes: &[NodeRecord]);
}

/// The journal of one stage.
pub struct Journal {
    start: Instant,
    /// The start by the system's clock, milliseconds since 1970: what servers write down is placed by it.
    epoch_ms: i64,
    kept: Mutex<Kept>,
    witness: Option<Arc<dyn Witness>>,
}

impl Witness for Playing {
    fn moment(&self, moment: &Moment) {
        self.moment(moment);
    }

    fn state(&self, node: &str, state: &str) {
        self.state(node, state);
    }

    fn sample(&self, sample: &Sample, nodes: &[NodeRecord]) {
        self.sample(sample, nodes);
    }
}

#[derive(Debug, Default)]
struct Kept {
    moments: Vec<Moment>,
    spans: Vec<Span>,
    samples: Vec<Sample>,
}

impl Journal {
    /// A journal that begins now.
    pub fn new(witness: Option<Arc<dyn Witness>>) -> Journal {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let epoch_ms = i64::try_from(since.as_millis()).unwrap_or(0);
        Journal { start: Instant::now(), epoch_ms, kept: Mutex::default(), witness }
    }

    /// When it began.
    pub fn start(&self) -> Instant {
        self.start
    }

    /// The time since the start of a moment that a server tells, in milliseconds since 1970.
    pub fn place(&self, at_ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(at_ms - self.epoch_ms).unwrap_or(0))
    }

    /// Notes a moment.
    pub fn note(&self, kind: MomentKind, node: Option<&str>, text: impl Into<String>) {
        let moment = Moment { at: self.start.elapsed(), kind, node: node.map(str::to_owned), text: text.into() };
        if let Some(witness) = &self.witness {
            witness.moment(&moment);
        }
        self.kept().moments.push(moment);
    }

    /// From now on a node is in a state: `down`, `paused`, `cut`, `full`, `slow`.
    pub fn enter(&self, node: &str, state: &str) {
        let span = Span { node: node.to_owned(), from: self.start.elapsed(), until: None, state: state.to_owned() };
        self.kept().spans.push(span);
        self.tell(node, state);
    }

    /// It is in that state no longer.
    pub fn leave(&self, node: &str, state: &str) {
        let now = self.start.elapsed();
        let mut kept = self.kept();
        let open = kept.spans.iter_mut().filter(|span| span.until.is_none() && span.node == node && span.state == state);
        open.for_each(|span| span.until = Some(now));
        let other = kept.spans.iter().rev().find(|span| span.until.is_none() && span.node == node);
        let state = other.map_or_else(|| "up".to_owned(), |span| span.state.clone());
        drop(kept);
        self.tell(node, &state);
    }

    fn tell(&self, node: &str, state: &str) {
        if let Some(witness) = &self.witness {
            witness.state(node, state);
        }
    }

    /// Keeps counts.
    pub fn sample(&self, sample: Sample, nodes: &[NodeRecord]) {
        if let Some(witness) = &self.witness {
            witness.sample(&sample, nodes);
        }
        let mut kept = self.kept();
        if kept.samples.len() >= MAX_SAMPLES {
            let mut keep = false;
            kept.samples.retain(|_| {
                keep = !keep;
                keep
            });
        }
        kept.samples.push(sample);
    }

    /// All moments, states and counts so far.
    pub fn kept_so_far(&self) -> (Vec<Moment>, Vec<Span>, Vec<Sample>) {
        let kept = self.kept();
        (kept.moments.clone(), kept.spans.clone(), kept.samples.clone())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
