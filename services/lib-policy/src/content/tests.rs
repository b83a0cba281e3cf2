use proptest::prelude::*;

use super::*;

fn scan(chunks: &[&[u8]]) -> HeaderScan {
    let mut scan = HeaderScan::new();
    chunks.iter().for_each(|chunk| scan.feed(chunk));
    scan.finish();
    scan
}

fn filter(chunks: &[&[u8]]) -> Vec<u8> {
    let (mut filter, mut out) = (BccFilter::new(), Vec::new());
    chunks.iter().for_each(|chunk| filter.feed(chunk, &mut out));
    filter.finish(&mut out);
    out
}

/// What a scan found, to be compared.
fn found(scan: &HeaderScan) -> (bool, bool, bool, u32, Option<String>, u64, Vec<bool>) {
    let delivered = ["a@example.net", "b@example.net"].map(|address| scan.was_delivered_to(&address.parse().unwrap()));
    (scan.has_date(), scan.has_from(), scan.has_bcc(), scan.hops(), scan.message_id(), scan.octets(), delivered.to_vec())
}

#[test]
fn what_a_header_says() {
    let nothing = (false, false, false, 0, None);
    for (message, expected) in [
        (&b"Date: x\r\nFrom: y\r\nMessage-ID: <1@x>\r\n\r\nBcc: body\r\n"[..], (true, true, false, 0, Some("<1@x>"))),
        (b"DATE : x\r\nmessage-id:\r\n <1@x>\r\n\r\n", (true, false, false, 0, Some("<1@x>"))),
        (b"Message-Id: <1@\r\n\tx>\r\nMessage-ID: <2@x>\r\n\r\n", (false, false, false, 0, Some("<1@x>"))),
        (b"Message-ID:\r\n\r\n", nothing),
        (b"Received: 1\r\n\tfolded\r\nreceived: 2\r\nX-Received: 3\r\n\r\nReceived: 4\r\n", (false, false, false, 2, None)),
        (b"Subject: Date: x\r\n Date: y\r\n\r\n", nothing),
        (b"Resent-Bcc: x\r\n\r\n", (false, false, true, 0, None)),
        (b"Bcc: x", (false, false, true, 0, None)),
        (b"no header at all\r\nDate: x\r\n", nothing),
        (b"\r\nDate: x\r\n", nothing),
        (b"", nothing),
        (b"Date: x\n\nFrom: y\n", (true, false, false, 0, None)),
        (b"Date: x\r\n\xff\xfe: y\r\nFrom: z\r\n", (true, false, false, 0, None)),
    ] {
        let scan = scan(&[message]);
        let (date, from, bcc, hops, id) = expected;
        let got = (scan.has_date(), scan.has_from(), scan.has_bcc(), scan.hops(), scan.message_id());
        assert_eq!(got, (date, from, bcc, hops, id.map(str::to_owned)), "{}", message.escape_ascii());
        assert!(scan.has_ended());
    }
}

#[test]
fn a_loop_is_seen_by_delivered_to() {
    let scan = scan(&[b"Delivered-To: a@example.net\r\nDelivered-To:\r\n B@Example.NET\r\nX-Delivered-To: c@example.net\r\n\r\nDelivered-To: d@example.net\r\n"]);
    for (address, seen) in
        [("A@example.net", true), ("b@example.net", true), ("c@example.net", false), ("d@example.net", false)]
    {
        assert_eq!(scan.was_delivered_to(&address.parse().unwrap()), seen, "{address}");
    }
}

#[test]
fn an_endless_header_takes_no_memory() {
    let mut scan = HeaderScan::new();
    let long = vec![b'x'; 100_000];
    scan.feed(b"Message-ID: <");
    (0..100).for_each(|_| scan.feed(&long));
    (0..100_000).for_each(|_| scan.feed(b"\r\n Delivered-To: x\r\nReceived: x"));
    scan.feed(b"\r\n\r\n");
    assert_eq!(scan.hops(), 100_000);
    assert_eq!(scan.message_id().map(|id| id.len()), Some(1000), "folded lines add to it up to its limit");
}

#[test]
fn bcc_goes_and_nothing_else_does() {
    for (message, expected) in [
        (&b"To: a\r\nBcc: b,\r\n c\r\n\td\r\nDate: x\r\n\r\nBcc: body\r\n"[..], &b"To: a\r\nDate: x\r\n\r\nBcc: body\r\n"[..]),
        (b"bcc : b\r\nX-Bcc: c\r\nBcc2: d\r\n\r\n", b"X-Bcc: c\r\nBcc2: d\r\n\r\n"),
        (b"BCC:\r\n\r\nbody", b"\r\nbody"),
        (b"Bcc: a\r\nResent-Bcc: b\r\nBcc: c", b""),
        (b"Subject: x\r\n Bcc: folded stays\r\n\r\n", b"Subject: x\r\n Bcc: folded stays\r\n\r\n"),
        (b"no header\r\nBcc: body\r\n", b"no header\r\nBcc: body\r\n"),
        (b"Bcc", b"Bcc"),
        (b"", b""),
        (b"\r\nBcc: x\r\n", b"\r\nBcc: x\r\n"),
        (b"Bcc: a\nTo: b\n\nBcc: c\n", b"To: b\n\nBcc: c\n"),
    ] {
        assert_eq!(filter(&[message]).escape_ascii().to_string(), expected.escape_ascii().to_string());
    }
    let mut filter = BccFilter::new();
    filter.feed(b"To: a\r\n", &mut Vec::new());
    assert!(!filter.has_dropped());
    filter.feed(b"Bcc: a\r\n", &mut Vec::new());
    assert!(filter.has_dropped());
}

/// RFC 6409 §8.
#[test]
fn a_submission_gets_what_it_lacks() {
    let fixed =
        |message: &[u8]| fixes(&scan(&[message]), Timestamp(1_795_401_000_123), &TimeZone::UTC, "id", "mail.example.net");
    let both = fixed(b"From: a\r\n\r\n");
    assert_eq!(both.added, "Date: Mon, 23 Nov 2026 02:30:00 +0000\r\nMessage-ID: <id@mail.example.net>\r\n");
    assert_eq!(both.message_id.as_deref(), Some("<id@mail.example.net>"));
    assert_eq!(fixed(b"Date: x\r\nMessage-ID: <1@x>\r\n\r\n"), Fixes::default());
    assert_eq!(fixed(b"Message-ID: <1@x>\r\n\r\n").added, "Date: Mon, 23 Nov 2026 02:30:00 +0000\r\n");
}

/// Lines that a header could hold, so that arbitrary messages reach the states that matter.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just(b"Bcc: a@b\r\n".to_vec()),
        Just(b"bCC \t: a@b\r\n".to_vec()),
        Just(b"Resent-Bcc:\r\n".to_vec()),
        Just(b" folded: x\r\n".to_vec()),
        Just(b"Date: x\r\n".to_vec()),
        Just(b"Received: x\r\n".to_vec()),
        Just(b"Message-ID: <1@x>\r\n".to_vec()),
        Just(b"Delivered-To: a@example.net\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"text\r\n".to_vec()),
        Just([&[b'y'; 1200][..], b": x\r\n"].concat()),
        proptest::collection::vec(any::<u8>(), 0..20),
    ];
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

fn split<'a>(message: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (message.len() + 1)).collect();
    cuts.sort_unstable();
    let mut chunks = Vec::new();
    let mut start = 0;
    for cut in cuts.into_iter().chain([message.len()]) {
        chunks.push(&message[start..cut]);
        start = cut;
    }
    chunks
}

proptest! {
    #[test]
    fn any_split_gives_the_same(message in message(), cuts in proptest::collection::vec(any::<usize>(), 0..10)) {
        let chunks = split(&message, &cuts);
        let octets: Vec<&[u8]> = message.chunks(1).collect();
        prop_assert_eq!(filter(&chunks), filter(&[&message]));
        prop_assert_eq!(filter(&octets), filter(&[&message]));
        prop_assert_eq!(found(&scan(&chunks)), found(&scan(&[&message])));
        prop_assert_eq!(found(&scan(&octets)), found(&scan(&[&message])));
    }

    #[test]
    fn the_fuzz_body_holds(length: u8, message in message()) {
        crate::fuzzing::message(&[&[length][..], &message].concat());
    }

    #[test]
    fn scan_and_filter_agree(message in message()) {
        let filtered = filter(&[&message]);
        let (before, after) = (scan(&[&message]), scan(&[&filtered]));
        prop_assert!(!after.has_bcc(), "{}", filtered.escape_ascii());
        prop_assert_eq!(filtered.len() < message.len(), before.has_bcc());
        prop_assert_eq!((before.has_date(), before.hops()), (after.has_date(), after.hops()));
        prop_assert_eq!(filter(&[&filtered]), filtered);
    }
}
