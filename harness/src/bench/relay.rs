//! `relay` and `relay-many`: what a server sends on, to one host and to many; from its full queue, and while it accepts.

use std::time::{Duration, Instant};

use super::figures::{CPU, OTHERS, Quantity, RATE, Turned};
use super::sink::Sinks;
use super::subject::{AWAY, Sending, Subject, Wanted};
use super::{Bench, Turn};
use crate::Result;
use crate::system;

/// To one host.
pub(super) const RELAY: Bench = Bench {
    name: "relay",
    shows: "Messages that are sent on to one smart host: a full queue that is let go, and all that comes in.",
    once: false,
    turn: |turn| relay(turn, &Way::SmartHost),
};

/// To many.
pub(super) const RELAY_MANY: Bench = Bench {
    name: "relay-many",
    shows: "Messages that are sent on to 200 domains, each with an MX of its own: a full queue that is let go, and all that comes in.",
    once: false,
    turn: |turn| relay(turn, &Way::Domains(if turn.quick { 10 } else { DOMAINS })),
};

/// Domains of `relay-many`, each on an address of its own.
const DOMAINS: usize = 200;
/// Recipients, in turn, where one host takes all.
const RECIPIENTS: usize = 50;
/// Until the last message is out.
const PATIENCE: Duration = Duration::from_secs(600);
/// From the first message that the sinks took.
const PURE: Quantity = Quantity::more("messages/s from the first on");
/// How often a sink was called.
const CONNECTIONS: Quantity = Quantity::noted("connections");

/// Where mail goes.
enum Way {
    /// All to one host.
    SmartHost,
    /// Each to the MX of its domain.
    Domains(usize),
}

impl Way {
    fn sinks(&self) -> usize {
        match self {
            Way::SmartHost => 1,
            Way::Domains(count) => *count,
        }
    }

    fn settings(&self, sinks: &Sinks, port: u16) -> String {
        match self {
            Way::SmartHost => format!(
                "relay.smart_host.host = \"[{}]\"\nrelay.smart_host.port = {port}\nrelay.smart_host.tls = \"none\"\n",
                sinks.addresses()[0]
            ),
            Way::Domains(_) => String::new(),
        }
    }

    fn recipients(&self) -> Vec<String> {
        match self {
            Way::SmartHost => super::subject::users(RECIPIENTS, AWAY),
            Way::Domains(count) => recipients(*count),
        }
    }
}

/// One recipient in each of so many domains.
pub(super) fn recipients(domains: usize) -> Vec<String> {
    (0..domains).map(|number| format!("someone@d{number}.{AWAY}")).collect()
}

/// Tells the name server of these domains: each has one MX, a sink.
pub(super) fn publish(subject: &Subject, sinks: &Sinks) -> Result<()> {
    let names = subject.net().names();
    for (number, address) in sinks.addresses().iter().enumerate() {
        names.add(&format!("d{number}.{AWAY}"), "MX", &format!("10 mx{number}.{AWAY}"))?;
        names.add(&format!("mx{number}.{AWAY}"), "A", &address.to_string())?;
    }
    Ok(())
}

fn relay(turn: &Turn, way: &Way) -> Result<Turned> {
    let mut turned = Turned::default();
    let messages = turn.some(5000, 100);
    for (workload, held) in [("a full queue, 2 KiB", true), ("10 sessions × 10, 2 KiB", false)] {
        let port = system::relays_to(turn.system);
        let sinks = Sinks::start(way.sinks(), 0, port)?;
        let settings = way.settings(&sinks, port);
        let subject = Subject::make(turn.system, &Wanted { settings, held, ..Wanted::default() })?;
        publish(&subject, &sinks)?;
        subject.run()?;
        let sessions = if held { 20 } else { 10 };
        let sending = Sending { tag: "relayed", sessions, messages, each: 10, size: 2048 };
        if held {
            subject.load(sending, &way.recipients())?;
        }
        let (began, since) = (subject.begin()?, Instant::now());
        if held {
            subject.server().hold(false)?;
        } else {
            subject.load(sending, &way.recipients())?;
        }
        let arrived = sinks.wait(messages, PATIENCE);
        arrived.map_err(|error| subject.told(&error))?;
        let cost = subject.cost(began)?;
        let (first, last) = sinks.span().unwrap_or((since, since));
        turned.add(workload, RATE, messages as f64 / (last - since).as_secs_f64());
        turned.add(workload, CPU, cost.server * 1000.0 / messages as f64);
        turned.add(workload, PURE, messages as f64 / (last - first).as_secs_f64().max(0.001));
        turned.add(workload, CONNECTIONS, sinks.connections() as f64);
        turned.add(workload, OTHERS, cost.others);
        // Once the queue is empty nothing is sent a second time.
        subject.server().wait_empty(PATIENCE)?;
        let books = subject.balance(&sinks.found())?;
        anyhow::ensure!(books.handed_over == books.accepted, "{} of {} messages arrived", books.handed_over, books.accepted);
        subject.end()?;
    }
    Ok(turned)
}
