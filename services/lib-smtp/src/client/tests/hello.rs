use super::*;

fn ends(script: &str) -> Run {
    play(config(), &[], script)
}

#[test]
fn a_server_that_refuses_us_is_left_for_another() {
    for (script, want) in [
        ("S: 421 4.3.2 too busy\n", "421 4.3.2 too busy"),
        ("S: 450 later\n", "450 4.0.0 later"),
        ("S: 554 5.7.1 go away\n", "451 4.7.1 mx.example.net [192.0.2.1] refused us: 554 5.7.1 go away"),
        ("S: 521 no mail here\n", "451 4.0.0 mx.example.net [192.0.2.1] refused us: 521 no mail here"),
        (
            "S: 250 what\n",
            "451 4.5.0 mx.example.net [192.0.2.1] does not speak SMTP: it greeted with 250 what while waiting for the greeting",
        ),
        (
            "S: SSH-2.0-OpenSSH\n",
            "451 4.5.0 mx.example.net [192.0.2.1] does not speak SMTP: it sent something that is no SMTP reply while waiting for the greeting",
        ),
        ("lost\n", "421 4.4.2 Connection lost with mx.example.net [192.0.2.1] while waiting for the greeting"),
        ("S: 220 hi\nC: EHLO client.example\nS: 450 later\n", "450 4.0.0 later"),
        ("S: 220 hi\nC: EHLO client.example\nS: 421 bye\n", "421 4.0.0 bye"),
        (
            "S: 220 hi\nC: EHLO client.example\nlost\n",
            "421 4.4.2 Connection lost with mx.example.net [192.0.2.1] while sending EHLO",
        ),
        (
            "S: 220 hi\nC: EHLO client.example\nS: 502 no\nC: HELO client.example\nS: 550 no\n",
            "451 4.0.0 mx.example.net [192.0.2.1] refused us: 550 no",
        ),
        (
            "S: 220 hi\nC: EHLO client.example\nS: 354 what\n",
            "451 4.5.0 mx.example.net [192.0.2.1] does not speak SMTP: it said 354 what while sending EHLO",
        ),
    ] {
        let run = ends(script);
        assert_eq!((run.closed.as_deref(), run.ready, run.tls_failed), (Some(want), false, false), "{script}");
    }
}

#[test]
fn helo_will_do() {
    let run = ends("S: 220 hi\nC: EHLO client.example\nS: 500 what\nC: HELO client.example\nS: 250 hello\n");
    assert!(run.ready);
}

#[test]
fn tls_is_used_where_offered_and_the_greeting_is_repeated() {
    let offer = format!("{EHLO}S: 250-mx.example.net\nS: 250 STARTTLS\nC: STARTTLS\n");
    assert!(ends(&format!("{offer}S: 220 go\ntls\nC: EHLO client.example\n{PLAIN}")).ready);
    // A second offer under TLS is no offer.
    assert!(ends(&format!("{offer}S: 220 go\ntls\nC: EHLO client.example\nS: 250-mx\nS: 250 STARTTLS\n")).ready);
    // It offered and then did not: the connection goes on without.
    for refusal in ["454 later", "501 no", "554 5.7.3 no"] {
        assert!(ends(&format!("{offer}S: {refusal}\n")).ready, "{refusal}");
    }
    let failed = ends(&format!("{offer}S: 220 go\nnotls\n"));
    assert!(
        failed.tls_failed && failed.closed.unwrap().contains("TLS with mx.example.net [192.0.2.1] failed: bad certificate")
    );
}

#[test]
fn nothing_that_came_before_the_handshake_counts_after_it() {
    for injected in ["220 go\r\n250-mx.example.net\r\n250 AUTH PLAIN\r\n", "220 go\r\n2", "220 go\r\n\r\n"] {
        let mut client = Client::new(config());
        client.handle(Input::Octets(b"220 hi\r\n250-mx\r\n250 STARTTLS\r\n"), NOW);
        client.handle(Input::Octets(injected.as_bytes()), NOW);
        while matches!(client.poll(), Output::Send(_)) {}
        let Output::Closed(closed) = client.poll() else { panic!("{injected:?}: {:?}", client.poll()) };
        assert!(closed.tls_failed, "{injected:?}");
    }
}

#[test]
fn required_tls_is_required() {
    let required = || Config { tls: TlsMode::Required, ..config() };
    let offer = format!("{EHLO}S: 250-mx.example.net\nS: 250 STARTTLS\nC: STARTTLS\n");
    for (script, ready) in [
        (format!("{EHLO}{PLAIN}"), false),
        (format!("{offer}S: 454 later\n"), false),
        (format!("{offer}S: 501 no\n"), false),
        (format!("{offer}S: 220 go\ntls\nC: EHLO client.example\n{PLAIN}"), true),
    ] {
        let run = play(required(), &[], &script);
        assert_eq!((run.ready, run.closed.is_none()), (ready, ready), "{script}");
    }
    let never = Config { tls: TlsMode::Never, ..config() };
    assert!(play(never, &[], &format!("{EHLO}S: 250-mx.example.net\nS: 250 STARTTLS\n")).ready);
}

fn with_login(without_tls: bool) -> Config {
    let login = Login { user: "office".into(), password: "hunter2".into(), without_tls };
    Config { login: Some(login), ..config() }
}

#[test]
fn logging_in() {
    let hello = |offer: &str| format!("{EHLO}S: 250-mx.example.net\nS: 250 {offer}\n");
    let plain = "C: AUTH PLAIN AG9mZmljZQBodW50ZXIy\n";
    let login = "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: b2ZmaWNl\nS: 334 UGFzc3dvcmQ6\nC: aHVudGVyMg==\n";
    for (script, ready) in [
        (format!("{}{plain}S: 235 2.7.0 welcome\n", hello("AUTH LOGIN PLAIN")), true),
        (format!("{}{login}S: 235 welcome\n", hello("AUTH LOGIN")), true),
        (format!("{}{plain}S: 535 5.7.8 bad\n", hello("AUTH PLAIN")), false),
        (format!("{}{plain}S: 454 4.7.0 later\n", hello("AUTH PLAIN")), false),
        (format!("{}{plain}S: 334 what\n", hello("AUTH PLAIN")), false),
        (format!("{}{plain}lost\n", hello("AUTH PLAIN")), false),
        (format!("{}{login}S: 535 bad\n", hello("AUTH LOGIN")), false),
        (hello("AUTH CRAM-MD5"), false),
        (format!("{EHLO}{PLAIN}"), false),
    ] {
        let run = play(with_login(true), &[], &script);
        assert_eq!((run.ready, run.closed.is_none()), (ready, ready), "{script}");
    }
}

#[test]
fn a_password_does_not_go_out_without_tls() {
    let run = play(with_login(false), &[], &format!("{EHLO}S: 250-mx.example.net\nS: 250 AUTH PLAIN\n"));
    assert!(run.closed.is_some() && !run.sent.contains("AUTH"));
    let under_tls = format!(
        "{EHLO}S: 250-mx.example.net\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\ntls\nC: EHLO client.example\nS: 250-mx\nS: 250 AUTH PLAIN\n\
         C: AUTH PLAIN AG9mZmljZQBodW50ZXIy\nS: 235 ok\n"
    );
    assert!(play(with_login(false), &[], &under_tls).ready);
    let implicit = Config { tls: TlsMode::Implicit, ..with_login(false) };
    let script = format!("{EHLO}S: 250-mx\nS: 250 AUTH PLAIN\nC: AUTH PLAIN AG9mZmljZQBodW50ZXIy\nS: 235 ok\n");
    assert!(play(implicit, &[], &script).ready);
    assert!(!format!("{:?}", with_login(true)).contains("hunter2"));
}

#[test]
fn taking_leave_and_being_left() {
    let run = ends(&format!("{EHLO}{PLAIN}quit\nC: QUIT\nS: 221 bye\n"));
    assert!(run.closed.is_some());
    let run = ends(&format!("{EHLO}{PLAIN}S: 421 4.4.2 idle too long\n"));
    assert_eq!(run.closed.as_deref(), Some("421 4.4.2 idle too long"));
    let run = ends(&format!("{EHLO}{PLAIN}S: 250 unasked\n"));
    assert!(run.closed.unwrap().contains("does not speak SMTP"));
}
