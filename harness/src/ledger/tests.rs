//! The books over made-up findings.

use super::*;
use crate::record::Books;

fn message(token: &str) -> Vec<u8> {
    format!("Received: x\r\n{FIELD}: {token}\r\n\r\nbody\r\n").into_bytes()
}

#[test]
fn the_audit_by_token() {
    let ledger = Ledger::default();
    ledger.enter("a", Line::new(Told::Accepted, &["x@e.example"]));
    ledger.enter("b", Line::new(Told::Accepted, &["x@e.example", "y@e.example"]));
    ledger.enter("c", Line::new(Told::Refused, &["x@e.example"]));
    ledger.enter("d", Line::new(Told::Nothing, &["x@e.example"]));
    let audit = |tokens: &[&str]| {
        let found: Vec<_> = tokens.iter().map(|token| message(token)).collect();
        ledger.audit(found.iter().map(Vec::as_slice))
    };
    assert!(audit(&["a", "b", "b"]).balanced().is_ok());
    assert!(audit(&["a", "b", "b", "d"]).balanced().is_ok());
    for bad in
        [&["a", "b"][..], &["a", "a", "b", "b"], &["a", "b", "b", "c"], &["a", "b", "b", "d", "d"], &["a", "b", "b", "z"]]
    {
        assert!(audit(bad).balanced().is_err(), "{bad:?}");
    }
    assert_eq!(audit(&["a", "b"]).lost, ["b"]);
}

const SENT: &str = "X-Ledger: t\r\n\r\nbody\r\n";

fn mailbox(address: &str) -> Found {
    let text = format!("Received: by us\n{}", SENT.replace("\r\n", "\n"));
    Found::in_mailbox("node", address, text.as_bytes()).unwrap()
}

fn queue(recipient: &str) -> Found {
    let place = Place::Queue { node: "node".into(), id: "1".into(), recipients: vec![recipient.into()] };
    Found { token: "t".into(), place, text: None }
}

fn outside(recipient: &str) -> Found {
    let place = Place::Outside { peer: "peer".into(), recipients: vec![recipient.into()] };
    Found { token: "t".into(), place, text: None }
}

fn bounce(recipient: &str) -> Found {
    let text = format!(
        "Subject: returned\n\nwords\n\nReporting-MTA: dns; a.example\n\nFinal-Recipient: rfc822; {recipient}\nAction: failed\nStatus: 5.1.1\n\n\
         From: x\nX-Ledger: t\n\n"
    );
    Found::in_mailbox("node", "sender@c.example", text.as_bytes()).unwrap()
}

/// `list@e.example` leads to a and b.
fn finals(given: &str) -> Vec<String> {
    match given {
        "list@e.example" => vec!["a@e.example".into(), "b@e.example".into()],
        other => vec![other.into()],
    }
}

fn books(line: Line, found: &[Found]) -> Books {
    let ledger = Ledger::default();
    ledger.enter("t", Line { sent: Some(Sent::of(SENT.as_bytes())), ..line });
    ledger.balance(found, &finals).0
}

fn even(books: &Books) -> bool {
    books.lost.is_empty()
        && books.duplicated.is_empty()
        && books.damaged.is_empty()
        && books.refused_but_found.is_empty()
        && books.unknown == 0
}

#[test]
fn each_recipient_has_one_fate() {
    let (a, b) = ("a@e.example", "b@e.example");
    let accepted = |to: &[&str]| Line::new(Told::Accepted, to);
    for (what, line, found, good) in [
        ("delivered", accepted(&[a]), vec![mailbox(a)], true),
        ("nowhere", accepted(&[a]), vec![], false),
        ("twice", accepted(&[a]), vec![mailbox(a), mailbox(a)], false),
        ("in another's mailbox", accepted(&[a]), vec![mailbox(b)], false),
        ("one of two", accepted(&[a, b]), vec![mailbox(a)], false),
        ("one delivered, one queued", accepted(&[a, b]), vec![mailbox(a), queue(b)], true),
        ("one delivered, one bounced", accepted(&[a, b]), vec![mailbox(a), bounce(b)], true),
        ("one handed over, one bounced", accepted(&[a, b]), vec![outside(a), bounce(b)], true),
        ("delivered and bounced", accepted(&[a]), vec![mailbox(a), bounce(a)], false),
        ("delivered and handed over", accepted(&[a]), vec![mailbox(a), outside(a)], false),
        ("a list", accepted(&["list@e.example"]), vec![mailbox(a), mailbox(b)], true),
        ("a list that waits", accepted(&["list@e.example"]), vec![queue("list@e.example")], true),
        ("a list and its member", accepted(&["list@e.example", a]), vec![mailbox(a), mailbox(b)], true),
        ("half a list", accepted(&["list@e.example"]), vec![mailbox(b)], false),
        ("refused", Line::new(Told::Refused, &[a]), vec![], true),
        ("refused and there", Line::new(Told::Refused, &[a]), vec![mailbox(a)], false),
        ("in doubt", Line::new(Told::Nothing, &[a]), vec![], true),
        ("in doubt and there", Line::new(Told::Nothing, &[a]), vec![mailbox(a)], true),
        ("in doubt and there twice", Line::new(Told::Nothing, &[a]), vec![mailbox(a), mailbox(a)], false),
    ] {
        let books = books(line, &found);
        assert_eq!(even(&books), good, "{what}: {books:?}");
    }
}

#[test]
fn a_retry_after_a_lost_reply_may_lawfully_leave_two() {
    let ledger = Ledger::default();
    ledger.enter("t", Line::new(Told::Nothing, &["a@e.example"]));
    ledger.enter("t", Line::new(Told::Accepted, &["a@e.example"]));
    let copies = |n: usize| vec![mailbox("a@e.example"); n];
    for (n, good) in [(0, false), (1, true), (2, true), (3, false)] {
        assert_eq!(even(&ledger.balance(&copies(n), &finals).0), good, "{n}");
    }
}

#[test]
fn a_changed_octet_is_damage() {
    let sent = Sent::of(SENT.as_bytes());
    assert!(sent.ends(b"Received: x\nX-Ledger: t\n\nbody\n"));
    assert!(sent.ends(b"Received: x\r\nX-Ledger: t\r\n\r\nbody\r\n"));
    assert!(!sent.ends(b"Received: x\nX-Ledger: t\n\nbody \n"));
    assert!(!sent.ends(b"body\n"));
}

#[test]
fn a_delay_warning_is_no_bounce() {
    let text = b"Subject: delayed\n\nFinal-Recipient: rfc822; a@e.example\nAction: delayed\n\nX-Ledger: t\n\n";
    assert_eq!(Found::in_mailbox("node", "sender@c.example", text), None);
}

#[test]
fn a_sender_outside_is_told_of_a_failure_and_has_no_copy() {
    let to = || vec!["sender@c.example".to_owned()];
    let notification = "Subject: returned\n\nFinal-Recipient: rfc822; b@e.example\nAction: failed\n\nX-Ledger: t\n\n";
    let place = |text: &str| Found::outside("peer", to(), text.as_bytes()).map(|found| found.place);
    let bounce = Place::Bounce { node: "peer".into(), recipients: vec!["b@e.example".into()] };
    assert_eq!(place(notification), Some(bounce));
    assert_eq!(place(&notification.replace("failed", "delayed")), None);
    assert_eq!(place(SENT), Some(Place::Outside { peer: "peer".into(), recipients: to() }));
}
