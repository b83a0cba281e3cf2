use super::*;

const LOST: &str = "421 4.4.2 Connection lost with mx.example.net [192.0.2.1] while ";

/// One message on a connection whose greeting is done.
fn send(hello: &str, transaction: Transaction, script: &str) -> Run {
    play(config(), &[transaction], &format!("{EHLO}{hello}begin\n{script}"))
}

fn two(hello: &str, script: &str) -> Run {
    send(hello, to(&["b@x.example", "c@x.example"]), script)
}

const MAIL: &str = "C: MAIL FROM:<a@example.org>\n";
const B: &str = "C: RCPT TO:<b@x.example>\n";
const C: &str = "C: RCPT TO:<c@x.example>\n";
const BODY: &str = "C: Hi.\nC: .\n";

#[test]
fn every_class_of_reply_at_every_stage_without_pipelining() {
    let ok = "S: 250 ok\n";
    let accepted = format!("{MAIL}{ok}{B}{ok}{C}{ok}");
    let data = format!("{accepted}C: DATA\n");
    let body = format!("{data}S: 354 go\n{BODY}");
    let reset = "C: RSET\nS: 250 ok\n";
    let both = |fate: &str| [fate.to_owned(), fate.to_owned()];
    let lost = |stage: &str| both(&format!("{LOST}{stage}"));
    // Script, fates of both recipients, whether the session can take the next message.
    for (script, want, ready) in [
        (format!("{body}S: 250 2.0.0 queued as X\n"), both("250 2.0.0 queued as X"), true),
        (format!("{MAIL}S: 550 5.7.1 no\n"), both("550 5.7.1 no"), true),
        (format!("{MAIL}S: 451 4.3.0 later\n"), both("451 4.3.0 later"), true),
        (format!("{MAIL}S: 421 bye\n"), both("421 4.0.0 bye"), false),
        (format!("{MAIL}lost\n"), lost("sending MAIL"), false),
        (
            format!("{MAIL}{ok}{B}S: 550 5.1.1 no\n{C}S: 450 4.2.1 busy\n{reset}"),
            ["550 5.1.1 no".into(), "450 4.2.1 busy".into()],
            true,
        ),
        (
            format!("{MAIL}{ok}{B}S: 552 too many\n{C}S: 552 5.2.2 full\n{reset}"),
            ["452 4.5.3 552 too many".into(), "552 5.2.2 full".into()],
            true,
        ),
        (
            format!("{MAIL}{ok}{B}S: 251 forwarding\n{C}S: 550 no\nC: DATA\nS: 354 go\n{BODY}S: 250 ok\n"),
            ["250 2.0.0 ok".into(), "550 5.0.0 no".into()],
            true,
        ),
        (format!("{MAIL}{ok}{B}S: 550 no\n{C}lost\n"), ["550 5.0.0 no".into(), format!("{LOST}sending RCPT")], false),
        (format!("{MAIL}{ok}{B}S: 550 no\n{C}S: 421 bye\n"), ["550 5.0.0 no".into(), "421 4.0.0 bye".into()], false),
        (format!("{MAIL}{ok}{B}S: 521 no mail\n"), both("451 4.0.0 mx.example.net [192.0.2.1] refused us: 521 no mail"), false),
        (format!("{data}S: 451 later\n{reset}"), both("451 4.0.0 later"), true),
        (format!("{data}S: 554 no\n{reset}"), both("554 5.0.0 no"), true),
        (format!("{data}S: 421 bye\n"), both("421 4.0.0 bye"), false),
        (format!("{data}lost\n"), lost("sending DATA"), false),
        (format!("{body}S: 552 5.3.4 too large\n"), both("552 5.3.4 too large"), true),
        (format!("{body}S: 451 later\n"), both("451 4.0.0 later"), true),
        (format!("{body}S: 421 bye\n"), both("421 4.0.0 bye"), false),
        (format!("{body}lost\n"), lost("waiting for the answer to the message"), false),
        (format!("{data}S: 554 no\nC: RSET\nlost\n"), both("554 5.0.0 no"), false),
        (format!("{data}S: 554 no\nC: RSET\nS: 500 what\n"), both("554 5.0.0 no"), false),
    ] {
        let run = two(PLAIN, &script);
        assert_eq!((run.fates.as_slice(), run.ready), (&want[..], ready), "{script}");
        assert_eq!(run.closed.is_some(), !ready, "{script}");
    }
}

#[test]
fn a_server_out_of_step_is_temporary() {
    let ok = "S: 250 ok\n";
    for script in [
        format!("{MAIL}S: 354 what\n"),
        format!("{MAIL}{ok}{B}S: 354 what\n"),
        format!("{MAIL}{ok}{B}{ok}{C}{ok}C: DATA\nS: 250 what\n"),
        format!("{MAIL}{ok}{B}{ok}{C}{ok}C: DATA\nS: 334 what\n"),
        format!("{MAIL}{ok}{B}{ok}{C}{ok}C: DATA\nS: 354 go\n{BODY}S: 354 again\n"),
        format!("{MAIL}{ok}{B}{ok}{C}{ok}C: DATA\nS: 354 go\n{BODY}S: bang\n"),
        format!("{MAIL}S: bang\n"),
    ] {
        let run = two(PLAIN, &script);
        assert!(
            run.fates.len() == 2 && run.fates.iter().all(|fate| fate.starts_with("451 4.5.0 ")),
            "{script}: {:?}",
            run.fates
        );
        assert!(run.closed.is_some());
    }
}

#[test]
fn pipelined_replies_are_told_apart() {
    let group = format!("{MAIL}{B}{C}C: DATA\n");
    let fates = |b: &str, c: &str| [b.to_owned(), c.to_owned()];
    for (script, want, ready) in [
        (
            format!("{group}S: 250 ok\nS: 550 no\nS: 250 ok\nS: 354 go\n{BODY}S: 250 taken\n"),
            fates("550 5.0.0 no", "250 2.0.0 taken"),
            true,
        ),
        // 354 although nobody is to have the message: a bare dot, whatever the server says to it.
        (
            format!("{group}S: 250 ok\nS: 550 no\nS: 450 busy\nS: 354 go\nC: .\nS: 250 ok\n"),
            fates("550 5.0.0 no", "450 4.0.0 busy"),
            true,
        ),
        (
            format!("{group}S: 250 ok\nS: 550 no\nS: 450 busy\nS: 354 go\nC: .\nS: 554 nobody\n"),
            fates("550 5.0.0 no", "450 4.0.0 busy"),
            true,
        ),
        (
            format!("{group}S: 250 ok\nS: 550 no\nS: 450 busy\nS: 503 no\nC: RSET\nS: 250 ok\n"),
            fates("550 5.0.0 no", "450 4.0.0 busy"),
            true,
        ),
        (
            format!("{group}S: 250 ok\nS: 550 no\nS: 450 busy\nS: 354 go\nC: .\nlost\n"),
            fates("550 5.0.0 no", "450 4.0.0 busy"),
            false,
        ),
        // MAIL refused: what follows says nothing new.
        (
            format!("{group}S: 550 bad sender\nS: 503 x\nS: 503 x\nS: 503 x\n"),
            fates("550 5.0.0 bad sender", "550 5.0.0 bad sender"),
            true,
        ),
        (format!("{group}S: 450 later\nS: 503 x\nS: 503 x\nS: 554 x\n"), fates("450 4.0.0 later", "450 4.0.0 later"), true),
        (
            format!("{group}S: 250 ok\nS: 250 ok\nS: 250 ok\nS: 451 disk\nC: RSET\nS: 250 ok\n"),
            fates("451 4.0.0 disk", "451 4.0.0 disk"),
            true,
        ),
        (
            format!("{group}S: 250 ok\nS: 250 ok\nlost\n"),
            fates(&format!("{LOST}sending RCPT"), &format!("{LOST}sending RCPT")),
            false,
        ),
        (format!("{group}S: 250 ok\nS: 550 no\nS: 421 bye\n"), fates("550 5.0.0 no", "421 4.0.0 bye"), false),
    ] {
        let run = two(PIPELINED, &script);
        assert_eq!((run.fates.as_slice(), run.ready), (&want[..], ready), "{script}");
    }
}

#[test]
fn many_recipients_go_in_windows() {
    let addresses: Vec<String> = (0..250).map(|number| format!("u{number}@x.example")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut script = String::from(MAIL);
    let rcpt =
        |range: std::ops::Range<usize>| range.map(|number| format!("C: RCPT TO:<u{number}@x.example>\n")).collect::<String>();
    script.push_str(&rcpt(0..99));
    script.push_str(&"S: 250 ok\n".repeat(100));
    script.push_str(&rcpt(99..199));
    script.push_str(&"S: 250 ok\n".repeat(99));
    script.push_str("S: 550 no\n");
    script.push_str(&rcpt(199..250));
    script.push_str("C: DATA\n");
    script.push_str(&"S: 250 ok\n".repeat(51));
    script.push_str(&format!("S: 354 go\n{BODY}S: 250 taken\n"));
    let run = send(PIPELINED, to(&addresses), &script);
    assert!(run.ready);
    for (index, fate) in run.fates.iter().enumerate() {
        assert_eq!(fate, if index == 198 { "550 5.0.0 no" } else { "250 2.0.0 taken" }, "{index}");
    }
}

#[test]
fn a_second_message_goes_over_the_same_connection() {
    let one = format!("begin\n{MAIL}{B}C: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\n{BODY}S: 250 taken\n");
    let message = to(&["b@x.example"]);
    let run = play(config(), &[message.clone(), message.clone()], &format!("{EHLO}{PIPELINED}{one}{one}"));
    assert_eq!((run.fates.as_slice(), run.ready, run.unheard), (&["250 2.0.0 taken".to_owned()][..], true, false));
    // A connection that turns out to be closed: nothing of this transaction was heard.
    for end in ["lost\n", "S: 421 4.4.2 idle\n"] {
        let script = format!("{EHLO}{PIPELINED}{one}begin\n{end}");
        let mut config = config();
        config.tls = TlsMode::Never;
        assert!(play_ignoring_sent(config, &[message.clone(), message.clone()], &script).unheard, "{end}");
    }
    let script = format!("{EHLO}{PIPELINED}{one}begin\n{MAIL}{B}C: DATA\nS: 250 ok\nlost\n");
    assert!(!play(config(), &[message.clone(), message], &script).unheard);
}

/// As `play`, where what the client sent at the end was lost with the connection.
fn play_ignoring_sent(config: Config, transactions: &[Transaction], script: &str) -> Run {
    let script = script.replace("begin\nlost", "begin\nC: MAIL FROM:<a@example.org>\nC: RCPT TO:<b@x.example>\nC: DATA\nlost");
    let script =
        script.replace("begin\nS: 421", "begin\nC: MAIL FROM:<a@example.org>\nC: RCPT TO:<b@x.example>\nC: DATA\nS: 421");
    play(config, transactions, &script)
}

#[test]
fn a_peer_that_speaks_in_the_middle_of_the_message() {
    for (reply, want) in [
        ("552 5.3.4 enough\r\n", "552 5.3.4 enough"),
        ("451 4.3.1 disk full\r\n", "451 4.3.1 disk full"),
        ("421 4.3.2 stopping\r\n", "421 4.3.2 stopping"),
        ("250 2.0.0 taken\r\n", "451 4.5.0 "),
    ] {
        let mut client = Client::new(config());
        client.handle(Input::Octets(b"220 hi\r\n250 mx\r\n"), NOW);
        client.handle(Input::Begin(to(&["b@x.example"])), NOW);
        client.handle(Input::Octets(b"250 ok\r\n250 ok\r\n354 go\r\n"), NOW);
        while matches!(client.poll(), Output::Send(_)) {}
        assert_eq!(client.poll(), Output::Body);
        client.encode_body(b"half of a mess", &mut Vec::new());
        client.handle(Input::Octets(reply.as_bytes()), NOW);
        let Output::Done(done) = client.poll() else { panic!("{reply}") };
        assert!(done.fates[0].to_string().starts_with(want), "{reply}: {}", done.fates[0]);
        assert!(matches!(client.poll(), Output::Closed(_)), "the rest of the message is not sent, so the session is over");
    }
}

#[test]
fn parameters_go_only_to_those_who_know_them() {
    let full = "S: 250-mx\nS: 250-SIZE 1000\nS: 250-8BITMIME\nS: 250-SMTPUTF8\nS: 250-DSN\nS: 250 PIPELINING\n";
    let plain = "S: 250-mx\nS: 250 PIPELINING\n";
    let some = "S: 250-mx\nS: 250-8BITMIME\nS: 250-SIZE\nS: 250 PIPELINING\n";
    let mut dsn = to(&["b@x.example"]);
    dsn.ret = Some(Return::Headers);
    dsn.envid = Some("QQ1".into());
    dsn.recipients[0].notify = Notify::On { success: true, failure: true, delay: false };
    dsn.recipients[0].orcpt = Some("rfc822;b+2Bx@x.example".into());
    let mut bad = dsn.clone();
    bad.envid = Some("a b\r\nRSET".into());
    bad.recipients[0].orcpt = Some("rfc822;b c".into());
    bad.recipients[0].notify = Notify::Never;
    let mut eight = to(&["b@x.example"]);
    eight.content.eight_bit = true;
    let mut utf8 = to(&["민지@x.example"]);
    utf8.content.utf8_header = true;
    let domain = to(&["b@한글.example"]);
    let mut original = to(&["b@x.example"]);
    original.recipients[0].orcpt = Some("utf-8;민지@x.example".into());
    let mut long = original.clone();
    long.recipients[0].orcpt = Some(format!("utf-8;{}@x.example", "민".repeat(100)));
    let dsn_alone = "S: 250-mx\nS: 250-DSN\nS: 250 PIPELINING\n";
    let null = Transaction { sender: None, ..to(&["b@x.example"]) };
    for (hello, transaction, mail, rcpt) in [
        (
            full,
            dsn.clone(),
            "<a@example.org> SIZE=6 RET=HDRS ENVID=QQ1",
            "<b@x.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bx@x.example",
        ),
        (plain, dsn, "<a@example.org>", "<b@x.example>"),
        (full, bad, "<a@example.org> SIZE=6 RET=HDRS", "<b@x.example> NOTIFY=NEVER"),
        (full, eight.clone(), "<a@example.org> SIZE=6 BODY=8BITMIME", "<b@x.example>"),
        (some, eight, "<a@example.org> SIZE=6 BODY=8BITMIME", "<b@x.example>"),
        (full, utf8, "<a@example.org> SIZE=6 BODY=8BITMIME SMTPUTF8", "<민지@x.example>"),
        (full, domain.clone(), "<a@example.org> SIZE=6 BODY=8BITMIME SMTPUTF8", "<b@한글.example>"),
        (plain, domain, "<a@example.org>", "<b@xn--bj0bj06e.example>"),
        (dsn_alone, original.clone(), "<a@example.org>", "<b@x.example> ORCPT=utf-8;\\x{BBFC}\\x{C9C0}@x.example"),
        (full, original, "<a@example.org> SIZE=6", "<b@x.example> ORCPT=utf-8;\\x{BBFC}\\x{C9C0}@x.example"),
        (dsn_alone, long, "<a@example.org>", "<b@x.example>"),
        (plain, null, "<>", "<b@x.example>"),
    ] {
        let script = format!("C: MAIL FROM:{mail}\nC: RCPT TO:{rcpt}\nC: DATA\nS: 250 x\nS: 250 x\nS: 354 x\n{BODY}S: 250 x\n");
        assert_eq!(send(hello, transaction, &script).fates, ["250 2.0.0 x"]);
    }
}

/// The table of outcomes in the module's text.
#[test]
fn content_that_the_peer_does_not_take() {
    let mut eight = to(&["b@x.example"]);
    eight.content.eight_bit = true;
    let mut header = to(&["b@x.example"]);
    header.content.utf8_header = true;
    let mut large = to(&["b@x.example"]);
    large.content.size = 1001;
    let sender = Transaction { sender: Some("민지@example.org".parse().unwrap()), ..to(&["b@x.example"]) };
    let eight_hello = "S: 250-mx\nS: 250 8BITMIME\n";
    for (hello, transaction, want) in [
        (PLAIN, eight, "554 5.6.3 "),
        (eight_hello, header.clone(), "554 5.6.7 "),
        (PLAIN, header, "554 5.6.7 "),
        (eight_hello, sender, "554 5.6.7 "),
        ("S: 250-mx\nS: 250 SIZE 1000\n", large, "552 5.3.4 "),
    ] {
        let run = send(hello, transaction, "");
        assert!(run.fates[0].starts_with(want), "{:?}", run.fates);
        assert!(run.ready, "nothing was sent, so the session goes on");
    }
    // The A-form of this domain is too long for an address.
    let long = format!("{}@한글.example", "x".repeat(236));
    assert!(send(PLAIN, to(&[&long]), "").fates[0].starts_with("553 5.6.7 "));
    // Only the recipient that needs it fails.
    let script = format!("{MAIL}C: RCPT TO:<b@x.example>\nS: 250 x\nS: 250 x\nC: DATA\nS: 354 x\n{BODY}S: 250 x\n");
    let script = script.replace("S: 250 x\nS: 250 x\nC: DATA", "S: 250 x\nC: DATA").replacen("C: RCPT", "S: 250 x\nC: RCPT", 1);
    let run = send(PLAIN, to(&["민지@x.example", "b@x.example"]), &script);
    assert!(run.fates[0].starts_with("553 5.6.7 ") && run.fates[1] == "250 2.0.0 x", "{:?}", run.fates);
}

#[test]
fn inputs_that_do_not_fit_are_ignored() {
    let mut client = Client::new(config());
    client.handle(Input::Begin(to(&["b@x.example"])), NOW);
    client.handle(Input::BodySent, NOW);
    client.handle(Input::TlsUp, NOW);
    client.handle(Input::Quit, NOW);
    let mut out = Vec::new();
    client.encode_body(b"x", &mut out);
    client.end_body(&mut out);
    assert!(out.is_empty());
    assert_eq!(client.poll(), Output::Await(Wait { stage: Stage::Banner, replies: 0 }));
}
