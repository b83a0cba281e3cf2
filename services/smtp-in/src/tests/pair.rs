//! A peer of a pair at the door (R3.3).

use std::time::Duration;

use lib_net::pin::{PAIR_NAME, fingerprint, pinned_client};
use lib_settings::{Bytes, CertificateText, PairPeer, Settings};
use lib_spool::{Place, Queue};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::MESSAGE;
use super::node::{Client, Node, id};

/// The key of the host and those of the pair.
struct Keys {
    host: CertificateText,
    server: CertificateText,
    client: CertificateText,
}

fn made(names: &[&str]) -> CertificateText {
    let made = rcgen::generate_simple_self_signed(vec!["x.example".to_owned()]).unwrap();
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateText { names, chain: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

fn start(change: impl FnOnce(&mut Settings)) -> (Node, Keys) {
    let keys = Keys { host: made(&[]), server: made(&[PAIR_NAME]), client: made(&[]) };
    let node = Node::start(|settings| {
        settings.pair.peers = vec![PairPeer {
            name: "two".into(),
            host: Some("mx2.example".parse().unwrap()),
            port: 25,
            fingerprint: fingerprint(&keys.client).unwrap(),
            domains: Vec::new(),
            max_age: Duration::from_secs(86_400),
        }];
        settings.default_domain = Some("a.example".parse().unwrap());
        change(settings);
    });
    node.shared.certificates.replace(&[keys.host.clone(), keys.server.clone()]).unwrap();
    (node, keys)
}

async fn shown(node: &Node, keys: &Keys, own: &CertificateText) -> Client<TlsStream<TcpStream>> {
    let config = pinned_client(own, &fingerprint(&keys.server).unwrap()).unwrap();
    let mut client = node.mx().await.secured_with(PAIR_NAME, config).await;
    client.say("EHLO mx2.example", "250 ").await;
    client
}

async fn peer(node: &Node, keys: &Keys) -> Client<TlsStream<TcpStream>> {
    let mut peer = shown(node, keys, &keys.client).await;
    peer.say("AUTH EXTERNAL =", "235 2.7.0").await;
    peer
}

#[tokio::test]
async fn the_original_client_stands_in_the_envelope_and_in_the_log() {
    let (node, keys) = start(|settings| settings.smtp.relay_networks = vec!["192.0.2.0/24".parse().unwrap()]);
    let mut peer = peer(&node, &keys).await;
    peer.say("XFORWARD ADDR=192.0.2.7 PORT=5000 PROTO=ESMTP HELO=client.example IDENT=X", "250 ").await;
    let id = id(&peer.message("x@else.example", &["minji@a.example"], MESSAGE, "250 2.0.0").await);
    let (envelope, _) = node.claimed(Queue::Local, &id).unwrap();
    let from = envelope.peer.unwrap();
    assert_eq!(from.asserted, Some("192.0.2.7:5000".parse().unwrap()));
    assert!(from.socket.ip().is_loopback());
    assert_eq!((envelope.helo.as_str(), envelope.protocol.name()), ("client.example", "ESMTPSA"));
    let relays = node.events().into_iter().filter_map(|event| match event.what {
        lib_record::What::Accepted { relay, .. } => Some(relay),
        _ => None,
    });
    assert_eq!(relays.collect::<Vec<_>>(), ["client.example [192.0.2.7]"]);
    // It is said of one message.
    let id = super::node::id(&peer.message("x@else.example", &["minji@a.example"], MESSAGE, "250 2.0.0").await);
    assert_eq!(node.claimed(Queue::Local, &id).unwrap().0.peer.unwrap().asserted, None);
}

#[tokio::test]
async fn who_has_another_key_is_a_stranger() {
    let (node, keys) = start(|_| {});
    let mut other = shown(&node, &keys, &made(&[])).await;
    other.say("AUTH EXTERNAL =", "502 ").await;
    other.say("XLIST -", "502 ").await;
    other.say("XFORWARD ADDR=192.0.2.7", "502 ").await;
    other.say("MAIL FROM:<x@else.example>", "250 ").await;
    other.say("RCPT TO:<nobody@a.example>", "550 5.1.1").await;
    // The usual name shows the usual certificate.
    let config = pinned_client(&keys.client, &fingerprint(&keys.host).unwrap()).unwrap();
    let mut client = node.mx().await.secured_with("mail.a.example", config).await;
    client.say("EHLO mx2.example", "250 SIZE").await;
    client.say("AUTH EXTERNAL =", "502 ").await;
}

#[tokio::test]
async fn what_would_be_refused_is_held_with_its_reason_and_no_client_gains_a_right() {
    let (node, keys) = start(|settings| {
        settings.smtp.relay_networks = vec!["192.0.2.0/24".parse().unwrap()];
        settings.smtp.local_size_limit = Bytes(2000);
        settings.smtp.hop_limit = 3;
    });
    let large = format!("Subject: x\r\n\r\n{}", format!("{}\r\n", "x".repeat(98)).repeat(30));
    let looped = "Received: by a\r\n".repeat(4) + "\r\nx\r\n";
    let mut peer = peer(&node, &keys).await;
    for (to, octets, queue, why) in [
        (&["nobody@a.example", "ghost@a.example"][..], "x\r\n", Queue::Local, "550 5.1.1"),
        (&["x@elsewhere.example"], "x\r\n", Queue::Relay, "550 5.7.1"),
        (&["minji@a.example"], large.as_str(), Queue::Local, "552 5.2.3"),
        (&["minji@a.example"], looped.as_str(), Queue::Local, "554 5.4.6"),
    ] {
        peer.say("XFORWARD ADDR=192.0.2.7", "250 ").await;
        let id = id(&peer.message("x@else.example", to, octets.as_bytes(), "250 2.0.0").await);
        let held = node.shared.spool.show(&id).unwrap();
        assert_eq!((held.len(), held[0].place, held[0].queue), (1, Place::Held, queue), "{why}");
        for index in 0..to.len() {
            let said = &held[0].recipients.last(index).unwrap().status.text;
            assert!(said.starts_with(&format!("Quarantined, handed over by two: {why} ")), "{said}");
        }
    }
    assert_eq!(node.recorded(|what| matches!(what, lib_record::What::Notice { text } if text.starts_with("on hold: "))), 4);
}

#[tokio::test]
async fn good_recipients_and_others_go_different_ways() {
    let (node, keys) = start(|_| {});
    let mut peer = peer(&node, &keys).await;
    peer.say("MAIL FROM:<x@else.example>", "250 ").await;
    peer.say("RCPT TO:<minji@a.example>", "250 2.1.5").await;
    peer.say("RCPT TO:<nobody@a.example>", "452 4.5.3").await;
    peer.say("DATA", "354 ").await;
    peer.send("x\r\n.\r\n").await;
    let good = id(&peer.expect("250 2.0.0").await);
    assert_eq!(node.shared.spool.show(&good).unwrap()[0].place, Place::Queued);
    let bad = id(&peer.message("x@else.example", &["nobody@a.example"], b"x\r\n", "250 2.0.0").await);
    assert_eq!(node.shared.spool.show(&bad).unwrap()[0].place, Place::Held);
    let next = id(&peer.message("x@else.example", &["minji@a.example"], b"x\r\n", "250 2.0.0").await);
    assert_eq!(node.shared.spool.show(&next).unwrap()[0].place, Place::Queued);
}

#[tokio::test]
async fn a_peer_reads_the_list_and_an_unchanged_one_in_a_line() {
    let (node, keys) = start(|_| {});
    let mut peer = peer(&node, &keys).await;
    peer.send("XLIST -\r\n").await;
    let lines = peer.lines().await;
    let (digest, count) = lines[0].split_once(' ').unwrap();
    assert_eq!(count.parse::<usize>().unwrap(), lines.len() - 1);
    assert_eq!(lib_net::pin::sha256(lines[1..].join("\n").as_bytes()), digest);
    let list = lib_policy::RecipientList::parse(lines[1..].iter().map(String::as_str)).unwrap();
    assert!(list.find(&"minji@a.example".parse().unwrap()).is_some());
    assert_eq!(list.size_limit, node.shared.rules.load().settings.smtp.message_size_limit.0);
    peer.say(&format!("XLIST {digest}"), &format!("250 {digest} {count}")).await;
    peer.send(format!("XLIST {digest} 1\r\n")).await;
    assert_eq!(peer.lines().await[1..], lines[2..]);
}

#[tokio::test]
async fn a_peer_meets_no_limit_of_its_address_and_etrn_has_no_pause() {
    let (node, keys) = start(|settings| {
        settings.smtp.connection_rate_per_address = lib_settings::Rate { count: 2, per: Duration::from_secs(60) };
        settings.smtp.max_sessions_per_address = 2;
    });
    let mut first = peer(&node, &keys).await;
    first.say("ETRN backup.example", "250 ").await;
    first.say("ETRN backup.example", "250 ").await;
    let mut more = Vec::new();
    for _ in 0..10 {
        more.push(peer(&node, &keys).await);
    }
    assert_eq!(node.shared.gate.sessions(), 11);
}
