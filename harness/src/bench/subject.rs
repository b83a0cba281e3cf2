//! A server that is measured: made as shipped, started where its cost is counted, loaded, and audited.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::meter::{self, Meter};
use crate::Result;
use crate::driver::{self, DriverKind, Made, Net};
use crate::ledger::{Found, Ledger};
use crate::load::{Load, Report};
use crate::record::Books;
use crate::server::{Port, Server};
use crate::topology::{SystemKind, Topology};

/// The domain whose mailboxes a server has.
pub const HOME: &str = "office.example";
/// The domain that it relays for, with all below it.
pub const AWAY: &str = "away.example";
/// Longest wait for one reply.
const REPLY: Duration = Duration::from_secs(60);
/// A session that is not greeted within this time, or turned away, comes again: not every server takes as many at one time as come.
const GREETING: Duration = Duration::from_secs(5);
/// For so long.
const STUBBORN: Duration = Duration::from_secs(60);
/// The network of a server that is measured: itself.
const ALONE: &str = "name = \"bench\"\nabout = \"One server, as shipped.\"\nshipped = true\n[[node]]\nname = \"mail\"\ndomain = \"office.example\"\n\
                     relay_domains = [\"away.example\"]\n[[zone]]\ndomain = \"office.example\"\nmx = [[10, \"mail\"]]\n";

/// What a bench asks of a server.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Settings, as lines `key = value` of bongsu, which other systems translate.
    pub settings: String,
    /// Mailboxes: local parts.
    pub accounts: Vec<String>,
    /// Whether what it would relay stays in its queue.
    pub held: bool,
}

/// Messages of one load.
#[derive(Debug, Clone, Copy)]
pub struct Sending<'a> {
    /// Its own, so that its messages are told from others.
    pub tag: &'a str,
    /// Sessions at once.
    pub sessions: usize,
    /// Messages in all.
    pub messages: usize,
    /// Messages of one session.
    pub each: usize,
    /// Octets of a message.
    pub size: usize,
}

/// A server that is measured. It ends when dropped.
pub struct Subject {
    made: Made,
    // Behind the server, whose processes it holds.
    meter: Meter,
    ledger: Ledger,
}

/// What a stretch of work cost.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// How long it took.
    pub took: Duration,
    /// CPU seconds of the server.
    pub server: f64,
    /// Cores that neither the server nor the harness used, on average.
    pub others: f64,
}

/// A stretch of work that has begun.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    began: Instant,
    server: f64,
    own: f64,
    machine: f64,
}

impl Subject {
    /// Makes the server; it does not run yet.
    pub fn make(system: SystemKind, wanted: &Wanted) -> Result<Subject> {
        let mut topology = Topology::parse(ALONE)?;
        topology.nodes[0].system = system;
        topology.nodes[0].settings.clone_from(&wanted.settings);
        topology.nodes[0].accounts.clone_from(&wanted.accounts);
        let made = driver::make(DriverKind::Processes, &topology)?;
        let subject = Subject { made, meter: Meter::open(), ledger: Ledger::default() };
        if wanted.held {
            subject.server().hold(true)?;
        }
        Ok(subject)
    }

    /// Makes the server and starts it.
    pub fn start(system: SystemKind, wanted: &Wanted) -> Result<Subject> {
        let subject = Subject::make(system, wanted)?;
        subject.run()?;
        Ok(subject)
    }

    /// Starts it, again too, and waits until it answers.
    pub fn run(&self) -> Result<()> {
        self.meter.within(|| self.server().start())?
    }

    /// The server.
    pub fn server(&self) -> &dyn Server {
        self.made.servers[0].as_ref()
    }

    /// The name server, for the domains that it relays to.
    pub fn net(&self) -> &dyn Net {
        self.made.net.as_ref()
    }

    /// What its CPU seconds and memory are counted by.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Its processes now.
    pub fn processes(&self) -> Vec<u32> {
        self.meter.processes(self.server())
    }

    /// Memory of all its processes (PSS), in kB.
    pub fn kilobytes(&self) -> f64 {
        self.meter.kilobytes(self.server()) as f64
    }

    /// Sends, and enters into the books. Fails unless every message was accepted.
    pub fn load(&self, sending: Sending<'_>, recipients: &[String]) -> Result<Report> {
        let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
        let load = Load {
            sessions: sending.sessions,
            messages: sending.messages,
            per_session: sending.each,
            size: (sending.size, sending.size),
            tag: sending.tag.to_owned(),
            timeout: REPLY,
            greeting: Some(GREETING),
            patience: STUBBORN,
            // To compare each octet would cost more than to send it.
            compare: sending.size <= 16 * 1024,
            ..Load::new(&[self.server().at(Port::Mx)], &recipients)
        };
        let report = load.run(&self.ledger, &AtomicBool::new(false));
        let all = report.accepted == sending.messages;
        anyhow::ensure!(
            all,
            "{} of {} messages were accepted, {} refused ({:?}), {} in doubt, {} tries broke off\n{}",
            report.accepted,
            sending.messages,
            report.refused,
            report.refusals,
            report.in_doubt,
            report.broken,
            self.server().log_tail(20)
        );
        Ok(report)
    }

    /// A few messages, so that nothing is done for the first time while it counts.
    pub fn warm(&self, recipient: &str) -> Result<usize> {
        let sending = Sending { tag: "warm", sessions: 2, messages: 20, each: 10, size: 2048 };
        self.load(sending, &[recipient.to_owned()])?;
        Ok(sending.messages)
    }

    /// Begins a stretch of work whose cost is of interest.
    pub fn begin(&self) -> Result<Stretch> {
        let (own, machine) = (meter::own_seconds(), meter::machine_seconds());
        Ok(Stretch { server: self.meter.seconds(self.server())?, own, machine, began: Instant::now() })
    }

    /// What it cost until now.
    pub fn cost(&self, since: Stretch) -> Result<Cost> {
        let took = since.began.elapsed();
        let server = self.meter.seconds(self.server())? - since.server;
        let (own, machine) = (meter::own_seconds() - since.own, meter::machine_seconds() - since.machine);
        Ok(Cost { took, server, others: ((machine - own - server) / took.as_secs_f64()).max(0.0) })
    }

    /// Every message of all loads lies exactly once in the queue, in a mailbox, or with a server outside, and nothing else does.
    pub fn balance(&self, outside: &[Found]) -> Result<Books> {
        let mut found = outside.to_vec();
        let name = &self.server().plan().name;
        // The queue first: what moves between the two looks is then seen twice, never not at all.
        found.extend(self.server().queued()?.into_iter().filter(|queued| !queued.token.is_empty()));
        found.extend(self.server().copies()?.iter().filter_map(|copy| Found::in_mailbox(name, &copy.address, &copy.text)));
        let (books, _) = self.ledger.balance(&found, &|recipient| vec![recipient.to_owned()]);
        even(&books).map_err(|error| self.told(&error))?;
        Ok(books)
    }

    /// An error, and the last words of the server.
    pub fn told(&self, error: &anyhow::Error) -> anyhow::Error {
        anyhow::anyhow!("{error:#}\n{}", self.server().log_tail(20))
    }

    /// Ends it in order.
    pub fn end(self) -> Result<()> {
        let code = self.server().stop()?;
        anyhow::ensure!(code == 0, "it ended with exit code {code}\n{}", self.server().log_tail(20));
        Ok(())
    }
}

/// An error where a message is lost, there twice, damaged, in doubt, or none of ours.
fn even(books: &Books) -> Result<()> {
    let wrong = [&books.lost, &books.duplicated, &books.damaged, &books.refused_but_found];
    let even = wrong.iter().all(|list| list.is_empty()) && books.unknown == 0 && books.in_doubt == 0;
    let first = wrong.iter().find_map(|list| list.first()).map_or("", String::as_str);
    anyhow::ensure!(
        even,
        "THE BOOKS DO NOT BALANCE, the figures are void: accepted {} = delivered {} + handed over {} + queued {} + bounced {} + lost {}; duplicated \
         {}, damaged {}, in doubt {}, unknown {}; {first}",
        books.accepted,
        books.delivered,
        books.handed_over,
        books.queued,
        books.bounced,
        books.lost.len(),
        books.duplicated.len(),
        books.damaged.len(),
        books.in_doubt,
        books.unknown
    );
    Ok(())
}

/// `count` addresses `user0@DOMAIN` and so on.
pub fn users(count: usize, domain: &str) -> Vec<String> {
    names(count).iter().map(|user| format!("{user}@{domain}")).collect()
}

/// `count` local parts.
pub fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("user{number}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uneven_books_are_told() {
        assert!(even(&Books { accepted: 3, queued: 3, ..Books::default() }).is_ok());
        let lost = Books { accepted: 3, queued: 2, lost: vec!["t-1 for a@b".into()], ..Books::default() };
        let error = even(&lost).unwrap_err().to_string();
        assert!(error.contains("void") && error.contains("lost 1") && error.contains("t-1 for a@b"), "{error}");
        assert!(even(&Books { unknown: 1, ..Books::default() }).is_err());
    }
}
