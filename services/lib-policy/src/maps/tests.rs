use proptest::prelude::*;

use super::*;

fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

/// R4.1: exactly the domains listed. R1.11: relay-domains covers what is below an entry.
#[test]
fn local_is_exact_and_relay_covers_what_is_below() {
    let text = "# ours\nexample.net\r\n  Example.ORG  # and this\n\n한글.example\n[192.0.2.1]\n";
    let (local, relay) = (LocalDomains::parse(text).unwrap(), RelayDomains::parse(text).unwrap());
    for (name, is_local, is_relay) in [
        ("example.net", true, true),
        ("EXAMPLE.net", true, true),
        ("www.example.net", false, true),
        ("a.b.example.org", false, true),
        ("notexample.net", false, false),
        ("net", false, false),
        ("example.net.evil.example", false, false),
        ("xn--bj0bj06e.example", true, true),
        ("[192.0.2.1]", true, true),
        ("[192.0.2.2]", false, false),
    ] {
        assert_eq!((local.has(&domain(name)), relay.has(&domain(name))), (is_local, is_relay), "{name}");
    }
    assert_eq!(relay.covering(&domain("a.b.example.org")), Some("example.org"));
    assert_eq!((local.iter().count(), relay.iter().count()), (4, 4));
}

#[test]
fn settings_add_to_the_file() {
    let more = [domain("Example.com")];
    assert!(LocalDomains::default().is_empty());
    assert!(LocalDomains::default().with(&more).has(&domain("example.com")));
    assert!(RelayDomains::parse("example.net").unwrap().with(&more).has(&domain("mx.example.com")));
}

#[test]
fn every_bad_line_is_told() {
    let text =
        "example.net\nuser@example.net\n.example.org\na.example b.example\nexample.com.\n-x.example\nok.example\n\u{7}\n";
    let told: Vec<String> = LocalDomains::parse(text).unwrap_err().iter().map(LineProblem::to_string).collect();
    assert_eq!(
        told,
        [
            "2: `user@example.net` is no domain; leave out the @ and what is before it",
            "3: `.example.org` is no domain; leave out the leading dot: in relay-domains an entry covers what is below it",
            "4: `a.example b.example` is no domain; write one domain a line",
            "5: `example.com.` is no domain; leave out the dot at the end",
            "6: `-x.example` is no domain",
            "8: `\\u{7}` is no domain",
        ]
    );
}

#[test]
fn files_of_other_systems_load() {
    assert!(LocalDomains::parse("\u{feff}example.net\r\n").unwrap().has(&domain("example.net")));
    assert!(LocalDomains::parse("").unwrap().is_empty());
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "(?s).{0,300}") {
        crate::fuzzing::domains(text.as_bytes());
    }
}
