//! The session against tables: every verb in every state.

use super::*;
use crate::fuzzing::{self, Bench, Event};

mod auth;
mod limits;
mod messages;
mod pair;
mod splits;

/// A state, and what the client says to get there after the greeting.
const STATES: [(&str, &str); 8] = [
    ("new", ""),
    ("helo", "HELO c.example\r\n"),
    ("ehlo", "EHLO c.example\r\n"),
    ("authenticated", "EHLO c.example\r\nAUTH PLAIN AG1pbmppQGV4YW1wbGUub3JnAGJ1cm5pbmctYmVhY29u\r\n"),
    ("mail", "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\n"),
    ("refused", "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<nobody@example.org>\r\n"),
    ("rcpt", "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<minji@example.org>\r\n"),
    ("chunk", "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<minji@example.org>\r\nBDAT 3\r\na\r\n"),
];

/// What each verb is answered in the states above, in their order. `354` begins a message that is then ended by the table.
const TABLE: [(&str, [&str; 8]); 21] = [
    ("EHLO d.example", ["250"; 8]),
    ("HELO d.example", ["250"; 8]),
    ("EHLO", ["501 5.5.4"; 8]),
    (
        "MAIL FROM:<c@b.example>",
        ["503 5.5.1", "250 2.1.0", "250 2.1.0", "250 2.1.0", "503 5.5.1", "503 5.5.1", "503 5.5.1", "503 5.5.1"],
    ),
    ("MAIL FROM:<c", ["501 5.1.7"; 8]),
    (
        "RCPT TO:<chulsoo@example.org>",
        ["503 5.5.1", "503 5.5.1", "503 5.5.1", "503 5.5.1", "250 2.1.5", "250 2.1.5", "250 2.1.5", "503 5.5.1"],
    ),
    (
        "RCPT TO:<nobody@example.org>",
        ["503 5.5.1", "503 5.5.1", "503 5.5.1", "503 5.5.1", "550 5.1.1", "550 5.1.1", "550 5.1.1", "503 5.5.1"],
    ),
    ("RCPT TO:<c", ["501 5.1.3"; 8]),
    ("DATA", ["503 5.5.1", "503 5.5.1", "503 5.5.1", "503 5.5.1", "554 5.5.1", "554 5.5.1", "354", "503 5.5.1"]),
    ("BDAT 0", ["503 5.5.1", "503 5.5.1", "503 5.5.1", "503 5.5.1", "554 5.5.1", "554 5.5.1", "250 2.0.0", "250 2.0.0"]),
    ("BDAT 0 LAST", ["503 5.5.1", "503 5.5.1", "503 5.5.1", "503 5.5.1", "554 5.5.1", "554 5.5.1", "250 2.0.0", "250 2.0.0"]),
    ("RSET", ["250 2.0.0"; 8]),
    ("NOOP", ["250 2.0.0"; 8]),
    ("QUIT", ["221 2.0.0"; 8]),
    ("VRFY minji", ["252 2.5.2"; 8]),
    ("EXPN staff", ["502 5.7.0"; 8]),
    ("HELP", ["214"; 8]),
    ("STARTTLS", ["503 5.5.1", "503 5.5.1", "220 2.0.0", "220 2.0.0", "503 5.5.1", "503 5.5.1", "503 5.5.1", "503 5.5.1"]),
    ("AUTH PLAIN", ["503 5.5.1", "503 5.5.1", "334", "503 5.5.1", "503 5.5.1", "503 5.5.1", "503 5.5.1", "503 5.5.1"]),
    (
        "ETRN relay.example",
        ["503 5.5.1", "250 2.0.0", "250 2.0.0", "250 2.0.0", "503 5.5.1", "503 5.5.1", "503 5.5.1", "503 5.5.1"],
    ),
    ("XYZZY", ["500 5.5.1"; 8]),
];

/// The common settings, with AUTH in clear.
fn config() -> Config {
    let auth = AuthConfig { mechanisms: vec![Mechanism::Plain, Mechanism::Login], without_tls: true };
    Config { auth, ..fuzzing::config() }
}

/// A session that has said its greeting.
fn bench(config: Config) -> Bench {
    let mut bench = Bench::new(config);
    bench.feed(b"");
    bench.said.clear();
    bench
}

/// What the session says to `input`.
fn say(bench: &mut Bench, input: &str) -> String {
    bench.said.clear();
    bench.feed(input.as_bytes());
    String::from_utf8(std::mem::take(&mut bench.said)).unwrap()
}

/// The first reply of several, without its words.
fn codes(reply: &str) -> String {
    let line = reply.lines().next().unwrap_or_default();
    let (code, rest) = line.split_at_checked(3).unwrap_or((line, ""));
    let enhanced = rest.trim_start_matches([' ', '-']).split(' ').next().unwrap_or_default();
    match enhanced.parse::<lib_mail::Enhanced>() {
        Ok(enhanced) => format!("{code} {enhanced}"),
        Err(_) => code.to_owned(),
    }
}

#[test]
fn every_verb_in_every_state() {
    for (verb, answers) in TABLE {
        for ((state, way), want) in STATES.iter().zip(answers) {
            let mut bench = bench(config());
            say(&mut bench, way);
            let reply = say(&mut bench, &format!("{verb}\r\n"));
            let want_here = if verb == "HELP" { "214 2.0.0" } else { want };
            assert_eq!(codes(&reply), want_here, "{verb} in state {state}: {reply}");
            let lines = reply.matches("\r\n").count();
            assert!(lines == 1 || verb == "HELP" || verb == "EHLO d.example", "{verb} in state {state}: one reply, {reply}");
            assert_eq!(bench.is_over(), verb == "QUIT", "{verb} in state {state}");
        }
    }
}

#[test]
fn what_ends_a_transaction() {
    for (verb, ends) in [
        ("EHLO d.example", true),
        ("HELO d.example", true),
        ("RSET", true),
        ("NOOP", false),
        ("HELP", false),
        ("VRFY x", false),
        ("EXPN x", false),
        ("MAIL FROM:<>", false),
        ("STARTTLS", false),
        ("AUTH PLAIN", false),
        ("ETRN relay.example", false),
        ("XYZZY", false),
    ] {
        for (state, way) in &STATES[4..] {
            let mut bench = bench(config());
            say(&mut bench, way);
            say(&mut bench, &format!("{verb}\r\n"));
            assert_eq!(bench.session.transaction().is_none(), ends, "{verb} in state {state}");
            let discarded = bench.events.iter().any(|(_, event)| *event == Event::Discarded);
            assert_eq!(discarded, ends && *state == "chunk", "{verb} in state {state}");
        }
    }
}

#[test]
fn the_greeting_is_the_settings() {
    let mut bench = Bench::new(Config { greeting: "$ welcome".into(), ..config() });
    bench.feed(b"");
    assert_eq!(bench.said, b"220 $ welcome\r\n");
}

#[test]
fn a_refused_client_is_told_why() {
    let status = Status::local(421, lib_mail::Enhanced::new(4, 3, 2), "Too busy", lib_mail::Timestamp(0));
    let mut session = Session::<u32>::refusing(Arc::new(config()), &status);
    let step = session.poll(b"EHLO c.example\r\n");
    assert_eq!((step.taken, step.output), (0, Output::Close));
    assert_eq!(session.replies(), b"421 4.3.2 Too busy\r\n");
}

#[test]
fn ehlo_offers_what_is_on() {
    let everything = "250-mail.example.org\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n250-DSN\r\n\
        250-ENHANCEDSTATUSCODES\r\n250-ETRN\r\n250-STARTTLS\r\n250-HELP\r\n250-SIZE 64000\r\n250 AUTH PLAIN LOGIN\r\n";
    assert_eq!(say(&mut bench(config()), "EHLO c.example\r\n"), everything);
    let off = Extensions { pipelining: false, eight_bit_mime: false, smtp_utf8: false, chunking: false, dsn: false };
    let none = Config { extensions: off, etrn: false, tls: Tls::Off, size_limit: None, ..fuzzing::config() };
    let nothing = "250-mail.example.org\r\n250-ENHANCEDSTATUSCODES\r\n250-HELP\r\n250 SIZE 0\r\n";
    assert_eq!(say(&mut bench(none.clone()), "EHLO c.example\r\n"), nothing);
    // What is not offered is refused, too.
    for (line, want) in [
        ("STARTTLS", "502 5.5.1"),
        ("AUTH PLAIN", "502 5.5.1"),
        ("ETRN relay.example", "502 5.5.1"),
        ("BDAT 0 LAST", "502 5.5.1"),
        ("MAIL FROM:<a@b.example> BODY=8BITMIME", "555 5.5.4"),
        ("MAIL FROM:<a@b.example> SMTPUTF8", "555 5.5.4"),
        ("MAIL FROM:<a@b.example> RET=FULL", "555 5.5.4"),
        ("MAIL FROM:<a@b.example> ENVID=x", "555 5.5.4"),
        ("MAIL FROM:<a@b.example> AUTH=<>", "555 5.5.4"),
        ("MAIL FROM:<a@b.example>\r\nRCPT TO:<minji@example.org> NOTIFY=NEVER", "250 2.1.0"),
        ("RCPT TO:<minji@example.org> NOTIFY=NEVER", "503 5.5.1"),
    ] {
        let mut bench = bench(none.clone());
        say(&mut bench, "EHLO c.example\r\n");
        let reply = say(&mut bench, &format!("{line}\r\n"));
        assert_eq!(codes(&reply), want, "{line}: {reply}");
        assert!(!line.ends_with("NEVER") || !reply.contains("2.1.5"), "{line}: {reply}");
    }
}

#[test]
fn a_list_is_told_one_member_a_line_and_only_where_expn_is_offered() {
    let mut open = bench(Config { privacy: Privacy::default(), ..config() });
    assert!(say(&mut open, "EHLO c.example\r\n").contains("\r\n250-EXPN\r\n"));
    let told = "250-2.1.5 <minji@example.org>\r\n250 2.1.5 <chulsoo@example.org>\r\n";
    assert_eq!(say(&mut open, "EXPN staff\r\n"), told);
    assert_eq!(say(&mut open, "EXPN staff SMTPUTF8\r\n"), told);
    assert_eq!(codes(&say(&mut open, "EXPN nobody\r\n")), "550 5.1.1");
    let mut closed = bench(config());
    assert!(!say(&mut closed, "EHLO c.example\r\n").contains("EXPN"));
    // A list of nobody is answered, too, and without a question there is no answer.
    let mut session = Session::<u32>::new(Arc::new(Config { privacy: Privacy::default(), ..config() }));
    assert!(matches!(session.poll(b"EXPN x\r\n").output, Output::Ask(Ask::Expn(_))));
    session.replies().clear();
    session.handle(Input::Members(Vec::new()));
    assert_eq!(codes(std::str::from_utf8(session.replies()).unwrap()), "252 2.5.2");
}

#[test]
fn help_lists_only_what_is_on() {
    let all = say(&mut bench(Config { privacy: Privacy::default(), tls: Tls::Off, ..config() }), "HELP\r\n");
    assert!(all.ends_with(" EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT HELP VRFY EXPN AUTH ETRN\r\n"), "{all}");
    let few = say(&mut bench(Config { etrn: false, tls: Tls::Off, ..fuzzing::config() }), "HELP\r\n");
    assert!(few.ends_with(" EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT HELP\r\n"), "{few}");
}

#[test]
fn after_the_handshake_the_client_begins_anew() {
    let mut bench = bench(config());
    say(&mut bench, "EHLO c.example\r\nAUTH PLAIN AG1pbmppQGV4YW1wbGUub3JnAGJ1cm5pbmctYmVhY29u\r\nSTARTTLS\r\n");
    bench.handle(Input::TlsStarted);
    assert!(bench.session.is_tls() && bench.session.account().is_none() && bench.session.helo().is_empty());
    assert_eq!(codes(&say(&mut bench, "MAIL FROM:<a@b.example>\r\n")), "503 5.5.1");
    let offer = say(&mut bench, "EHLO c.example\r\n");
    assert!(!offer.contains("STARTTLS") && offer.contains("AUTH PLAIN LOGIN"), "{offer}");
    assert_eq!(codes(&say(&mut bench, "STARTTLS\r\n")), "503 5.5.1");
    assert_eq!(bench.session.protocol().name(), "ESMTPS");
}

#[test]
fn nothing_may_follow_starttls() {
    let mut bench = bench(config());
    let replies = say(&mut bench, "EHLO c.example\r\nSTARTTLS\r\nMAIL FROM:<a@b.example>\r\n");
    assert!(replies.ends_with("503 5.5.1 Nothing may follow STARTTLS in clear; closing the connection\r\n"), "{replies}");
    assert!(bench.is_over());
    assert!(!bench.events.iter().any(|(_, event)| matches!(event, Event::Asked(_) | Event::StartTls)));
}

#[test]
fn answers_nobody_asked_for_are_ignored() {
    let ok = || Status::local(250, lib_mail::Enhanced::new(2, 0, 0), "Ok", lib_mail::Timestamp(0));
    for (state, way) in STATES {
        let mut bench = bench(config());
        say(&mut bench, way);
        let before = bench.session.transaction().cloned();
        bench.said.clear();
        for input in [
            Input::Answer(ok()),
            Input::Authenticated { account: "x@example.org".into() },
            Input::Members(vec!["<x@example.org>".into()]),
            Input::Content(vec![ok()]),
            Input::Committed(Ok(9)),
            Input::TlsStarted,
        ] {
            bench.handle(input);
        }
        assert_eq!(bench.said, b"", "{state}");
        assert_eq!(bench.session.transaction(), before.as_ref(), "{state}");
        assert!(!bench.session.is_tls(), "{state}");
        assert_eq!(bench.session.account().is_some(), state == "authenticated");
    }
}
