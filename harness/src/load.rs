//! A seeded load: many sessions at once, every message with a token of its own, every reply entered into the ledger.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::ledger::{FIELD, Ledger, Line, Told};
use crate::smtp::{Reply, Smtp, stuffed};

/// What is sent, where, and how fast.
#[derive(Debug, Clone)]
pub struct Load {
    /// The server.
    pub to: SocketAddr,
    /// Sessions at once.
    pub sessions: usize,
    /// Messages in all; the load ends after them.
    pub messages: usize,
    /// Messages that one session sends before it says QUIT.
    pub per_session: usize,
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

/// A message of about `size` octets with CRLF line ends, that carries `token` and some lines with leading dots.
pub fn message(token: &str, size: usize) -> Vec<u8> {
    let mut text = format!(
        "From: <load@client.example>\r\nTo: <you@server.example>\r\nSubject: load {token}\r\nMessage-ID: <{token}@load.example>\r\n\
         Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n{FIELD}: {token}\r\n\r\n"
    )
    .into_bytes();
    let mut line = 0;
    while text.len() < size {
        let dots = if line % 17 == 0 { "." } else { "" };
        text.extend_from_slice(
            format!("{dots}{line:05} the beacon on the next hill is lit before this one goes out\r\n").as_bytes(),
        );
        line += 1;
    }
    text
}

/// A load that runs beside the scenario until it is ended.
#[derive(Debug)]
pub struct Flow {
    ledger: Arc<Ledger>,
    stop: Arc<AtomicBool>,
    worker: JoinHandle<Report>,
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
    pub fn end(self) -> crate::Result<(Arc<Ledger>, Report)> {
        self.stop.store(true, Ordering::Relaxed);
        let report = self.worker.join().map_err(|_| anyhow::anyhow!("the load panicked"))?;
        Ok((self.ledger, report))
    }
}

impl Load {
    /// Runs beside the scenario until the flow is ended.
    pub fn start(self) -> Flow {
        let (ledger, stop) = (Arc::new(Ledger::default()), Arc::new(AtomicBool::new(false)));
        let (books, ended) = (Arc::clone(&ledger), Arc::clone(&stop));
        let worker = std::thread::spawn(move || self.run(&books, &ended));
        Flow { ledger, stop, worker }
    }

    /// Runs to the end, or until `stop` is set. Every message started is entered into `ledger`.
    pub fn run(&self, ledger: &Ledger, stop: &AtomicBool) -> Report {
        let next = AtomicUsize::new(0);
        let start = Instant::now();
        let reports: Vec<Report> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..self.sessions).map(|_| scope.spawn(|| self.worker(&next, ledger, stop))).collect();
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

    fn worker(&self, next: &AtomicUsize, ledger: &Ledger, stop: &AtomicBool) -> Report {
        let mut report = Report::default();
        while !stop.load(Ordering::Relaxed) {
            let first = next.fetch_add(self.per_session, Ordering::Relaxed);
            if first >= self.messages {
                break;
            }
            let mut numbers = first..(first + self.per_session).min(self.messages);
            while !numbers.is_empty() && !stop.load(Ordering::Relaxed) {
                if self.session(&mut numbers, ledger, stop, &mut report).is_err() {
                    report.broken += 1;
                    // The server may be down: a short pause keeps this loop from spinning.
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
        report
    }

    /// One connection; takes from `numbers` what it sends.
    fn session(
        &self,
        numbers: &mut std::ops::Range<usize>,
        ledger: &Ledger,
        stop: &AtomicBool,
        report: &mut Report,
    ) -> crate::Result<()> {
        let mut smtp = Smtp::connect(self.to, self.timeout)?;
        smtp.command("EHLO load.example")?.expect(250)?;
        while !stop.load(Ordering::Relaxed) {
            let Some(number) = numbers.next() else { break };
            self.one(&mut smtp, number, ledger, report)?;
        }
        smtp.quit()
    }

    fn one(&self, smtp: &mut Smtp, number: usize, ledger: &Ledger, report: &mut Report) -> crate::Result<()> {
        let token = format!("{}-{number}", self.tag);
        let recipients: Vec<&str> = self.recipients[number % self.recipients.len()].split(' ').collect();
        let mut draw = Draw(self.seed ^ (number as u64).wrapping_mul(0x2545_f491_4f6c_dd1d));
        let body = stuffed(&message(&token, draw.between(self.size.0 as u64, self.size.1 as u64) as usize));
        let start = Instant::now();
        let answered = self.transact(smtp, &recipients, &body);
        let told = match &answered {
            Ok(None) => Told::Accepted,
            Ok(Some(_)) => Told::Refused,
            Err(_) => Told::Nothing,
        };
        ledger.enter(&token, Line { told, copies: recipients.len() });
        match answered {
            Ok(None) => {
                report.accepted += 1;
                report.latencies.push(start.elapsed());
            }
            Ok(Some(reply)) => {
                report.refused += 1;
                let text = reply.text();
                let said = format!("{} {}", reply.code, text.split(' ').next().unwrap_or_default());
                *report.refusals.entry(said).or_default() += 1;
            }
            Err(error) => {
                report.in_doubt += 1;
                return Err(error);
            }
        }
        Ok(())
    }

    /// `None` where the message was accepted, else the reply that refused it.
    fn transact(&self, smtp: &mut Smtp, recipients: &[&str], body: &[u8]) -> crate::Result<Option<Reply>> {
        let mut commands = vec![(format!("MAIL FROM:<{}>", self.from), 250)];
        commands.extend(recipients.iter().map(|recipient| (format!("RCPT TO:<{recipient}>"), 250)));
        commands.push(("DATA".to_owned(), 354));
        for (command, wanted) in commands {
            let reply = smtp.command(&command)?;
            if reply.code != wanted {
                smtp.command("RSET")?;
                return Ok(Some(reply));
            }
        }
        smtp.send(body)?;
        let reply = smtp.reply()?;
        Ok((reply.code != 250).then_some(reply))
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
        assert!(text.windows(3).any(|window| window == b"\n.0"));
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
