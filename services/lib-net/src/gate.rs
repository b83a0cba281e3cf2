//! Who is let in, and how often a refusal is worth a line in the log.
//!
//! The counting is `lib-policy`'s; here are its clock, its lock, and the place that a session gives back when it ends, however it ends.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lib_policy::{Limiter, Limits};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::conversation::Refusal;

/// Refusals of one cause are reported in periods of this length:
const REPORT_PERIOD: Duration = Duration::from_secs(60);
/// so many at most in each,
const REPORTS: usize = 10;
/// How long an address of a peer is known.
const EXCUSED: Duration = Duration::from_secs(3600);

/// The sessions of one service in one process.
#[derive(Debug)]
pub struct Gate {
    limiter: Mutex<Limiter>,
    reports: Mutex<HashMap<Refusal, Reports>>,
    sessions: watch::Sender<u32>,
    opened: Instant,
}

#[derive(Debug)]
struct Reports {
    since: Instant,
    /// Those reported within the period: an address only once.
    told: Vec<IpAddr>,
    /// Refusals since the last report.
    held: u64,
}

/// A session's place; given back when dropped.
#[derive(Debug)]
pub struct Place {
    gate: Arc<Gate>,
    address: IpAddr,
}

impl Gate {
    /// Nobody is in yet.
    pub fn new(limits: Limits) -> Arc<Gate> {
        Arc::new(Gate {
            limiter: Mutex::new(Limiter::new(limits)),
            reports: Mutex::default(),
            sessions: watch::Sender::new(0),
            opened: Instant::now(),
        })
    }

    /// Puts other limits into force. Those who are in may stay.
    pub fn set_limits(&self, limits: Limits) {
        lock(&self.limiter).set_limits(limits);
    }

    /// Sessions now.
    pub fn sessions(&self) -> u32 {
        *self.sessions.borrow()
    }

    /// Waits until nobody is in.
    pub async fn emptied(&self) {
        // The sender lives in self, so the wait ends with the last session only.
        let _ = self.sessions.subscribe().wait_for(|sessions| *sessions == 0).await;
    }

    /// Lets a client in, or says why not.
    ///
    /// # Errors
    /// The limit that it met.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Place, Refusal> {
        lock(&self.limiter).enter(address, self.opened.elapsed())?;
        self.sessions.send_modify(|sessions| *sessions += 1);
        Ok(Place { gate: self.clone(), address })
    }

    /// No limit counts at this address for an hour: a peer proved there who it is.
    pub fn excuse(&self, address: IpAddr) {
        let now = self.opened.elapsed();
        lock(&self.limiter).excuse(address, now, now + EXCUSED);
    }

    /// Whether a refusal is to be reported now, and how many it stands for; `None` where enough was said lately.
    pub fn report(&self, address: IpAddr, why: Refusal) -> Option<u64> {
        let now = Instant::now();
        let mut reports = lock(&self.reports);
        let reports = reports.entry(why).or_insert_with(|| Reports { since: now, told: Vec::new(), held: 0 });
        if now.duration_since(reports.since) >= REPORT_PERIOD {
            reports.since = now;
            reports.told.clear();
        }
        reports.held += 1;
        if reports.told.len() >= REPORTS || reports.told.contains(&address) {
            return None;
        }
        reports.told.push(address);
        Some(std::mem::take(&mut reports.held))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.gate.limiter).leave(self.address, self.gate.opened.elapsed());
        self.gate.sessions.send_modify(|sessions| *sessions = sessions.saturating_sub(1));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use lib_policy::Turned;

    use super::*;

    fn gate() -> Arc<Gate> {
        let window = Duration::from_secs(60);
        Gate::new(Limits { sessions: 2, sessions_per_address: 1, connections: 0, window, exempt: Vec::new() })
    }

    #[tokio::test]
    async fn a_place_is_given_back_however_it_ends() {
        let gate = gate();
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        let place = gate.enter(a).unwrap();
        assert_eq!(gate.enter(a).unwrap_err(), Turned::SessionsPerAddress);
        let other = gate.enter(b).unwrap();
        assert_eq!((gate.sessions(), gate.enter(a).unwrap_err()), (2, Turned::Sessions));
        drop(place);
        gate.enter(a).unwrap();
        drop(other);
        gate.emptied().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_refusals_is_a_few_lines() {
        let gate = gate();
        let address = |last: u8| IpAddr::from([192, 0, 2, last]);
        let told: Vec<_> = (0..200).map(|n| gate.report(address(n % 20), Turned::Rate)).collect();
        assert_eq!(told.iter().flatten().count(), REPORTS);
        assert_eq!(gate.report(address(0), Turned::Sessions), Some(1));
        tokio::time::advance(REPORT_PERIOD).await;
        assert_eq!(gate.report(address(0), Turned::Rate), Some(191));
    }
}
