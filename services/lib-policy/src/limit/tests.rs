use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn limits() -> Limits {
    Limits {
        sessions: 10,
        sessions_per_address: 3,
        connections: 4,
        window: MINUTE,
        exempt: vec!["192.0.2.8/32".parse().unwrap()],
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// R1.14: hitting a limit refuses that client, never the service.
#[test]
fn one_client_cannot_hold_every_slot() {
    let mut limiter = Limiter::new(limits());
    let (greedy, other) = (address("198.51.100.1"), address("198.51.100.2"));
    for _ in 0..3 {
        assert_eq!(limiter.enter(greedy, seconds(0)), Ok(()));
    }
    assert_eq!(limiter.enter(greedy, seconds(0)), Err(Turned::SessionsPerAddress));
    assert_eq!(limiter.enter(other, seconds(0)), Ok(()));
    limiter.leave(greedy, seconds(1));
    assert_eq!(limiter.enter(greedy, seconds(1)), Ok(()));
    assert_eq!(limiter.sessions(), 4);
}

#[test]
fn a_client_that_comes_too_often_waits() {
    let mut limiter = Limiter::new(limits());
    let client = address("198.51.100.1");
    let mut come = |at| {
        let came = limiter.enter(client, seconds(at));
        if came.is_ok() {
            limiter.leave(client, seconds(at));
        }
        came
    };
    for (at, expected) in [
        (0, Ok(())),
        (0, Ok(())),
        (0, Ok(())),
        (0, Ok(())),
        (1, Err(Turned::Rate)),
        (14, Err(Turned::Rate)),
        (15, Ok(())),
        (16, Err(Turned::Rate)),
        (200, Ok(())),
        (200, Ok(())),
        (200, Ok(())),
        (200, Ok(())),
        (200, Err(Turned::Rate)),
    ] {
        assert_eq!(come(at), expected, "at {at} s");
    }
}

#[test]
fn the_service_is_full_for_all() {
    let mut limiter = Limiter::new(Limits { sessions: 2, ..limits() });
    assert_eq!(limiter.enter(address("192.0.2.8"), seconds(0)), Ok(()));
    assert_eq!(limiter.enter(address("198.51.100.1"), seconds(0)), Ok(()));
    assert!(limiter.is_full());
    assert_eq!(limiter.enter(address("192.0.2.8"), seconds(0)), Err(Turned::Sessions));
}

#[test]
fn who_is_exempt_and_who_is_the_same() {
    let mut limiter = Limiter::new(Limits { sessions: 1000, ..limits() });
    for _ in 0..50 {
        assert_eq!(limiter.enter(address("192.0.2.8"), seconds(0)), Ok(()));
        assert_eq!(limiter.enter(address("::ffff:192.0.2.8"), seconds(0)), Ok(()));
    }
    for (first, second, same) in [
        ("2001:db8::1", "2001:db8::ffff:1", true),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ("::ffff:198.51.100.1", "198.51.100.1", true),
        ("198.51.100.1", "198.51.100.2", false),
    ] {
        let mut limiter = Limiter::new(limits());
        (0..3).for_each(|_| limiter.enter(address(first), seconds(0)).unwrap());
        assert_eq!(limiter.enter(address(second), seconds(0)).is_err(), same, "{first} {second}");
    }
}

#[test]
fn zero_means_no_limit() {
    let mut limiter = Limiter::new(Limits { sessions: 1000, sessions_per_address: 0, connections: 0, ..limits() });
    (0..500).for_each(|_| limiter.enter(address("198.51.100.1"), seconds(0)).unwrap());
}

#[test]
fn limits_change_under_sessions() {
    let mut limiter = Limiter::new(limits());
    let client = address("198.51.100.1");
    (0..3).for_each(|_| limiter.enter(client, seconds(0)).unwrap());
    limiter.set_limits(Limits { sessions_per_address: 1, connections: 0, ..limits() });
    limiter.leave(client, seconds(1));
    assert_eq!(limiter.enter(client, seconds(1)), Err(Turned::SessionsPerAddress));
    limiter.set_limits(Limits { exempt: vec!["198.51.100.0/24".parse().unwrap()], ..limits() });
    (0..2).for_each(|_| limiter.leave(client, seconds(1)));
    assert_eq!(limiter.sessions(), 0);
    limiter.leave(client, seconds(1));
    assert_eq!(limiter.sessions(), 0, "one leave too many does no harm");
}

#[test]
fn memory_is_bounded() {
    let mut limiter = Limiter::new(Limits { sessions: u32::MAX, ..limits() });
    let nth = |n: u32| IpAddr::from(n.to_be_bytes());
    for n in 0..MAX_ADDRESSES as u32 + 100 {
        limiter.enter(nth(n), seconds(1)).unwrap();
        limiter.leave(nth(n), seconds(1));
    }
    assert!(limiter.known.len() <= MAX_ADDRESSES);
    limiter.enter(nth(u32::MAX), seconds(100)).unwrap();
    assert_eq!(limiter.known.len(), 1, "those whose rate has run out are forgotten");
}

#[test]
fn an_address_that_is_excused_meets_no_limit_of_its_own_until_then() {
    let mut limiter = Limiter::new(limits());
    let peer = address("198.51.100.1");
    assert_eq!(limiter.enter(peer, seconds(0)), Ok(()));
    limiter.excuse(peer, seconds(0), seconds(100));
    (0..8).for_each(|_| assert_eq!(limiter.enter(peer, seconds(1)), Ok(())));
    assert_eq!((0..4).filter(|_| limiter.enter(address("198.51.100.2"), seconds(1)).is_ok()).count(), 1, "the service is full");
    (0..9).for_each(|_| limiter.leave(peer, seconds(2)));
    assert_eq!((0..6).filter(|_| limiter.enter(peer, seconds(101)).is_ok()).count(), 3, "an hour later it is as any other");
}
