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

/// One alias has up to 10,000 members, and all aliases of one message 100,000 together. What comes on top goes back to the sender, with the
/// reason, and what came before is delivered all the same.
#[test]
fn members_beyond_a_hundred_thousand_are_returned_and_the_others_get_theirs() {
    const ALIASES: usize = 12;
    const EACH: usize = 9_999;
    let mut file = String::new();
    for alias in 0..ALIASES {
        let members: Vec<String> = (0..EACH).map(|member| format!("m{member}@list{alias}.example")).collect();
        file.push_str(&format!("all{alias}: {}\n", members.join(", ")));
    }
    // No line has over 10,000, but lines may name each other.
    file.push_str("vast: vast0, vast1\n");
    for half in 0..2 {
        let members: Vec<String> = (0..5_001).map(|member| format!("v{member}@far{half}.example")).collect();
        file.push_str(&format!("vast{half}: {}\n", members.join(", ")));
    }
    let yard = Yard::new(&file);
    let mut to: Vec<String> = (0..ALIASES).map(|alias| format!("all{alias}@example.kr")).collect();
    to.extend(["vast@example.kr".to_owned(), MINJI.to_owned()]);
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let id = yard.run(envelope(&to), BODY);
    assert!(yard.queued(Queue::Local).is_empty(), "nothing waits");
    assert_eq!(yard.mailbox(MINJI).len(), 1);
    let (told, children): (Vec<_>, Vec<_>) =
        yard.queued(Queue::Relay).into_iter().partition(|child| child.envelope.sender.is_none());
    let passed_on: usize = children.iter().map(|child| child.envelope.recipients.len()).sum();
    // 14 recipients are there from the start; with the members of ten aliases there are 100,004, so the tenth is one too many.
    let fitting = 9;
    assert_eq!(passed_on, fitting * EACH);
    assert!(children.iter().all(|child| child.envelope.parent == Some(id)));
    assert_eq!(told.len(), 1, "one notification for all");
    let claim = yard.office.spool.claim(Queue::Relay, &told[0].id).unwrap().unwrap();
    let text = std::io::read_to_string(claim.body()).unwrap();
    for alias in 0..ALIASES {
        let named = text.contains(&format!("Final-Recipient: rfc822; all{alias}@example.kr"));
        assert_eq!(named, alias >= fitting, "all{alias}: {text}");
    }
    for (code, times, words) in [("5.5.3", 3, "over 100000 recipients"), ("5.2.4", 1, "over 10000 members")] {
        assert_eq!(text.matches(&format!("Status: {code}")).count(), times, "{text}");
        assert!(text.contains(words), "{text}");
    }
}
