//! `tarpits`: half of all destinations accept a connection and never say a word. How long does the mail for the others wait?

use std::time::{Duration, Instant};

use super::figures::{OTHERS, Quantity, Turned};
use super::relay::{publish, recipients};
use super::sink::Sinks;
use super::subject::{Sending, Subject, Wanted};
use super::{Bench, Turn};
use crate::Result;
use crate::system;

/// The bench.
pub(super) const TARPITS: Bench = Bench {
    name: "tarpits",
    shows: "How long mail for destinations that live takes, where none and where half of all destinations accept connections and never greet.",
    once: false,
    turn: tarpits,
};

/// Destinations.
const ALL: usize = 40;
/// Those that never greet.
const DEAD: usize = 20;
/// No server is waited for longer.
const LIMIT: Duration = Duration::from_secs(60);
/// Until the last message for a destination that lives is out; the limit where it was not.
const OUT: Quantity = Quantity::less("s until the last is out");
/// How much of the mail for destinations that live was out by then.
const PART: Quantity = Quantity::more("% out within 60 s");
/// Of this server with itself: the time with dead destinations, of that without any. Both times are of all messages that can be out.
const TIMES: Quantity = Quantity::less("times as long as with none dead");

fn tarpits(turn: &Turn) -> Result<Turned> {
    let (all, dead) = if turn.quick { (4, 2) } else { (ALL, DEAD) };
    let (messages, mut turned) = (turn.some(4000, 80), Turned::default());
    let mut healthy = None;
    for (workload, dead) in [("none dead", 0), ("half of them dead", dead)] {
        let sinks = Sinks::start(all, dead, system::relays_to(turn.system))?;
        let subject = Subject::make(turn.system, &Wanted::default())?;
        publish(&subject, &sinks)?;
        subject.run()?;
        let (began, since) = (subject.begin()?, Instant::now());
        let sending = Sending { tag: "relayed", sessions: 10, messages, each: 10, size: 2048 };
        subject.load(sending, &recipients(all))?;
        let live = messages / all * (all - dead) + (messages % all).min(all - dead);
        let in_time = sinks.wait(live, LIMIT.saturating_sub(since.elapsed())).is_ok();
        let cost = subject.cost(began)?;
        let out = if in_time { sinks.span().map_or(LIMIT, |(_, last)| last - since) } else { LIMIT };
        turned.add(workload, OUT, out.as_secs_f64());
        turned.add(workload, PART, sinks.count() as f64 * 100.0 / live as f64);
        match healthy {
            None => healthy = Some(out),
            Some(healthy) => turned.add(workload, TIMES, out.as_secs_f64() / healthy.as_secs_f64()),
        }
        turned.add(workload, OTHERS, cost.others);
        subject.balance(&sinks.found())?;
        // Its connections to tarpits would make an end in order long.
        subject.server().kill()?;
    }
    Ok(turned)
}
