//! A seeded load: many sessions at once, every message with a token of its own, every reply entered into the ledger.
//!
//! A sender of the load is as stubborn as a real one: where a server cannot be reached, says 4yz, or goes away, it tries the next one it
//! knows, and all of them again for as long as its patience lasts. A try that ends after the final dot without a reply leaves the message in
//! doubt, and a retry of it may lawfully leave a second copy; the ledger counts such tries.

mod sender;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::ledger::{FIELD, Ledger};

/// What is sent, where, and how fast.
#[derive(Debug, Clone)]
pub struct Load {
    /// The servers in the order in which they are tried.
    pub to: Vec<SocketAddr>,
    /// The last so many of them have the same preference: each sender begins with another of them.
    pub equal: usize,
    /// Sessions at once.
    pub sessions: usize,
    /// Messages in all; the load ends after them.
    pub messages: usize,
    /// Messages that one session sends before it says QUIT.
    pub per_session: usize,
    /// Messages a second, all sessions together; `None` is as fast as they are taken.
    pub rate: Option<f64>,
    /// The sender of all.
    pub from: String,
    /// Message `n` goes to recipient `n % len`; an entry may hold several, separated by a space.
    pub recipients: Vec<String>,
    /// Octets of a message, smallest and largest; drawn by the seed.
    pub size: (usize, usize),
    /// Tokens are `tag-n`; different loads on one ledger need different tags.
    pub tag: String,
    /// Draws the sizes.
    pub seed: u64,
    /// No command waits longer.
    pub timeout: Duration,
    /// No greeting, and no answer to EHLO, is waited for longer, where that is not as long as for commands.
    pub greeting: Option<Duration>,
    /// How long a message that no server takes is tried again.
    pub patience: Duration,
    /// Whether the ledger is told the octets, so that every copy can be compared with them.
    pub compare: bool,
}

impl Load {
    /// Ten sessions that send messages of 300 to 4,000 octets without end, to be ended by the scenario.
    pub fn new(to: &[SocketAddr], recipients: &[&str]) -> Load {
        Load {
            to: to.to_vec(),
            equal: 1,
            sessions: 10,
            messages: usize::MAX / 2,
            per_session: 5,
            rate: None,
            from: "load@client.example".into(),
            recipients: recipients.iter().map(|recipient| (*recipient).to_owned()).collect(),
            size: (300, 4000),
            tag: "load".into(),
            seed: 7,
            timeout: Duration::from_secs(20),
            greeting: None,
            patience: Duration::ZERO,
            compare: true,
        }
    }
}

/// What came of a load.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Messages that got 250.
    pub accepted: usize,
    /// Messages that got 4yz or 5yz.
    pub refused: usize,
    /// How often each of these was said: code and enhanced code, as `452 4.3.1`.
    pub refusals: BTreeMap<String, usize>,
    /// Messages without a final reply.
    pub in_doubt: usize,
    /// Connections that failed or ended early.
    pub broken: usize,
    /// From MAIL to the final reply, sorted.
    pub latencies: Vec<Duration>,
    /// The whole load.
    pub took: Duration,
}

impl Report {
    /// The latency below which `part` (0.0 to 1.0) of the accepted messages stayed.
    pub fn percentile(&self, part: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get((last as f64 * part).round() as usize).copied().unwrap_or_default()
    }

    /// Accepted messages a second.
    pub fn rate(&self) -> f64 {
        self.accepted as f64 / self.took.as_secs_f64().max(0.001)
    }
}

/// Widest bar of a histogram.
const BAR: usize = 40;

/// How often latencies occurred, as lines for the terminal: of each doubling of time its count and a bar. They are sorted.
pub fn histogram(sorted: &[Duration]) -> String {
    let step = |time: &Duration| time.as_micros().max(1).ilog2();
    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    sorted.iter().for_each(|time| *counts.entry(step(time)).or_default() += 1);
    let (Some((first, _)), Some((last, _))) = (counts.first_key_value(), counts.last_key_value()) else { return String::new() };
    let most = counts.values().copied().max().unwrap_or(1);
    let edge = |step: u32| 2f64.powi(step as i32) / 1000.0;
    let line = |step: u32| {
        let count = counts.get(&step).copied().unwrap_or(0);
        let bar = "█".repeat((count * BAR).div_ceil(most));
        format!("{:>9.2} – {:<9.2} ms {count:>8} {bar}", edge(step), edge(step + 1)).trim_end().to_owned() + "\n"
    };
    (*first..=*last).map(line).collect()
}

/// SplitMix64: small, seeded, good enough to draw sizes and moments.
#[derive(Debug, Clone)]
pub struct Draw(pub u64);

impl Draw {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.number() % (high.saturating_sub(low) + 1)
    }
}

/// Octets of lines that are made once.
const READY: usize = 1 << 20;

/// Lines of which a message takes as many as it needs; some have a leading dot.
static LINES: LazyLock<Vec<u8>> = LazyLock::new(|| lines(READY));

/// Whole lines, of at least `size` octets.
fn lines(size: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(size + 80);
    for line in 0.. {
        if text.len() >= size {
            break;
        }
        let dots = if line % 17 == 0 { "." } else { "" };
        text.extend_from_slice(
            format!("{dots}{line:05} the beacon on the next hill is lit before this one goes out\r\n").as_bytes(),
        );
    }
    text
}

/// A message of about `size` octets with CRLF line ends, that carries `token` and some lines with leading dots.
pub fn message(token: &str, size: usize) -> Vec<u8> {
    let mut text = format!(
        "From: <load@client.example>\r\nTo: <you@server.example>\r\nSubject: load {token}\r\nMessage-ID: <{token}@load.example>\r\n\
         Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n{FIELD}: {token}\r\n\r\n"
    )
    .into_bytes();
    let wanted = size.saturating_sub(text.len());
    if wanted > READY {
        text.extend_from_slice(&lines(wanted));
    } else if wanted > 0 {
        // To the end of the line that reaches it.
        let end = LINES.iter().skip(wanted - 1).position(|octet| *octet == b'\n').map_or(LINES.len(), |at| wanted + at);
        text.extend_from_slice(&LINES[..end]);
    }
    text
}

/// A load that runs beside the scenario until it is ended, or dropped.
#[derive(Debug)]
pub struct Flow {
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    worker: Option<JoinHandle<Report>>,
}

impl Flow {
    /// The books so far.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Waits until `more` messages were accepted from now on.
    pub fn wait_accepted(&self, more: usize, patience: Duration) -> crate::Result<()> {
        let target = self.ledger.accepted() + more;
        crate::wait::wait_until(&format!("{more} more messages accepted"), patience, || self.ledger.accepted() >= target)
    }

    /// Waits until `more` messages were refused from now on.
    pub fn wait_refused(&self, more: usize, patience: Duration) -> crate::Result<()> {
        let target = self.ledger.refused() + more;
        crate::wait::wait_until(&format!("{more} more messages refused"), patience, || self.ledger.refused() >= target)
    }

    /// Ends the load after the messages under way; its books and its report.
    pub fn end(mut self) -> crate::Result<(Arc<Ledger>, Report)> {
        let report = self.stopped().context("the load panicked")?;
        Ok((Arc::clone(&self.ledger), report))
    }

    fn stopped(&mut self) -> Option<Report> {
        self.stop.store(true, Ordering::Relaxed);
        self.worker.take()?.join().ok()
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        // The addresses that it sends to may be others' as soon as the scenario is over.
        self.stopped();
    }
}

impl Load {
    /// Runs beside the scenario until the flow is ended, with books of its own.
    pub fn start(self) -> Flow {
        self.start_on(Arc::default())
    }

    /// Runs beside the scenario until the flow is ended, and enters into these books.
    pub fn start_on(self, ledger: Arc<Ledger>) -> Flow {
        let stop = Arc::new(AtomicBool::new(false));
        let (books, ended) = (Arc::clone(&ledger), Arc::clone(&stop));
        let worker = std::thread::spawn(move || self.run(&books, &ended));
        Flow { ledger, stop, worker: Some(worker) }
    }

    /// Runs to the end, or until `stop` is set. Every message started is entered into `ledger`.
    pub fn run(&self, ledger: &Ledger, stop: &AtomicBool) -> Report {
        let next = AtomicUsize::new(0);
        let start = Instant::now();
        let turns = sender::Turns { load: self, ledger, stop, next: &next, start };
        let reports: Vec<Report> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.sessions)
                .map(|number| {
                    let turns = &turns;
                    scope.spawn(move || sender::Sender::new(turns, number).run())
                })
                .collect();
            workers.into_iter().filter_map(|worker| worker.join().ok()).collect()
        });
        let mut all = Report { took: start.elapsed(), ..Report::default() };
        for report in reports {
            all.accepted += report.accepted;
            all.refused += report.refused;
            report.refusals.into_iter().for_each(|(said, times)| *all.refusals.entry(said).or_default() += times);
            all.in_doubt += report.in_doubt;
            all.broken += report.broken;
            all.latencies.extend(report.latencies);
        }
        all.latencies.sort();
        all
    }

    /// The message `number`, as it is before dot-stuffing.
    pub fn message(&self, number: usize) -> Vec<u8> {
        let mut draw = Draw(self.seed ^ (number as u64).wrapping_mul(0x2545_f491_4f6c_dd1d));
        message(&self.token(number), draw.between(self.size.0 as u64, self.size.1 as u64) as usize)
    }

    fn token(&self, number: usize) -> String {
        format!("{}-{number}", self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_token_and_its_size() {
        let text = message("t-7", 5000);
        assert_eq!(crate::ledger::token(&text).as_deref(), Some("t-7"));
        assert!((5000..5100).contains(&text.len()));
        assert!(text.windows(3).any(|window| window == b"\n.0") && text.ends_with(b"goes out\r\n"));
        let large = message("t-8", READY + 300_000);
        assert!((READY + 300_000..READY + 300_100).contains(&large.len()) && large.ends_with(b"goes out\r\n"));
    }

    #[test]
    fn latencies_by_doublings() {
        let times = [900, 1100, 1100, 5000].map(Duration::from_micros);
        let text = histogram(&times);
        let counts: Vec<&str> = text.lines().map(|line| line.split(" ms ").nth(1).unwrap().trim()).collect();
        let bars = [1, 2, 0, 1].map(|count| format!("{count} {}", "█".repeat(count * 20)));
        assert_eq!(counts, bars.each_ref().map(|bar| bar.trim()), "{text}");
        assert!(text.starts_with("     0.51 – 1.02      ms"), "{text}");
        assert_eq!(histogram(&[]), "");
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let (mut a, mut b) = (Draw(9), Draw(9));
        for _ in 0..100 {
            let drawn = a.between(3, 8);
            assert!((3..=8).contains(&drawn) && drawn == b.between(3, 8));
        }
    }
}
