use lib_spool::Command;

use super::*;

const TO: &str = "b@[127.0.0.1]";

#[tokio::test]
async fn a_message_is_relayed_with_our_trace_in_front_and_leaves_the_queue() {
    let server = Scripted::start("127.0.0.1:0").await;
    let node = Node::new(&settings(server.address.port()));
    let id = node.submit(&[TO], MESSAGE);
    assert_eq!(node.attempt(id).await, Next::Gone);
    assert!(node.queue(Queue::Relay).is_empty());
    let got = String::from_utf8(server.messages().remove(0)).unwrap();
    let want = format!(
        "Received: from client.example ([192.0.2.7])\r\n\tby mail.example.net with ESMTP id {id}\r\n\tfor <{TO}>;\r\n\t\
         Mon, 23 Nov 2026 02:30:00 +0000\r\nX-Added: yes\r\n"
    );
    assert_eq!(got, want + std::str::from_utf8(MESSAGE).unwrap());
    assert!(server.commands().contains(&"EHLO mail.example.net".to_owned()));
}

#[tokio::test]
async fn a_long_message_arrives_as_it_was() {
    let server = Scripted::start("127.0.0.1:0").await;
    let node = Node::new(&settings(server.address.port()));
    let body: String = (0..20_000).map(|line| format!(".{line}\r\n")).collect();
    let message = format!("Subject: long\r\n\r\n{body}");
    let id = node.submit(&[TO], message.as_bytes());
    assert_eq!(node.attempt(id).await, Next::Gone);
    let got = String::from_utf8(server.messages().remove(0)).unwrap();
    assert!(got.ends_with(&message) && got.len() < message.len() + 400);
}

#[tokio::test]
async fn a_refused_message_waits_as_the_schedule_says_and_is_relayed_later() {
    let server = Scripted::start("127.0.0.1:0").await;
    server.answer("RCPT", 2, "450 4.2.0 greylisted");
    let node = Node::new(&settings(server.address.port()));
    let id = node.submit(&[TO], MESSAGE);
    for minutes in [5, 15] {
        let due = node.clock.now().plus(Duration::from_secs(minutes * 60));
        assert_eq!(node.attempt(id).await, Next::Due(due));
        assert_eq!(node.words(id), ["450 4.2.0 greylisted"]);
        node.clock.advance(Duration::from_secs(minutes * 60));
    }
    assert_eq!(node.attempt(id).await, Next::Gone);
    assert_eq!(server.messages().len(), 1);
}

#[tokio::test]
async fn a_failure_goes_back_to_the_sender_and_a_failed_bounce_to_nobody_but_the_postmaster() {
    let server = Scripted::start("127.0.0.1:0").await;
    server.answer("RCPT TO:<b@", None, "550 5.1.1 No such user");
    let node = Node::new(&settings(server.address.port()));
    let id = node.submit(&[TO, "c@[127.0.0.1]"], MESSAGE);
    assert_eq!(node.attempt(id).await, Next::Gone);
    assert_eq!(server.messages().len(), 1);
    let [bounce] = node.queue(Queue::Local).try_into().unwrap();
    assert_eq!((bounce.envelope.sender, bounce.envelope.parent), (None, Some(id)));
    assert_eq!(bounce.envelope.recipients[0].address.as_str(), "a@example.net");
    let text = node.text(Queue::Local, bounce.id);
    assert!(text.contains("Diagnostic-Code: smtp; 550 5.1.1 No such user") && text.contains("Subject: hello"), "{text}");

    let id = node.submit_with(&[TO], MESSAGE, |envelope| envelope.sender = None);
    assert_eq!(node.attempt(id).await, Next::Gone);
    let to: Vec<String> = node.queue(Queue::Local).iter().map(|one| one.envelope.recipients[0].address.to_string()).collect();
    assert!(to.contains(&"postmaster@example.net".to_owned()), "{to:?}");

    let silent = |envelope: &mut Envelope| envelope.recipients[0].notify = Notify::Never;
    let id = node.submit_with(&[TO], MESSAGE, silent);
    assert_eq!(node.attempt(id).await, Next::Gone);
    assert_eq!(node.queue(Queue::Local).len(), 2, "nobody wanted to hear of that one");
}

#[tokio::test]
async fn success_is_told_where_it_was_asked_for_and_the_peer_will_not_tell() {
    let server = Scripted::start("127.0.0.1:0").await;
    let node = Node::new(&settings(server.address.port()));
    let id = node.submit_with(&[TO], MESSAGE, on_success);
    assert_eq!(node.attempt(id).await, Next::Gone);
    let [told] = node.queue(Queue::Local).try_into().unwrap();
    assert!(node.text(Queue::Local, told.id).contains("Action: relayed"));

    server.answer("EHLO", None, "250-mx\n250 DSN");
    node.shared.dialer.idle.expired(true);
    let id = node.submit_with(&[TO], MESSAGE, on_success);
    assert_eq!(node.attempt(id).await, Next::Gone);
    assert_eq!(node.queue(Queue::Local).len(), 1, "the peer tells");
    assert!(server.commands().iter().any(|command| command.ends_with("NOTIFY=SUCCESS,FAILURE")));
}

#[tokio::test]
async fn after_the_deadline_a_failed_attempt_is_the_last() {
    let server = Scripted::start("127.0.0.1:0").await;
    server.answer("MAIL", None, "451 4.3.0 later");
    let node = Node::new(&settings(server.address.port()));
    let id = node.submit(&[TO], MESSAGE);
    assert!(matches!(node.attempt(id).await, Next::Due(_)));
    // The clock jumps: that alone returns nothing.
    node.clock.advance(Duration::from_secs(6 * 86_400));
    assert!(matches!(node.attempt(id).await, Next::Due(_)));
    let warnings = node.queue(Queue::Local);
    assert_eq!(warnings.len(), 1, "the sender is warned once");
    node.clock.advance(Duration::from_secs(1800));
    assert_eq!(node.attempt(id).await, Next::Gone);
    let bounces = node.queue(Queue::Local);
    let texts: Vec<String> = bounces.iter().map(|one| node.text(Queue::Local, one.id)).collect();
    assert!(texts.iter().any(|text| text.contains("Action: delayed")) && texts.iter().any(|text| text.contains("5.4.7")));
}

#[tokio::test]
async fn a_message_in_a_circle_is_returned() {
    let server = Scripted::start("127.0.0.1:0").await;
    let node = Node::new(&settings(server.address.port()));
    let message = format!("{}Subject: x\r\n\r\n", "Received: by x\r\n".repeat(101));
    let id = node.submit(&[TO], message.as_bytes());
    assert_eq!(node.attempt(id).await, Next::Gone);
    let [bounce] = node.queue(Queue::Local).try_into().unwrap();
    assert!(node.text(Queue::Local, bounce.id).contains("554 5.4.6"));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn an_administrator_can_have_a_message_returned() {
    let server = Scripted::start("127.0.0.1:0").await;
    let node = Node::new(&settings(server.address.port()));
    let id = node.submit(&[TO], MESSAGE);
    node.shared.spool.command(&id, Command::Bounce, Duration::ZERO).unwrap();
    assert_eq!(node.attempt(id).await, Next::Gone);
    assert_eq!((server.connections(), node.queue(Queue::Local).len()), (0, 1));
}

#[tokio::test]
async fn what_a_peer_does_not_take_fails_with_its_own_code() {
    let server = Scripted::start("127.0.0.1:0").await;
    server.answer("EHLO", None, "250 mx");
    let mut settings = settings(server.address.port());
    settings.relay.convert_8bit = false;
    let node = Node::new(&settings);
    for (message, utf8, want) in [
        ("Subject: x\r\n\r\n한\r\n", false, "5.6.3"),
        ("Subject: 한\r\n\r\nx\r\n", true, "5.6.7"),
        ("Subject: 한\r\n\r\nx\r\n", false, "5.6.3"),
    ] {
        let id = node.submit_with(&[TO], message.as_bytes(), |envelope| envelope.utf8 = utf8);
        assert_eq!(node.attempt(id).await, Next::Gone);
        let bounce = node.queue(Queue::Local).into_iter().find(|one| one.envelope.parent == Some(id)).unwrap();
        assert!(node.text(Queue::Local, bounce.id).contains(&format!("Status: {want}")), "{message}");
    }
    // Declared but not used: nothing stands in the way.
    let id = node.submit_with(&[TO], MESSAGE, |envelope| {
        envelope.body = BodyType::EightBitMime;
        envelope.utf8 = true;
        envelope.helo = "한".into();
    });
    let before = server.messages().len();
    assert_eq!(node.attempt(id).await, Next::Gone);
    // With SMTPUTF8 asked for, the peer's name in our Received field is UTF-8, and so needs it.
    assert_eq!(server.messages().len(), before);
    let id = node.submit_with(&[TO], MESSAGE, |envelope| envelope.helo = "한".into());
    assert_eq!(node.attempt(id).await, Next::Gone);
    assert_eq!(server.messages().len(), before + 1);
}

/// R3.7: 8-bit mail for a server without 8BITMIME goes out in 7-bit form, unless that would change what is signed.
#[tokio::test]
async fn an_8_bit_message_is_converted_for_a_server_without_8bitmime() {
    let server = Scripted::start("127.0.0.1:0").await;
    server.answer("EHLO", None, "250 mx");
    let node = Node::new(&settings(server.address.port()));
    let head = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
    let long = "한국어\r\n".repeat(20_000);
    for body in ["한\r\n", &long] {
        let id = node.submit(&[TO], format!("{head}{body}").as_bytes());
        assert_eq!(node.attempt(id).await, Next::Gone);
        let sent = String::from_utf8(server.messages().pop().unwrap()).unwrap();
        let want = body.lines().map(|line| line.bytes().map(|octet| format!("={octet:02X}")).collect::<String>() + "\r\n");
        let expected = head.replace("8bit", "quoted-printable") + &want.collect::<String>();
        assert!(sent.starts_with("Received: ") && sent.ends_with(&expected), "{}", &sent[..sent.len().min(800)]);
    }
    let id = node.submit(&[TO], format!("DKIM-Signature: v=1\r\n{head}한\r\n").as_bytes());
    assert_eq!(node.attempt(id).await, Next::Gone);
    let [bounce] = node.queue(Queue::Local).try_into().unwrap();
    assert!(node.text(Queue::Local, bounce.id).contains("Status: 5.6.3"));
    assert_eq!(server.messages().len(), 2);
}

/// R3.6: a domain that has become ours, since the message waits or because it came from another node's queue.
#[tokio::test]
async fn mail_for_what_is_ours_by_now_goes_to_the_local_queue() {
    let node = Node::new(&settings(9));
    let first = node.submit(&["b@example.net", "c@[127.0.0.1]"], MESSAGE);
    assert!(matches!(node.attempt(first).await, Next::Due(_)));
    let local = node.queue(Queue::Local);
    let to: Vec<_> = local.iter().flat_map(|listing| &listing.envelope.recipients).map(|to| to.address.to_string()).collect();
    assert_eq!(to, ["b@example.net"]);
    assert_eq!(local[0].envelope.parent, Some(first));
    assert_eq!(node.text(Queue::Local, local[0].id).as_bytes(), MESSAGE);
    assert!(node.words(first)[0].contains("passed on as"), "{:?}", node.words(first));
    node.attempt(first).await;
    assert_eq!(node.queue(Queue::Local).len(), 1, "once");
    let alone = node.submit(&["d@example.net"], MESSAGE);
    assert_eq!(node.attempt(alone).await, Next::Gone);
    assert_eq!(node.queue(Queue::Local).len(), 2);
    // What the other program has just passed on is attempted here first.
    let child = node.submit_with(&["e@example.net"], MESSAGE, |envelope| envelope.parent = Some(alone));
    assert!(matches!(node.attempt(child).await, Next::Due(_)), "{:?}", node.words(child));
    assert_eq!(node.queue(Queue::Local).len(), 2);
    node.attempt(child).await;
    assert_eq!(node.queue(Queue::Local).len(), 3);
}
