//! `maildir`: from the first connection until the last copy lies in its mailbox.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::figures::{CPU, OTHERS, Quantity, RATE, Turned};
use super::subject::{HOME, Sending, Subject, Wanted, names, users};
use super::{Bench, Turn, calls};
use crate::Result;
use crate::wait::wait_for;

/// The bench.
pub(super) const MAILDIR: Bench = Bench {
    name: "maildir",
    shows: "Messages that are accepted and delivered, until the last copy lies in its mailbox.",
    once: false,
    turn: maildir,
};

/// The work that every message is counted of.
const SOME: &str = "20 sessions × 10, 2 KiB";
/// Mailboxes, in turn.
const MAILBOXES: usize = 50;
/// Until the last copy lies there.
const PATIENCE: Duration = Duration::from_secs(120);
/// Messages a second while they are accepted.
const ACCEPTED: Quantity = Quantity::more("accepted/s");

fn maildir(turn: &Turn) -> Result<Turned> {
    let mailboxes = if turn.quick { 4 } else { MAILBOXES };
    let subject = Subject::start(turn.system, &Wanted { accounts: names(mailboxes), ..Wanted::default() })?;
    let (mut turned, recipients) = (Turned::default(), users(mailboxes, HOME));
    let mut expected = subject.warm(&recipients[0])?;
    wait_delivered(&subject, expected)?;
    let messages = turn.some(2000, 100);
    for (workload, sending) in [
        (SOME, Sending { tag: "some", sessions: 20, messages, each: 10, size: 2048 }),
        ("50 sessions × 10, 2 KiB", Sending { tag: "many", sessions: 50, messages, each: 10, size: 2048 }),
    ] {
        let (began, since) = (subject.begin()?, SystemTime::now());
        let report = subject.load(sending, &recipients)?;
        expected += messages;
        let last = wait_delivered(&subject, expected)?;
        let cost = subject.cost(began)?;
        let took = last.duration_since(since).unwrap_or(cost.took);
        turned.add(workload, RATE, messages as f64 / took.as_secs_f64());
        turned.add(workload, CPU, cost.server * 1000.0 / messages as f64);
        turned.add(workload, ACCEPTED, report.rate());
        turned.latencies(workload, &report.latencies);
        turned.add(workload, OTHERS, cost.others);
    }
    let sending = Sending { tag: "counted", sessions: 20, messages, each: 10, size: 2048 };
    calls::count(&subject, &mut turned, SOME, messages, || {
        subject.load(sending, &recipients)?;
        wait_delivered(&subject, expected + messages).map(|_| ())
    })?;
    let books = subject.balance(&[])?;
    anyhow::ensure!(books.delivered == books.accepted, "{} of {} messages were delivered", books.delivered, books.accepted);
    subject.end()?;
    Ok(turned)
}

/// Waits until so many copies lie in mailboxes; when the last was put there, as its file says.
pub(super) fn wait_delivered(subject: &Subject, count: usize) -> Result<SystemTime> {
    let server = subject.server();
    wait_for(&format!("{count} copies in mailboxes"), PATIENCE, || {
        let there = server.counts().delivered.unwrap_or(0);
        anyhow::ensure!(there <= count, "{there} copies where {count} were sent");
        Ok((there == count).then_some(()))
    })
    .map_err(|error| subject.told(&error))?;
    let Some(data) = server.data() else { return Ok(SystemTime::now()) };
    // A file's last change is that it got its name there.
    let last = |path: &std::path::PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((u64::try_from(metadata.ctime()).ok()?, u32::try_from(metadata.ctime_nsec()).ok()?))
    };
    let last = crate::maildir::messages(&data.join("mail"))?.iter().filter_map(last).max();
    Ok(last.map_or_else(SystemTime::now, |(seconds, nanos)| UNIX_EPOCH + Duration::new(seconds, nanos)))
}
