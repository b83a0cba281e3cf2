//! Every verb in every state, and what must hold for any input.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::command::Verb;
use crate::fuzzing::{Bench, Listed, Mailbox, rules};

/// A session that has logged in.
fn logged_in() -> Bench {
    let mut bench = Bench::new(rules(), Mailbox::default());
    bench.say("USER minji\r\nPASS secret\r\n");
    bench
}

/// A line for each verb, with the first reply line before the login and after it. A maildrop of two messages.
const TABLE: [(Verb, &str, &str, &str); 15] = [
    (Verb::User, "USER minji", "+OK Now the password", "-ERR You are logged in already"),
    (Verb::Pass, "PASS secret", "-ERR USER comes before PASS", "-ERR You are logged in already"),
    (Verb::Stat, "STAT", "-ERR Log in first", "+OK 2 47"),
    (Verb::List, "LIST", "-ERR Log in first", "+OK There are 2 messages (47 octets)"),
    (Verb::Retr, "RETR 1", "-ERR Log in first", "+OK 28 octets"),
    (Verb::Dele, "DELE 1", "-ERR Log in first", "+OK Deleted"),
    (Verb::Noop, "NOOP", "-ERR NOOP comes after the login", "+OK Still here"),
    (Verb::Rset, "RSET", "-ERR Log in first", "+OK The maildrop has 2 messages (47 octets)"),
    (Verb::Quit, "QUIT", "+OK Bye", "+OK Bye"),
    (Verb::Uidl, "UIDL", "-ERR Log in first", "+OK Unique ids follow"),
    (Verb::Top, "TOP 1 0", "-ERR Log in first", "+OK The top of the message follows"),
    (Verb::Apop, "APOP minji digest", "-ERR APOP is not offered", "-ERR You are logged in already"),
    (Verb::Capa, "CAPA", "+OK Capabilities follow", "+OK Capabilities follow"),
    (Verb::Stls, "STLS", "+OK Begin TLS", "-ERR STLS comes before the login"),
    (Verb::Auth, "AUTH PLAIN", "+ ", "-ERR You are logged in already"),
];

#[test]
fn every_verb_before_and_after_the_login() {
    assert!(Verb::all().all(|verb| TABLE.iter().any(|(of, ..)| *of == verb)));
    let first = |text: String| text.lines().next().unwrap_or_default().to_owned();
    for (_, line, before, after) in TABLE {
        let mut bench = Bench::new(rules(), Mailbox::default());
        assert_eq!(first(bench.say(&format!("{line}\r\n"))), before, "{line} before the login");
        assert_eq!(first(logged_in().say(&format!("{line}\r\n"))), after, "{line} after the login");
        // In the midst of a SASL exchange each is a response, and none of them is base64 of a login.
        let mut bench = Bench::new(rules(), Mailbox::default());
        bench.say("AUTH PLAIN\r\n");
        let refused = bench.say(&format!("{line}\r\n"));
        assert!(refused.starts_with("-ERR The response "), "{line}: {refused}");
    }
}

#[test]
fn commands_in_a_maildrop() {
    for (lines, want) in [
        ("LIST", "+OK There are 2 messages (47 octets)\r\n1 28\r\n2 19\r\n.\r\n"),
        ("LIST 2", "+OK 2 19\r\n"),
        ("LIST 3", "-ERR No such message\r\n"),
        ("LIST 0", "-ERR No such message\r\n"),
        ("UIDL", "+OK Unique ids follow\r\n1 uid0\r\n2 uid1\r\n.\r\n"),
        ("UIDL 1", "+OK 1 uid0\r\n"),
        ("RETR 1", "+OK 28 octets\r\nSubject: one\r\n\r\n..dot\r\nline\r\n.\r\n"),
        ("RETR 3", "-ERR No such message\r\n"),
        ("TOP 1 0", "+OK The top of the message follows\r\nSubject: one\r\n\r\n.\r\n"),
        ("TOP 1 1", "+OK The top of the message follows\r\nSubject: one\r\n\r\n..dot\r\n.\r\n"),
        ("TOP 1 99", "+OK The top of the message follows\r\nSubject: one\r\n\r\n..dot\r\nline\r\n.\r\n"),
        ("DELE 1\r\nDELE 1", "+OK Deleted\r\n-ERR That message is deleted\r\n"),
        ("DELE 1\r\nRETR 1", "+OK Deleted\r\n-ERR That message is deleted\r\n"),
        ("DELE 1\r\nTOP 1 0", "+OK Deleted\r\n-ERR That message is deleted\r\n"),
        ("DELE 1\r\nSTAT", "+OK Deleted\r\n+OK 1 19\r\n"),
        ("DELE 1\r\nLIST", "+OK Deleted\r\n+OK There are 1 message (19 octets)\r\n2 19\r\n.\r\n"),
        ("DELE 1\r\nUIDL", "+OK Deleted\r\n+OK Unique ids follow\r\n2 uid1\r\n.\r\n"),
        ("DELE 1\r\nRSET\r\nSTAT", "+OK Deleted\r\n+OK The maildrop has 2 messages (47 octets)\r\n+OK 2 47\r\n"),
        ("RETR 1\r\nNOOP", "+OK 28 octets\r\nSubject: one\r\n\r\n..dot\r\nline\r\n.\r\n+OK Still here\r\n"),
        ("LIST x", "-ERR The form is: LIST [number]\r\n"),
        ("LAST", "-ERR Unknown command\r\n"),
    ] {
        assert_eq!(logged_in().say(&format!("{lines}\r\n")), want, "{lines}");
    }
}

#[test]
fn only_quit_removes() {
    let mut bench = logged_in();
    bench.say("DELE 2\r\nDELE 1\r\nRSET\r\nDELE 2\r\n");
    assert!(bench.commits.is_empty());
    assert_eq!(bench.say("QUIT\r\n"), "+OK Bye\r\n");
    assert_eq!(bench.commits, [vec![1]]);
    assert!(bench.closed);
    // The lock must be gone before the client reads the farewell, so a session that deleted nothing commits, too.
    let mut bench = logged_in();
    bench.say("QUIT\r\n");
    assert_eq!(bench.commits, [Vec::<usize>::new()]);
    // Before the login there is nothing to commit.
    let mut bench = Bench::new(rules(), Mailbox::default());
    bench.say("QUIT\r\n");
    assert!(bench.closed && bench.commits.is_empty());
}

#[test]
fn what_was_not_removed_is_said() {
    let mut bench = logged_in();
    bench.mailbox.complete = false;
    assert_eq!(bench.say("DELE 1\r\nQUIT\r\n"), "+OK Deleted\r\n-ERR [SYS/TEMP] Some deleted messages were not removed\r\n");
    assert!(bench.closed);
}

#[test]
fn logins_and_their_failures() {
    use NotOpened::{InUse, Unavailable};
    for (verdict, not_opened, want) in [
        (Verdict::Verified, None, "+OK Logged in; 2 messages (47 octets)\r\n"),
        (Verdict::Refused, None, "-ERR [AUTH] Wrong name or password\r\n"),
        (Verdict::Forbidden, None, "-ERR [AUTH] This account may not use POP3\r\n"),
        (Verdict::Unavailable, None, "-ERR [SYS/TEMP] The password cannot be checked now; try again later\r\n"),
        (Verdict::Verified, Some(InUse), "-ERR [IN-USE] Another session has this maildrop open\r\n"),
        (Verdict::Verified, Some(Unavailable), "-ERR [SYS/TEMP] The maildrop cannot be opened now; try again later\r\n"),
    ] {
        let mut bench = Bench::new(rules(), Mailbox { verdict, not_opened, ..Mailbox::default() });
        bench.say("USER minji\r\n");
        assert_eq!(bench.say("PASS two words\r\n"), want);
        assert_eq!(bench.logins, [("minji".into(), "two words".into())]);
        if !want.starts_with("+OK") {
            assert_eq!(bench.say("PASS again\r\n"), "-ERR USER comes before PASS\r\n");
            assert_eq!(bench.say("USER minji\r\n"), "+OK Now the password\r\n");
            assert_eq!(bench.say("PASS x\r\nUSER minji\r\nPASS x\r\n"), format!("{want}+OK Now the password\r\n{want}"));
            assert!(bench.closed, "after three failures");
        }
    }
}

#[test]
fn sasl_plain() {
    // base64 of: NUL a NUL b; a NUL a NUL b; z NUL a NUL b; NUL a; NUL NUL b; NUL a NUL
    for (line, want, login) in [
        ("AUTH PLAIN AGEAYg==", "+OK Logged in; 2 messages (47 octets)\r\n", true),
        ("AUTH plain YQBhAGI=", "+OK Logged in; 2 messages (47 octets)\r\n", true),
        ("AUTH PLAIN\r\nAGEAYg==", "+ \r\n+OK Logged in; 2 messages (47 octets)\r\n", true),
        ("AUTH PLAIN\r\n*", "+ \r\n-ERR The login was given up\r\n", false),
        ("AUTH PLAIN egBhAGI=", "-ERR [AUTH] An account acts for itself only\r\n", false),
        ("AUTH PLAIN AGE=", "-ERR The response is not of the mechanism PLAIN\r\n", false),
        ("AUTH PLAIN AABi", "-ERR The response lacks a name or a password\r\n", false),
        ("AUTH PLAIN AGEA", "-ERR The response lacks a name or a password\r\n", false),
        ("AUTH PLAIN =", "-ERR The response is not of the mechanism PLAIN\r\n", false),
        ("AUTH PLAIN %%%", "-ERR The response is not base64 of UTF-8 text\r\n", false),
        ("AUTH PLAIN /w==", "-ERR The response is not base64 of UTF-8 text\r\n", false),
        ("AUTH CRAM-MD5", "-ERR The mechanism is PLAIN\r\n", false),
        ("AUTH", "+OK Mechanisms follow\r\nPLAIN\r\n.\r\n", false),
    ] {
        let mut bench = Bench::new(rules(), Mailbox::default());
        assert_eq!(bench.say(&format!("{line}\r\n")), want, "{line}");
        assert_eq!(bench.logins == [("a".into(), "b".into())], login, "{line}");
    }
}

#[test]
fn no_password_before_tls_where_the_rules_say_so() {
    let mut bench = Bench::new(Rules { clear_passwords: false, ..rules() }, Mailbox::default());
    let capa = bench.say("CAPA\r\n");
    assert!(capa.contains("STLS\r\n") && !capa.contains("USER") && !capa.contains("SASL"), "{capa}");
    for line in ["USER minji", "PASS secret", "AUTH PLAIN AGEAYg==", "AUTH"] {
        let refused = bench.say(&format!("{line}\r\n"));
        assert!(refused.starts_with("-ERR No password is taken before TLS: give STLS first"), "{refused}");
    }
    assert!(bench.logins.is_empty());
    // What was sent in the clear behind STLS counts for nothing.
    assert_eq!(bench.say("STLS\r\nUSER eve\r\nPASS eve\r\n"), "+OK Begin TLS\r\n");
    assert!(bench.started_tls && bench.logins.is_empty());
    let capa = bench.say("CAPA\r\n");
    assert!(!capa.contains("STLS") && capa.contains("USER\r\nSASL PLAIN\r\n"), "{capa}");
    assert_eq!(bench.say("STLS\r\n"), "-ERR TLS is up already\r\n");
    bench.say("USER minji\r\n");
    assert!(bench.say("PASS secret\r\n").starts_with("+OK"));
}

#[test]
fn a_listener_without_tls_says_so() {
    let mut bench = Bench::new(Rules { clear_passwords: false, stls: false, ..rules() }, Mailbox::default());
    assert_eq!(bench.say("STLS\r\n"), "-ERR TLS is not offered here\r\n");
    assert_eq!(bench.say("USER minji\r\n"), "-ERR No password is taken on this connection, which has no TLS\r\n");
    assert!(!bench.say("CAPA\r\n").contains("STLS"));
}

#[test]
fn a_name_given_before_tls_is_forgotten() {
    let mut bench = Bench::new(rules(), Mailbox::default());
    bench.say("USER eve\r\nSTLS\r\n");
    assert_eq!(bench.say("PASS secret\r\n"), "-ERR USER comes before PASS\r\n");
}

#[test]
fn a_message_that_breaks_off_breaks_the_connection() {
    let mut bench = logged_in();
    bench.mailbox.breaks = true;
    let reply = bench.say("RETR 2\r\nNOOP\r\n");
    assert_eq!(reply, "+OK 19 octets\r\nSubject", "no final dot, or the client takes the part for the whole");
    assert!(bench.closed && bench.commits.is_empty());
}

#[test]
fn patience_with_bad_commands_ends() {
    let mut bench = Bench::new(Rules { bad_commands: 3, ..rules() }, Mailbox::default());
    let replies = bench.say("GET / HTTP/1.1\r\nHost: x\r\nCookie: y\r\nQUIT\r\n");
    assert_eq!(replies, "-ERR Unknown command\r\n-ERR Unknown command\r\n-ERR Too many bad commands\r\n");
    assert!(bench.closed);
}

#[test]
fn long_and_endless_lines() {
    let mut bench = Bench::new(rules(), Mailbox::default());
    let long = format!("USER {}\r\n", "x".repeat(MAX_COMMAND));
    assert_eq!(bench.say(&long), format!("-ERR The line is longer than {MAX_COMMAND} octets\r\n"));
    bench.say("AUTH PLAIN\r\n");
    let long = format!("{}\r\n", "A".repeat(MAX_SASL));
    assert_eq!(bench.say(&long), format!("-ERR The line is longer than {MAX_SASL} octets\r\n"));
    assert_eq!(bench.say("USER minji\r\n"), "+OK Now the password\r\n");
    for _ in 0..=MAX_SKIPPED / 1000 {
        bench.say(&"y".repeat(1000));
    }
    assert!(bench.closed);
    assert!(bench.pending.is_empty());
}

#[test]
fn ten_thousand_messages_leave_in_pieces() {
    let uids = (0..10_000).map(|index| (1234, format!("{index:060}"))).collect();
    let mut session = Session::new(Arc::new(rules()), true);
    let mut output = Vec::new();
    session.turn(b"", &mut output);
    session.turn(b"USER a\r\n", &mut output);
    session.turn(b"PASS b\r\n", &mut output);
    session.answer(Answer::Login(Verdict::Verified), &mut output);
    session.answer(Answer::Opened(Listed(uids)), &mut output);
    let (mut whole, mut pieces, mut input) = (Vec::new(), 0, &b"UIDL\r\n"[..]);
    loop {
        output.clear();
        let (taken, next) = session.turn(input, &mut output);
        input = &input[taken..];
        assert!(output.len() < crate::LISTING_PIECE + 128);
        whole.extend_from_slice(&output);
        pieces += 1;
        if next != Next::Write {
            break;
        }
    }
    assert!(pieces > 15);
    assert!(whole.ends_with(b"9999\r\n.\r\n"));
    assert_eq!(whole.iter().filter(|octet| **octet == b'\n').count(), 10_002);
}

#[test]
fn no_product_name_and_no_challenge() {
    let mut bench = Bench::new(rules(), Mailbox::default());
    assert_eq!(String::from_utf8_lossy(&bench.output), "+OK ready\r\n");
    assert!(!bench.say("CAPA\r\n").contains("IMPLEMENTATION"));
}

fn dialogue() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        6 => proptest::sample::select(vec![
            "USER a\r\n", "PASS b\r\n", "AUTH PLAIN\r\n", "AGEAYg==\r\n", "*\r\n", "STAT\r\n", "LIST\r\n", "UIDL 1\r\n", "RETR 1\r\n", "RETR 2\n",
            "TOP 2 1\r\n", "DELE 1\r\n", "RSET\r\n", "NOOP\r\n", "CAPA\r\n", "QUIT\r\n",
        ]).prop_map(|line| line.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..20),
        1 => proptest::collection::vec(Just(b'z'), 0..600),
    ];
    let lines = proptest::collection::vec(line, 0..24).prop_map(|lines| lines.concat());
    prop_oneof![lines.clone(), lines.prop_map(|rest| [b"USER a\r\nPASS b\r\n".to_vec(), rest].concat())]
}

proptest! {
    /// Any split of the input gives the same replies; see the body for what else must hold.
    #[test]
    fn any_dialogue_holds_the_invariants(seed in any::<[u8; 2]>(), input in dialogue()) {
        crate::fuzzing::session(&[&seed[..], &input].concat());
    }
}
