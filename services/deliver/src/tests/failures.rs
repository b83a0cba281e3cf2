//! What waits, what is given up, and who is told.

use lib_mail::Notify;
use lib_spool::{Command, What};

use super::*;

/// A yard in which no mailbox of the domain can be made, until it is unblocked.
fn blocked() -> (Yard, std::path::PathBuf) {
    let yard = Yard::new("");
    let path = yard.dir.as_ref().unwrap().path().join("mail/example.kr");
    std::fs::write(&path, "in the way").unwrap();
    (yard, path)
}

#[test]
fn what_cannot_be_written_waits_and_arrives_later() {
    let (yard, path) = blocked();
    let id = yard.commit(envelope(&[MINJI]), BODY);
    assert_eq!(attempt(&yard.office, id), Next::At(START.plus(Duration::from_secs(300))));
    let (listing, _) = yard.only(Queue::Local);
    assert_eq!(listing.recipients.last(0).unwrap().what, What::Deferred);
    assert!(yard.office.spool.due(Queue::Local, START).all(|shard| shard.unwrap().due.is_empty()));
    std::fs::remove_file(path).unwrap();
    yard.clock.advance(Duration::from_secs(300));
    assert_eq!(attempt(&yard.office, id), Next::None);
    assert_eq!(yard.mailbox(MINJI).len(), 1);
    assert!(yard.queued(Queue::Local).is_empty() && yard.queued(Queue::Relay).is_empty());
}

#[test]
fn what_waits_too_long_is_returned_after_a_warning() {
    let (yard, _) = blocked();
    let id = yard.commit(envelope(&[MINJI]), BODY);
    let mut told = Vec::new();
    for _ in 0..300 {
        let Next::At(due) = attempt(&yard.office, id) else { break };
        yard.clock.advance(due.since(yard.clock.now()));
        for listing in yard.queued(Queue::Relay) {
            if !told.contains(&listing.id) {
                told.push(listing.id);
            }
        }
    }
    assert!(yard.queued(Queue::Local).is_empty());
    assert!(yard.clock.now().since(START) >= FIVE_DAYS);
    let texts: Vec<_> = (yard.queued(Queue::Relay).iter())
        .map(|told| std::io::read_to_string(yard.office.spool.claim(Queue::Relay, &told.id).unwrap().unwrap().body()).unwrap())
        .collect();
    assert_eq!(texts.len(), 2);
    for (action, status) in [("delayed", "4.3.0"), ("failed", "5.4.7")] {
        let found = texts.iter().any(|text| text.contains(&format!("Action: {action}")) && text.contains(status));
        assert!(found, "{action}: {texts:?}");
    }
}

#[test]
fn accounts_that_cannot_be_read_refuse_nobody() {
    let yard = Yard::new("");
    yard.office.maps.store(Arc::new(Maps { accounts: None, ..maps("") }));
    let id = yard.commit(envelope(&["nobody@example.kr", MINJI]), BODY);
    assert!(matches!(attempt(&yard.office, id), Next::At(_)));
    assert!(yard.queued(Queue::Relay).is_empty());
    yard.office.maps.store(Arc::new(maps("")));
    assert_eq!(attempt(&yard.office, id), Next::None);
    assert_eq!((yard.mailbox(MINJI).len(), yard.queued(Queue::Relay).len()), (1, 1));
}

/// R1.2: through an alias, and for one recipient of several.
#[test]
fn what_is_too_large_for_a_mailbox_comes_back() {
    let yard = Yard::new("info: minji, far@elsewhere.example\n");
    let settings =
        Settings { smtp: lib_settings::Smtp { local_size_limit: lib_settings::Bytes(100), ..settings().smtp }, ..settings() };
    yard.office.rules.store(Arc::new(Rules::new(&settings).unwrap()));
    for (to, size, delivered) in [(SORA, 100, true), (SORA, 101, false), ("info@example.kr", 101, false)] {
        let before: Vec<QueueId> = yard.queued(Queue::Relay).iter().map(|listing| listing.id).collect();
        yard.run(envelope(&[to]), &format!("Subject: x\r\n\r\n{}\r\n", "x".repeat(size - 16)));
        let told = yard.queued(Queue::Relay).into_iter().filter(|listing| !before.contains(&listing.id));
        let texts: Vec<String> = told
            .map(|told| yard.office.spool.claim(Queue::Relay, &told.id).unwrap().unwrap())
            .map(|claim| std::io::read_to_string(claim.body()).unwrap())
            .collect();
        let refusal = "552 5.2.3 Message is too large for this mailbox; 100 bytes max";
        assert_eq!(texts.iter().any(|text| text.contains(refusal)), !delivered, "{to} {size}: {texts:?}");
    }
    assert_eq!((yard.mailbox(SORA).len(), yard.mailbox(MINJI).len()), (1, 0));
}

#[test]
fn who_is_told_of_what() {
    let on = |success, failure| Notify::On { success, failure, delay: false };
    for (to, notify, told) in [
        ("nobody@example.kr", Notify::Default, Some("failed")),
        ("nobody@example.kr", Notify::Never, None),
        ("nobody@example.kr", on(true, false), None),
        ("nobody@example.kr", on(false, true), Some("failed")),
        (MINJI, Notify::Default, None),
        (MINJI, on(true, false), Some("delivered")),
        ("one@example.kr", on(true, false), Some("delivered")),
        ("two@example.kr", on(true, false), Some("expanded")),
        ("two@example.kr", on(false, true), None),
    ] {
        let yard = Yard::new("one: minji\ntwo: minji, sora\n");
        let mut envelope = envelope(&[to]);
        envelope.recipients[0].notify = notify;
        yard.run(envelope, BODY);
        match told {
            None => assert!(yard.queued(Queue::Relay).is_empty(), "{to} {notify:?}"),
            Some(action) => {
                let (_, text) = yard.only(Queue::Relay);
                assert!(text.contains(&format!("Action: {action}")), "{to} {notify:?}: {text}");
            }
        }
        assert!(yard.queued(Queue::Local).is_empty());
    }
}

#[test]
fn one_notification_tells_of_all_that_failed() {
    let yard = Yard::new("");
    yard.run(envelope(&["a@example.kr", MINJI, "b@example.kr"]), BODY);
    let (_, text) = yard.only(Queue::Relay);
    assert!(text.contains("a@example.kr") && text.contains("b@example.kr") && !text.contains("Final-Recipient: rfc822; minji"));
    assert_eq!(yard.mailbox(MINJI).len(), 1);
}

#[test]
fn a_notification_that_fails_goes_to_the_postmaster_and_then_nowhere() {
    let yard = Yard::new("");
    let bounce = |to| Envelope { sender: None, ..envelope(&[to]) };
    yard.run(bounce("nobody@example.kr"), BODY);
    let (double, _) = yard.only(Queue::Local);
    assert_eq!(double.envelope.recipients[0].address, address("postmaster@example.kr"));
    attempt(&yard.office, double.id);
    assert_eq!(yard.mailbox("postmaster@example.kr").len(), 1);
    // Without a postmaster it ends there.
    yard.office.maps.store(Arc::new(Maps { accounts: Some(Arc::default()), ..maps("") }));
    yard.run(bounce("postmaster@example.kr"), BODY);
    assert!(yard.queued(Queue::Local).is_empty() && yard.queued(Queue::Relay).is_empty());
}

#[test]
fn an_order_to_bounce_returns_what_waits() {
    let (yard, _) = blocked();
    let id = yard.commit(envelope(&[MINJI]), BODY);
    attempt(&yard.office, id);
    yard.office.spool.command(&id, Command::Bounce, Duration::ZERO).unwrap();
    attempt(&yard.office, id);
    assert!(yard.queued(Queue::Local).is_empty());
    assert!(yard.only(Queue::Relay).1.contains("Returned by an administrator"));
}
