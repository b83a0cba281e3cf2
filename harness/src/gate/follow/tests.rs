use super::*;

/// What comes out, as text: `C[…]` and `S[…]` passed, `!…` done. Pieces of one side in a row are joined.
fn out(trips: &[Trip], script: &[(Side, &str)], size: usize) -> (String, Vec<String>) {
    let armed = Arc::new(Trips::default());
    for trip in trips {
        armed.arm(trip.clone());
    }
    let dialogue = Arc::new(Mutex::new(Dialogue::new()));
    let mut follow = Follow::new(armed, Arc::clone(&dialogue));
    let mut out: Vec<(Side, String)> = Vec::new();
    let mut add = |side: Side, parts: Vec<Part>| {
        for part in parts {
            let (text, joins) = match part {
                Part::Octets(octets) => (String::from_utf8(octets).unwrap(), true),
                Part::Act(act) => (format!("!{:?} {}", act.deed, act.point), false),
            };
            match out.last_mut() {
                Some((last, before)) if *last == side && joins && !before.starts_with('!') => before.push_str(&text),
                _ => out.push((side, text)),
            }
        }
    };
    add(Side::Client, follow.connect());
    for (side, text) in script {
        for piece in text.as_bytes().chunks(size) {
            add(*side, follow.feed(*side, piece));
        }
    }
    let text = out
        .into_iter()
        .map(|(side, text)| match (text.starts_with('!'), side) {
            (true, _) => text,
            (_, Side::Client) => format!("C[{text}]"),
            (_, Side::Server) => format!("S[{text}]"),
        })
        .collect::<Vec<_>>()
        .join("\n");
    let lines = dialogue.lock().unwrap().record(&Default::default(), std::time::Instant::now()).lines;
    (text, lines.into_iter().map(|(_, side, text)| format!("{side}: {text}")).collect())
}

use Side::{Client as C, Server as S};

const MAIL: &[(Side, &str)] = &[
    (S, "220 b ESMTP\r\n"),
    (C, "EHLO a\r\n"),
    (S, "250-b\r\n250-STARTTLS\r\n250 SIZE\r\n"),
    (C, "MAIL FROM:<a@a>\r\nRCPT TO:<bob@b>\r\nRCPT TO:<eve@b>\r\nDATA\r\n"),
    (S, "250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n"),
    (C, "Subject: x\r\n\r\n.\n..\r\nDATA\r\n.\r\n"),
    (S, "250 queued\r\n"),
    (C, "QUIT\r\n"),
    (S, "221 bye\r\n"),
];

fn trip(text: &str) -> Trip {
    text.parse().unwrap()
}

#[test]
fn without_trips_everything_passes_and_is_written_down() {
    let whole = out(&[], MAIL, 10_000);
    for (side, text) in MAIL {
        assert!(whole.0.contains(&format!("{side:?}[{text}]").replace("Client", "C").replace("Server", "S")), "{}", whole.0);
    }
    assert_eq!(
        whole.1,
        [
            "S: 220 b ESMTP",
            "C: EHLO a",
            "S: 250-b",
            "S: 250-STARTTLS",
            "S: 250 SIZE",
            "C: MAIL FROM:<a@a>",
            "C: RCPT TO:<bob@b>",
            "C: RCPT TO:<eve@b>",
            "C: DATA",
            "S: 250 ok",
            "S: 250 ok",
            "S: 550 no",
            "S: 354 go",
            "C: (message, 26 octets)",
            "S: 250 queued",
            "C: QUIT",
            "S: 221 bye"
        ]
    );
}

#[test]
fn pieces_of_any_size_give_the_same() {
    let trips = [
        "before line rcpt to:<eve => inject client 1",
        "after line mail => inject client 2",
        "before dot => inject client 3",
        "after dot => inject client 4",
        "before reply ehlo => inject client 5",
        "after reply data => inject client 6",
        "before client 30 => inject client 7",
        "after server 30 => inject client 8",
        "before reply greeting => inject client 9",
        "after client 3 past DATA\\r\\n => inject server 10",
        "before server 1 past queued => inject client 11",
        "before connect => strip-starttls",
    ];
    let mut combinations: Vec<Vec<Trip>> = trips.iter().map(|text| vec![trip(text)]).collect();
    combinations.push(trips.iter().map(|text| trip(text)).collect());
    for trips in combinations {
        let whole = out(&trips, MAIL, 10_000);
        for size in 1..40 {
            assert_eq!(out(&trips, MAIL, size), whole, "{trips:?} in pieces of {size}");
        }
    }
}

/// The last three lines of what came out, for one trip.
fn end(text: &str, script: &[(Side, &str)]) -> String {
    let (text, _) = out(&[trip(text)], script, 10_000);
    text[text.find('!').map_or(0, |at| text[..at].rfind("[").unwrap_or(0) - 1)..].split("\nC[").next().unwrap().to_owned()
}

#[test]
fn each_place_is_found_exactly() {
    for (text, expected) in [
        (
            "before line RCPT TO:<eve => reset",
            "C[MAIL FROM:<a@a>\r\nRCPT TO:<bob@b>\r\n]\n!End(Reset) before the line RCPT TO:<eve",
        ),
        ("after line rcpt => reset", "C[MAIL FROM:<a@a>\r\nRCPT TO:<bob@b>\r\n]\n!End(Reset) after the line rcpt"),
        ("before client 1 => fin", "S[220 b ESMTP\r\n]\n!End(Fin) before octet 1 of the client"),
        ("after client 1 => fin", "C[E]\n!End(Fin) after octet 1 of the client"),
        ("before server 20 => fin", "S[250-b\r]\n!End(Fin) before octet 20 of the server"),
        ("before dot => silence", "C[Subject: x\r\n\r\n.\n..\r\nDATA\r\n]\n!End(Silence) before the final dot"),
        ("after dot => silence", "C[Subject: x\r\n\r\n.\n..\r\nDATA\r\n.\r\n]\n!End(Silence) after the final dot"),
        ("before reply rcpt => fin", "S[250 ok\r\n]\n!End(Fin) before the reply to rcpt"),
        ("after reply rcpt => fin", "S[250 ok\r\n250 ok\r\n]\n!End(Fin) after the reply to rcpt"),
        ("after client 1 past DATA\\r\\n => fin", "C[S]\n!End(Fin) after octet 1 of the client past DATA\\r\\n"),
        ("before server 2 past queue => fin", "S[250 queued]\n!End(Fin) before octet 2 of the server past queue"),
        ("after reply greeting => half-close", "S[220 b ESMTP\r\n]\n!HalfClose after the greeting"),
    ] {
        let got = end(text, MAIL);
        let got = got.split("\nS[").next().unwrap();
        assert_eq!(got, expected, "{text}");
    }
}

#[test]
fn a_text_is_found_where_it_is_first_said() {
    let (text, _) = out(&[trip("after client 2 past DATA\\r\\n => inject server X").times(5)], MAIL, 7);
    assert!(text.contains("C[Su]\n!Inject"), "{text}");
    assert_eq!(text.matches("!Inject").count(), 1, "{text}");
}

#[test]
fn a_lost_reply_is_the_right_one_and_whole() {
    for (text, before, end) in [
        ("after dot => lose fin", "DATA\r\n.\r\n]", "!End(Fin) after the final dot"),
        ("after line RCPT TO:<eve => lose reset", "S[250 ok\r\n250 ok\r\n]", "!End(Reset) after the line RCPT TO:<eve"),
        ("before reply ehlo => lose fin", "C[EHLO a\r\n]", "!End(Fin) before the reply to ehlo"),
        ("after client 3 => lose fin", "C[EHLO a\r\n]", "!End(Fin) after octet 3 of the client"),
    ] {
        for size in [1, 3, 10_000] {
            let (got, lines) = out(&[trip(text)], MAIL, size);
            assert!(got.contains(&format!("{before}\n{end}")), "{text}: {got}");
            assert!(lines.iter().any(|line| line.ends_with("(lost at the gate)")), "{lines:?}");
        }
    }
}

#[test]
fn counts_of_trips_are_kept() {
    let (text, _) = out(&[trip("2x after line RCPT => inject server X").skip(1)], MAIL, 1000);
    assert_eq!(text.matches("!Inject").count(), 1, "{text}");
}

#[test]
fn chunks_and_tls_and_credentials() {
    let script: &[(Side, &str)] = &[
        (S, "220 b\r\n"),
        (C, "BDAT 6\r\nDATA\r\nBDAT 3 LAST\r\n.\r\n"),
        (S, "250 ok\r\n250 queued\r\n"),
        (C, "AUTH PLAIN AGEAYg==\r\n"),
        (S, "334 \r\n"),
        (C, "MAIL\r\n"),
        (S, "235 ok\r\n"),
        (C, "STARTTLS\r\n"),
        (S, "220 go\r\n"),
        (C, "MAIL FROM:<>\r\n"),
        (S, "250 abc"),
    ];
    for size in [1, 2, 100] {
        let (text, lines) = out(&[trip("before dot => inject client 1")], script, size);
        assert!(text.starts_with("S[220 b\r\n]\nC[BDAT 6\r\nDATA\r\nBDAT 3 LAST\r\n.\r]\n!Inject"), "{text}");
        assert_eq!(
            lines,
            [
                "S: 220 b",
                "C: BDAT 6",
                "C: (message, 6 octets)",
                "C: BDAT 3 LAST",
                "C: (message, 3 octets)",
                "S: 250 ok",
                "S: 250 queued",
                "C: AUTH PLAIN (credentials)",
                "S: 334 ",
                "C: (credentials)",
                "S: 235 ok",
                "C: STARTTLS",
                "S: 220 go",
                "C: (TLS, 14 octets)",
                "S: (TLS, 7 octets)"
            ]
        );
        let (text, _) = out(&[trip("before connect => break-tls"), trip("9x after line MAIL => fin")], script, size);
        assert!(text.ends_with("C[STARTTLS\r\n]\nS[220 go\r\n]\nC[MAIL FROM:<>\r\n]\nS[g`eu476]"), "{text}");
    }
}

#[test]
fn stripped_starttls_is_blotted_in_ehlo_replies_alone() {
    let script: &[(Side, &str)] = &[
        (S, "220 STARTTLS\r\n"),
        (C, "EHLO a\r\n"),
        (S, "250-b\r\n250 STARTTLS\r\n"),
        (C, "NOOP\r\n"),
        (S, "250 STARTTLS\r\n"),
    ];
    let armed = [trip("after reply greeting => strip-starttls")];
    let (text, lines) = out(&armed, script, 3);
    assert!(text.contains("S[250-b\r\n250 XXXXXXXX\r\n]") && text.ends_with("S[250 STARTTLS\r\n]"), "{text}");
    assert_eq!(lines[3], "S: 250 XXXXXXXX");
}

#[test]
fn a_refused_data_is_followed_by_commands() {
    let script: &[(Side, &str)] = &[(S, "220 b\r\n"), (C, "DATA\r\n"), (S, "503 no\r\n"), (C, "RSET\r\n.\r\nQUIT\r\n")];
    let (_, lines) = out(&[], script, 1);
    assert_eq!(lines[3..], ["C: RSET", "C: .", "C: QUIT"]);
}
