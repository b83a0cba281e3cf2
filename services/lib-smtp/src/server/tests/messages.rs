//! Messages: what is passed on, and who may accept.

use super::*;

const START: &str = "EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<minji@example.org>\r\n";

fn committed(bench: &Bench) -> Vec<Vec<u8>> {
    let message = |(_, event): &(usize, Event)| match event {
        Event::Committed(_, message) => Some(message.clone()),
        _ => None,
    };
    bench.events.iter().filter_map(message).collect()
}

#[test]
fn what_is_sent_is_what_is_stored() {
    for (sent, want) in [
        ("DATA\r\n.\r\n", ""),
        ("DATA\r\na\r\n.\r\n", "a\r\n"),
        ("DATA\r\n..\r\n...a\r\n.\r\n", ".\r\n..a\r\n"),
        ("BDAT 0 LAST\r\n", ""),
        ("BDAT 3 LAST\r\na\r\n", "a\r\n"),
        // Dots mean nothing in a chunk.
        ("BDAT 6 LAST\r\n.\r\na\r\n", ".\r\na\r\n"),
        ("BDAT 2\r\na\rBDAT 2 LAST\r\n\nb", "a\r\nb\r\n"),
        // The last line gets its end.
        ("BDAT 1 LAST\r\na", "a\r\n"),
        ("BDAT 1\r\naBDAT 0 LAST\r\n", "a\r\n"),
    ] {
        let mut bench = bench(config());
        say(&mut bench, START);
        let replies = say(&mut bench, sent);
        assert!(replies.ends_with("250 2.0.0 queued as 1\r\n"), "{sent}: {replies}");
        assert_eq!(committed(&bench), [want.as_bytes()], "{sent}");
        assert!(bench.session.transaction().is_none());
    }
}

#[test]
fn unfit_octets_are_refused_after_the_true_end() {
    let cases = ["a\nb\r\n", "a\rb\r\n", "a\0b\r\n", "a\n.\r\nMAIL FROM:<x@y.example>\r\n", "a\r\r\n"];
    for body in cases {
        let data = format!("DATA\r\n{body}.\r\n");
        let bdat = format!("BDAT {} LAST\r\n{body}", body.len());
        let split = format!("BDAT 2\r\n{}BDAT {} LAST\r\n{}", &body[..2], body.len() - 2, &body[2..]);
        for sent in [data, bdat, split] {
            let mut bench = bench(config());
            say(&mut bench, START);
            let replies = say(&mut bench, &sent);
            let refusals = replies.lines().filter(|line| codes(line) == "550 5.6.11").count();
            assert_eq!(refusals, 1, "{}: {replies}", sent.escape_debug());
            assert!(committed(&bench).is_empty());
            assert!(bench.session.transaction().is_none());
            let asked = bench.events.iter().filter(|(_, event)| matches!(event, Event::Asked(Ask::Mail(_)))).count();
            assert_eq!(asked, 1, "nothing in a message is a command");
            assert_eq!(codes(&say(&mut bench, "NOOP\r\n")), "250 2.0.0", "in step");
        }
    }
}

#[test]
fn a_chunk_that_belongs_to_no_message_is_counted_out() {
    for (way, want) in [
        ("", "503 5.5.1"),
        ("EHLO c.example\r\n", "503 5.5.1"),
        ("EHLO c.example\r\nMAIL FROM:<a@b.example>\r\n", "554 5.5.1"),
        ("EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<nobody@example.org>\r\n", "554 5.5.1"),
    ] {
        let mut bench = bench(config());
        say(&mut bench, way);
        let replies = say(&mut bench, "BDAT 24\r\nMAIL FROM:<x@y.example>\nNOOP\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n");
        let codes: Vec<String> = replies.lines().map(codes).collect();
        assert_eq!(codes, [want, "250 2.0.0", want, "250 2.0.0"], "{replies}");
        assert!(!bench.is_over());
    }
}

#[test]
fn after_a_failed_chunk_the_others_are_refused() {
    let mut bench = bench(config());
    say(&mut bench, START);
    let replies = say(&mut bench, "BDAT 3\r\na\n\nBDAT 3\r\nb\r\nBDAT 0 LAST\r\nRSET\r\n");
    let codes: Vec<String> = replies.lines().map(codes).collect();
    assert_eq!(codes, ["550 5.6.11", "503 5.5.1", "503 5.5.1", "250 2.0.0"], "{replies}");
}

#[test]
fn one_pipelined_group_has_its_replies_in_order() {
    let mut bench = bench(config());
    let group = "MAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME RET=HDRS ENVID=x\r\nRCPT TO:<minji@example.org> NOTIFY=FAILURE\r\n\
        RCPT TO:<nobody@example.org>\r\nRCPT TO:<Postmaster> ORCPT=rfc822;pm@b.example\r\nDATA\r\n";
    say(&mut bench, "EHLO c.example\r\n");
    let replies = say(&mut bench, group);
    let list: Vec<String> = replies.lines().map(codes).collect();
    assert_eq!(list, ["250 2.1.0", "250 2.1.5", "550 5.1.1", "250 2.1.5", "354"], "{replies}");
    assert_eq!(say(&mut bench, "Hi\r\n.\r\nQUIT\r\n"), "250 2.0.0 queued as 1\r\n221 2.0.0 Goodbye\r\n");
    let Some((_, Event::Committed(transaction, _))) = bench.events.iter().find(|(_, e)| matches!(e, Event::Committed(..)))
    else {
        unreachable!("because it was queued")
    };
    assert_eq!(
        (transaction.mail.to_string().as_str(), transaction.recipients.len()),
        ("MAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME RET=HDRS ENVID=x", 2)
    );
    assert_eq!(transaction.recipients[1].address.as_str(), "postmaster@example.org");
    assert_eq!(transaction.recipients[1].orcpt.as_deref(), Some("rfc822;pm@b.example"));
}

fn status(code: u16) -> Status {
    Status::local(code, lib_mail::Enhanced::new(2, 0, 0), "so", lib_mail::Timestamp(0))
}

/// Plays to the question on content and gives `verdict`.
fn judged(verdict: Vec<Status>) -> (Session<u32>, String, bool) {
    let mut session = Session::<u32>::new(Arc::new(config()));
    let input = format!("{START}RCPT TO:<chulsoo@example.org>\r\nDATA\r\na\r\n.\r\n");
    let mut rest = input.as_bytes();
    loop {
        let step = session.poll(rest);
        rest = &rest[step.taken..];
        match step.output {
            Output::Ask(Ask::Content) => break,
            Output::Ask(_) => session.handle(Input::Answer(status(250))),
            Output::Begin | Output::Append(_) => {}
            other => unreachable!("{other:?}"),
        }
    }
    session.replies().clear();
    session.handle(Input::Content(verdict));
    let commits = session.poll(b"").output == Output::Commit;
    let replies = String::from_utf8(std::mem::take(session.replies())).unwrap();
    (session, replies, commits)
}

#[test]
fn the_statuses_of_the_recipients_make_one_reply() {
    for (verdict, want) in [
        (vec![250, 250], None),
        (vec![250, 550], None),
        (vec![450, 250], None),
        (vec![550, 554], Some("550 5.0.0")),
        (vec![550, 450], Some("450 4.0.0")),
        (vec![452, 450], Some("452 4.0.0")),
        (vec![], Some("451 4.3.0")),
    ] {
        let (_, replies, commits) = judged(verdict.iter().map(|code| status(*code)).collect());
        assert_eq!(commits, want.is_none(), "{verdict:?}");
        assert_eq!(codes(&replies), want.unwrap_or_default(), "{verdict:?}");
    }
}

#[test]
fn only_a_receipt_accepts() {
    for (receipt, want) in [
        (Ok(7), "250 2.0.0"),
        (Err(status(452)), "452 4.0.0"),
        (Err(status(554)), "554 5.0.0"),
        (Err(status(421)), "421 4.0.0"),
        // A failure that calls itself a success.
        (Err(status(250)), "451 4.3.0"),
    ] {
        let (mut session, _, _) = judged(vec![status(250), status(250)]);
        assert_eq!(session.poll(b"NOOP\r\n"), Step { taken: 0, output: Output::Pending }, "nothing goes on before the receipt");
        session.handle(Input::Committed(receipt));
        let next = session.poll(b"").output;
        let replies = String::from_utf8(session.replies().clone()).unwrap();
        assert_eq!(codes(&replies), want);
        assert_eq!(next == Output::Close, want.starts_with("421"));
        assert!(session.transaction().is_none());
    }
}

#[test]
fn a_message_that_cannot_be_kept() {
    // While it comes, and after its last octet.
    for rest in ["b\r\n.\r\n", ".\r\n"] {
        for (broken, want) in [(452, "452 4.0.0"), (250, "451 4.3.0")] {
            let mut bench = bench(config());
            say(&mut bench, START);
            say(&mut bench, "DATA\r\na\r\n");
            bench.said.clear();
            bench.handle(Input::Broken(status(broken)));
            assert_eq!(bench.said, b"", "the client is told at the end");
            let replies = say(&mut bench, &format!("{rest}NOOP\r\n"));
            let list: Vec<String> = replies.lines().map(codes).collect();
            assert_eq!(list, [want, "250 2.0.0"], "{replies}");
            assert_eq!(bench.events.iter().filter(|(_, event)| *event == Event::Discarded).count(), 1);
        }
    }
    let mut session = Session::<u32>::new(Arc::new(config()));
    session.handle(Input::Broken(status(452)));
    assert_eq!(session.poll(b"").output, Output::Read(Phase::Command), "without a message it means nothing");
}

#[test]
fn broken_at_the_verdict() {
    let mut session = Session::<u32>::new(Arc::new(config()));
    let input = format!("{START}DATA\r\na\r\n.\r\n");
    let mut rest = input.as_bytes();
    loop {
        let step = session.poll(rest);
        rest = &rest[step.taken..];
        match step.output {
            Output::Ask(Ask::Content) => break,
            Output::Ask(_) => session.handle(Input::Answer(status(250))),
            _ => {}
        }
    }
    session.replies().clear();
    session.handle(Input::Broken(status(452)));
    assert_eq!(session.poll(b"").output, Output::Discard);
    assert_eq!(session.poll(b"").output, Output::Read(Phase::Command));
    assert_eq!(codes(std::str::from_utf8(session.replies()).unwrap()), "452 4.0.0");
}

#[test]
fn a_message_that_breaks_at_the_line_end_it_lacked_is_judged_no_more() {
    let mut session = Session::<u32>::new(Arc::new(config()));
    let input = format!("{START}BDAT 1 LAST\r\na");
    let mut rest = input.as_bytes();
    loop {
        let step = session.poll(rest);
        rest = &rest[step.taken..];
        match step.output {
            Output::Append(b"\r\n") => break,
            Output::Ask(_) => session.handle(Input::Answer(status(250))),
            output => assert_ne!(output, Output::Read(Phase::Command)),
        }
    }
    session.replies().clear();
    session.handle(Input::Broken(status(452)));
    assert_eq!(session.poll(b"").output, Output::Discard, "and no question before it");
    assert_eq!(session.poll(b"").output, Output::Read(Phase::Command));
    assert_eq!(codes(std::str::from_utf8(session.replies()).unwrap()), "452 4.0.0");
}

#[test]
fn smtputf8() {
    for (lines, want) in [
        (vec!["MAIL FROM:<민지@b.example>"], "550 5.6.7"),
        (vec!["MAIL FROM:<민지@b.example> SMTPUTF8"], "250 2.1.0"),
        (vec!["MAIL FROM:<a@b.example>", "RCPT TO:<민지@relay.example>"], "553 5.6.7"),
        (vec!["MAIL FROM:<a@b.example> SMTPUTF8", "RCPT TO:<민지@relay.example>"], "250 2.1.5"),
        (vec!["MAIL FROM:<a@b.example>", "RCPT TO:<a@relay.example> ORCPT=utf-8;민지@b.example"], "553 5.6.7"),
        (vec!["MAIL FROM:<a@b.example> SMTPUTF8", "RCPT TO:<a@relay.example> ORCPT=utf-8;민지@b.example"], "250 2.1.5"),
    ] {
        let mut bench = bench(config());
        say(&mut bench, "EHLO c.example\r\n");
        let mut reply = String::new();
        lines.iter().for_each(|line| reply = say(&mut bench, &format!("{line}\r\n")));
        assert_eq!(codes(&reply), want, "{lines:?}");
    }
}

#[test]
fn an_answer_of_421_closes() {
    let mut session = Session::<u32>::new(Arc::new(config()));
    let input = b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\n";
    assert!(matches!(session.poll(input).output, Output::Ask(Ask::Mail(_))));
    session.handle(Input::Answer(status(421)));
    assert_eq!(session.poll(b"").output, Output::Close);
}
