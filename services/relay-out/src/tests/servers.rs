use lib_mail::Status;

use super::*;
use crate::dial::{Dialer, Manner};
use crate::hop::{By, NextHop, Servers};
use crate::idle::{Idle, Line};
use crate::message::Message;
use crate::targets::Target;
use crate::walk::walk;

const BOTH: [&str; 2] = ["b@x.example", "c@x.example"];

/// Walks from one server to another, and gives the fates in the order of recipients.
async fn walk_over(node: &Node, servers: &[&Scripted], recipients: &[&str]) -> Vec<Status> {
    let id = node.submit(recipients, MESSAGE);
    let claim = Arc::new(node.shared.spool.claim(Queue::Relay, &id).unwrap().unwrap());
    let terms = node.shared.terms.load_full();
    let message = Message::read(&claim, "mail.example.net", &terms.zone).unwrap();
    let targets: Vec<Target> = servers
        .iter()
        .enumerate()
        .map(|(index, server)| Target { name: format!("mx{index}.example"), address: server.address, key: None })
        .collect();
    let hop = NextHop { servers: Servers::Of("x.example".parse().unwrap()), by: By::Default };
    let indexes: Vec<usize> = (0..recipients.len()).collect();
    let mut fates = walk(&node.shared.dialer, &Manner::of(&hop, &terms), &targets, &message, &indexes).await;
    fates.sort_by_key(|fate| fate.index);
    fates.into_iter().map(|fate| fate.status).collect()
}

#[tokio::test]
async fn the_next_server_is_tried_where_the_first_cannot_take_it_now() {
    for (prefix, reply) in [
        ("CONNECT", "421 4.3.2 busy"),
        ("CONNECT", "554 5.7.1 no"),
        ("CONNECT", "521 no mail here"),
        ("CONNECT", ""),
        ("CONNECT", "SSH-2.0"),
        ("EHLO", "421 bye"),
        ("EHLO", ""),
        ("MAIL", "451 4.3.0 later"),
        ("MAIL", "521 no mail here"),
        ("RCPT", "450 4.2.0 greylisted"),
        ("RCPT", "552 too many"),
        ("RCPT", ""),
        ("DATA", "451 later"),
        ("DATA", ""),
        (".", "451 later"),
        (".", ""),
        ("BODY", "451 full"),
        ("BODY", ""),
    ] {
        let (first, second) = (Scripted::start("127.0.0.1:0").await, Scripted::start("127.0.0.1:0").await);
        first.answer(prefix, None, reply);
        let node = Node::new(&settings(25));
        let fates = walk_over(&node, &[&first, &second], &BOTH).await;
        assert!(fates.iter().all(Status::is_success), "{prefix} {reply}: {fates:?}");
        assert_eq!((first.connections(), second.messages().len()), (1, 1), "{prefix} {reply}");
        // Where there is no other, the message waits, whatever the first said of itself.
        node.shared.dialer.idle.expired(true);
        let fates = walk_over(&node, &[&first], &BOTH).await;
        assert!(fates.iter().all(|fate| fate.code / 100 == 4), "{prefix} {reply}: {fates:?}");
    }
}

#[tokio::test]
async fn a_final_answer_is_final() {
    for (prefix, reply, want) in [
        ("MAIL", "550 5.7.1 no", "550 5.7.1 no"),
        ("RCPT", "550 5.1.1 no such user", "550 5.1.1 no such user"),
        ("DATA", "554 no", "554 5.0.0 no"),
        (".", "552 5.3.4 too large", "552 5.3.4 too large"),
        ("BODY", "552 5.3.4 enough", "552 5.3.4 enough"),
    ] {
        let (first, second) = (Scripted::start("127.0.0.1:0").await, Scripted::start("127.0.0.1:0").await);
        first.answer(prefix, None, reply);
        let node = Node::new(&settings(25));
        let fates = walk_over(&node, &[&first, &second], &BOTH).await;
        assert!(fates.iter().all(|fate| fate.to_string() == want), "{prefix} {reply}: {fates:?}");
        assert_eq!(second.connections(), 0, "{prefix} {reply}");
    }
}

#[tokio::test]
async fn a_server_that_is_down_is_passed_over() {
    let down = Scripted::start("127.0.0.1:0").await;
    let mut gone = down.clone();
    gone.address = "127.0.0.1:1".parse().unwrap();
    let up = Scripted::start("127.0.0.1:0").await;
    let node = Node::new(&settings(25));
    assert!(walk_over(&node, &[&gone, &up], &BOTH).await.iter().all(Status::is_success));
    let fates = walk_over(&node, &[&gone], &BOTH).await;
    assert_eq!(fates[0].to_string(), "421 4.4.1 Connection refused with mx0.example [127.0.0.1]");
}

#[tokio::test]
async fn only_those_without_a_final_answer_go_to_the_next_server() {
    let (first, second) = (Scripted::start("127.0.0.1:0").await, Scripted::start("127.0.0.1:0").await);
    first.answer("RCPT TO:<b@", None, "450 4.2.0 later").answer("RCPT TO:<c@", None, "550 5.1.1 no");
    let node = Node::new(&settings(25));
    let fates = walk_over(&node, &[&first, &second], &["b@x.example", "c@x.example", "d@x.example"]).await;
    assert_eq!(fates.iter().map(|fate| fate.code).collect::<Vec<_>>(), [250, 550, 250]);
    let asked: Vec<String> = second.commands().into_iter().filter(|command| command.starts_with("RCPT")).collect();
    assert_eq!(asked, ["RCPT TO:<b@x.example>"]);
}

#[tokio::test]
async fn a_server_that_takes_few_recipients_at_a_time_gets_them_in_turn() {
    let server = Scripted::start("127.0.0.1:0").await;
    server.answer("RCPT TO:<u2@", 1, "452 4.5.3 too many").answer("RCPT TO:<u3@", 1, "452 4.5.3 too many");
    let node = Node::new(&settings(25));
    let fates = walk_over(&node, &[&server], &["u0@x.example", "u1@x.example", "u2@x.example", "u3@x.example"]).await;
    assert!(fates.iter().all(Status::is_success), "{fates:?}");
    assert_eq!((server.connections(), server.messages().len()), (1, 2));
}

#[tokio::test]
async fn a_connection_carries_the_next_message_and_a_closed_one_costs_no_attempt() {
    let server = Scripted::start("127.0.0.1:0").await;
    let node = Node::new(&settings(25));
    for _ in 0..3 {
        assert!(walk_over(&node, &[&server], &BOTH).await[0].is_success());
    }
    assert_eq!(server.connections(), 1);
    // The server says goodbye to the next MAIL, and then drops one without a word.
    for goodbye in ["421 4.4.2 idle too long", ""] {
        let before = server.connections();
        server.answer("MAIL", 1, goodbye);
        assert!(walk_over(&node, &[&server], &BOTH).await[0].is_success(), "{goodbye}");
        assert_eq!(server.connections(), before + 1);
    }
    // On a new connection the same words are an attempt.
    node.shared.dialer.idle.expired(true);
    server.answer("MAIL", 1, "421 4.4.2 go away");
    assert_eq!(walk_over(&node, &[&server], &BOTH).await[0].code, 421);
}

/// A server that was used long ago gives its place to one that was used just now.
#[tokio::test]
async fn without_room_the_connection_that_has_lain_longest_goes() {
    let server = Scripted::start("127.0.0.1:0").await;
    let terms = Terms::new(&settings(server.address.port()), &Secrets::default());
    let hop = NextHop { servers: Servers::Of("x.example".parse().unwrap()), by: By::Default };
    let (manner, dialer, idle) = (Manner::of(&hop, &terms), Dialer::new(Clock::manual(START)), Idle::with_room(2));
    let lines: Vec<Line> = ["mx1.example", "mx2.example", "mx3.example"]
        .map(|name| manner.line(&Target { name: name.into(), address: server.address, key: None }))
        .into();
    for (line, goes) in lines.iter().zip([false, false, true]) {
        let (connection, _) = dialer.dial(&line.target, None, &manner).await.unwrap();
        assert_eq!(idle.keep(line.clone(), connection).is_some(), goes, "{}", line.target.name);
    }
    let kept: Vec<bool> = lines.iter().map(|line| idle.take(line).is_some()).collect();
    assert_eq!(kept, [false, true, true]);
}
