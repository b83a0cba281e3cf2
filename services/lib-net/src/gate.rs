//! Who is let in: counts of sessions in all and by address, and the rate of an address's connections.
//!
//! An address counts with its network: IPv4 as it is, IPv6 by its /64, because one host holds all of that.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::bounds::Bounds;
use crate::conversation::Refusal;

/// Addresses that are remembered at once. Where more come, those without a session are forgotten: a limit then lets in too many rather
/// than memory grow.
const MAX_ADDRESSES: usize = 16 * 1024;

/// Refusals of one cause are reported at most this often, for each address at most once.
const REPORT_PERIOD: Duration = Duration::from_secs(60);
/// Reports within a period, over all addresses of a cause.
const REPORTS: u32 = 10;

/// The counts of one service in one process.
#[derive(Debug)]
pub struct Gate {
    counts: Mutex<Counts>,
    sessions: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct Counts {
    addresses: HashMap<IpAddr, Address>,
    reports: HashMap<Refusal, Reports>,
}

#[derive(Debug, Default)]
struct Address {
    sessions: u32,
    /// Connections since `since`, and in the period before it: together a sliding count.
    arrivals: u32,
    arrivals_before: u32,
    since: Option<Instant>,
}

#[derive(Debug)]
struct Reports {
    since: Instant,
    made: u32,
    /// Refusals not reported yet.
    held: u64,
    last: IpAddr,
}

/// A session's place; given back when dropped.
#[derive(Debug)]
pub struct Place {
    gate: Arc<Gate>,
    network: Option<IpAddr>,
}

impl Gate {
    /// Nobody is in.
    pub fn new() -> Arc<Gate> {
        Arc::new(Gate { counts: Mutex::default(), sessions: watch::Sender::new(0) })
    }

    /// Sessions now.
    pub fn sessions(&self) -> usize {
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
    pub fn enter(self: &Arc<Self>, address: IpAddr, bounds: &Bounds) -> Result<Place, Refusal> {
        let network = (!bounds.is_exempt(address)).then(|| network(address));
        let mut counts = self.lock();
        if let Some(network) = network {
            counts.admit(network, bounds, Instant::now())?;
        }
        if self.sessions() >= bounds.sessions {
            return Err(Refusal::Full);
        }
        self.sessions.send_modify(|sessions| *sessions += 1);
        if let Some(network) = network {
            counts.addresses.entry(network).or_default().sessions += 1;
        }
        Ok(Place { gate: self.clone(), network })
    }

    /// Whether a refusal is to be reported now, and how many it stands for; `None` where enough was said lately.
    pub fn report(&self, address: IpAddr, why: Refusal) -> Option<u64> {
        let (now, network) = (Instant::now(), network(address));
        let mut counts = self.lock();
        let reports = counts.reports.entry(why).or_insert(Reports { since: now, made: 0, held: 0, last: network });
        if now.duration_since(reports.since) >= REPORT_PERIOD {
            (reports.since, reports.made) = (now, 0);
        }
        reports.held += 1;
        let repeated = reports.made > 0 && reports.last == network;
        if repeated || reports.made >= REPORTS {
            return None;
        }
        reports.made += 1;
        reports.last = network;
        Some(std::mem::take(&mut reports.held))
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn admit(&mut self, network: IpAddr, bounds: &Bounds, now: Instant) -> Result<(), Refusal> {
        if self.addresses.len() >= MAX_ADDRESSES {
            self.addresses.retain(|_, address| address.sessions > 0);
        }
        let address = self.addresses.entry(network).or_default();
        if bounds.connections_per_address > 0 && address.arrive(bounds.rate_period, now) > bounds.connections_per_address {
            return Err(Refusal::AddressRate);
        }
        if bounds.sessions_per_address > 0 && address.sessions >= bounds.sessions_per_address {
            return Err(Refusal::AddressConcurrency);
        }
        Ok(())
    }
}

impl Address {
    /// Counts one connection, and gives how many came within the last `period`, this one included. What lies in the period before
    /// counts by the share of it that the sliding window still covers.
    fn arrive(&mut self, period: Duration, now: Instant) -> u32 {
        let period = period.max(Duration::from_millis(1));
        let age = now.duration_since(*self.since.get_or_insert(now));
        if age >= period {
            self.arrivals_before = if age < 2 * period { self.arrivals } else { 0 };
            self.arrivals = 0;
            self.since = Some(now);
        }
        let age = now.duration_since(self.since.unwrap_or(now));
        self.arrivals = self.arrivals.saturating_add(1);
        let covered = 1.0 - age.as_secs_f64() / period.as_secs_f64();
        self.arrivals + (f64::from(self.arrivals_before) * covered) as u32
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(network) = self.network {
            let mut counts = self.gate.lock();
            if let Some(address) = counts.addresses.get_mut(&network) {
                address.sessions = address.sessions.saturating_sub(1);
            }
        }
        self.gate.sessions.send_modify(|sessions| *sessions = sessions.saturating_sub(1));
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}
