//! The client as a peer of a pair.

use super::*;

fn external() -> Config {
    Config { tls: TlsMode::Required, external: true, ..config() }
}

/// Up to the second EHLO's reply.
fn under_tls(offer: &str) -> String {
    format!(
        "{EHLO}S: 250-mx.example.net\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\ntls\nC: EHLO client.example\nS: 250-mx\nS: 250 {offer}\n"
    )
}

#[test]
fn a_certificate_is_a_login_and_a_peer_that_does_not_know_it_gets_nothing() {
    let auth = "C: AUTH EXTERNAL =\n";
    for (script, ready) in [
        (format!("{}{auth}S: 235 2.7.0 welcome\n", under_tls("AUTH EXTERNAL")), true),
        (format!("{}{auth}S: 535 5.7.8 no\n", under_tls("AUTH PLAIN EXTERNAL")), false),
        (format!("{}{auth}S: 334 what\n", under_tls("AUTH EXTERNAL")), false),
        (under_tls("AUTH PLAIN LOGIN"), false),
        (under_tls("HELP"), false),
        (format!("{EHLO}S: 250-mx\nS: 250 AUTH EXTERNAL\n"), false),
    ] {
        let run = play(external(), &[], &script);
        assert_eq!((run.ready, run.closed.is_none()), (ready, ready), "{script}");
    }
}

fn forwarded() -> Transaction {
    let forward = Forward { address: Some("192.0.2.7".parse().unwrap()), helo: Some("a b".into()), ..Forward::default() };
    Transaction { forward: Some(Box::new(forward)), ..to(&["b@x.example"]) }
}

const FORWARD: &str = "C: XFORWARD ADDR=192.0.2.7 HELO=a+20b\n";
const REST: &str = "C: MAIL FROM:<a@example.org>\nC: RCPT TO:<b@x.example>\nC: DATA\n";

#[test]
fn the_original_client_goes_before_the_message() {
    let hello = |offer: &str| format!("{EHLO}S: 250-mx.example.net\nS: 250-{offer}\nS: 250 XFORWARD ADDR HELO\nbegin\n");
    let body = "C: Hi.\nC: .\nS: 250 2.0.0 queued as X\n";
    let mail = "C: MAIL FROM:<a@example.org>\nS: 250 ok\nC: RCPT TO:<b@x.example>\nS: 250 ok\nC: DATA\nS: 354 go\n";
    let ok = "S: 250 ok\nS: 250 ok\n";
    for (script, want) in [
        (format!("{}{FORWARD}{REST}S: 250 ok\n{ok}S: 354 go\n{body}", hello("PIPELINING")), "250 2.0.0 queued as X"),
        (format!("{}{FORWARD}S: 250 ok\n{mail}{body}", hello("HELP")), "250 2.0.0 queued as X"),
        (
            format!("{}{FORWARD}{REST}S: 501 5.5.4 no\n{ok}S: 354 go\nC: .\nS: 554 5.5.1 nobody\n", hello("PIPELINING")),
            "451 4.7.0 The hand-over is refused: 501 5.5.4 no",
        ),
        (format!("{}{FORWARD}S: 501 5.5.4 no\n", hello("HELP")), "451 4.7.0 The hand-over is refused: 501 5.5.4 no"),
    ] {
        let run = play(config(), &[forwarded()], &script);
        assert_eq!((run.fates.as_slice(), run.ready), (&[want.to_owned()][..], true), "{script}");
    }
    // Who does not ask for it is not told.
    let run = play(config(), &[forwarded()], &format!("{EHLO}{PIPELINED}begin\n{REST}{ok}S: 354 go\n{body}"));
    assert_eq!(run.fates, ["250 2.0.0 queued as X"]);
}

#[test]
fn a_question_has_its_reply_and_the_session_goes_on() {
    let run =
        play(config(), &[], &format!("{EHLO}{PLAIN}ask XLIST - 0\nC: XLIST - 0\nS: 250-d 2\nS: 250 mailbox 민지@x.example\n"));
    assert_eq!((run.said.as_slice(), run.ready), (&["d 2|mailbox 민지@x.example".to_owned()][..], true));
    let run = play(config(), &[], &format!("{EHLO}{PLAIN}ask ETRN a.example\nC: ETRN a.example\nlost\n"));
    assert!(run.said.is_empty() && run.closed.is_some());
    let run = play(config(), &[], &format!("{EHLO}{PLAIN}ask NOOP\u{7f}\n"));
    assert!(run.said.is_empty() && run.ready && !run.sent.contains("NOOP"));
}
