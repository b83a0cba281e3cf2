//! One sender of a load: takes the next message, finds a server that takes it, and enters what it was told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{Load, Report};
use crate::Result;
use crate::ledger::{Ledger, Line, Sent, Told};
use crate::smtp::{Smtp, stuffed};

/// A server that could not be reached is left alone for so long.
const SHUNNED: Duration = Duration::from_millis(500);
/// Between two looks whether a message is due, or a server back.
const PAUSE: Duration = Duration::from_millis(5);

/// What all senders of a load share.
pub(super) struct Turns<'a> {
    pub(super) load: &'a Load,
    pub(super) ledger: &'a Ledger,
    pub(super) stop: &'a AtomicBool,
    pub(super) next: &'a AtomicUsize,
    pub(super) start: Instant,
}

/// A connection to one of the servers.
struct Session {
    to: usize,
    smtp: Smtp,
    sent: usize,
}

pub(super) struct Sender<'a> {
    turns: &'a Turns<'a>,
    session: Option<Session>,
    /// The servers in the order in which this sender tries them.
    order: Vec<usize>,
    /// Until when each server is left alone.
    shunned: Vec<Instant>,
    report: Report,
}

/// What one try at one server came to.
struct Try {
    told: Told,
    reply: String,
    /// Whether a retry makes sense: the server is away or said 4yz.
    again: bool,
    of_each: Vec<Told>,
    /// When the last reply to it was read.
    at: Instant,
}

impl<'a> Sender<'a> {
    /// The sender with this number.
    pub(super) fn new(turns: &'a Turns<'a>, number: usize) -> Sender<'a> {
        let servers = turns.load.to.len();
        let mut order: Vec<usize> = (0..servers).collect();
        let equal = &mut order[servers - turns.load.equal.min(servers)..];
        if !equal.is_empty() {
            equal.rotate_left(number % equal.len());
        }
        Sender { turns, session: None, order, shunned: vec![turns.start; servers], report: Report::default() }
    }

    pub(super) fn run(mut self) -> Report {
        while let Some(number) = self.take() {
            self.send(number);
        }
        if let Some(session) = self.session.take() {
            // A server that is gone by now has what it took.
            let _ = session.smtp.quit();
        }
        self.report
    }

    fn ended(&self) -> bool {
        self.turns.stop.load(Ordering::Relaxed)
    }

    /// The next message, once it is due.
    fn take(&self) -> Option<usize> {
        if self.ended() {
            return None;
        }
        let number = self.turns.next.fetch_add(1, Ordering::Relaxed);
        let due = self.turns.load.rate.map(|rate| Duration::from_secs_f64(number as f64 / rate.max(0.001)));
        while due.is_some_and(|due| self.turns.start.elapsed() < due) {
            if self.ended() {
                return None;
            }
            std::thread::sleep(PAUSE);
        }
        (number < self.turns.load.messages).then_some(number)
    }

    fn send(&mut self, number: usize) {
        let load = self.turns.load;
        let (message, began) = (load.message(number), Instant::now());
        let recipients: Vec<&str> = load.recipients[number % load.recipients.len()].split(' ').collect();
        let line = |tried: &Try| Line {
            told: tried.told,
            reply: tried.reply.clone(),
            recipients: recipients.iter().map(|to| (*to).to_owned()).zip(tried.of_each.iter().copied()).collect(),
            doubtful: 0,
            sent: load.compare.then(|| Sent::of(&message)),
        };
        let (token, wire) = (load.token(number), stuffed(&message));
        let last = loop {
            let mut last = None;
            for to in self.order.clone() {
                if Instant::now() < self.shunned[to] && load.to.len() > 1 {
                    continue;
                }
                let tried = self.attempt(to, &recipients, &wire);
                let settled = !tried.again;
                if tried.told == Told::Nothing && !settled && !tried.of_each.is_empty() {
                    // In doubt from here on, whatever a later try brings.
                    self.turns.ledger.enter(&token, line(&tried));
                }
                last = Some(tried);
                if settled {
                    break;
                }
            }
            match last {
                Some(tried) if !tried.again => break Some(tried),
                last if self.ended() || began.elapsed() >= load.patience => break last,
                _ => std::thread::sleep(PAUSE),
            }
        };
        let Some(last) = last.filter(|last| !last.of_each.is_empty()) else { return };
        match last.told {
            Told::Accepted => {
                self.report.accepted += 1;
                self.report.latencies.push(last.at - began);
                self.turns.ledger.note_took(last.at - began);
            }
            Told::Refused => {
                self.report.refused += 1;
                let said: Vec<&str> = last.reply.split(' ').take(2).collect();
                *self.report.refusals.entry(said.join(" ")).or_default() += 1;
            }
            Told::Nothing => self.report.in_doubt += 1,
        }
        if !(last.told == Told::Nothing && last.again) {
            self.turns.ledger.enter(&token, line(&last));
        }
    }

    /// One try at one server. An empty `of_each` says that the message was never begun there.
    fn attempt(&mut self, to: usize, recipients: &[&str], wire: &[u8]) -> Try {
        let away = |of_each| Try { told: Told::Nothing, reply: String::new(), again: true, of_each, at: Instant::now() };
        let mut session = match self.session(to) {
            Ok(session) => session,
            Err(_) => {
                self.report.broken += 1;
                self.shunned[to] = Instant::now() + SHUNNED;
                // The server may be down: a short pause keeps the load from spinning.
                std::thread::sleep(PAUSE);
                return away(Vec::new());
            }
        };
        let mut begun = false;
        match transact(&mut session.smtp, &self.turns.load.from, recipients, wire, &mut begun) {
            Ok(tried) => {
                session.sent += 1;
                if session.sent >= self.turns.load.per_session {
                    // What it took, it has said.
                    let _ = session.smtp.quit();
                } else if !tried.reply.starts_with("421") {
                    self.session = Some(session);
                }
                tried
            }
            Err(_) => {
                self.report.broken += 1;
                away(if begun { vec![Told::Accepted; recipients.len()] } else { Vec::new() })
            }
        }
    }

    /// The session with this server: the one that stands, or a new one.
    fn session(&mut self, to: usize) -> Result<Session> {
        match self.session.take() {
            Some(session) if session.to == to => return Ok(session),
            Some(other) => {
                let _ = other.smtp.quit();
            }
            None => {}
        }
        let load = &self.turns.load;
        let address: SocketAddr = load.to[to];
        let mut smtp = Smtp::connect(address, load.greeting.unwrap_or(load.timeout))?;
        smtp.command("EHLO load.example")?.expect(250)?;
        smtp.wait_at_most(load.timeout)?;
        Ok(Session { to, smtp, sent: 0 })
    }
}

/// One transaction; `begun` is set once the message's last octet may have arrived.
fn transact(smtp: &mut Smtp, from: &str, recipients: &[&str], wire: &[u8], begun: &mut bool) -> Result<Try> {
    let refusal = |reply: &crate::smtp::Reply, of_each: Vec<Told>| Try {
        told: Told::Refused,
        reply: format!("{} {}", reply.code, reply.text()),
        again: reply.code / 100 == 4,
        of_each,
        at: Instant::now(),
    };
    let none = || vec![Told::Refused; recipients.len()];
    let mail = smtp.command(&format!("MAIL FROM:<{from}>"))?;
    if mail.code != 250 {
        return Ok(refusal(&mail, none()));
    }
    let (mut of_each, mut refused) = (Vec::new(), None);
    for recipient in recipients {
        let reply = smtp.command(&format!("RCPT TO:<{recipient}>"))?;
        of_each.push(if reply.code / 100 == 2 { Told::Accepted } else { Told::Refused });
        if reply.code / 100 != 2 {
            refused = Some(reply);
        }
    }
    if let Some(reply) = refused.filter(|_| !of_each.contains(&Told::Accepted)) {
        smtp.command("RSET")?;
        return Ok(refusal(&reply, of_each));
    }
    let data = smtp.command("DATA")?;
    if data.code != 354 {
        smtp.command("RSET")?;
        return Ok(refusal(&data, none()));
    }
    *begun = true;
    smtp.send(wire)?;
    let reply = smtp.reply()?;
    if reply.code != 250 {
        return Ok(refusal(&reply, none()));
    }
    let at = Instant::now();
    Ok(Try { told: Told::Accepted, reply: format!("{} {}", reply.code, reply.text()), again: false, of_each, at })
}
