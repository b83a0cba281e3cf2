//! Aliases: members here, members elsewhere, circles.

use lib_mail::Notify;

use super::*;

#[test]
fn members_here_get_copies_and_members_elsewhere_a_child() {
    let yard = Yard::new("team: minji, sora, lee@away.example, kim@far.example\n");
    let mut envelope = envelope(&["team@example.kr", "minji@example.kr"]);
    envelope.recipients[0].notify = Notify::On { success: false, failure: true, delay: false };
    let id = yard.run(envelope, BODY);
    assert_eq!((yard.mailbox(MINJI).len(), yard.mailbox(SORA).len()), (1, 1));
    assert!(yard.mailbox(SORA)[0].contains("for <team@example.kr>"), "the address that was asked for");
    let (child, text) = yard.only(Queue::Relay);
    assert_eq!(text, BODY);
    assert_eq!(child.envelope.parent, Some(id));
    let to: Vec<_> = child.envelope.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
    assert_eq!(to, ["lee@away.example", "kim@far.example"]);
    assert_eq!(child.envelope.recipients[0].orcpt.as_deref(), Some("rfc822;team@example.kr"));
    assert_eq!(child.envelope.recipients[0].notify, Notify::On { success: false, failure: true, delay: false });
    assert_eq!(child.envelope.added, "Delivered-To: team@example.kr\r\nX-Added: yes\r\n");
    assert_eq!(child.envelope.sender, Some(address("Lee@sender.example")));
    assert!(yard.queued(Queue::Local).is_empty());
}

#[test]
fn an_expansion_is_made_once() {
    let mut yard = Yard::new("team: minji, lost@example.kr\n");
    let blocked = yard.dir.as_ref().unwrap().path().join("mail/example.kr");
    std::fs::write(&blocked, "in the way").unwrap();
    let id = yard.run(envelope(&["team@example.kr"]), BODY);
    std::fs::remove_file(&blocked).unwrap();
    // The alias leads elsewhere now, and its old members stay: they were recorded.
    yard.restart("team: sora\n");
    attempt(&yard.office, id);
    assert_eq!((yard.mailbox(MINJI).len(), yard.mailbox(SORA).len()), (1, 0));
    let (told, text) = yard.only(Queue::Relay);
    assert_eq!(told.envelope.recipients[0].address, address("lee@sender.example"));
    assert!(text.contains("team@example.kr"), "the sender hears of the name it used: {text}");
}

#[test]
fn a_member_whose_account_is_gone_fails() {
    let mut yard = Yard::new("team: minji, sora\n");
    let blocked = yard.dir.as_ref().unwrap().path().join("mail/example.kr");
    std::fs::write(&blocked, "in the way").unwrap();
    let id = yard.run(envelope(&["team@example.kr"]), BODY);
    std::fs::remove_file(&blocked).unwrap();
    yard.restart("");
    let mut maps = maps("");
    maps.accounts = Some(Arc::new([Account::new(address(SORA))].into_iter().collect()));
    yard.office.maps.store(Arc::new(maps));
    attempt(&yard.office, id);
    assert_eq!(yard.mailbox(SORA).len(), 1);
    assert!(yard.only(Queue::Relay).1.contains("5.1.1"));
}

#[test]
fn circles_are_returned() {
    for (aliases, to, header, says) in [
        ("a: b\nb: a\n", "a@example.kr", "", "5.4.6"),
        ("", MINJI, "Delivered-To: minji@example.kr\r\n", "5.4.6"),
        ("team: lee@away.example\n", "team@example.kr", "Delivered-To: <Team@example.kr>\r\n", "5.4.6"),
        ("old: |/bin/program\n", "old@example.kr", "", "5.3.3"),
        ("", "nobody@example.kr", "", "5.1.1"),
    ] {
        let yard = Yard::new(aliases);
        yard.run(envelope(&[to]), &format!("{header}{BODY}"));
        let (told, text) = yard.only(Queue::Relay);
        assert_eq!(told.envelope.sender, None);
        assert!(text.contains(&format!("Status: {says}")), "{to}: {text}");
        assert!(yard.queued(Queue::Local).is_empty() && yard.mailbox(MINJI).is_empty());
    }
}

#[test]
fn a_domain_that_is_not_ours_any_more_is_passed_on() {
    let yard = Yard::new("");
    let id = yard.run(envelope(&["lee@moved.example", "kim@moved.example"]), BODY);
    let mut children = yard.queued(Queue::Relay);
    children.sort_by_key(|child| child.envelope.recipients[0].address.to_string());
    assert_eq!(children.len(), 2, "each alone, so that a repeat makes the same messages");
    assert_eq!(children[1].envelope.parent, Some(id));
    assert_eq!((children[1].envelope.added.as_str(), &children[1].envelope.recipients[0].orcpt), ("X-Added: yes\r\n", &None));
}
