use std::sync::Arc;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::Record;
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX};

use super::*;

type Zone = Vec<(&'static str, Vec<RData>)>;

/// A name server of a few lines: what is not in the zone does not exist; `broken.example` is SERVFAIL, and so is AAAA of `half.example`.
async fn serve(zone: Zone) -> SocketAddr {
    serve_what_changes(Arc::new(Mutex::new(zone))).await
}

async fn serve_what_changes(zone: Arc<Mutex<Zone>>) -> SocketAddr {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
            let reply = answer(&Message::from_vec(&buffer[..length]).unwrap(), &zone.lock().unwrap());
            socket.send_to(&reply.to_vec().unwrap(), from).await.unwrap();
        }
    });
    address
}

fn answer(query: &Message, zone: &Zone) -> Message {
    let asked = &query.queries[0];
    let name = without_dot(asked.name());
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.add_query(asked.clone());
    match zone.iter().find(|(held, _)| *held == name) {
        _ if name == "broken.example" || name == "half.example" && asked.query_type() == RecordType::AAAA => {
            reply.metadata.response_code = ResponseCode::ServFail
        }
        None => reply.metadata.response_code = ResponseCode::NXDomain,
        Some((_, records)) => {
            for data in records.iter().filter(|data| data.record_type() == asked.query_type()) {
                reply.add_answer(Record::from_rdata(asked.name().clone(), 60, data.clone()));
            }
        }
    }
    reply
}

fn mx(preference: u16, host: &str) -> RData {
    RData::MX(MX::new(preference, Name::from_ascii(host).unwrap()))
}

fn zone() -> Zone {
    let v4 = RData::A(A::new(192, 0, 2, 1));
    let v6 = RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1));
    vec![
        ("two.example", vec![mx(10, "mx1.two.example."), mx(20, "mx2.two.example.")]),
        ("null.example", vec![mx(0, ".")]),
        ("both.example", vec![mx(0, "."), mx(5, "mx.both.example.")]),
        ("a-only.example", vec![v4.clone()]),
        ("dual.example", vec![v4.clone(), v6]),
        ("half.example", vec![v4.clone()]),
        ("empty.example", vec![RData::CNAME(CNAME(Name::root()))]),
        ("xn--bj0bj06e.example", vec![mx(1, "mx.two.example.")]),
    ]
}

#[tokio::test]
async fn mx_outcomes() {
    let dns = Dns::new(&[serve(zone()).await], Duration::from_secs(2)).unwrap();
    let host = |preference, name: &str| MxHost { preference, name: name.into() };
    for (domain, want) in [
        ("two.example", Ok(vec![host(10, "mx1.two.example"), host(20, "mx2.two.example")])),
        ("null.example", Err(DnsError::NullMx)),
        ("both.example", Ok(vec![host(5, "mx.both.example")])),
        ("a-only.example", Err(DnsError::NoRecord)),
        ("nowhere.example", Err(DnsError::NoSuchName)),
        ("한글.example", Ok(vec![host(1, "mx.two.example")])),
    ] {
        let got = dns.mx(&domain.parse().unwrap()).await.map(|answer| answer.found);
        assert_eq!(got, want, "{domain}");
    }
    let broken = dns.mx(&"broken.example".parse().unwrap()).await;
    assert!(matches!(broken, Err(DnsError::Temporary(_))), "{broken:?}");
}

#[tokio::test]
async fn address_outcomes() {
    let dns = Dns::new(&[serve(zone()).await], Duration::from_secs(2)).unwrap();
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let (all, v4) = (Families { v4: true, v6: true }, Families { v4: true, v6: false });
    for (host, families, want) in [
        ("a-only.example", all, Ok(vec![ip("192.0.2.1")])),
        ("dual.example", all, Ok(vec![ip("2001:db8::1"), ip("192.0.2.1")])),
        ("dual.example", v4, Ok(vec![ip("192.0.2.1")])),
        ("half.example", all, Ok(vec![ip("192.0.2.1")])),
        ("two.example", all, Err(DnsError::NoRecord)),
        ("nowhere.example", v4, Err(DnsError::NoSuchName)),
        ("[127.0.0.9]", v4, Ok(vec![ip("127.0.0.9")])),
        ("[IPv6:2001:db8::9]", v4, Ok(vec![ip("2001:db8::9")])),
    ] {
        assert_eq!(dns.addresses(host, families).await.map(|answer| answer.found), want, "{host}");
    }
}

#[tokio::test]
async fn an_answer_says_how_long_it_holds() {
    let dns = Dns::new(&[serve(zone()).await], Duration::from_secs(2)).unwrap();
    let (all, begun) = (Families { v4: true, v6: true }, Instant::now());
    let seconds = |until: Instant| until.saturating_duration_since(begun).as_secs();
    let mx = dns.mx(&"two.example".parse().unwrap()).await.unwrap();
    assert!((59..70).contains(&seconds(mx.until)), "{:?}", seconds(mx.until));
    for (host, want) in
        [("dual.example", 59..70), ("a-only.example", 59..70), ("half.example", 0..10), ("[127.0.0.9]", 3599..4000)]
    {
        let answer = dns.addresses(host, all).await.unwrap();
        assert!(want.contains(&seconds(answer.until)), "{host}: {}", seconds(answer.until));
    }
}

#[tokio::test]
async fn a_mended_zone_counts_where_all_is_forgotten() {
    let host = |name: &str| vec![MxHost { preference: 10, name: name.into() }];
    let zone = Arc::new(Mutex::new(vec![("mended.example", vec![mx(10, "old.example.")])]));
    let dns = Dns::new(&[serve_what_changes(zone.clone()).await], Duration::from_secs(2)).unwrap();
    let ask = async |domain: &str| dns.mx(&domain.parse().unwrap()).await.map(|answer| answer.found);
    assert_eq!(ask("mended.example").await, Ok(host("old.example")));
    assert_eq!(ask("new.example").await, Err(DnsError::NoSuchName));
    *zone.lock().unwrap() = vec![("mended.example", vec![mx(10, "mx.example.")]), ("new.example", vec![mx(10, "mx.example.")])];
    assert_eq!(ask("mended.example").await, Ok(host("old.example")), "its TTL is a minute");
    dns.forget();
    for domain in ["mended.example", "new.example"] {
        assert_eq!(ask(domain).await, Ok(host("mx.example")), "{domain}");
    }
}

#[tokio::test]
async fn a_silent_server_costs_bounded_time() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let dns = Dns::new(&[silent.local_addr().unwrap()], Duration::from_millis(50)).unwrap();
    let begun = std::time::Instant::now();
    assert!(matches!(dns.mx(&"two.example".parse().unwrap()).await, Err(DnsError::Temporary(_))));
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn whose_address_it_is() {
    for (text, own) in [
        ("127.0.0.1", true),
        ("127.9.9.9", true),
        ("0.0.0.0", true),
        ("::1", true),
        ("::", true),
        ("::ffff:127.0.0.1", true),
        ("192.0.2.1", false),
        ("10.0.0.1", false),
        ("2001:db8::1", false),
    ] {
        assert_eq!(is_own_loopback(text.parse().unwrap()), own, "{text}");
    }
    assert!(!is_global_v6(&"fe80::1".parse().unwrap()) && !is_global_v6(&"fd00::1".parse().unwrap()));
    assert!(is_global_v6(&"2001:db8::1".parse().unwrap()));
}
