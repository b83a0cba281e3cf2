//! AUTH.

use super::*;

/// `\0minji@example.org\0burning-beacon`
const GOOD: &str = "AG1pbmppQGV4YW1wbGUub3JnAGJ1cm5pbmctYmVhY29u";
const USER: &str = "bWluamlAZXhhbXBsZS5vcmc=";
const PASSWORD: &str = "YnVybmluZy1iZWFjb24=";

#[test]
fn exchanges() {
    let long = "A".repeat(12_288);
    for (lines, want) in [
        (vec![format!("AUTH PLAIN {GOOD}")], "235 2.7.0"),
        (vec!["AUTH plain".into(), GOOD.into()], "235 2.7.0"),
        (vec!["AUTH LOGIN".into(), USER.into(), PASSWORD.into()], "235 2.7.0"),
        (vec![format!("AUTH LOGIN {USER}"), PASSWORD.into()], "235 2.7.0"),
        // minji@example.org as herself.
        (vec!["AUTH PLAIN bWluamlAZXhhbXBsZS5vcmcAbWluamlAZXhhbXBsZS5vcmcAYnVybmluZy1iZWFjb24=".into()], "235 2.7.0"),
        // root as minji@example.org.
        (vec!["AUTH PLAIN cm9vdABtaW5qaUBleGFtcGxlLm9yZwBidXJuaW5nLWJlYWNvbg==".into()], "535 5.7.8"),
        (vec!["AUTH PLAIN AGEAYg==".into()], "535 5.7.8"),
        (vec!["AUTH LOGIN".into(), USER.into(), "YQ==".into()], "535 5.7.8"),
        (vec!["AUTH LOGIN".into(), "".into(), "".into()], "535 5.7.8"),
        (vec!["AUTH PLAIN AAA=".into()], "535 5.7.8"),
        (vec!["AUTH PLAIN =".into()], "501 5.5.2"),
        (vec!["AUTH PLAIN YWJj".into()], "501 5.5.2"),
        (vec!["AUTH PLAIN YQBiAGMAZA==".into()], "501 5.5.2"),
        (vec!["AUTH PLAIN ???".into()], "501 5.5.2"),
        (vec!["AUTH PLAIN /////w==".into()], "501 5.5.2"),
        (vec!["AUTH PLAIN".into(), "*".into()], "501 5.7.0"),
        (vec!["AUTH LOGIN".into(), USER.into(), "*".into()], "501 5.7.0"),
        (vec!["AUTH PLAIN".into(), long], "500 5.5.6"),
        (vec!["AUTH CRAM-MD5".into()], "504 5.5.4"),
        (vec!["AUTH".into()], "501 5.5.4"),
        (vec!["AUTH PLAIN a b".into()], "501 5.5.4"),
    ] {
        let mut bench = bench(config());
        say(&mut bench, "EHLO c.example\r\n");
        let mut reply = String::new();
        for (index, line) in lines.iter().enumerate() {
            if index > 0 {
                assert_eq!(codes(&reply), "334", "{lines:?}");
            }
            reply = say(&mut bench, &format!("{line}\r\n"));
        }
        assert_eq!(codes(&reply), want, "{lines:?}");
        let good = want.starts_with("235");
        assert_eq!(bench.session.account(), good.then_some("minji@example.org"), "{lines:?}");
        assert_eq!(codes(&say(&mut bench, "NOOP\r\n")), "250 2.0.0", "{lines:?}: the session goes on");
    }
}

#[test]
fn prompts() {
    let mut bench = bench(config());
    say(&mut bench, "EHLO c.example\r\n");
    assert_eq!(say(&mut bench, "AUTH PLAIN\r\n"), "334\r\n".replace("334", "334 "));
    assert_eq!(codes(&say(&mut bench, "*\r\n")), "501 5.7.0");
    assert_eq!(say(&mut bench, "AUTH LOGIN\r\n"), "334 VXNlcm5hbWU6\r\n");
    assert_eq!(say(&mut bench, &format!("{USER}\r\n")), "334 UGFzc3dvcmQ6\r\n");
}

#[test]
fn no_password_in_clear() {
    let auth = AuthConfig { mechanisms: vec![Mechanism::Plain], without_tls: false };
    let mut bench = bench(Config { auth, ..config() });
    assert!(!say(&mut bench, "EHLO c.example\r\n").contains("AUTH"));
    assert_eq!(codes(&say(&mut bench, &format!("AUTH PLAIN {GOOD}\r\n"))), "538 5.7.11");
    assert!(bench.session.account().is_none());
    say(&mut bench, "STARTTLS\r\n");
    bench.handle(Input::TlsStarted);
    assert!(say(&mut bench, "EHLO c.example\r\n").contains("250 AUTH PLAIN\r\n"));
    assert_eq!(codes(&say(&mut bench, "AUTH LOGIN\r\n")), "504 5.5.4");
    assert_eq!(codes(&say(&mut bench, &format!("AUTH PLAIN {GOOD}\r\n"))), "235 2.7.0");
    assert_eq!(bench.session.protocol().name(), "ESMTPSA");
}

#[test]
fn submission_needs_a_login() {
    let mut bench = bench(Config { role: Role::Submission, ..config() });
    say(&mut bench, "EHLO c.example\r\n");
    assert_eq!(codes(&say(&mut bench, "MAIL FROM:<minji@example.org>\r\n")), "530 5.7.0");
    say(&mut bench, &format!("AUTH PLAIN {GOOD}\r\n"));
    assert_eq!(codes(&say(&mut bench, "MAIL FROM:<minji@example.org> AUTH=<>\r\n")), "250 2.1.0");
    assert_eq!(codes(&say(&mut bench, "RCPT TO:<a@far.example>\r\n")), "250 2.1.5");
}

#[test]
fn the_driver_may_not_know() {
    for (status, want, open) in [
        ((454, 7, 0), "454 4.7.0", true),
        ((535, 7, 8), "535 5.7.8", true),
        ((421, 7, 0), "421 4.7.0", false),
        // A success without an account is none.
        ((235, 7, 0), "454 4.7.0", true),
    ] {
        let mut session = Session::<u32>::new(Arc::new(config()));
        let input = format!("EHLO c.example\r\nAUTH PLAIN {GOOD}\r\n");
        let step = session.poll(input.as_bytes());
        assert!(matches!(step.output, Output::Ask(Ask::Auth(_))));
        assert_eq!(session.poll(b"NOOP\r\n"), Step { taken: 0, output: Output::Pending });
        session.replies().clear();
        let (code, subject, detail) = status;
        let enhanced = lib_mail::Enhanced::new(2, subject, detail);
        session.handle(Input::Answer(Status::local(code, enhanced, "so", lib_mail::Timestamp(0))));
        let next = session.poll(b"").output;
        assert_eq!(codes(std::str::from_utf8(session.replies()).unwrap()), want);
        assert_eq!(next == Output::Read(Phase::Command), open, "{want}");
        assert!(session.account().is_none());
    }
}

#[test]
fn a_password_is_not_for_the_log() {
    let login = Credentials { user: "minji".into(), password: "burning-beacon".into() };
    assert!(!format!("{:?}", Ask::Auth(login)).contains("beacon"));
}
