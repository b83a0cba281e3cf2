use proptest::prelude::*;

use super::*;

fn mail(text: &str) -> Mail {
    Mail::new(if text.is_empty() { None } else { Some(text.parse().unwrap()) })
}

fn rcpt(text: &str) -> Rcpt {
    Rcpt { path: ForwardPath::Address(text.parse().unwrap()), notify: Notify::Default, orcpt: None }
}

#[test]
fn commands() {
    let auth = |mechanism: &str, initial: Option<&str>| Command::Auth {
        mechanism: mechanism.into(),
        initial: initial.map(str::to_owned),
    };
    let etrn = |domain: &str, subdomains| Command::Etrn { domain: domain.parse().unwrap(), subdomains };
    for (line, want) in [
        ("EHLO a.example", Command::Ehlo("a.example".into())),
        ("ehlo  [192.0.2.1] ", Command::Ehlo("[192.0.2.1]".into())),
        ("HELO 메일.example", Command::Helo("메일.example".into())),
        ("MAIL FROM:<>", Command::Mail(mail(""))),
        ("mail from: a@b.example", Command::Mail(mail("a@b.example"))),
        ("MAIL FROM:<a@b.example> SIZE=10", Command::Mail(Mail { size: Some(10), ..mail("a@b.example") })),
        ("MAIL FROM:<a@b.example> body=8bitmime", Command::Mail(Mail { body: BodyType::EightBitMime, ..mail("a@b.example") })),
        ("MAIL FROM:<a@b.example> BODY=7BIT", Command::Mail(mail("a@b.example"))),
        ("MAIL FROM:<민지@b.example> SMTPUTF8", Command::Mail(Mail { utf8: true, ..mail("민지@b.example") })),
        (
            "MAIL FROM:<a@b.example> RET=HDRS ENVID=x+2By AUTH=<>",
            Command::Mail(Mail {
                ret: Some(Return::Headers),
                envid: Some("x+2By".into()),
                auth: Some("<>".into()),
                ..mail("a@b.example")
            }),
        ),
        ("RCPT TO:<a@b.example>", Command::Rcpt(rcpt("a@b.example"))),
        ("RCPT TO:<Postmaster>", Command::Rcpt(Rcpt { path: ForwardPath::Postmaster, ..rcpt("a@b.example") })),
        (
            "rcpt to:<a@b.example> notify=success,delay orcpt=rfc822;c@d.example",
            Command::Rcpt(Rcpt {
                notify: Notify::On { success: true, failure: false, delay: true },
                orcpt: Some("rfc822;c@d.example".into()),
                ..rcpt("a@b.example")
            }),
        ),
        ("DATA", Command::Data),
        ("data  ", Command::Data),
        ("BDAT 0", Command::Bdat { size: 0, last: false }),
        ("BDAT 1000 last", Command::Bdat { size: 1000, last: true }),
        ("BDAT 4294967296", Command::Bdat { size: MAX_CHUNK, last: false }),
        ("RSET", Command::Rset),
        ("NOOP", Command::Noop),
        ("NOOP x y", Command::Noop),
        ("QUIT", Command::Quit),
        ("VRFY 민지 Kim", Command::Vrfy("민지 Kim".into())),
        ("VRFY minji smtputf8", Command::Vrfy("minji".into())),
        ("VRFY SMTPUTF8", Command::Vrfy("SMTPUTF8".into())),
        ("EXPN staff", Command::Expn("staff".into())),
        ("EXPN staff  SMTPUTF8 SMTPUTF8", Command::Expn("staff".into())),
        ("HELP", Command::Help),
        ("HELP MAIL", Command::Help),
        ("STARTTLS", Command::StartTls),
        ("AUTH plain AGEAYg==", auth("PLAIN", Some("AGEAYg=="))),
        ("AUTH LOGIN", auth("LOGIN", None)),
        ("AUTH PLAIN =", auth("PLAIN", Some("="))),
        ("ETRN a.example", etrn("a.example", false)),
        ("ETRN @a.example", etrn("a.example", true)),
    ] {
        assert_eq!(Command::parse(line.as_bytes()).as_ref(), Ok(&want), "{line}");
        assert_eq!(Command::parse(want.to_string().as_bytes()), Ok(want), "{line}, printed");
    }
}

#[test]
fn no_commands() {
    use Problem::*;
    for (line, want) in [
        (&b""[..], Unknown),
        (b" NOOP", Unknown),
        (b"NOOPS", Unknown),
        (b"XYZZY", Unknown),
        (b"VERYLONGVERB x", Unknown),
        (b"MAILFROM:<a@b.example>", Unknown),
        (b"NOOP\0", Octets),
        (b"NOOP\rQUIT", Octets),
        (b"NOOP\tx", Octets),
        (b"NOOP \x7f", Octets),
        (b"NOOP \xc2\x85", Octets),
        (b"NOOP \xff", Octets),
        (b"GET / HTTP/1.1", Http),
        (b"post / http/1.0", Http),
        (b"CONNECT a:25 HTTP/1.1", Http),
        (b"EHLO", Argument("EHLO and your host's name")),
        (b"EHLO a b", Argument("EHLO and your host's name")),
        (b"HELO ", Argument("HELO and your host's name")),
        (b"DATA x", Argument("no argument")),
        (b"RSET x", Argument("no argument")),
        (b"QUIT x", Argument("no argument")),
        (b"STARTTLS x", Argument("no argument")),
        (b"VRFY", Argument("VRFY and a user")),
        (b"EXPN", Argument("EXPN and a list")),
        (b"AUTH", Argument("AUTH and a mechanism")),
        (b"AUTH PLAIN a b", Argument("AUTH and a mechanism")),
        (b"ETRN", Argument("ETRN and a domain")),
        (b"ETRN #queue", Argument("ETRN and a domain")),
        (b"MAIL", Argument("MAIL FROM:<address>")),
        (b"MAIL TO:<a@b.example>", Argument("MAIL FROM:<address>")),
        (b"MAIL FROM <a@b.example>", Argument("MAIL FROM:<address>")),
        (b"RCPT FROM:<a@b.example>", Argument("RCPT TO:<address>")),
        (b"MAIL FROM:", Sender),
        (b"MAIL FROM:<a>", Sender),
        (b"MAIL FROM:<a@b.example>SIZE=1", Sender),
        (b"RCPT TO:<>", Recipient),
        (b"RCPT TO:<a>", Recipient),
        ("MAIL FROM:<민지@b.example>".as_bytes(), NeedsUtf8),
        (b"MAIL FROM:<a@b.example> SIZE", Parameter),
        (b"MAIL FROM:<a@b.example> SIZE=", Parameter),
        (b"MAIL FROM:<a@b.example> SIZE=x", Parameter),
        (b"MAIL FROM:<a@b.example> SIZE=1 size=2", Parameter),
        (b"MAIL FROM:<a@b.example> BODY=9BIT", Parameter),
        (b"MAIL FROM:<a@b.example> SMTPUTF8=1", Parameter),
        (b"MAIL FROM:<a@b.example> RET=SOME", Parameter),
        (b"MAIL FROM:<a@b.example> ENVID=a+0D", Parameter),
        (b"MAIL FROM:<a@b.example> =x", Parameter),
        (b"MAIL FROM:<a@b.example> NOTIFY=NEVER", UnknownParameter),
        (b"MAIL FROM:<a@b.example> X-FOO=1", UnknownParameter),
        (b"MAIL FROM:<a@b.example> BODY=BINARYMIME", BinaryMime),
        (b"RCPT TO:<a@b.example> NOTIFY=", Parameter),
        (b"RCPT TO:<a@b.example> ORCPT=a@b.example", Parameter),
        (b"RCPT TO:<a@b.example> NOTIFY=NEVER NOTIFY=NEVER", Parameter),
        (b"RCPT TO:<a@b.example> SIZE=1", UnknownParameter),
        (b"BDAT", ChunkSize),
        (b"BDAT x", ChunkSize),
        (b"BDAT -1", ChunkSize),
        (b"BDAT +1", ChunkSize),
        (b"BDAT 1 FIRST", ChunkSize),
        (b"BDAT 1 LAST LAST", ChunkSize),
        (b"BDAT 111111111111111111111", ChunkSize),
        (b"BDAT 4294967297", ChunkTooLarge),
        (b"BDAT 99999999999999999999 LAST", ChunkTooLarge),
    ] {
        assert_eq!(Command::parse(line), Err(want), "{}", line.escape_ascii());
    }
}

fn verbs() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("MAIL FROM:"),
        Just("RCPT TO:"),
        Just("EHLO "),
        Just("HELO "),
        Just("BDAT "),
        Just("AUTH "),
        Just("ETRN "),
        Just("VRFY "),
        Just("VRFY a SMTPUTF8 "),
        Just("EXPN "),
    ]
    .prop_map(str::to_owned)
}

fn arguments() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        "<[a-z\"\\\\. @,:]{0,12}@[a-z.]{1,12}>( (SIZE|size)=[0-9]{1,22})?( BODY=8BITMIME)?( SMTPUTF8)?( RET=(FULL|HDRS))?( ENVID=[a-z+0-9A-F]{1,8})?",
        "<[a-z]{1,8}@[a-z]{1,12}>( NOTIFY=(NEVER|SUCCESS|FAILURE,DELAY))?( ORCPT=rfc822;[a-z@+0-9A-F]{1,12})?",
        "[0-9]{1,21}( LAST)?",
    ]
}

proptest! {
    #[test]
    fn any_line_is_read_or_refused_and_what_is_read_prints_back(verb in verbs(), argument in arguments()) {
        let line = format!("{verb}{argument}");
        if let Ok(command) = Command::parse(line.as_bytes()) {
            let printed = command.to_string();
            prop_assert_eq!(Command::parse(printed.as_bytes()), Ok(command), "{}", printed);
        }
    }

    #[test]
    fn any_octets(line in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Command::parse(&line);
    }
}
