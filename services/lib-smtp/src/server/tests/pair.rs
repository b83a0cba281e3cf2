//! The session with a peer of a pair.

use super::*;
use crate::fuzzing::Bench;

/// A session under TLS after its EHLO, whose client showed the key of `peer`.
fn under_tls(peer: Option<&str>) -> (Bench, String) {
    let mut bench = bench(fuzzing::config());
    say(&mut bench, "EHLO c.example\r\nSTARTTLS\r\n");
    bench.handle(Input::TlsStarted);
    if let Some(peer) = peer {
        bench.handle(Input::Shown(peer.into()));
    }
    let offer = say(&mut bench, "EHLO mx2.example\r\n");
    (bench, offer)
}

/// One who said AUTH EXTERNAL, too.
fn peer() -> Bench {
    let (mut bench, _) = under_tls(Some("two"));
    assert_eq!(codes(&say(&mut bench, "AUTH EXTERNAL =\r\n")), "235 2.7.0");
    bench
}

#[test]
fn only_a_known_key_is_offered_more() {
    let (_, offer) = under_tls(Some("two"));
    let end = "250-SIZE 0\r\n250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE\r\n250-XLIST\r\n250 AUTH EXTERNAL\r\n";
    assert!(offer.ends_with(end), "{offer}");
    let (mut stranger, offer) = under_tls(None);
    assert!(offer.ends_with("250 SIZE 64000\r\n"), "{offer}");
    assert_eq!(codes(&say(&mut stranger, "AUTH EXTERNAL =\r\n")), "502 5.5.1");
    // A key that is shown in the clear, or late, is none.
    let mut clear = bench(fuzzing::config());
    clear.handle(Input::Shown("two".into()));
    assert!(!say(&mut clear, "EHLO c.example\r\n").contains("EXTERNAL"));
    clear.handle(Input::Shown("two".into()));
    assert_eq!(codes(&say(&mut clear, "AUTH EXTERNAL =\r\n")), "502 5.5.1");
}

#[test]
fn who_may_say_external_as_whom() {
    for (line, want) in [
        ("AUTH EXTERNAL =", "235 2.7.0"),
        ("AUTH EXTERNAL dHdv", "235 2.7.0"),
        ("AUTH EXTERNAL b25l", "535 5.7.8"),
        ("AUTH EXTERNAL ?", "501 5.5.2"),
        ("AUTH PLAIN AGEAYg==", "504 5.5.4"),
        ("AUTH EXTERNAL", "334"),
    ] {
        let (mut bench, _) = under_tls(Some("two"));
        assert_eq!(codes(&say(&mut bench, &format!("{line}\r\n"))), want, "{line}");
        if want == "334" {
            assert_eq!(codes(&say(&mut bench, "\r\n")), "235 2.7.0", "an empty identity is one's own");
        }
        assert_eq!(bench.session.pair().is_some(), want == "235 2.7.0" || want == "334", "{line}");
    }
    let mut twice = peer();
    assert_eq!(codes(&say(&mut twice, "AUTH EXTERNAL =\r\n")), "503 5.5.1");
    assert_eq!(twice.session.protocol().name(), "ESMTPSA");
    assert_eq!(twice.session.account(), None, "a peer is no account");
}

#[test]
fn the_commands_of_peers_are_for_peers() {
    for line in ["XFORWARD ADDR=192.0.2.7", "XLIST -", "XLIST abc 100"] {
        let (mut shown, _) = under_tls(Some("two"));
        let (mut stranger, _) = under_tls(None);
        for bench in [&mut shown, &mut stranger] {
            assert_eq!(codes(&say(bench, &format!("{line}\r\n"))), "502 5.5.1", "{line}");
        }
        let mut within = peer();
        say(&mut within, "MAIL FROM:<a@b.example>\r\n");
        assert_eq!(codes(&say(&mut within, &format!("{line}\r\n"))), "503 5.5.1", "{line}");
    }
    let mut peer = peer();
    assert_eq!(say(&mut peer, "XLIST - 5\r\n"), "250-digest - Some(5)\r\n250 mailbox 민지@example.org\r\n");
    for line in ["XLIST", "XLIST a b", "XLIST a -1", "XLIST a 1 2", "XFORWARD", "XFORWARD ADDR=x"] {
        assert_eq!(codes(&say(&mut peer, &format!("{line}\r\n"))), "501 5.5.4", "{line}");
    }
}

#[test]
fn what_is_forwarded_is_said_of_one_message() {
    let mut peer = peer();
    let address = |bench: &Bench| bench.session.forwarded().and_then(|forward| forward.address).map(|ip| ip.to_string());
    say(&mut peer, "XFORWARD ADDR=192.0.2.7\r\nXFORWARD HELO=client.example\r\n");
    assert_eq!(address(&peer).as_deref(), Some("192.0.2.7"));
    say(&mut peer, "MAIL FROM:<a@b.example>\r\n");
    assert_eq!(address(&peer).as_deref(), Some("192.0.2.7"));
    let helo = peer.session.transaction().and_then(|transaction| transaction.forward.clone()).and_then(|forward| forward.helo);
    assert_eq!(helo.as_deref(), Some("client.example"));
    say(&mut peer, "RCPT TO:<minji@example.org>\r\nDATA\r\nx\r\n.\r\n");
    assert_eq!(address(&peer), None);
    say(&mut peer, "MAIL FROM:<a@b.example>\r\n");
    assert_eq!(address(&peer), None);
    for (end, reply) in [("RSET", "250 2.0.0"), ("EHLO x.example", "250")] {
        say(&mut peer, "RSET\r\nXFORWARD ADDR=192.0.2.8\r\n");
        assert_eq!(codes(&say(&mut peer, &format!("{end}\r\n"))), reply);
        assert_eq!(address(&peer), None, "{end}");
    }
}

#[test]
fn a_hand_over_has_no_limit_of_size() {
    let mut peer = peer();
    assert_eq!(codes(&say(&mut peer, "MAIL FROM:<a@b.example> SIZE=64001\r\n")), "250 2.1.0");
    say(&mut peer, "RCPT TO:<minji@example.org>\r\nDATA\r\n");
    let reply = say(&mut peer, &format!("{}.\r\n", format!("{}\r\n", "x".repeat(98)).repeat(700)));
    assert_eq!(codes(&reply), "250 2.0.0");
}
