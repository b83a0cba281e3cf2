use mail_parser::{MessageParser, MimeHeaders, PartType};
use proptest::prelude::*;

use super::*;
use crate::{By, Enhanced, Notify, Peer};

const AT: Timestamp = Timestamp(1_795_401_000_123);

struct Case {
    kind: NotificationKind,
    sender: &'static str,
    ret: Option<Return>,
    added: &'static str,
    original: Vec<u8>,
    recipients: Vec<(Recipient, Status)>,
    meant: Option<&'static str>,
    utf8: bool,
}

impl Case {
    fn new() -> Case {
        let recipient = Recipient::new("nobody@example.kr".parse().unwrap());
        Case {
            kind: NotificationKind::Failed,
            sender: "minji@example.net",
            ret: None,
            added: "",
            original: b"From: a\r\nSubject: hello\r\n\r\nthe body\r\n".to_vec(),
            recipients: vec![(recipient, remote(550, "No such user"))],
            meant: None,
            utf8: false,
        }
    }

    fn envelope(&self) -> Envelope {
        Envelope {
            sender: Some(self.sender.parse().unwrap()),
            recipients: self.recipients.iter().map(|(recipient, _)| recipient.clone()).collect(),
            ret: self.ret,
            envid: Some("QQ+2B1".into()),
            body: BodyType::SevenBit,
            utf8: self.utf8,
            arrived: AT,
            deadline: AT.plus(std::time::Duration::from_secs(5 * 86400)),
            peer: Some(Peer::direct("192.0.2.1:25".parse().unwrap())),
            helo: "x".into(),
            protocol: Protocol { extended: true, tls: false, auth: false, utf8: false, local: false },
            account: None,
            added: self.added.into(),
            parent: None,
        }
    }

    fn message(&self) -> Vec<u8> {
        let envelope = self.envelope();
        let meant = self.meant.map(str::to_owned);
        let told: Vec<_> =
            (self.recipients.iter()).map(|(recipient, status)| Reported { recipient, status, meant: meant.clone() }).collect();
        let (host, to) = ("mail.example.net".parse().unwrap(), self.sender.parse().unwrap());
        let notification = Notification {
            kind: self.kind,
            envelope: &envelope,
            recipients: &told,
            original: &self.original,
            complete: true,
            host: &host,
            from: &"MAILER-DAEMON@mail.example.net".parse().unwrap(),
            to: &to,
            date: AT,
            zone: &TimeZone::get("Asia/Seoul").unwrap(),
            boundary: "0123456789abcdef01234567",
            message_id: "id@mail.example.net",
        };
        let committed = notification.envelope(AT);
        assert_eq!((committed.sender, &committed.recipients[0].address), (None, &to));
        assert_eq!(committed.utf8, !to.local().is_ascii());
        notification.message()
    }
}

fn remote(code: u16, text: &str) -> Status {
    let by = By::Remote("mx1.example.kr [192.0.2.9]".into());
    Status::new(code, Enhanced::new((code / 100) as u8, 1, 1), by, text, AT)
}

/// What holds for every notification: CRLF lines of lawful length, three parts, and ASCII but for the address in To; where that is not
/// ASCII before the @, in the parts, too.
fn check(message: &[u8], sender: &str) -> [Vec<u8>; 3] {
    for line in message.split(|octet| *octet == b'\n') {
        assert!(line.is_empty() || line.ends_with(b"\r"), "{:?}", String::from_utf8_lossy(line));
        assert!(line.len() <= MAX_LINE + 1);
        let eight_bit = line.starts_with(b"To: <") || !sender.rsplit_once('@').unwrap().0.is_ascii();
        assert!(line.is_ascii() || eight_bit, "{:?}", String::from_utf8_lossy(line));
    }
    let parsed = MessageParser::default().parse(message).unwrap();
    let kind = parsed.content_type().unwrap();
    assert_eq!((kind.ctype(), kind.subtype()), ("multipart", Some("report")));
    assert_eq!(kind.attribute("report-type"), Some("delivery-status"));
    assert!(parsed.header("Auto-Submitted").is_some() && parsed.date().is_some() && parsed.message_id().is_some());
    assert!(String::from_utf8_lossy(message).contains(&format!("\r\nTo: <{}>\r\n", wire_address(&sender.parse().unwrap()))));
    let PartType::Multipart(parts) = &parsed.parts[0].body else { panic!("no multipart") };
    assert_eq!(parts.len(), 3);
    [0, 1, 2].map(|index| parsed.parts[parts[index] as usize].contents().to_vec())
}

fn text(part: &[u8]) -> String {
    String::from_utf8_lossy(part).replace("\r\n ", " ")
}

#[test]
fn a_failure_says_what_happened_who_said_it_and_what_to_do() {
    let case = Case { added: "Message-ID: <1@a>\r\n", ..Case::new() };
    let [words, report, header] = check(&case.message(), case.sender);
    let words = text(&words);
    for part in [
        "will not be tried again",
        "<nobody@example.kr>",
        "The server mx1.example.kr [192.0.2.9] said: 550 5.1.1 No such user",
        "check the spelling before the @",
        "postmaster@mail.example.net",
    ] {
        assert!(words.contains(part), "{part} in {words}");
    }
    assert_eq!(
        text(&report).trim_end(),
        "Reporting-MTA: dns; mail.example.net\r\nOriginal-Envelope-Id: QQ+1\r\n\
         Arrival-Date: Mon, 23 Nov 2026 11:30:00 +0900\r\n\r\n\
         Final-Recipient: rfc822; nobody@example.kr\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Remote-MTA: dns; mx1.example.kr\r\nDiagnostic-Code: smtp; 550 5.1.1 No such user\r\n\
         Last-Attempt-Date: Mon, 23 Nov 2026 11:30:00 +0900"
    );
    assert_eq!(header.trim_ascii_end(), b"Message-ID: <1@a>\r\nFrom: a\r\nSubject: hello");
}

/// A server that was reached at each attempt, and had another reason, is not told to have been out of reach.
#[test]
fn mail_whose_time_is_up_is_not_said_to_have_found_no_server() {
    let mut case = Case::new();
    let last = remote(450, "busy");
    case.recipients[0].1 = Status::expired(Some(&last), AT);
    let [words, report, _] = check(&case.message(), case.sender);
    let words = text(&words);
    assert!(words.contains("until its time was up") && !words.contains("could not be reached"), "{words}");
    assert!(words.contains("At the last attempt the server mx1.example.kr [192.0.2.9] said: 450 "), "{words}");
    assert!(!words.contains("said: 554"), "the 554 is this server's own: {words}");
    let report = text(&report);
    assert!(report.contains("Status: 5.4.7") && report.contains("Diagnostic-Code: smtp; 450 "), "{report}");
}

#[test]
fn a_delay_says_until_when() {
    let case = Case { kind: NotificationKind::Delayed, ..Case::new() };
    let [words, report, _] = check(&case.message(), case.sender);
    assert!(text(&words).contains("You need not send it again"));
    assert!(text(&report).contains("Action: delayed\r\n"));
    assert!(text(&report).contains("Will-Retry-Until: Sat, 28 Nov 2026 11:30:00 +0900"));
}

#[test]
fn the_original_is_returned_as_far_as_it_can_be() {
    let long = format!("Subject: {}\r\n\r\nbody\r\n", "x".repeat(2000)).into_bytes();
    for (ret, original, kind, want) in [
        (None, &b"A: b\r\n\r\nbody\r\n"[..], "text/rfc822-headers", &b"A: b"[..]),
        (Some(Return::Headers), b"A: b\r\n\r\nbody\r\n", "text/rfc822-headers", b"A: b"),
        (Some(Return::Full), b"A: b\r\n\r\nbody\r\n", "message/rfc822", b"A: b\r\n\r\nbody"),
        (Some(Return::Full), b"A: \xc7\xd1\r\n\r\nbody\r\n", "text/rfc822-headers", b"A: \xc7\xd1"),
        (Some(Return::Full), "A: 한\r\n\r\nbody\r\n".as_bytes(), "text/rfc822-headers", "A: 한".as_bytes()),
        (Some(Return::Full), &long, "text/rfc822-headers", &long[..long.len() - 10]),
        (None, b"\r\nbody\r\n", "text/rfc822-headers", b""),
        (None, b"no end of the header", "text/rfc822-headers", b"no end of the header"),
        (None, b"", "text/rfc822-headers", b""),
    ] {
        let case = Case { ret, original: original.to_vec(), ..Case::new() };
        let message = case.message();
        let [_, _, returned] = check(&message, case.sender);
        assert!(String::from_utf8_lossy(&message).contains(&format!("Content-Type: {kind}")), "{original:?}");
        // The parser reads text parts as UTF-8.
        assert_eq!(String::from_utf8_lossy(returned.trim_ascii_end()), String::from_utf8_lossy(want));
        if original.contains(&0xc7) {
            assert!(String::from_utf8_lossy(&message).contains("A: =C7=D1"));
        }
    }
}

#[test]
fn addresses_that_are_not_ascii_go_in_seven_bits() {
    let mut case = Case { sender: "민지@메일.example", ..Case::new() };
    case.recipients[0].0 = Recipient {
        address: "a+b민@메일.example".parse().unwrap(),
        notify: Notify::Default,
        orcpt: Some("rfc822;x+2By@example.kr".into()),
    };
    let [_, report, _] = check(&case.message(), case.sender);
    let report = text(&report);
    assert!(report.contains("Final-Recipient: utf-8; a\\x{2B}b\\x{BBFC}@\\x{BA54}\\x{C77C}.example"), "{report}");
    assert!(report.contains("Original-Recipient: rfc822; x+y@example.kr"), "{report}");
    for orcpt in ["utf-8;민지\\x{2B}x@example.kr", "UTF-8;\\x{BBFC}\\x{C9C0}\\x{2B}x@example.kr"] {
        case.recipients[0].0.orcpt = Some(orcpt.into());
        let [_, report, _] = check(&case.message(), case.sender);
        let report = text(&report).to_lowercase();
        assert!(report.contains("original-recipient: utf-8; \\x{bbfc}\\x{c9c0}\\x{2b}x@example.kr"), "{report}");
    }
}

/// R2.5: what the words say of a block list, and whom to tell.
#[test]
fn a_block_list_is_explained() {
    let text_of = |kind, words| {
        let mut case = Case { kind, ..Case::new() };
        case.recipients[0].1 = remote(if kind == NotificationKind::Failed { 554 } else { 451 }, words);
        text(&check(&case.message(), case.sender)[0])
    };
    let words = "Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1";
    for kind in [NotificationKind::Failed, NotificationKind::Delayed] {
        let text = text_of(kind, words);
        for part in [
            "refuses all mail from the address of this server, since the block list of Spamhaus names it",
            "The fault is not in your message",
            "Please tell postmaster@mail.example.net",
            "More about it: https://www.spamhaus.org/query/ip/192.0.2.1\r\n",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("There is no such mailbox"), "{text}");
    }
    assert!(text_of(NotificationKind::Failed, "Rejected by DNSBL").contains("since a block list names it"));
    assert!(!text_of(NotificationKind::Failed, "No such user").contains("block list"));
}

/// R3.5: a domain that looks mistyped, where the mail failed or waits.
#[test]
fn a_mistyped_domain_is_pointed_out() {
    for (kind, hint) in
        [(NotificationKind::Failed, true), (NotificationKind::Delayed, true), (NotificationKind::Relayed, false)]
    {
        let mut case = Case { kind, meant: Some("kebi.com"), ..Case::new() };
        case.recipients[0].0 = Recipient::new("minji@kebi.net".parse().unwrap());
        let [words, report, _] = check(&case.message(), case.sender);
        assert_eq!(text(&words).contains("Did you mean <minji@kebi.com>?"), hint, "{kind:?}");
        assert!(!text(&report).contains("kebi.com"));
    }
}

/// RFC 6533 §4: the sender of an SMTPUTF8 message gets the types that hold its characters, in an encoding that every server takes
/// unless the sender's own address needs SMTPUTF8; any other sender gets the 7-bit forms.
#[test]
fn the_sender_of_an_international_message_gets_its_characters() {
    let (global, headers) = ("message/global-delivery-status", "message/global-headers");
    let (plain, text_headers) = ("message/delivery-status", "text/rfc822-headers");
    let (utf8, ascii) = ("Subject: 한\r\n\r\n불\r\n", "Subject: x\r\n\r\n불\r\n");
    for (utf8_asked, sender, to, ret, original, kinds, encoding) in [
        (true, "minji@example.net", "민@메일.example", None, utf8, [global, headers], "quoted-printable"),
        (true, "민지@example.net", "민@메일.example", None, utf8, [global, headers], "8bit"),
        (true, "민지@example.net", "a@example.kr", None, ascii, [plain, text_headers], "7bit"),
        (true, "minji@example.net", "민@메일.example", None, ascii, [global, text_headers], "quoted-printable"),
        (true, "minji@example.net", "a@example.kr", None, utf8, [plain, headers], "quoted-printable"),
        (true, "minji@example.net", "민@메일.example", Some(Return::Full), utf8, [global, "message/global"], "base64"),
        (true, "민지@example.net", "민@메일.example", Some(Return::Full), utf8, [global, "message/global"], "8bit"),
        // The reporter's plain form, for a sender that never spoke SMTPUTF8.
        (false, "minji@example.net", "민@메일.example", None, utf8, [plain, text_headers], "quoted-printable"),
        (false, "minji@example.net", "민@메일.example", Some(Return::Full), utf8, [plain, text_headers], "quoted-printable"),
    ] {
        let mut case = Case { sender, ret, utf8: utf8_asked, original: original.into(), ..Case::new() };
        case.recipients[0].0 = Recipient {
            address: to.parse().unwrap(),
            notify: Notify::Default,
            orcpt: Some("utf-8;\\x{BBFC}\\x{2B}x@example.kr".into()),
        };
        // An ORCPT of that type makes a report international by itself.
        if to.is_ascii() {
            case.recipients[0].0.orcpt = None;
        }
        let message = case.message();
        let row = String::from_utf8_lossy(&message);
        let [_, report, returned] = check(&message, sender);
        let report = text(&report);
        for kind in kinds {
            assert!(row.contains(&format!("Content-Type: {kind}\r\n")), "{kind} in {row}");
        }
        assert!(row.contains(&format!("Content-Transfer-Encoding: {encoding}\r\n")), "{encoding} in {row}");
        if kinds[0] == global {
            assert!(report.contains("Final-Recipient: utf-8; 민@메일.example\r\n"), "{report}");
            assert!(report.contains("Original-Recipient: utf-8; 민+x@example.kr\r\n"), "{report}");
        } else if !to.is_ascii() {
            assert!(report.contains("Final-Recipient: utf-8; \\x{BBFC}@\\x{BA54}\\x{C77C}.example\r\n"), "{report}");
            assert!(report.contains("Original-Recipient: utf-8; \\x{BBFC}\\x{2B}x@example.kr\r\n"), "{report}");
        }
        let returned = String::from_utf8_lossy(&returned);
        if kinds[1] == "message/global" {
            assert!(returned.contains(original), "{returned}");
        } else {
            assert_eq!(returned.trim_end(), original.split("\r\n").next().unwrap());
        }
    }
}

#[test]
fn hostile_words_of_a_remote_stay_in_their_field() {
    let mut case = Case::new();
    case.recipients[0].1 = Status { text: "x\r\nAction: delivered\r\n\r\n".into(), ..remote(550, "") };
    case.recipients.push((Recipient::new("b@example.kr".parse().unwrap()), remote(550, &"y".repeat(3000))));
    let [_, report, _] = check(&case.message(), case.sender);
    assert_eq!(text(&report).matches("\r\nAction: ").count(), 2);
}

#[test]
fn who_wants_to_be_told() {
    let on = |success, failure, delay| Notify::On { success, failure, delay };
    for (notify, want) in [
        (Notify::Default, [true, true, false]),
        (Notify::Never, [false, false, false]),
        (on(true, false, false), [false, false, true]),
        (on(false, true, true), [true, true, false]),
    ] {
        let recipient = Recipient { notify, ..Recipient::new("a@b.example".parse().unwrap()) };
        let kinds = [NotificationKind::Failed, NotificationKind::Delayed, NotificationKind::Relayed];
        assert_eq!(kinds.map(|kind| kind.is_wanted(&recipient)), want, "{notify:?}");
    }
}

proptest! {
    /// No sender that this server takes can make a notification impossible.
    #[test]
    fn every_sender_can_be_told(
        local in "[a-z0-9.!#$%&'*+/=?^_`{|}~한글-]{1,20}|\"([ -!#-\\[\\]-~한]|\\\\[ -~]){0,20}\"",
        domain in "[a-z0-9]{1,9}(\\.[a-z한글]{1,9}){1,3}|\\[127\\.0\\.0\\.[1-9]\\]|\\[IPv6:::1\\]",
        original in proptest::collection::vec(any::<u8>(), 0..200),
        utf8 in any::<bool>(),
        full in any::<bool>(),
    ) {
        let text = format!("{local}@{domain}");
        let Ok(address) = text.parse::<Address>() else { return Ok(()) };
        let sender: &'static str = Box::leak(text.into_boxed_str());
        let mut case = Case { sender, utf8, ret: full.then_some(Return::Full), ..Case::new() };
        case.recipients[0].0 = Recipient::new(address);
        // Bare CR and LF are refused at the door, so a stored message has none.
        case.original = original.into_iter().filter(|octet| !matches!(octet, b'\r' | b'\n')).collect();
        check(&case.message(), sender);
    }
}
