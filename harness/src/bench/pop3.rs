//! `pop3`: sessions that look whether there is mail, list it, and fetch it. Every octet is counted against the listing.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::figures::{CPU, OTHERS, Quantity, Turned};
use super::maildir::wait_delivered;
use super::subject::{HOME, Sending, Subject, Wanted, names};
use super::{Bench, Turn};
use crate::Result;
use crate::pop::Pop;
use crate::server::Port;

/// The bench.
pub(super) const POP3: Bench = Bench {
    name: "pop3",
    shows: "POP3 sessions: log in and leave, list, fetch all. A login that was verified before is remembered where the server can do that.",
    once: false,
    turn: pop3,
};

/// Mailboxes with small messages: more than sessions, so that none meets another in its mailbox.
const SMALL: usize = 100;
/// Messages in each of them.
const EACH: usize = 10;
/// Mailboxes with large messages, and how many each has.
const LARGE: (usize, usize) = (16, 20);
/// Longest wait for one reply.
const REPLY: Duration = Duration::from_secs(60);

const SESSIONS: Quantity = Quantity::more("sessions/s");
const MEGABYTES: Quantity = Quantity::more("MB/s");

/// What a session does between its login and QUIT; the octets that it fetched.
type Work = fn(&mut Pop) -> Result<u64>;

/// Sessions over a range of mailboxes.
struct Round<'a> {
    at: SocketAddr,
    users: &'a [String],
    /// Sessions at once, and in all.
    sessions: (usize, usize),
    work: Work,
}

/// What they came to.
struct Done {
    took: Duration,
    /// Of whole sessions, sorted.
    latencies: Vec<Duration>,
    octets: u64,
}

fn pop3(turn: &Turn) -> Result<Turned> {
    let (small, large) = if turn.quick { (12, (4, 2)) } else { (SMALL, LARGE) };
    let (at_once, many, few) = if turn.quick { (4, 12, 4) } else { (50, 1000, 200) };
    let users = names(small + large.0);
    let wanted = Wanted { settings: "auth.remember = \"1h\"\n".into(), accounts: users.clone(), held: false };
    let subject = Subject::start(turn.system, &wanted)?;
    fill(&subject, &users[..small], EACH, 5 * 1024)?;
    fill(&subject, &users[small..], large.1, 1 << 20)?;
    let (small, large) = users.split_at(small);
    let at = subject.server().at(Port::Pop3);
    // Each once, so that nothing is done for the first time while it counts.
    Round { at, users: &users, sessions: (4, users.len()), work: list }.play()?;
    let mut turned = Turned::default();
    for (workload, users, sessions, work) in [
        ("log in and leave, alone", small, (1, few), nothing as Work),
        ("log in and leave, 50 at once", small, (at_once, many), nothing),
        ("list 10 messages, 50 at once", small, (at_once, many), list),
        ("fetch 10 × 5 KiB, 50 at once", small, (at_once, many), fetch),
        ("fetch 20 × 1 MiB, 8 at once", large, (large.len() / 2, large.len() * 2), fetch),
    ] {
        let began = subject.begin()?;
        let done = Round { at, users, sessions, work }.play().map_err(|error| subject.told(&error))?;
        let cost = subject.cost(began)?;
        turned.add(workload, SESSIONS, sessions.1 as f64 / done.took.as_secs_f64());
        turned.add(workload, CPU, cost.server * 1000.0 / sessions.1 as f64);
        if done.octets > 0 {
            turned.add(workload, MEGABYTES, done.octets as f64 / 1e6 / done.took.as_secs_f64());
        }
        turned.latencies(workload, &done.latencies);
        turned.add(workload, OTHERS, cost.others);
    }
    subject.balance(&[])?;
    subject.end()?;
    Ok(turned)
}

/// Sends so many messages into each of these mailboxes, and waits until they lie there.
fn fill(subject: &Subject, users: &[String], each: usize, size: usize) -> Result<()> {
    let recipients: Vec<String> = users.iter().map(|user| format!("{user}@{HOME}")).collect();
    let before = subject.server().counts().delivered.unwrap_or(0);
    let (tag, messages) = (format!("of-{size}"), users.len() * each);
    subject.load(Sending { tag: &tag, sessions: 10, messages, each: 10, size }, &recipients)?;
    wait_delivered(subject, before + messages).map(|_| ())
}

impl Round<'_> {
    fn play(&self) -> Result<Done> {
        let turns = Mutex::new((self.sessions.1, self.users.iter().collect()));
        let since = Instant::now();
        let parts = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..self.sessions.0).map(|_| scope.spawn(|| self.client(&turns))).collect();
            let joined = clients.into_iter().map(|client| client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?);
            joined.collect::<Result<Vec<_>>>()
        })?;
        let took = since.elapsed();
        let octets = parts.iter().map(|(_, octets)| octets).sum();
        let mut latencies: Vec<Duration> = parts.into_iter().flat_map(|(latencies, _)| latencies).collect();
        latencies.sort();
        Ok(Done { took, latencies, octets })
    }

    /// Takes sessions until none is left, each with the mailbox that has been free longest: two in one mailbox would be refused.
    fn client<'a>(&'a self, turns: &Mutex<(usize, VecDeque<&'a String>)>) -> Result<(Vec<Duration>, u64)> {
        let (mut latencies, mut octets) = (Vec::new(), 0);
        let turns = || turns.lock().unwrap_or_else(PoisonError::into_inner);
        let take = || {
            let (left, free) = &mut *turns();
            *left = left.checked_sub(1)?;
            free.pop_front()
        };
        while let Some(user) = take() {
            let since = Instant::now();
            let mut pop = Pop::login(self.at, &format!("{user}@{HOME}"), &format!("secret-{user}"), REPLY)?;
            octets += (self.work)(&mut pop)?;
            pop.quit()?;
            latencies.push(since.elapsed());
            turns().1.push_back(user);
        }
        Ok((latencies, octets))
    }
}

fn nothing(_: &mut Pop) -> Result<u64> {
    Ok(0)
}

fn list(pop: &mut Pop) -> Result<u64> {
    sizes(pop).map(|_| 0)
}

/// LIST, which must say the same as STAT.
fn sizes(pop: &mut Pop) -> Result<Vec<u64>> {
    let (count, octets) = pop.stat()?;
    let sizes = pop.list()?;
    let listed: u64 = sizes.iter().sum();
    anyhow::ensure!(
        (count, octets) == (sizes.len(), listed) && count > 0,
        "STAT says {count} {octets}, LIST {} {listed}",
        sizes.len()
    );
    Ok(sizes)
}

fn fetch(pop: &mut Pop) -> Result<u64> {
    let sizes = sizes(pop)?;
    for (at, size) in sizes.iter().enumerate() {
        let octets = pop.retr(at + 1)?.len() as u64;
        anyhow::ensure!(octets == *size, "message {} has {octets} octets, LIST said {size}", at + 1);
    }
    Ok(sizes.iter().sum())
}
