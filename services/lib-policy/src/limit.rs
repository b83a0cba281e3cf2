//! How many sessions, in all and from one address, and how fast they may come (R1.14, R5.3).
//!
//! Memory is bounded: an address is forgotten once it has no session and its rate has run out, and no more than a named number is
//! known at one time. Time is an argument that counts from any moment and never goes back.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ipnet::IpNet;

/// Addresses that are known at one time. Beyond it a new address has no rate of its own; the limit on all sessions still holds.
const MAX_ADDRESSES: usize = 100_000;
/// A full table is looked through for addresses to forget at most this often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// An IPv6 client has at least a network of this size to itself.
const IPV6_PREFIX: u32 = 64;
/// Addresses that are excused at one time: those of peers, who are few.
const MAX_EXCUSED: usize = 1000;

/// The limits in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at one time.
    pub sessions: u32,
    /// Sessions at one time from one address; 0 means no limit.
    pub sessions_per_address: u32,
    /// New connections from one address in `window`; 0 means no limit.
    pub connections: u32,
    /// The time that `connections` is counted in; not zero.
    pub window: Duration,
    /// Networks that no per-address limit counts.
    pub exempt: Vec<IpNet>,
}

/// Why a client was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Turned {
    /// The service is full.
    #[error("too many sessions")]
    Sessions,
    /// The client's address has its share.
    #[error("too many sessions from this address")]
    SessionsPerAddress,
    /// The client's address comes too often.
    #[error("too many connections from this address in a short time")]
    Rate,
}

/// Counts sessions and connections.
#[derive(Debug, Clone)]
pub struct Limiter {
    limits: Limits,
    sessions: u32,
    known: HashMap<IpAddr, Known>,
    /// Addresses that no limit of their own counts, and until when.
    excused: HashMap<IpAddr, Duration>,
    swept: Duration,
}

/// What is known of an address.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    sessions: u32,
    /// When the address will have used up nothing of its rate (the *theoretical arrival time* of GCRA).
    paid_until: Duration,
}

impl Limiter {
    /// A limiter that has seen nobody.
    pub fn new(limits: Limits) -> Limiter {
        Limiter { limits, sessions: 0, known: HashMap::new(), excused: HashMap::new(), swept: Duration::ZERO }
    }

    /// Puts other limits into force; sessions that exist stay.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Sessions at this time.
    pub fn sessions(&self) -> u32 {
        self.sessions
    }

    /// Whether the service is full.
    pub fn is_full(&self) -> bool {
        self.sessions >= self.limits.sessions
    }

    /// A client comes. Where it is let in, `leave` must follow once. A client that is turned away has used its rate all the same
    /// only if it was its rate that was asked: a full service is not the client's fault.
    pub fn enter(&mut self, address: IpAddr, now: Duration) -> Result<(), Turned> {
        if self.is_full() {
            return Err(Turned::Sessions);
        }
        if let Some(key) = self.counted(address).filter(|key| self.excused.get(key).is_none_or(|until| *until < now)) {
            self.make_room(key, now);
            if self.known.len() < MAX_ADDRESSES || self.known.contains_key(&key) {
                let known = self.known.entry(key).or_default();
                if self.limits.sessions_per_address > 0 && known.sessions >= self.limits.sessions_per_address {
                    return Err(Turned::SessionsPerAddress);
                }
                known.take(&self.limits, now)?;
                known.sessions += 1;
            }
        }
        self.sessions += 1;
        Ok(())
    }

    /// Nothing counts at this address until then: somebody proved there to be a peer.
    pub fn excuse(&mut self, address: IpAddr, now: Duration, until: Duration) {
        self.excused.retain(|_, until| *until >= now);
        if self.excused.len() < MAX_EXCUSED {
            self.excused.insert(key(address.to_canonical()), until);
        }
    }

    /// A client that was let in has gone.
    pub fn leave(&mut self, address: IpAddr, now: Duration) {
        self.sessions = self.sessions.saturating_sub(1);
        // The exempt networks may have changed since it came, so the table is asked and not the limits.
        let key = key(address);
        if let Some(known) = self.known.get_mut(&key) {
            known.sessions = known.sessions.saturating_sub(1);
            if known.forgettable(now) {
                self.known.remove(&key);
            }
        }
    }

    /// What an address is counted under; `None` where it is exempt.
    fn counted(&self, address: IpAddr) -> Option<IpAddr> {
        let address = address.to_canonical();
        let exempt = self.limits.exempt.iter().any(|network| network.contains(&address));
        (!exempt).then(|| key(address))
    }

    fn make_room(&mut self, key: IpAddr, now: Duration) {
        let full = self.known.len() >= MAX_ADDRESSES && !self.known.contains_key(&key);
        if full && now.saturating_sub(self.swept) >= SWEEP_EVERY {
            self.known.retain(|_, known| !known.forgettable(now));
            self.swept = now;
        }
    }
}

impl Known {
    fn take(&mut self, limits: &Limits, now: Duration) -> Result<(), Turned> {
        if limits.connections == 0 {
            return Ok(());
        }
        let each = limits.window / limits.connections;
        let paid_until = self.paid_until.max(now) + each;
        if paid_until > now + limits.window {
            return Err(Turned::Rate);
        }
        self.paid_until = paid_until;
        Ok(())
    }

    fn forgettable(&self, now: Duration) -> bool {
        self.sessions == 0 && self.paid_until <= now
    }
}

fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mask = !(u128::MAX >> IPV6_PREFIX);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests;
