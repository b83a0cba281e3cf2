//! `queue`: a server whose queue holds very many messages that wait.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::figures::{CPU, Quantity, RATE, Turned};
use super::subject::{AWAY, Sending, Subject, Wanted, users};
use super::{Bench, Turn};
use crate::Result;
use crate::server::Port;
use crate::wait::wait_for;

/// The bench.
pub(super) const QUEUE: Bench = Bench {
    name: "queue",
    shows: "A queue of very many deferred messages: what it costs to accept, to list, to start, and to keep.",
    once: true,
    turn: queue,
};

/// Messages that wait.
const DEFERRED: usize = 50_000;
/// Messages of a load that measures acceptance.
const LOAD: usize = 6000;
/// Recipients, in turn.
const RECIPIENTS: usize = 500;
/// Until a server that tries what waits comes to rest, and until it lists all that it has.
const REST: Duration = Duration::from_secs(300);
/// It rests once it took less than this part of a core for [`STILL`].
const IDLE: f64 = 0.03;
const STILL: Duration = Duration::from_secs(3);
/// Until a started server greets.
const GREETING: Duration = Duration::from_secs(120);

const PORT: Quantity = Quantity::less("s until it greets after a start");
const LIST: Quantity = Quantity::less("s for the listing");
const LIST_COLD: Quantity = Quantity::less("s for the listing after the start");
const STARTED: Quantity = Quantity::less("CPU s after the start until it rests");
const PART: Quantity = Quantity::more("% of the rate with an empty queue");
const MEMORY: Quantity = Quantity::less("kB memory (PSS)");
const EACH: Quantity = Quantity::less("octets of memory a message");
const DISK: Quantity = Quantity::less("kB on disk a message");

fn queue(turn: &Turn) -> Result<Turned> {
    let (deferred, some) = (turn.some(DEFERRED, 300), if turn.quick { 100 } else { LOAD });
    let (mut turned, recipients) = (Turned::default(), users(RECIPIENTS, AWAY));
    let subject = Subject::make(turn.system, &Wanted::default())?;
    // Somebody who refuses connections: each attempt fails at once, and its mail waits.
    subject.net().names().add(AWAY, "MX", &format!("10 mx.{AWAY}"))?;
    subject.net().names().add(&format!("mx.{AWAY}"), "A", &subject.net().nobody().to_string())?;
    subject.run()?;
    subject.warm(&recipients[0])?;
    let on_disk = || subject.server().data().map(|data| kilobytes_on_disk(&data));
    let (idle, disk) = (subject.kilobytes(), on_disk());
    let mut rates = Vec::new();
    let mut accept = |turned: &mut Turned, tag: &str, workload: &str| -> Result<()> {
        let began = subject.begin()?;
        let report = subject.load(Sending { tag, sessions: 20, messages: some, each: 10, size: 2048 }, &recipients)?;
        turned.add(workload, RATE, report.rate());
        turned.add(workload, CPU, subject.cost(began)?.server * 1000.0 / some as f64);
        turned.latencies(workload, &report.latencies);
        rates.push(report.rate());
        if let [empty, _, ..] = rates[..] {
            turned.add(workload, PART, report.rate() * 100.0 / empty);
        }
        Ok(())
    };
    accept(&mut turned, "empty", "acceptance, queue empty")?;
    subject.load(Sending { tag: "filled", sessions: 20, messages: deferred, each: 10, size: 2048 }, &recipients)?;
    rest(&subject)?;
    let full = format!("{deferred} waiting");
    turned.add(&full, LIST, list(&subject, deferred)?.as_secs_f64());
    turned.add(&full, MEMORY, subject.kilobytes());
    turned.add(&full, EACH, (subject.kilobytes() - idle).max(0.0) * 1024.0 / (deferred + some) as f64);
    if let Some((before, now)) = disk.zip(on_disk()) {
        turned.add(&full, DISK, (now - before) / (deferred + some) as f64);
    }
    accept(&mut turned, "full", "acceptance, queue full")?;

    anyhow::ensure!(subject.server().stop()? == 0, "it did not end in order\n{}", subject.server().log_tail(20));
    empty_cache();
    let began = subject.begin()?;
    let restarted = "started anew, the cache empty";
    turned.add(restarted, PORT, start(&subject)?.as_secs_f64());
    turned.add(restarted, LIST_COLD, list(&subject, deferred)?.as_secs_f64());
    rest(&subject)?;
    turned.add(restarted, STARTED, subject.cost(began)?.server);
    turned.add(restarted, MEMORY, subject.kilobytes());
    turned.add(restarted, EACH, (subject.kilobytes() - idle).max(0.0) * 1024.0 / (deferred + 2 * some) as f64);
    accept(&mut turned, "again", "acceptance, started anew")?;
    let books = subject.balance(&[])?;
    anyhow::ensure!(books.queued == books.accepted, "{} of {} messages lie in the queue", books.queued, books.accepted);
    subject.end()?;
    // What is asked for first.
    turned.figures.sort_by_key(|figure| usize::from(figure.workload != restarted));
    Ok(turned)
}

/// Starts it; how long until it greeted.
fn start(subject: &Subject) -> Result<Duration> {
    let (at, since, over) = (subject.server().at(Port::Mx), Instant::now(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let greeted = scope.spawn(|| greeting(at, since, &over));
        let started = subject.run();
        over.store(started.is_err(), Ordering::Relaxed);
        let greeted = greeted.join().ok().flatten();
        started?;
        greeted.context("it started, but never greeted")
    })
}

/// Calls again and again until somebody greets: a connection alone may only wait to be accepted.
fn greeting(at: SocketAddr, since: Instant, over: &AtomicBool) -> Option<Duration> {
    while since.elapsed() < GREETING && !over.load(Ordering::Relaxed) {
        let stream = TcpStream::connect_timeout(&at, GREETING).ok();
        let greeting = stream.and_then(|stream| {
            stream.set_read_timeout(Some(GREETING)).ok()?;
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).ok()?;
            line.starts_with("220").then(|| since.elapsed())
        });
        if greeting.is_some() {
            return greeting;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    None
}

/// Lists the queue until the listing is whole; how long that took. OpenSMTPD greets while it still reads its queue, and lists what it has read.
fn list(subject: &Subject, least: usize) -> Result<Duration> {
    let (since, mut lines) = (Instant::now(), 0);
    let took = wait_for("a whole listing of its queue", REST, || {
        // That there is none is no reason to ask again.
        let listing = match subject.server().list_queue() {
            Ok(listing) => listing,
            Err(error) => return Ok(Some(Err(error))),
        };
        lines = listing.stdout.iter().filter(|octet| **octet == b'\n').count();
        Ok((lines >= least).then(|| Ok(since.elapsed())))
    });
    took.with_context(|| format!("a listing of {lines} lines, where {least} messages wait"))?
}

/// Waits until it has nothing to do, and the disk has what it wrote: what follows is not to pay for what was before.
pub(super) fn rest(subject: &Subject) -> Result<()> {
    let since = Instant::now();
    let mut still = subject.begin()?;
    loop {
        std::thread::sleep(STILL);
        if subject.cost(still)?.server < IDLE * STILL.as_secs_f64() {
            rustix::fs::sync();
            return Ok(());
        }
        anyhow::ensure!(since.elapsed() < REST, "it did not come to rest within {REST:?}\n{}", subject.server().log_tail(20));
        still = subject.begin()?;
    }
}

/// What the kernel has read before is forgotten, where we may ask for that.
fn empty_cache() {
    rustix::fs::sync();
    // Without root the start is a warm one.
    let _ = std::fs::write("/proc/sys/vm/drop_caches", "3");
}

fn kilobytes_on_disk(dir: &std::path::Path) -> f64 {
    use std::os::unix::fs::MetadataExt;
    let (mut blocks, mut todo) = (0, vec![dir.to_owned()]);
    while let Some(dir) = todo.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries.map_while(std::result::Result::ok) {
            // What vanishes meanwhile takes no room.
            let Ok(metadata) = entry.metadata() else { continue };
            blocks += metadata.blocks();
            if metadata.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    blocks as f64 / 2.0
}
