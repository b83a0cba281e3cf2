//! The program as one of a pair (R3.3).

use std::os::unix::net::UnixDatagram;

use lib_account::Lists;
use lib_net::pin::{PAIR_NAME, fingerprint, sha256};
use lib_net::tls::Certificates;
use lib_net::wake::{Receiver, Wake};
use lib_settings::{CertificateText, PairPeer};
use tokio_rustls::TlsAcceptor;

use super::queue::wait_until;
use super::*;
use crate::pair::attend;

fn made() -> CertificateText {
    let made = rcgen::generate_simple_self_signed(vec!["x.example".to_owned()]).unwrap();
    CertificateText { names: Vec::new(), chain: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

const OFFER: &str = "250-mx\n250-STARTTLS\n250-PIPELINING\n250-XFORWARD ADDR HELO\n250-XLIST\n250 AUTH EXTERNAL";

/// A server under `key` that offers all that a peer does.
async fn server(key: &CertificateText, offer: &'static str) -> Scripted {
    let named = CertificateText { names: vec![PAIR_NAME.into()], ..key.clone() };
    let certificates = Certificates::load(&[named]).unwrap();
    let server = Scripted::start_with("127.0.0.1:0", Some(TlsAcceptor::from(certificates.config(Some(PAIR_NAME))))).await;
    server.answer("EHLO", None, offer).answer("STARTTLS", None, "220 go").answer("AUTH", None, "235 welcome");
    server
}

/// A node whose peer `one` is primary for x.example, at `server`, under `key`.
fn node(server: &Scripted, key: &CertificateText) -> Node {
    let mut settings = settings(25);
    settings.pair.probe_interval = Duration::from_millis(100);
    settings.pair.peers = vec![PairPeer {
        name: "one".into(),
        host: Some("[127.0.0.1]".parse().unwrap()),
        port: server.address.port(),
        fingerprint: fingerprint(key).unwrap(),
        domains: vec!["x.example".parse().unwrap()],
        max_age: Duration::from_secs(86_400),
    }];
    let node = Node::new(&settings);
    let secrets = Secrets { pair: Some(made()), ..Secrets::default() };
    node.shared.terms.store(Arc::new(Terms::new(&settings, &secrets)));
    std::fs::create_dir(node.dir.path().join(lib_account::PAIRS)).unwrap();
    node
}

fn lists(node: &Node) -> Lists {
    Lists::open(node.dir.path())
}

#[tokio::test]
async fn mail_for_a_peers_domain_goes_to_its_host_and_says_whose_it_is() {
    let key = made();
    let server = server(&key, OFFER).await;
    let node = node(&server, &key);
    let id = node.submit(&["b@x.example", "c@sub.x.example"], MESSAGE);
    assert_eq!(node.attempt(id).await, Next::Gone);
    let said = server.commands();
    let first = said.iter().position(|line| line.starts_with("XFORWARD")).unwrap();
    assert!(said[first].contains("ADDR=192.0.2.7 ") && said[first].contains("HELO=client.example "), "{said:?}");
    assert_eq!(said[first + 1], "MAIL FROM:<a@example.net>");
    assert_eq!((server.messages().len(), server.connections()), (1, 1), "one transaction for all domains of the peer");
    // The next message uses the connection that has been proved.
    let id = node.submit(&["b@x.example"], MESSAGE);
    assert_eq!((node.attempt(id).await, server.connections()), (Next::Gone, 1));
    assert_eq!(server.commands().iter().filter(|line| line.starts_with("XFORWARD")).count(), 2);
}

#[tokio::test]
async fn without_the_key_nobody_gets_anything_and_mail_waits() {
    let key = made();
    let plain = "250-mx\n250 PIPELINING";
    let stranger = "250-mx\n250-STARTTLS\n250 AUTH PLAIN";
    for (case, held, offer, why) in [
        ("an impostor", made(), OFFER, "not the peer's"),
        ("no TLS", key.clone(), plain, "offers no TLS"),
        ("a peer that does not know us", key.clone(), stranger, "does not know our certificate"),
    ] {
        let server = server(&held, offer).await;
        let node = node(&server, &key);
        let id = node.submit(&["b@x.example"], MESSAGE);
        assert!(matches!(node.attempt(id).await, Next::Due(_)), "{case}");
        assert!(node.words(id)[0].contains(why), "{case}: {:?}", node.words(id));
        assert!(server.messages().is_empty(), "{case}");
        let said = server.commands();
        assert!(said.iter().all(|line| ["EHLO", "STARTTLS"].iter().any(|verb| line.starts_with(verb))), "{case}: {said:?}");
    }
}

#[tokio::test]
async fn no_name_server_can_make_a_peers_mail_come_back() {
    let key = made();
    let server = server(&key, OFFER).await;
    let node = node(&server, &key);
    let mut settings = settings(25);
    settings.pair = node.shared.terms.load().pair.clone();
    // No name server answers here; by name alone the peer cannot be found.
    settings.pair.peers[0].host = None;
    let secrets = Secrets { pair: Some(made()), ..Secrets::default() };
    node.shared.terms.store(Arc::new(Terms::new(&settings, &secrets)));
    let id = node.submit(&["b@x.example"], MESSAGE);
    assert!(matches!(node.attempt(id).await, Next::Due(_)));
    assert!(node.words(id)[0].starts_with("451 4.4.3 Cannot find the peer one: "), "{:?}", node.words(id));
}

/// Says the reply to `XLIST …` as a peer would that has these lines.
fn answer_list(server: &Scripted, question: &str, lines: &[String], from: usize, most: usize) {
    let digest = sha256(lines.join("\n").as_bytes());
    let mut reply = vec![format!("{digest} {}", lines.len())];
    reply.extend(lines.iter().skip(from).take(most).cloned());
    answer(server, question, &reply);
}

fn answer(server: &Scripted, question: &str, lines: &[String]) {
    let text: Vec<String> = lines.iter().map(|line| format!("250-{line}")).collect();
    let text = text.join("\n");
    let at = text.rfind("250-").unwrap();
    let text = format!("{}250 {}", &text[..at], &text[at + 4..]);
    server.answer(question.to_owned().leak(), None, text.leak());
}

fn lines(count: usize) -> Vec<String> {
    std::iter::once("domain x.example".to_owned()).chain((0..count).map(|n| format!("mailbox u{n}@x.example"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_start_the_list_is_fetched_what_waits_goes_out_and_the_peer_is_asked_for_ours() {
    let key = made();
    let server = server(&key, OFFER).await;
    let all = lines(250);
    let digest = sha256(all.join("\n").as_bytes());
    answer_list(&server, "XLIST -", &all, 0, 100);
    answer_list(&server, &format!("XLIST {digest} 100"), &all, 100, 100);
    answer_list(&server, &format!("XLIST {digest} 200"), &all, 200, 100);
    answer(&server, &format!("XLIST {digest}"), &[format!("{digest} {}", all.len())]);
    let node = node(&server, &key);
    let wakes = Receiver::new(UnixDatagram::bind(node.dir.path().join("wake-relay")).unwrap()).unwrap();
    let care = tokio::spawn(attend(node.shared.clone()));
    let flush = || [Wake::Below("x.example".parse().unwrap())];
    assert_eq!(wakes.receive(10).await.unwrap(), flush());
    // Once more, for what was being recorded at that moment.
    assert_eq!(wakes.receive(10).await.unwrap(), flush());
    let kept = || lists(&node).read("one").unwrap().in_force;
    wait_until("the list", || kept().is_some_and(|(listed, _)| listed.list.len() == 250)).await;
    let etrn: Vec<String> = server.commands().into_iter().filter(|line| line.starts_with("ETRN")).collect();
    assert_eq!(etrn, ["ETRN @example.net"]);
    wait_until("the contact", || lists(&node).contact("one").is_some_and(|contact| contact.trouble.is_none())).await;
    // On a word it is asked again, and an unchanged list is confirmed.
    node.clock.advance(Duration::from_secs(60));
    node.shared.board.fetch();
    wait_until("the confirmation", || kept().is_some_and(|(_, at)| at == START.plus(Duration::from_secs(60)))).await;
    assert!(server.commands().contains(&format!("XLIST {digest}")));
    // Mail that waits is tried again soon, and goes out when the peer is there.
    node.shared.board.waits("one");
    assert_eq!(wakes.receive(10).await.unwrap(), flush());
    care.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_cannot_be_right_is_not_taken() {
    let key = made();
    let all = lines(150);
    let digest = sha256(all.join("\n").as_bytes());
    let head = format!("{digest} {}", all.len());
    let first: Vec<String> = std::iter::once(head.clone()).chain(all.iter().take(100).cloned()).collect();
    let mut forged = all.clone();
    forged[120] = "mailbox evil@x.example".into();
    let rest = |lines: &[String]| std::iter::once(head.clone()).chain(lines.iter().skip(100).cloned()).collect::<Vec<_>>();
    for (case, first, second, why) in [
        ("it breaks off", &first, vec![head.clone()], "breaks off"),
        ("its digest is another's", &first, rest(&forged), "not what its digest says"),
        ("it is nonsense", &vec!["hello".to_owned()], Vec::new(), "is not understood"),
        ("it changes all the time", &first, vec![format!("{} 1", sha256(b"x")), "size 1".into(), "size 2".into()], ""),
    ] {
        let server = server(&key, OFFER).await;
        answer(&server, "XLIST -", first);
        if !second.is_empty() {
            answer(&server, &format!("XLIST {digest} 1"), &second);
        }
        let node = node(&server, &key);
        let care = tokio::spawn(attend(node.shared.clone()));
        wait_until("the contact", || lists(&node).contact("one").is_some()).await;
        let kept = lists(&node).read("one").unwrap();
        assert_eq!((kept.in_force, kept.proposed), (None, None), "{case} {why}");
        care.abort();
    }
}
