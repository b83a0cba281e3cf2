//! Addresses that fail to log in wait, longer with each failure (R5.3, R8).
//!
//! A failure is a debt of one minute; a debt melts as time passes. Up to five minutes of it are free: a person mistypes. Beyond, each
//! login of the address waits, up to eight seconds, and they wait one behind the other, so many connections bring nothing. A wait
//! that would outlast the client's patience is answered at once as a temporary failure. IPv6 addresses count by /64.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// What one failure weighs.
const FAILURE: Duration = Duration::from_secs(60);
/// Failures that cost nothing.
const FREE: u32 = 5;
/// Failures that are remembered, at most; so after a quarter of an hour of peace all is forgiven.
const MOST: u32 = 15;
/// The first wait; doubled with each further failure.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// The longest wait.
const WAIT_LAST: Duration = Duration::from_secs(8);
/// A login that would have to wait longer behind others of its address is not checked at all.
const PATIENCE: Duration = Duration::from_secs(20);
/// Addresses kept. When the table is full of addresses in debt, those with the least are forgotten.
const ADDRESSES: usize = 16 * 1024;

/// When a login may be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// At once.
    Now,
    /// Not before this moment.
    At(Instant),
    /// Not now; too many wait already.
    Never,
}

#[derive(Debug, Clone, Copy)]
struct Record {
    /// When the debt will have melted.
    free_at: Instant,
    /// When the next login may be checked.
    next: Instant,
}

/// The debts of all addresses.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    records: HashMap<IpAddr, Record>,
}

impl Throttle {
    /// Books the next turn of `address`.
    pub(crate) fn turn(&mut self, address: IpAddr, now: Instant) -> Turn {
        let Some(record) = self.records.get_mut(&network(address)) else { return Turn::Now };
        let wait = wait(record.free_at.saturating_duration_since(now));
        if wait.is_zero() {
            return Turn::Now;
        }
        let at = record.next.max(now) + wait;
        if at > now + PATIENCE {
            return Turn::Never;
        }
        record.next = at;
        Turn::At(at)
    }

    /// Notes a failed login. True where the address begins to wait with it, which is worth a line in the log.
    pub(crate) fn failed(&mut self, address: IpAddr, now: Instant) -> bool {
        let key = network(address);
        if self.records.len() >= ADDRESSES && !self.records.contains_key(&key) {
            self.forget(now);
        }
        let record = self.records.entry(key).or_insert(Record { free_at: now, next: now });
        let before = record.free_at.saturating_duration_since(now);
        let debt = (before + FAILURE).min(FAILURE * MOST);
        record.free_at = now + debt;
        wait(before).is_zero() && !wait(debt).is_zero()
    }

    /// Makes room: whoever owes nothing more is forgotten; if that is not enough, the half that owes least.
    fn forget(&mut self, now: Instant) {
        self.records.retain(|_, record| record.free_at > now);
        if self.records.len() >= ADDRESSES {
            let mut ends: Vec<Instant> = self.records.values().map(|record| record.free_at).collect();
            let middle = ends.len() / 2;
            let (_, median, _) = ends.select_nth_unstable(middle);
            let median = *median;
            self.records.retain(|_, record| record.free_at > median);
        }
    }
}

/// How long a login waits for a debt.
fn wait(debt: Duration) -> Duration {
    // Rounded up: the debt of the sixth failure is a little under six minutes when the seventh login comes.
    let failures = debt.as_millis().div_ceil(FAILURE.as_millis());
    match u32::try_from(failures).unwrap_or(u32::MAX).saturating_sub(FREE) {
        0 => Duration::ZERO,
        beyond => WAIT_FIRST.saturating_mul(1 << (beyond - 1).min(10)).min(WAIT_LAST),
    }
}

/// The address under which failures count.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn waits_grow_with_failures_and_end() {
        for (failures, millis) in
            [(0, 0), (5, 0), (6, 500), (7, 1000), (8, 2000), (9, 4000), (10, 8000), (15, 8000), (99, 8000)]
        {
            assert_eq!(wait(FAILURE * failures), Duration::from_millis(millis), "{failures}");
        }
    }

    #[test]
    fn a_person_may_mistype_and_a_guesser_waits() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let guesser = address("192.0.2.1");
        for failure in 1..=6 {
            assert_eq!(throttle.turn(guesser, start), Turn::Now, "{failure}");
            assert_eq!(throttle.failed(guesser, start), failure == 6, "{failure}");
        }
        let half = Duration::from_millis(500);
        assert_eq!(throttle.turn(guesser, start), Turn::At(start + half));
        assert_eq!(throttle.turn(guesser, start), Turn::At(start + half * 2), "one behind the other");
        assert_eq!(throttle.turn(address("192.0.2.2"), start), Turn::Now);
        let later = start + FAILURE * 2;
        assert_eq!(throttle.turn(guesser, later), Turn::Now, "a debt melts");
    }

    #[test]
    fn many_connections_bring_nothing() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let guesser = address("2001:db8::1");
        for host in 0..30u128 {
            throttle.failed(IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | host)), start);
        }
        let turns: Vec<Turn> = (0..20).map(|_| throttle.turn(guesser, start)).collect();
        assert_eq!(turns.iter().filter(|turn| **turn != Turn::Never).count(), 2);
        assert_eq!(throttle.turn(address("2001:db8:0:1::1"), start), Turn::Now, "another /64");
    }

    #[test]
    fn the_table_is_bounded_and_keeps_the_worst() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let worst = address("198.51.100.1");
        for _ in 0..10 {
            throttle.failed(worst, start);
        }
        for host in 0..3 * ADDRESSES as u32 {
            throttle.failed(IpAddr::V4((0x0a00_0000 + host).into()), start);
            assert!(throttle.records.len() <= ADDRESSES);
        }
        assert_ne!(throttle.turn(worst, start), Turn::Now);
    }

    #[test]
    fn a_mapped_address_is_its_ipv4_address() {
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }
}
