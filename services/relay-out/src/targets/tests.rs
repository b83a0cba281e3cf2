use lib_settings::{Profile, Secrets, Settings};

use super::*;

fn terms(change: impl FnOnce(&mut Settings)) -> Terms {
    let mut settings = Settings::defaults(Profile::Office);
    settings.hostname = "mail.example.net".parse().unwrap();
    settings.relay.public_addresses = vec!["198.51.100.1".parse().unwrap()];
    change(&mut settings);
    Terms::new(&settings, &Secrets::default())
}

fn mx(preference: u16, name: &str, addresses: &[&str]) -> (MxHost, Result<Vec<IpAddr>, DnsError>) {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let found = if addresses.is_empty() { Err(DnsError::NoSuchName) } else { Ok(addresses) };
    (MxHost { preference, name: name.into() }, found)
}

fn order(hosts: Resolved, terms: &Terms) -> Result<Vec<String>, NoTarget> {
    let own = Own { is_local: |address| address == IpAddr::from([203, 0, 113, 5]), ..Own::new(terms) };
    let targets = in_order(&hosts, &own, || [0; 8])?;
    Ok(targets.iter().map(Target::peer).collect())
}

#[test]
fn lowest_preference_first_and_all_addresses_of_each() {
    let hosts = vec![
        mx(20, "b.example", &["192.0.2.2"]),
        mx(10, "a.example", &["2001:db8::1", "192.0.2.1"]),
        mx(15, "gone.example", &[]),
    ];
    let want = ["a.example [2001:db8::1]", "a.example [192.0.2.1]", "b.example [192.0.2.2]"];
    assert_eq!(order(hosts, &terms(|_| {})).unwrap(), want);
}

#[test]
fn equal_preferences_take_turns() {
    let hosts = || vec![mx(10, "a.example", &["192.0.2.1"]), mx(10, "b.example", &["192.0.2.2"])];
    let terms = terms(|_| {});
    let own = Own { is_local: |_| false, ..Own::new(&terms) };
    let first = || in_order(&hosts(), &own, lib_host::random_bytes).unwrap()[0].name.clone();
    let firsts: std::collections::HashSet<String> = (0..100).map(|_| first()).collect();
    assert_eq!(firsts.len(), 2);
}

#[test]
fn never_a_host_that_is_no_better_than_ourselves() {
    let primary = || mx(10, "a.example", &["192.0.2.1"]);
    let worse = || mx(30, "c.example", &["192.0.2.3"]);
    let a = || Ok(vec!["a.example [192.0.2.1]".to_owned()]);
    let loopback = |settings: &mut Settings| settings.relay.allow_loopback = true;
    let listening = |settings: &mut Settings| {
        settings.relay.allow_loopback = true;
        settings.listen.truncate(1);
        settings.listen[0].address = "127.0.0.2".parse().unwrap();
    };
    // Ourselves at preference 20, known by: name, public address, interface, loopback, listener.
    for (ours, terms, want) in [
        (mx(20, "MAIL.example.net", &["192.0.2.9"]), terms(|_| {}), a()),
        (mx(20, "MAIL.example.net", &[]), terms(|_| {}), a()),
        (mx(20, "x.example", &["198.51.100.1"]), terms(|_| {}), a()),
        (mx(20, "x.example", &["203.0.113.5"]), terms(|_| {}), a()),
        (mx(20, "x.example", &["127.0.0.1"]), terms(|_| {}), a()),
        (mx(20, "x.example", &["::1"]), terms(|_| {}), a()),
        (mx(20, "x.example", &["0.0.0.0"]), terms(|_| {}), a()),
        (mx(20, "x.example", &["127.0.0.2"]), terms(listening), a()),
        (
            mx(20, "x.example", &["127.0.0.3"]),
            terms(loopback),
            Ok(vec!["a.example [192.0.2.1]".into(), "x.example [127.0.0.3]".into(), "c.example [192.0.2.3]".into()]),
        ),
    ] {
        assert_eq!(order(vec![worse(), ours.clone(), primary()], &terms), want, "{ours:?}");
        if want == a() {
            assert_eq!(order(vec![worse(), ours], &terms), Err(NoTarget::Loop));
        }
    }
    // Of equal preference counts as no better.
    let equal = vec![mx(10, "mail.example.net", &["192.0.2.9"]), primary()];
    assert_eq!(order(equal, &terms(|_| {})), Err(NoTarget::Loop));
}

#[test]
fn fates_of_domains_that_lead_nowhere() {
    let domain: Domain = "x.example".parse().unwrap();
    let now = Timestamp(0);
    for (status, want) in [
        (domain_unknown(&domain, &DnsError::NoSuchName, now), "550 5.1.2"),
        (domain_unknown(&domain, &DnsError::NoRecord, now), "550 5.4.4"),
        (domain_unknown(&domain, &DnsError::NullMx, now), "556 5.1.10"),
        (domain_unknown(&domain, &DnsError::Temporary("slow".into()), now), "451 4.4.3"),
        (NoTarget::Loop.status(&domain, now), "554 5.4.6"),
        (NoTarget::NoAddress("a: slow".into()).status(&domain, now), "451 4.4.4"),
        (host_unknown(&domain, &DnsError::NoSuchName, now), "451 4.4.3"),
    ] {
        assert!(status.to_string().starts_with(want), "{status}");
    }
    assert_eq!(
        order(vec![mx(10, "a.example", &[])], &terms(|_| {})),
        Err(NoTarget::NoAddress("a.example: the name does not exist".into()))
    );
}
