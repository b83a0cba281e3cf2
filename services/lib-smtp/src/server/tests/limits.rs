//! Limits: size, recipients, errors, lines, time, memory.

use super::*;

const START: &str = "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<minji@example.org>\r\n";

fn small() -> Config {
    Config { size_limit: Some(10), max_recipients: 2, max_errors: 3, ..config() }
}

#[test]
fn a_declared_size_is_refused_at_mail() {
    for (size, want) in [("10", "250 2.1.0"), ("11", "552 5.3.4"), ("99999999999999999999", "552 5.3.4"), ("0", "250 2.1.0")] {
        for oversize in [lib_mail::Enhanced::new(5, 3, 4), lib_mail::Enhanced::new(5, 2, 3)] {
            let mut bench = bench(Config { oversize, ..small() });
            say(&mut bench, "EHLO c.example\r\n");
            let reply = say(&mut bench, &format!("MAIL FROM:<a@b.example> SIZE={size}\r\n"));
            assert_eq!(codes(&reply), want, "{size}");
            assert!(want.starts_with('2') || reply.ends_with(" Message is too large; 10 bytes max\r\n"), "{reply}");
        }
    }
}

#[test]
fn a_message_that_turns_out_too_large_is_read_and_dropped() {
    for (oversize, want) in [(lib_mail::Enhanced::new(5, 3, 4), "552 5.3.4"), (lib_mail::Enhanced::new(5, 2, 3), "552 5.2.3")] {
        for message in [
            "DATA\r\n123456789\r\n.\r\n".to_owned(),
            format!("DATA\r\n{}.\r\n", "line\r\n".repeat(10_000)),
            "BDAT 11\r\n123456789\r\n".to_owned(),
            "BDAT 11 LAST\r\n123456789\r\n".to_owned(),
            "BDAT 5\r\n12345BDAT 6 LAST\r\n6789\r\n".to_owned(),
        ] {
            let mut bench = bench(Config { oversize, ..small() });
            say(&mut bench, START);
            let replies = say(&mut bench, &message);
            let last = replies.lines().next_back().unwrap();
            assert_eq!(codes(last), want, "{message:.40}: {replies}");
            assert!(last.ends_with(" Message is too large; 10 bytes max"), "{replies}");
            assert!(!bench.events.iter().any(|(_, event)| matches!(event, Event::Committed(..))));
            // The session stays usable.
            say(&mut bench, START);
            let replies = say(&mut bench, "DATA\r\n12345678\r\n.\r\n");
            assert!(replies.ends_with("250 2.0.0 queued as 1\r\n"), "{replies}");
        }
    }
}

#[test]
fn a_refused_message_without_end_is_given_up() {
    for way in ["DATA\r\n12345678901\r\n", "BDAT 4294967296\r\n12345678901\r\n"] {
        let mut bench = bench(small());
        say(&mut bench, START);
        say(&mut bench, way);
        // As if it had come so far.
        bench.session.message.as_mut().unwrap().received = (1 << 32) - 3;
        assert_eq!(say(&mut bench, "abc"), "", "{way}");
        assert_eq!(codes(&say(&mut bench, "d")), "421 4.3.4", "{way}");
        assert!(bench.is_over(), "{way}");
    }
}

#[test]
fn the_limit_counts_octets_without_stuffing() {
    for (message, fits) in [("12345678\r\n", true), ("123456789\r\n", false), ("..345678\r\n", true), ("..3456789\r\n", true)] {
        let mut bench = bench(small());
        say(&mut bench, START);
        let replies = say(&mut bench, &format!("DATA\r\n{message}.\r\n"));
        assert_eq!(replies.contains("queued"), fits, "{message}: {replies}");
    }
}

#[test]
fn recipients_past_the_limit_come_again() {
    let mut bench = bench(small());
    say(&mut bench, START);
    for (recipient, want) in [
        ("minji@example.org", "250 2.1.5"),
        ("nobody@example.org", "550 5.1.1"),
        ("chulsoo@example.org", "250 2.1.5"),
        ("root@example.org", "452 4.5.3"),
        ("minji@example.org", "250 2.1.5"),
        ("nobody@example.org", "452 4.5.3"),
    ] {
        assert_eq!(codes(&say(&mut bench, &format!("RCPT TO:<{recipient}>\r\n"))), want, "{recipient}");
    }
    assert_eq!(bench.session.transaction().unwrap().recipients.len(), 2, "the others stand, a repeated one once");
    assert!(say(&mut bench, "DATA\r\n.\r\n").ends_with("250 2.0.0 queued as 1\r\n"));
}

#[test]
fn too_many_errors_end_the_session() {
    let mut bench = bench(small());
    for _ in 0..2 {
        assert_eq!(codes(&say(&mut bench, "XYZZY\r\n")), "500 5.5.1");
    }
    // What is refused is no bad command; that has a limit of its own.
    say(&mut bench, START);
    for _ in 0..5 {
        assert_eq!(codes(&say(&mut bench, "RCPT TO:<nobody@example.org>\r\n")), "550 5.1.1");
    }
    let replies = say(&mut bench, "DATA x\r\nNOOP\r\n");
    assert_eq!(replies, "501 5.5.4 The command takes no argument\r\n421 4.7.0 Too many errors; closing the connection\r\n");
    assert!(bench.is_over());
}

#[test]
fn names_are_not_tried_without_end() {
    let refused = Config { max_refusals: 3, max_recipients: 2, privacy: Privacy::default(), ..config() };
    let submission = Config { role: Role::Submission, size_limit: Some(10), ..refused.clone() };
    let nobody = "RCPT TO:<nobody@example.org>\r\n";
    let full = "RCPT TO:<minji@example.org>\r\n";
    for (config, way, third) in [
        (&refused, START.to_owned() + nobody + nobody, nobody),
        (&refused, format!("{START}RCPT TO:<x@example.net>\r\nRSET\r\n{START}{nobody}"), nobody),
        (
            &refused,
            format!("{START}{nobody}{nobody}RCPT TO:<root@example.org>\r\n{}", "RCPT TO:<chulsoo@example.org>\r\n".repeat(5)),
            "RSET\r\n",
        ),
        (&refused, format!("{START}{nobody}{nobody}{}", full.repeat(50)), "NOOP\r\n"),
        (&submission, "EHLO c.example\r\n".to_owned() + &"MAIL FROM:<a@b.example>\r\n".repeat(2), "MAIL FROM:<>\r\n"),
        (&refused, "EHLO c.example\r\n".to_owned() + &"MAIL FROM:<> SIZE=64001\r\n".repeat(2), "MAIL FROM:<> SIZE=64001\r\n"),
        (&refused, "EHLO c.example\r\nEXPN a\r\nEXPN b\r\n".to_owned(), "EXPN c\r\n"),
    ] {
        let mut bench = bench(config.clone());
        say(&mut bench, &way);
        assert!(!bench.is_over(), "{way}");
        let replies = say(&mut bench, third);
        let harmless = ["RSET\r\n", "NOOP\r\n"].contains(&third);
        let last = replies.ends_with("\r\n421 4.7.0 Too many refusals; closing the connection\r\n");
        assert_eq!((last, bench.is_over()), (!harmless, !harmless), "{way}{third}: {replies}");
    }
}

#[test]
fn dead_addresses_in_a_long_list_do_not_cut_it_off() {
    let mut bench = bench(config());
    say(&mut bench, START);
    for n in 0..900 {
        let name = if n % 10 == 0 { format!("gone{n}@example.org") } else { format!("n{n}@relay.example") };
        say(&mut bench, &format!("RCPT TO:<{name}>\r\n"));
    }
    assert!(say(&mut bench, "DATA\r\n.\r\n").ends_with("250 2.0.0 queued as 1\r\n"));
}

#[test]
fn lines() {
    let long = format!("NOOP {}\r\n", "x".repeat(2041));
    let longer = format!("NOOP {}\r\n", "x".repeat(2042));
    let endless = "x".repeat(100_000);
    for (line, want, open) in [
        (long.as_str(), "250 2.0.0", true),
        (longer.as_str(), "500 5.5.2", true),
        (endless.as_str(), "500 5.5.2", false),
        ("NOOP\n", "500 5.5.2", false),
        ("NOOP\nQUIT\r\n", "500 5.5.2", false),
        ("NOOP\rQUIT\r\n", "500 5.5.2", true),
        ("NOOP\r\r\n", "500 5.5.2", true),
        ("NO\0OP\r\n", "500 5.5.2", true),
        ("\r\n", "500 5.5.1", true),
        ("GET / HTTP/1.1\r\nHost: mail\r\n\r\n", "421 4.7.0", false),
        ("BDAT x\r\n", "501 5.5.4", false),
        ("BDAT 18446744073709551616 LAST\r\n", "552 5.3.4", false),
        ("BDAT 4294967297\r\n", "552 5.3.4", false),
    ] {
        let mut bench = bench(config());
        let replies = say(&mut bench, line);
        assert_eq!(codes(&replies), want, "{line:.40}");
        assert_eq!(replies.matches("\r\n").count(), 1, "{line:.40}: {replies}");
        assert_eq!(!bench.is_over(), open, "{line:.40}");
    }
}

#[test]
fn the_end_of_patience() {
    for (state, way) in STATES {
        for (input, want) in [(Input::Timeout, "421 4.4.2"), (Input::Drain, "421 4.3.2"), (Input::Eof, "")] {
            let mut bench = bench(config());
            say(&mut bench, way);
            bench.said.clear();
            bench.handle(input);
            assert_eq!(codes(std::str::from_utf8(&bench.said).unwrap()), want, "{state}");
            assert!(bench.is_over(), "{state}");
            let discarded = bench.events.iter().any(|(_, event)| *event == Event::Discarded);
            assert_eq!(discarded, state == "chunk", "{state}");
        }
    }
}

#[test]
fn a_message_under_way_outlasts_a_drain() {
    let mut bench = bench(config());
    say(&mut bench, START);
    say(&mut bench, "DATA\r\na\r\n");
    bench.handle(Input::Drain);
    let replies = say(&mut bench, "b\r\n.\r\nNOOP\r\n");
    assert!(replies.starts_with("250 2.0.0 queued as 1\r\n421 4.3.2 "), "{replies}");
    assert!(bench.is_over());
}

#[test]
fn a_time_out_within_a_message_keeps_nothing() {
    for input in [Input::Timeout, Input::Eof] {
        let mut bench = bench(config());
        say(&mut bench, START);
        say(&mut bench, "DATA\r\na\r\n");
        bench.handle(input);
        assert_eq!(bench.events.iter().filter(|(_, event)| *event == Event::Discarded).count(), 1);
        assert!(bench.is_over());
    }
}

#[test]
fn replies_do_not_pile_up() {
    let mut session = Session::<u32>::new(Arc::new(config()));
    let input = "EHLO c.example\r\n".repeat(4000);
    let mut rest = input.as_bytes();
    let mut flushed = 0;
    loop {
        let step = session.poll(rest);
        rest = &rest[step.taken..];
        assert!(session.replies().len() < 16 * 1024);
        match step.output {
            Output::Flush => flushed += 1,
            Output::Read(Phase::Command) => break,
            other => unreachable!("{other:?}"),
        }
        session.replies().clear();
    }
    assert!(flushed > 10 && rest.is_empty());
}
