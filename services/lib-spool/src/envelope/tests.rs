use std::net::SocketAddr;

use lib_mail::{Address, BodyType, Envelope, Notify, Peer, Protocol, QueueId, Recipient, Return, Timestamp, Trust};
use proptest::prelude::*;

use super::{parse, print};
use crate::Queue;

fn address() -> impl Strategy<Value = Address> {
    prop_oneof![
        "[a-z%!#+=]{1,12}@[a-z]{1,8}\\.example".prop_map(|text| text.parse().unwrap()),
        Just("\"a b,%20\"@[IPv6:2001:db8::1]".parse().unwrap()),
        Just("민지@메일.example".parse().unwrap()),
        Just("a..b.@docomo.example".parse().unwrap()),
    ]
}

fn notify() -> impl Strategy<Value = Notify> {
    prop_oneof![
        Just(Notify::Default),
        Just(Notify::Never),
        any::<[bool; 3]>().prop_map(|[success, failure, delay]| Notify::On { success, failure, delay }),
    ]
}

fn recipient() -> impl Strategy<Value = Recipient> {
    (address(), notify(), any::<Option<String>>()).prop_map(|(address, notify, orcpt)| Recipient { address, notify, orcpt })
}

fn peer() -> impl Strategy<Value = Peer> {
    let trust = prop_oneof![Just(Trust::Direct), Just(Trust::Asserted), Just(Trust::Hidden)];
    (any::<SocketAddr>(), any::<Option<SocketAddr>>(), trust)
        .prop_map(|(socket, asserted, trust)| Peer { socket, asserted, trust })
        // A scope or flow label is not part of an address's text as every system reads it.
        .prop_map(|mut peer| {
            for address in [Some(&mut peer.socket), peer.asserted.as_mut()].into_iter().flatten() {
                *address = SocketAddr::new(address.ip(), address.port());
            }
            peer
        })
}

prop_compose! {
    fn parts()(
        sender in proptest::option::of(address()),
        recipients in proptest::collection::vec(recipient(), 0..5),
        ret in prop_oneof![Just(None), Just(Some(Return::Full)), Just(Some(Return::Headers))],
        envid in any::<Option<String>>(),
        eight: bool,
        utf8: bool,
        times in any::<(i64, i64)>(),
    ) -> Envelope {
        Envelope {
            sender, recipients, ret, envid, utf8,
            body: if eight { BodyType::EightBitMime } else { BodyType::SevenBit },
            arrived: Timestamp(times.0),
            deadline: Timestamp(times.1),
            peer: None,
            helo: String::new(),
            protocol: Protocol { extended: false, tls: false, auth: false, utf8: false, local: false },
            account: None,
            added: String::new(),
            parent: None,
        }
    }
}

prop_compose! {
    fn envelope()(
        parts in parts(),
        peer in proptest::option::of(peer()),
        helo: String,
        [extended, tls, auth, utf8, local] in any::<[bool; 5]>(),
        account: Option<String>,
        added in prop_oneof![any::<String>(), "([A-Z]: [ -~]{0,20}\r?\n){0,4}"],
        parent in proptest::option::of(any::<(i64, u32)>()),
    ) -> Envelope {
        let parent = parent.map(|(at, serial)| QueueId::new(Timestamp(at), 0, serial));
        Envelope { peer, helo, protocol: Protocol { extended, tls, auth, utf8, local }, account, added, parent, ..parts }
    }
}

proptest! {
    #[test]
    fn any_envelope_comes_back(envelope in envelope(), relay in any::<Option<bool>>()) {
        let queue = relay.map(|relay| if relay { Queue::Relay } else { Queue::Local }).filter(|_| envelope.parent.is_some());
        let text = print(&envelope, queue);
        prop_assert_eq!(text.matches('\n').count(), text.lines().count());
        let (read, read_queue) = parse(&text).expect("what was printed is read");
        prop_assert_eq!(&read, &envelope);
        prop_assert_eq!(read_queue, queue);
        prop_assert_eq!(print(&read, queue), text);
    }

    #[test]
    fn no_text_panics(text in "(([a-z0-9 %=.@\n]|from |to |peer |add |\n\\.\n)){0,40}") {
        let _ = parse(&text);
    }
}

#[test]
fn it_can_be_read_by_a_person() {
    let envelope = Envelope {
        sender: Some("minji@example.kr".parse().unwrap()),
        recipients: vec![
            Recipient::new("jun@example.net".parse().unwrap()),
            Recipient {
                address: "\"a b\"@c.example".parse().unwrap(),
                notify: Notify::On { success: true, failure: false, delay: true },
                orcpt: Some("rfc822;a+20b@c.example".into()),
            },
        ],
        ret: Some(Return::Headers),
        envid: Some("QQ314159".into()),
        body: BodyType::EightBitMime,
        utf8: true,
        arrived: Timestamp(1_795_401_000_123),
        deadline: Timestamp(1_795_833_000_123),
        peer: Some(Peer {
            socket: "10.0.0.1:1234".parse().unwrap(),
            asserted: Some("[2001:db8::1]:25".parse().unwrap()),
            trust: Trust::Asserted,
        }),
        helo: "pc 100%".into(),
        protocol: Protocol { extended: true, tls: true, auth: true, utf8: false, local: false },
        account: Some("minji@example.kr".into()),
        added: "Date: Mon, 23 Nov 2026\r\n\t02:30:00 +0000\r\nX: bare".into(),
        parent: Some("0000000000000000000a".parse().unwrap()),
    };
    let text = "from minji@example.kr\nret headers\nenvid QQ314159\nbody 8bitmime\nutf8\narrived 1795401000123\n\
        deadline 1795833000123\npeer 10.0.0.1:1234 asserted [2001:db8::1]:25\nhelo pc 100%25\nprotocol extended tls auth\n\
        account minji@example.kr\nparent 0000000000000000000a relay\nadd Date: Mon, 23 Nov 2026\nadd %0902:30:00 +0000\n\
        addraw X: bare\nto jun@example.net\nto \"a%20b\"@c.example notify=success,delay orcpt=rfc822;a+20b@c.example\n.\n";
    assert_eq!(print(&envelope, Some(Queue::Relay)), text);
    assert_eq!(parse(text), Some((envelope, Some(Queue::Relay))));
}

#[test]
fn what_this_version_did_not_write_is_not_guessed() {
    let good = "from\narrived 1\ndeadline 2\nprotocol\nto a@b.example\n.\n";
    assert!(parse(good).is_some());
    for (from, to) in [
        ("\n.\n", "\n"),
        ("from\n", ""),
        ("from\n", "from nobody\n"),
        ("arrived 1", "arrived soon"),
        ("deadline 2", "deadline"),
        ("protocol", "protocol lmtp"),
        ("protocol\n", "protocol\npriority 5\n"),
        ("to a@b", "to "),
        ("a@b.example", "a@b.example size=1"),
        ("a@b.example", "a@b.example notify=maybe"),
        ("a@b.example", "a@b.example notify"),
        ("protocol", "peer 1.2.3.4 direct\nprotocol"),
        ("protocol", "peer 1.2.3.4:5 sure\nprotocol"),
        ("protocol", "helo %\nprotocol"),
        ("protocol", "body binarymime\nprotocol"),
        ("arrived", "ret all\narrived"),
        ("to a", "parent x\nto a"),
        ("to a", "parent 0000000000000000000a hold\nto a"),
    ] {
        assert_eq!(parse(&good.replacen(from, to, 1)), None, "{from:?} -> {to:?}");
    }
}
