//! Every kind of event, as maillog line (golden) and as JSON (round trip). R6.3.

use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use lib_mail::{Enhanced, QueueId, Status, Timestamp};
use lib_record::*;

const AT: Timestamp = Timestamp(1_795_401_000_123);

fn id() -> QueueId {
    QueueId::new(AT, 7, 42)
}

fn status(code: u16, subject: u16, detail: u16, text: &str) -> Status {
    Status::local(code, Enhanced::new((code / 100) as u8, subject, detail), text, AT)
}

fn event(role: RoleName, about: bool, what: What) -> Event {
    Event { at: AT, role, id: about.then(id), what }
}

fn attempt(role: RoleName, outcome: Outcome, delay: u64, relay: &str, status: Status) -> Event {
    let (to, relay, delay) = ("minji@example.kr".into(), relay.into(), Duration::from_secs(delay));
    event(role, true, What::Attempt { to, outcome, delay, relay, size: 2048, status })
}

fn accepted(from: &str, msgid: &str, relay: &str, account: Option<&str>, parent: Option<QueueId>) -> What {
    What::Accepted {
        from: from.into(),
        size: 5_024_000,
        nrcpts: 2,
        msgid: msgid.into(),
        proto: "ESMTPSA".into(),
        relay: relay.into(),
        account: account.map(str::to_owned),
        parent,
    }
}

/// One of each, and of those with branches one for each.
fn all() -> Vec<Event> {
    use RoleName::*;
    let parent = QueueId::derived(&id(), b"1");
    vec![
        event(SmtpIn, false, What::Connected { peer: "192.0.2.1:40001".into(), listener: "mx".into() }),
        event(
            SmtpIn,
            false,
            What::Dropped { peer: "192.0.2.1:40001".into(), why: "too many sessions from this address".into() },
        ),
        event(SmtpIn, true, accepted("a@example.net", "<1@example.net>", "client.example.net [192.0.2.1]", None, None)),
        event(Submission, true, accepted("minji@example.kr", "<2@x>", "pc [192.0.2.7]", Some("minji@example.kr"), None)),
        event(Deliver, true, accepted("", "<3@x>", "", None, Some(parent))),
        event(
            SmtpIn,
            false,
            What::Rejected {
                relay: "x [192.0.2.9]".into(),
                stage: "rcpt".into(),
                from: "a@example.net".into(),
                to: "victim@elsewhere.example".into(),
                status: status(550, 7, 1, "Relaying denied"),
            },
        ),
        event(
            SmtpIn,
            false,
            What::Rejected {
                relay: "x [192.0.2.9]".into(),
                stage: "mail".into(),
                from: String::new(),
                to: String::new(),
                status: status(452, 3, 1, "Insufficient disk space; try again later"),
            },
        ),
        attempt(Deliver, Outcome::Delivered, 4, "local", status(250, 2, 1, "delivered")),
        attempt(RelayOut, Outcome::Relayed, 90_061, "mx1.example.net [192.0.2.25]", status(250, 0, 0, "queued as 4cXyz")),
        attempt(RelayOut, Outcome::Deferred, 1800, "mx1.example.net [192.0.2.25]", status(451, 4, 1, "Connection timed out")),
        attempt(RelayOut, Outcome::Failed, 2, "mx1.example.net [192.0.2.25]", status(550, 1, 1, "User unknown, go away")),
        attempt(Deliver, Outcome::Expanded, 0, "", status(250, 1, 5, "3 members")),
        attempt(Deliver, Outcome::Discarded, 0, "", status(250, 0, 0, "by rule")),
        event(Deliver, true, What::Bounced { parent, to: "a@example.net".into(), kind: "failed".into() }),
        event(RelayOut, true, What::Done { delay: Duration::from_secs(432_000) }),
        event(Command, true, What::Ordered { order: "hold".into(), result: "held".into() }),
        event(
            Pop3,
            false,
            What::Login { user: "minji".into(), ok: true, peer: "192.0.2.7".into(), service: Service::Pop3, tls: true },
        ),
        event(
            Submission,
            false,
            What::Login { user: "root".into(), ok: false, peer: "192.0.2.9".into(), service: Service::Smtp, tls: false },
        ),
        event(
            Pop3,
            false,
            What::Fetched {
                account: "minji@example.kr".into(),
                peer: "192.0.2.7".into(),
                retrieved: 2,
                octets: 4096,
                deleted: 1,
                left: 1,
            },
        ),
        event(
            Supervisor,
            false,
            What::Role { name: "deliver".into(), did: "ended".into(), detail: "signal 9; restart in 1 s".into() },
        ),
        event(Supervisor, false, What::Role { name: "pop3".into(), did: "ready".into(), detail: String::new() }),
        event(
            Deliver,
            false,
            What::Warning { subject: "aliases:12".into(), text: "`x` is no target; the last good map stays".into() },
        ),
        event(Supervisor, false, What::Notice { text: "testing.clock is in force".into() }),
        event(Auth, false, What::Lost { count: 3 }),
    ]
}

fn line(event: &Event, zone: &TimeZone) -> String {
    let mut line = String::new();
    maillog_line(event, zone, "mail", &mut line);
    line
}

#[test]
fn maillog_lines_look_as_ever() {
    let zone = TimeZone::get("Asia/Seoul").unwrap();
    let lines: String = all().iter().map(|event| line(event, &zone)).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/maillog.txt");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &lines).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(lines == golden, "tests/golden/maillog.txt is not what comes out; UPDATE=1 rewrites it:\n{lines}");
}

#[test]
fn json_comes_back_as_it_went() {
    let zone = TimeZone::get("Asia/Seoul").unwrap();
    for event in all() {
        for zone in [None, Some(&zone)] {
            let mut line = Vec::new();
            json_line(&event, zone, &mut line);
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert_eq!(from_json(&line).as_ref(), Some(&event), "{}", line.escape_ascii());
            assert_eq!(line.starts_with(b"{\"time\":\"2026-11-23T11:30:00.123+09:00\",\"at\":"), zone.is_some());
        }
    }
    assert_eq!(from_json(b"no event"), None);
    assert_eq!(from_json(b"{\"at\":1,\"role\":\"deliver\",\"event\":\"of_the_future\"}"), None);
}

#[test]
fn a_client_cannot_write_a_line_of_its_own() {
    let forged = "x>\r\nNov 23 11:30:00 mail deliver: 0: to=<a@b>, stat=Sent";
    let hostile = accepted(forged, "<1\n2>", "helo\u{2028}, to=<z@z>, stat=Sent [192.0.2.1]", Some("a\0b"), None);
    let line = line(&event(RoleName::SmtpIn, true, hostile), &TimeZone::UTC);
    assert_eq!(line.matches('\n').count(), 1);
    assert!(line.ends_with('\n'));
    assert!(!line.contains(['\r', '\0', '\u{2028}']), "{line}");
    assert_eq!(line.matches(", to=").count(), 0, "a comma in a value would begin a field: {line}");
    let text = "line\nline ".repeat(500);
    let drop = event(RoleName::SmtpIn, false, What::Dropped { peer: "é".repeat(5000), why: text });
    let line = self::line(&drop, &TimeZone::UTC);
    assert!(line.len() < 2000 && line.contains("...") && line.contains("line?line"), "{line}");
}

#[test]
fn counters_count_what_they_say() {
    let mut counters = Counters::default();
    all().iter().for_each(|event| counters.count(event));
    let count = |messages, octets| Count { messages, octets };
    assert_eq!((counters.accepted, counters.arisen), (count(2, 10_048_000), count(1, 5_024_000)));
    assert_eq!((counters.delivered, counters.relayed, counters.fetched), (count(1, 2048), count(1, 2048), count(2, 4096)));
    assert_eq!((counters.deferred, counters.failed, counters.discarded, counters.bounced), (1, 1, 1, 1));
    assert_eq!((counters.rejected[&550], counters.rejected[&452], counters.connected["mx"], counters.dropped), (1, 1, 1, 1));
    assert_eq!((counters.logins, counters.refused_logins, counters.warnings, counters.lost_events), (1, 1, 1, 3));
    let json = serde_json::to_string(&counters).unwrap();
    assert_eq!(serde_json::from_str::<Counters>(&json).unwrap(), counters);
    assert_eq!(serde_json::from_str::<Counters>("{}").unwrap(), Counters::default());
}

#[test]
fn role_names_read_as_they_print() {
    for role in RoleName::ALL {
        assert_eq!(role.as_str().parse(), Ok(role));
        assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
    }
    assert!("smtp".parse::<RoleName>().is_err());
}

mod arbitrary {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_stays_one_line(from in "(?s).{0,300}", text in "(?s).{0,600}") {
            for what in [accepted(&from, &text, &from, Some(&text), None), What::Warning { subject: from.clone(), text: text.clone() }] {
                let event = event(RoleName::SmtpIn, true, what);
                let shown = line(&event, &TimeZone::UTC);
                prop_assert_eq!(shown.chars().filter(|c| c.is_control()).count(), 1);
                let mut json = Vec::new();
                json_line(&event, Some(&TimeZone::UTC), &mut json);
                prop_assert_eq!(json.iter().filter(|byte| **byte == b'\n').count(), 1);
                prop_assert_eq!(from_json(&json), Some(event));
            }
        }
    }
}
