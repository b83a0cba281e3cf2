//! `accept`: what a server does before its 250. It keeps all of it in its queue, so nothing else costs anything meanwhile.

use super::figures::{CPU, OTHERS, RATE, Turned};
use super::subject::{AWAY, Sending, Subject, Wanted, users};
use super::{Bench, Turn, calls};
use crate::Result;

/// The bench.
pub(super) const ACCEPT: Bench =
    Bench { name: "accept", shows: "Messages that are durably queued, and not delivered.", once: false, turn: accept };

/// The work that every message is counted of.
const MANY: &str = "50 sessions × 10, 2 KiB";
/// Recipients, in turn.
const RECIPIENTS: usize = 50;

fn accept(turn: &Turn) -> Result<Turned> {
    let subject = Subject::start(turn.system, &Wanted { held: true, ..Wanted::default() })?;
    let (mut turned, recipients) = (Turned::default(), users(RECIPIENTS, AWAY));
    subject.warm(&recipients[0])?;
    let messages = turn.some(2000, 100);
    for (workload, sending) in [
        (MANY, Sending { tag: "many", sessions: 50, messages, each: 10, size: 2048 }),
        ("10 sessions × 1, 2 KiB", Sending { tag: "short", sessions: 10, messages, each: 1, size: 2048 }),
        ("50 sessions × 2, 1 MiB", Sending { tag: "large", sessions: 50, messages: messages / 10, each: 2, size: 1 << 20 }),
    ] {
        let began = subject.begin()?;
        let report = subject.load(sending, &recipients)?;
        let cost = subject.cost(began)?;
        turned.add(workload, RATE, report.rate());
        turned.add(workload, CPU, cost.server * 1000.0 / sending.messages as f64);
        turned.latencies(workload, &report.latencies);
        turned.add(workload, OTHERS, cost.others);
    }
    let (workload, sending) = (MANY, Sending { tag: "counted", sessions: 50, messages, each: 10, size: 2048 });
    calls::count(&subject, &mut turned, workload, messages, || subject.load(sending, &recipients).map(|_| ()))?;
    let books = subject.balance(&[])?;
    anyhow::ensure!(books.queued == books.accepted, "{} of {} messages lie in the queue", books.queued, books.accepted);
    subject.end()?;
    Ok(turned)
}
