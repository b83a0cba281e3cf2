//! Name servers asked over real sockets.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::Name;

use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LONG: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(150);

fn question(name: &str, kind: &str) -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), data::kind(kind).unwrap()));
    message.to_vec().unwrap()
}

/// Asks over UDP; `None` where no answer comes.
fn ask_within(to: SocketAddr, name: &str, kind: &str, patience: Duration) -> Option<Message> {
    let socket = UdpSocket::bind((if to.is_ipv4() { "127.0.0.1" } else { "::1" }, 0)).unwrap();
    socket.set_read_timeout(Some(patience)).unwrap();
    socket.send_to(&question(name, kind), to).unwrap();
    let mut answer = [0; 4096];
    let read = socket.recv(&mut answer).ok()?;
    Some(Message::from_vec(&answer[..read]).unwrap())
}

fn ask(to: SocketAddr, name: &str, kind: &str) -> Message {
    ask_within(to, name, kind, LONG).unwrap()
}

fn ask_tcp(to: SocketAddr, name: &str, kind: &str) -> Message {
    let mut stream = TcpStream::connect(to).unwrap();
    let question = question(name, kind);
    stream.write_all(&u16::try_from(question.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(&question).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    Message::from_vec(&answer).unwrap()
}

/// The code and the records of an answer: `NoError: MX 10 mx.b.example.`.
fn said(answer: &Message) -> String {
    let records: Vec<String> =
        answer.answers.iter().map(|record| format!("{} {}", record.record_type(), record.data)).collect();
    format!("{:?}: {}", answer.metadata.response_code, records.join(", "))
}

fn zone() -> Dns {
    let dns = Dns::start(LOOPBACK).unwrap();
    dns.mx("b.example", 10, "mx.b.example").unwrap();
    dns.host("mx.b.example", "127.0.0.5".parse().unwrap()).unwrap();
    dns.cname("www.b.example", "mx.b.example").unwrap();
    dns.txt("b.example", "v=spf1 -all").unwrap();
    dns
}

#[test]
fn it_answers_what_it_holds() {
    let dns = zone();
    for (name, kind, expected) in [
        ("b.example", "MX", "NoError: MX 10 mx.b.example."),
        ("B.Example.", "TXT", "NoError: TXT v=spf1 -all"),
        ("mx.b.example", "A", "NoError: A 127.0.0.5"),
        ("mx.b.example", "AAAA", "NoError: "),
        ("www.b.example", "A", "NoError: CNAME mx.b.example., A 127.0.0.5"),
        ("example", "A", "NoError: "),
        ("c.example", "A", "NXDomain: "),
        ("b.example", "NS", "NoError: NS ns.b.example."),
        ("b.example", "SOA", "NoError: SOA ns.b.example. hostmaster.b.example. 1 1 1 1 1"),
    ] {
        assert_eq!(said(&ask(dns.address(), name, kind)), expected, "{name} {kind}");
    }
    let missing = ask(dns.address(), "no.c.example", "A");
    assert_eq!(missing.authorities[0].name.to_string(), "c.example.");
    assert!(missing.metadata.recursion_available);
    assert_eq!(dns.asked("b.example", "MX").unwrap(), 1);
    assert_eq!(dns.questions().len(), 10);
    dns.remove("b.example").unwrap();
    assert_eq!(said(&ask(dns.address(), "b.example", "MX")), "NoError: ");
}

#[test]
fn an_alias_to_itself_ends() {
    let dns = Dns::start(LOOPBACK).unwrap();
    dns.cname("a.example", "b.example").unwrap();
    dns.cname("b.example", "a.example").unwrap();
    assert_eq!(ask_tcp(dns.address(), "a.example", "A").answers.len(), 9);
}

#[test]
fn moods() {
    let dns = zone();
    let at = |mood: &str| {
        dns.mood(Some("b.example"), mood.parse().unwrap()).unwrap();
        let patience = if mood == "silent" { SHORT } else { LONG };
        ask_within(dns.address(), "b.example", "MX", patience).map(|answer| said(&answer))
    };
    assert_eq!(at("servfail").unwrap(), "ServFail: ");
    assert_eq!(at("refused").unwrap(), "Refused: ");
    assert_eq!(at("nxdomain").unwrap(), "NXDomain: ");
    assert_eq!(at("lie A 127.0.0.9 | MX 1 evil.example").unwrap(), "NoError: A 127.0.0.9, MX 1 evil.example.");
    assert_eq!(at("silent"), None);
    assert_eq!(said(&ask(dns.address(), "b.example.c", "MX")), "NXDomain: ", "others are not concerned");
    assert_eq!(at("truncated").unwrap(), "NoError: ");
    assert!(ask(dns.address(), "b.example", "MX").metadata.truncation);
    assert_eq!(said(&ask_tcp(dns.address(), "b.example", "MX")), "NoError: MX 10 mx.b.example.");
    let start = Instant::now();
    dns.mood(Some("b.example"), Mood::Slow(SHORT)).unwrap();
    assert_eq!(said(&ask(dns.address(), "b.example", "MX")), "NoError: MX 10 mx.b.example.");
    assert!(start.elapsed() >= SHORT);
    dns.mood(None, Mood::ServFail).unwrap();
    assert_eq!(said(&ask(dns.address(), "mx.b.example", "A")), "ServFail: ");
    assert_eq!(at("answer").unwrap(), "NoError: MX 10 mx.b.example.", "a name's own mood goes first");
}

#[test]
fn each_view_has_its_own_records_and_moods() {
    let dns = zone();
    let view = dns.view(SocketAddr::new(LOOPBACK, 0)).unwrap();
    let v6 = dns.view("[::1]:0".parse().unwrap()).unwrap();
    view.host("mx.b.example", "127.0.0.77".parse().unwrap()).unwrap();
    v6.mood(None, Mood::ServFail).unwrap();
    for (address, expected) in
        [(dns.address(), "NoError: A 127.0.0.5"), (view.address(), "NoError: A 127.0.0.77"), (v6.address(), "ServFail: ")]
    {
        assert_eq!(said(&ask(address, "mx.b.example", "A")), expected);
    }
    assert_eq!(said(&ask(view.address(), "b.example", "MX")), "NoError: MX 10 mx.b.example.", "the rest is shared");
    assert_eq!(said(&ask(view.address(), "www.b.example", "A")), "NoError: CNAME mx.b.example., A 127.0.0.77");
    view.remove("mx.b.example").unwrap();
    assert_eq!(said(&ask(view.address(), "mx.b.example", "A")), "NoError: A 127.0.0.5");
    dns.mood(None, Mood::Refused).unwrap();
    view.mood(Some("b.example"), Mood::Answer).unwrap();
    assert_eq!(ask(view.address(), "b.example", "MX").metadata.response_code, ResponseCode::NoError);
    assert_eq!(ask(view.address(), "mx.b.example", "A").metadata.response_code, ResponseCode::Refused);
    assert_eq!((view.asked("mx.b.example", "A").unwrap(), dns.asked("mx.b.example", "A").unwrap()), (3, 5));
    let (address, log) = (view.address(), dns.questions());
    assert!(log.iter().any(|question| question.to == address && question.name == "www.b.example."));
    drop(view);
    crate::wait::wait_until("the end of the view", LONG, || UdpSocket::bind(address).is_ok()).unwrap();
    assert_eq!(said(&ask(v6.address(), "b.example", "MX")), "ServFail: ", "the others go on");
}

#[test]
fn block_lists() {
    let dns = Dns::start(LOOPBACK).unwrap();
    let codes = ["127.0.0.2", "127.0.0.10"].map(|code| code.parse().unwrap());
    dns.listed("bl.example", "192.0.2.9".parse().unwrap(), &codes, "ask for removal").unwrap();
    dns.listed("bl.example", "2001:db8::9".parse().unwrap(), &codes[..1], "").unwrap();
    let nibbles = "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.example";
    for (name, kind, expected) in [
        ("9.2.0.192.bl.example", "A", "NoError: A 127.0.0.2, A 127.0.0.10"),
        ("9.2.0.192.bl.example", "TXT", "NoError: TXT ask for removal"),
        (nibbles, "A", "NoError: A 127.0.0.2"),
        ("2.0.0.127.bl.example", "A", "NoError: A 127.0.0.2"),
        ("1.0.0.127.bl.example", "A", "NXDomain: "),
        ("10.2.0.192.bl.example", "A", "NXDomain: "),
    ] {
        assert_eq!(said(&ask(dns.address(), name, kind)), expected, "{name} {kind}");
    }
    dns.unlisted("bl.example", "192.0.2.9".parse().unwrap()).unwrap();
    assert_eq!(said(&ask(dns.address(), "9.2.0.192.bl.example", "A")), "NXDomain: ");
}

#[test]
fn steered_from_outside() {
    let dns = Arc::new(zone());
    let server = ControlServer::start(SocketAddr::new(LOOPBACK, 0), Arc::clone(&dns)).unwrap();
    let mut control = Control::connect(server.address()).unwrap();
    control.add("b.example", "MX 20 mx2.b.example").unwrap();
    control.set("mx.b.example", "A 127.0.0.6").unwrap();
    control.list("bl.example", "192.0.2.9".parse().unwrap(), &["127.0.0.4".parse().unwrap()], "an open relay").unwrap();
    control.mood(Some("x.example"), &Mood::Lie(vec!["A 127.0.0.9".into()])).unwrap();
    for (name, kind, expected) in [
        ("b.example", "MX", "NoError: MX 10 mx.b.example., MX 20 mx2.b.example."),
        ("mx.b.example", "A", "NoError: A 127.0.0.6"),
        ("9.2.0.192.bl.example", "TXT", "NoError: TXT an open relay"),
        ("x.example", "MX", "NoError: A 127.0.0.9"),
    ] {
        assert_eq!(said(&ask(dns.address(), name, kind)), expected, "{name} {kind}");
    }
    assert_eq!(control.asked("b.example", "MX").unwrap(), 1);
    control.mood(None, &Mood::ServFail).unwrap();
    control.remove("b.example").unwrap();
    control.unlist("bl.example", "192.0.2.9".parse().unwrap()).unwrap();
    assert_eq!(said(&ask(dns.address(), "b.example", "MX")), "ServFail: ");
    for command in ["", "dance now", "set b.example A x", "mood * x", "list bl.example 1 2", "list bl.example 127.0.0.1 x"] {
        assert!(control.call(command).unwrap_err().to_string().contains("error"), "{command}");
    }
}
