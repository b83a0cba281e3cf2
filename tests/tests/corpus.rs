//! Real mail goes client → node A → MX look-up → node B → Maildir → POP3 → client and comes out as it went in.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bongsu_harness::client::{Ran, run};
use bongsu_harness::corpus::{Sample, foreign, made};
use bongsu_harness::dns::Dns;
use bongsu_harness::node::{Node, Plan, port};
use bongsu_harness::wait::wait_for;
use sha2::{Digest, Sha256};

/// Messages of one mailbox: the corpus is spread over several, so that one POP3 session does not carry all.
const MAILBOX: usize = 50;

fn sha(octets: &[u8]) -> String {
    Sha256::digest(octets).iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The message without the fields that two nodes put in front: Return-Path and Delivered-To once, Received of B, Received of A.
fn without_trace(message: &[u8]) -> &[u8] {
    let mut rest = message;
    for name in ["Return-Path: ", "Delivered-To: ", "Received: ", "Received: "] {
        assert!(
            rest.starts_with(name.as_bytes()),
            "no {name}in front: {:?}",
            String::from_utf8_lossy(&rest[..rest.len().min(300)])
        );
        let mut end = 0;
        loop {
            end += rest[end..].windows(2).position(|pair| pair == b"\r\n").expect("a field ends") + 2;
            if !matches!(rest.get(end), Some(b' ' | b'\t')) {
                break;
            }
        }
        rest = &rest[end..];
    }
    rest
}

fn send(node: &Node, sample: &Sample, to: &str) {
    let mut smtp = node.smtp().unwrap();
    smtp.command("EHLO client.example").unwrap().expect(250).unwrap();
    let body = if sample.eight_bit { " BODY=8BITMIME" } else { "" };
    let utf8 = if sample.utf8_header { " SMTPUTF8" } else { "" };
    smtp.command(&format!("MAIL FROM:<minji@client.example> SIZE={}{body}{utf8}", sample.octets.len()))
        .unwrap()
        .expect(250)
        .unwrap();
    smtp.command(&format!("RCPT TO:<{to}>")).unwrap().expect(250).unwrap();
    smtp.command("DATA").unwrap().expect(354).unwrap();
    smtp.send(&bongsu_harness::smtp::stuffed(&sample.octets)).unwrap();
    let reply = smtp.reply().unwrap();
    assert_eq!(reply.code, 250, "{}: {}", sample.name, reply.text());
    smtp.quit().unwrap();
}

/// R3.1, R4.6, R5.1: at least 200 messages, 100 of them not ours, and torture; SHA-256 of each is the same at both ends.
#[test]
fn the_corpus_crosses_two_nodes_unchanged() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut samples = foreign(&root.join("target/corpus")).unwrap();
    assert!(samples.len() >= 100, "{} messages of other people: run tests/corpus/fetch", samples.len());
    samples.extend(made());
    assert!(samples.len() >= 200);

    let users: Vec<String> = (0..samples.len().div_ceil(MAILBOX)).map(|n| format!("reader{n}")).collect();
    let names: Vec<&str> = users.iter().map(String::as_str).collect();
    let b = Plan::new("b", &names).with("smtp.max_sessions_per_address = 0").start().unwrap();
    let dns = Dns::start("127.0.0.1".parse().unwrap()).unwrap();
    dns.mx("b.example", 10, "mx.b.example").unwrap();
    dns.host("mx.b.example", b.plan.address).unwrap();
    let mut plan = Plan::new("a", &[]).with(&format!(
        "relay.nameservers = [\"{}\"]\nrelay.port = {}\nrelay.allow_loopback = true\nsmtp.max_sessions_per_address = 0\nsmtp.connection_rate_per_address = \"100000/60s\"",
        dns.address(),
        port::MX
    ));
    plan.relay_domains = vec!["b.example".into()];
    let a = plan.start().unwrap();

    let mut sent: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (at, sample) in samples.iter().enumerate() {
        sent.entry(sha(&sample.octets)).or_default().push(sample.name.clone());
        send(&a, sample, &format!("{}@b.example", users[at / MAILBOX]));
    }
    a.wait_empty(Duration::from_secs(120)).unwrap();
    b.wait_empty(Duration::from_secs(120)).unwrap();

    for (number, user) in users.iter().enumerate() {
        let count = MAILBOX.min(samples.len() - number * MAILBOX);
        wait_for("all messages in the mailbox", Duration::from_secs(30), || {
            let mut pop = b.pop(user)?;
            let (have, _) = pop.stat()?;
            pop.quit()?;
            Ok((have == count).then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error:#}\n{}\n{}", a.log_tail(20), b.log_tail(20)));
        let dir = b.dir().join(format!("fetched-{user}"));
        std::fs::create_dir(&dir).unwrap();
        let url = format!("pop3://{}:{}/[1-{count}]", b.plan.address, port::POP3);
        let out = dir.join("#1").display().to_string();
        let login = format!("{user}@b.example:secret-{user}");
        run("curl", &["-sS", "--user", &login, &url, "-o", &out], b"", Duration::from_secs(120)).and_then(Ran::ok).unwrap();
        for message in 1..=count {
            let fetched = std::fs::read(dir.join(message.to_string())).unwrap();
            let found = sha(without_trace(&fetched));
            let names = sent.get_mut(&found).unwrap_or_else(|| {
                panic!(
                    "message {message} of {user} came out changed: {}",
                    String::from_utf8_lossy(&fetched[..fetched.len().min(1500)])
                )
            });
            names.pop().expect("each message comes out once");
        }
    }
    let missing: Vec<_> = sent.values().flatten().collect();
    assert!(missing.is_empty(), "lost: {missing:?}");
}
