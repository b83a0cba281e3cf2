//! Moves octets one way of a connection, later, slower or not at all as the mood has it, and carries trips out between them.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::Shutdown;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::dialogue::Dialogue;
use super::follow::{Act, Deed, Follow, Part};
use super::trip::{How, Side};
use super::{Shared, Standing, lock};

/// Read at once.
const READ: usize = 64 * 1024;
/// Most octets of one direction between the two sockets.
const ROOM: usize = 1024 * 1024;
/// A limited rate is kept over this time.
const BEAT: Duration = Duration::from_millis(50);
/// The receive buffer of a direction that is read slowly on purpose.
const SMALL: usize = 4096;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// Both ends said FIN.
    InOrder,
    /// This end was reset or failed.
    Broken(Side),
    /// The server was not there.
    Unreachable(std::io::Error),
    /// The gate resets its connections, or ends.
    Gate,
    /// A trip ended it, there.
    Trip(How, String),
}

/// A connection whose two ends stand.
pub(super) struct Line<'a> {
    pub(super) client: &'a TcpStream,
    pub(super) server: &'a TcpStream,
    pub(super) follow: Mutex<Follow>,
    pub(super) dialogue: &'a Arc<Mutex<Dialogue>>,
    pub(super) shared: &'a Shared,
    pub(super) resets: u64,
}

/// Octets on their way, or what comes after them.
struct Due {
    at: Instant,
    part: Option<Part>,
}

/// One direction at work.
struct Pump<'a> {
    line: &'a Line<'a>,
    from: Side,
    standing: watch::Receiver<Standing>,
    queue: VecDeque<Due>,
    queued: usize,
    /// A trip reads slowly.
    rate: Option<u32>,
    /// The source has said FIN.
    finished: bool,
    /// The target was told so.
    closed: bool,
}

impl Line<'_> {
    /// Moves what `from` says until it is told, and has told, that there is no more.
    pub(super) async fn pump(&self, from: Side, standing: watch::Receiver<Standing>) -> Result<(), Ended> {
        let queue = VecDeque::new();
        let mut pump = Pump { line: self, from, standing, queue, queued: 0, rate: None, finished: false, closed: false };
        pump.run().await
    }

    fn stream(&self, side: Side) -> &TcpStream {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }
}

impl Pump<'_> {
    async fn run(&mut self) -> Result<(), Ended> {
        let mut octets = vec![0; READ];
        while !(self.finished && self.queue.is_empty()) {
            let now = *self.standing.borrow_and_update();
            now.check(self.line.resets)?;
            if !now.mood.flows() {
                self.standing.changed().await.map_err(|_| Ended::Gate)?;
                continue;
            }
            let rate = self.rate(&now);
            let room = rate.map_or(ROOM, beat);
            let next = self.queue.front().map(|due| due.at);
            let source = self.line.stream(self.from);
            tokio::select! {
                biased;
                changed = self.standing.changed() => changed.map_err(|_| Ended::Gate)?,
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => self.forward().await?,
                readable = source.readable(), if !self.finished && self.queued < room => {
                    readable.map_err(|_| Ended::Broken(self.from))?;
                    let most = room.min(octets.len());
                    match source.try_read(&mut octets[..most]) {
                        Ok(0) => self.finish(now.mood.delay()),
                        Ok(read) => self.take(&octets[..read], now.mood.delay()),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        Err(_) => return Err(Ended::Broken(self.from)),
                    }
                }
            }
        }
        Ok(())
    }

    fn rate(&self, now: &Standing) -> Option<u32> {
        match (self.rate, now.mood.rate()) {
            (Some(trip), Some(mood)) => Some(trip.min(mood)),
            (trip, mood) => trip.or(mood),
        }
    }

    fn take(&mut self, octets: &[u8], delay: Duration) {
        let parts = lock(&self.line.follow).feed(self.from, octets);
        self.enqueue(parts, delay);
    }

    fn finish(&mut self, delay: Duration) {
        let parts = lock(&self.line.follow).finish(self.from);
        self.enqueue(parts, delay);
        self.finished = true;
        self.queue.push_back(Due { at: Instant::now() + delay, part: None });
    }

    fn enqueue(&mut self, parts: Vec<Part>, delay: Duration) {
        let at = Instant::now() + delay;
        for part in parts {
            if let Part::Octets(octets) = &part {
                self.queued += octets.len();
            }
            self.queue.push_back(Due { at, part: Some(part) });
        }
    }

    async fn forward(&mut self) -> Result<(), Ended> {
        let Some(due) = self.queue.pop_front() else { return Ok(()) };
        match due.part {
            Some(Part::Octets(octets)) => {
                self.queued -= octets.len();
                self.write(self.from.other(), &octets).await
            }
            Some(Part::Act(act)) => self.act(act).await,
            None => {
                self.close();
                Ok(())
            }
        }
    }

    fn close(&mut self) {
        if !std::mem::replace(&mut self.closed, true) {
            // An end that is gone already needs no FIN.
            let _ = SockRef::from(self.line.stream(self.from.other())).shutdown(Shutdown::Write);
        }
    }

    async fn act(&mut self, Act { number, deed, point }: Act) -> Result<(), Ended> {
        let ended = match deed {
            Deed::End(how) => Err(Ended::Trip(how, point)),
            Deed::HalfClose => {
                self.close();
                Ok(())
            }
            Deed::Inject(to, octets) => {
                lock(self.line.dialogue).injected(to, &octets);
                self.write(to, &octets).await
            }
            Deed::Slow(rate) => {
                self.rate = Some(rate);
                // What the kernel has promised already stays; a failure leaves the rate alone in force.
                let _ = SockRef::from(self.line.stream(self.from)).set_recv_buffer_size(SMALL);
                Ok(())
            }
            Deed::Note => Ok(()),
        };
        lock(self.line.dialogue).trip();
        self.line.shared.trips.took(number);
        ended
    }

    async fn write(&mut self, to: Side, octets: &[u8]) -> Result<(), Ended> {
        let target = self.line.stream(to);
        let mut rest = octets;
        while !rest.is_empty() {
            let now = *self.standing.borrow_and_update();
            now.check(self.line.resets)?;
            if !now.mood.flows() {
                self.standing.changed().await.map_err(|_| Ended::Gate)?;
                continue;
            }
            tokio::select! {
                biased;
                changed = self.standing.changed() => {
                    changed.map_err(|_| Ended::Gate)?;
                    continue;
                }
                writable = target.writable() => writable.map_err(|_| Ended::Broken(to))?,
            }
            let rate = self.rate(&now);
            let most = rate.map_or(rest.len(), beat).min(rest.len());
            match target.try_write(&rest[..most]) {
                Ok(written) => {
                    rest = &rest[written..];
                    self.line.shared.passed(self.from, written);
                    if let Some(rate) = rate {
                        self.pause(Duration::from_secs_f64(written as f64 / f64::from(rate))).await?;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return Err(Ended::Broken(to)),
            }
        }
        Ok(())
    }

    /// Keeps a rate; a mood that changes ends the wait.
    async fn pause(&mut self, time: Duration) -> Result<(), Ended> {
        tokio::select! {
            () = sleep(time) => Ok(()),
            changed = self.standing.changed() => changed.map_err(|_| Ended::Gate),
        }
    }
}

/// Octets in one beat of a rate.
fn beat(rate: u32) -> usize {
    let octets = f64::from(rate) * BEAT.as_secs_f64();
    (octets as usize).max(1)
}
