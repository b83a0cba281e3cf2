//! Mail for elsewhere: next hop, retry, return, and who may.

use std::time::Duration;

use bongsu_harness::dns::Dns;
use bongsu_harness::node::{Node, Plan, free_address, port};
use bongsu_harness::peer::Peer;
use bongsu_harness::smtp::Smtp;
use bongsu_harness::wait::{wait_for, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

/// A node `a` that relays for `peer.example` over `dns`, with an account `minji`.
fn relaying(dns: &Dns, more: &str) -> Plan {
    let mut plan = Plan::new("a", &["minji"]).with(&format!(
        "relay.nameservers = [\"{}\"]\nrelay.port = {}\nrelay.allow_loopback = true\n{more}",
        dns.address(),
        port::MX
    ));
    plan.relay_domains = vec!["peer.example".into()];
    plan
}

fn dns() -> Dns {
    Dns::start("127.0.0.1".parse().unwrap()).unwrap()
}

fn peer(dns: &Dns, keywords: &[&str]) -> Peer {
    let address = std::net::IpAddr::V4(free_address());
    dns.mx("peer.example", 10, "mx.peer.example").unwrap();
    dns.host("mx.peer.example", address).unwrap();
    Peer::start(address, port::MX, keywords).unwrap()
}

fn hello(node: &Node) -> Smtp {
    let mut smtp = node.smtp().unwrap();
    smtp.command("EHLO client.example").unwrap().expect(250).unwrap();
    smtp
}

/// The only bounce in the mailbox of minji.
fn bounce(node: &Node) -> String {
    wait_for("a notification for minji", PATIENCE, || {
        let mut pop = node.pop("minji")?;
        let text = if pop.stat()?.0 == 1 { Some(String::from_utf8_lossy(&pop.retr(1)?).into_owned()) } else { None };
        pop.quit()?;
        Ok(text)
    })
    .unwrap_or_else(|error| panic!("{error:#}\n{}", node.log_tail(30)))
}

/// R3.2: greylisted once, the message waits with its reason and goes out when the queue is run.
#[test]
fn a_deferred_message_waits_with_its_reason_and_goes_out_on_a_queue_run() {
    let dns = dns();
    let peer = peer(&dns, &["PIPELINING"]);
    peer.answer("RCPT", 1, "451 4.7.1 greylisted, come back");
    let node = relaying(&dns, "").start().unwrap();
    hello(&node)
        .transaction("minji@a.example", &["you@peer.example"], b"Subject: x\r\n\r\nhello\r\n")
        .unwrap()
        .expect(250)
        .unwrap();
    wait_until("the reason in mailq", PATIENCE, || {
        node.cli(&["mailq"]).is_ok_and(|ran| ran.text.contains("greylisted, come back"))
    })
    .unwrap_or_else(|error| panic!("{error:#}\n{}", node.log_tail(30)));
    assert!(peer.taken().is_empty());
    node.cli(&["queue", "run"]).unwrap().ok().unwrap();
    node.wait_empty(PATIENCE).unwrap();
    let taken = peer.taken();
    assert!(taken[0].message.ends_with(b"Subject: x\r\n\r\nhello\r\n"));
    assert!(taken[0].message.starts_with(b"Received: "));
}

/// R3.2: a retry after 30 virtual minutes happens in seconds, on the same code path.
#[test]
fn thirty_virtual_minutes_pass_and_the_message_is_tried_again() {
    let dns = dns();
    let peer = peer(&dns, &[]);
    peer.answer("RCPT", 1, "450 4.2.0 not now");
    let clock = tempfile::NamedTempFile::new().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    // Real milliseconds, virtual milliseconds, rate: the virtual clock runs with the real one at first.
    let set = |virtual_now: u64, rate: u32| {
        let real = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        let next = clock.path().with_extension("next");
        std::fs::write(&next, format!("{real} {virtual_now} {rate}\n")).unwrap();
        std::fs::rename(&next, clock.path()).unwrap();
    };
    set(now, 1);
    let settings = format!("testing.clock = \"{}\"\nqueue.retry = [\"30m\"]", clock.path().display());
    let node = relaying(&dns, &settings).start().unwrap();
    hello(&node)
        .transaction("minji@a.example", &["you@peer.example"], b"Subject: x\r\n\r\nhello\r\n")
        .unwrap()
        .expect(250)
        .unwrap();
    wait_until("the first attempt", PATIENCE, || peer.commands().iter().any(|line| line.starts_with("RCPT"))).unwrap();
    wait_until("the deferral", PATIENCE, || node.cli(&["mailq"]).is_ok_and(|ran| ran.text.contains("not now"))).unwrap();
    set(now + 29 * 60_000, 1);
    std::thread::sleep(Duration::from_secs(3));
    assert!(peer.taken().is_empty(), "29 minutes are not 30");
    set(now + 31 * 60_000, 1);
    // The rescan looks at least every 30 s of real time; a clock file makes it look each second.
    wait_until("the second attempt", PATIENCE, || peer.taken().len() == 1)
        .unwrap_or_else(|error| panic!("{error:#}\n{}", node.log_tail(30)));
}

/// R3.4: each recipient has its own fate: one relayed, one waits, one returned with the remote's words.
#[test]
fn each_recipient_has_its_own_fate() {
    let dns = dns();
    let peer = peer(&dns, &["PIPELINING", "ENHANCEDSTATUSCODES"]);
    peer.answer("RCPT TO:<gone@", None, "550 5.1.1 nobody of that name");
    peer.answer("RCPT TO:<slow@", None, "450 4.2.1 busy");
    // A bare 552 means too many recipients (RFC 5321 §4.5.3.1.10), which is temporary.
    peer.answer("RCPT TO:<full@", None, "552 too many");
    let node = relaying(&dns, "").start().unwrap();
    let recipients = ["good@peer.example", "gone@peer.example", "slow@peer.example", "full@peer.example"];
    hello(&node).transaction("minji@a.example", &recipients, b"Subject: four\r\n\r\nhello\r\n").unwrap().expect(250).unwrap();
    wait_until("the good one", PATIENCE, || peer.taken().len() == 1)
        .unwrap_or_else(|error| panic!("{error:#}\n{}", node.log_tail(30)));
    assert_eq!(peer.taken()[0].recipients, ["RCPT TO:<good@peer.example>"]);
    let text = bounce(&node);
    assert!(
        text.contains("nobody of that name") && text.contains("Status: 5.1.1") && text.contains("gone@peer.example"),
        "{text}"
    );
    assert!(!text.contains("good@peer.example") && text.contains("Return-Path: <>"), "{text}");
    let waiting = wait_for("the two that wait", PATIENCE, || {
        let text = node.cli(&["mailq"])?.text;
        Ok((text.contains("slow@peer.example") && text.contains("full@peer.example") && text.contains("busy")).then_some(text))
    })
    .unwrap_or_else(|error| panic!("{error:#}\n{}\n{}", node.cli(&["mailq"]).unwrap().text, node.log_tail(30)));
    assert!(!waiting.contains("good@peer.example"), "{waiting}");
}

/// R3.1: the next MX takes over where the first does not answer; a null MX and a missing domain are final.
#[test]
fn the_next_mx_takes_over_and_no_mail_host_is_final() {
    let dns = dns();
    let second = peer(&dns, &[]);
    dns.mx("peer.example", 5, "down.peer.example").unwrap();
    dns.host("down.peer.example", std::net::IpAddr::V4(free_address())).unwrap();
    dns.mx("null.peer.example", 0, ".").unwrap();
    let node = relaying(&dns, "").start().unwrap();
    let mut smtp = hello(&node);
    smtp.transaction("minji@a.example", &["you@peer.example"], b"\r\nhi\r\n").unwrap().expect(250).unwrap();
    wait_until("the second MX", PATIENCE, || second.taken().len() == 1)
        .unwrap_or_else(|error| panic!("{error:#}\n{}", node.log_tail(30)));
    smtp.transaction("minji@a.example", &["you@null.peer.example"], b"\r\nhi\r\n").unwrap().expect(250).unwrap();
    let text = bounce(&node);
    assert!(text.contains("Status: 5.1.10"), "{text}");
}

/// R3.7: a hop without 8BITMIME gets 8-bit mail in 7-bit form, or where that is not wanted not at all. Never silent 8-bit.
#[test]
fn eight_bit_mail_is_never_sent_as_such_to_a_hop_that_cannot_take_it() {
    let dns = dns();
    let seven = peer(&dns, &[]);
    let message = "Subject: 8\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n불\r\n";
    let send = |node: &Node| {
        let mut smtp = hello(node);
        smtp.command("MAIL FROM:<minji@a.example> BODY=8BITMIME").unwrap().expect(250).unwrap();
        smtp.command("RCPT TO:<you@peer.example>").unwrap().expect(250).unwrap();
        smtp.command("DATA").unwrap().expect(354).unwrap();
        smtp.send(&bongsu_harness::smtp::stuffed(message.as_bytes())).unwrap();
        smtp.reply().unwrap().expect(250).unwrap();
    };
    let converts = relaying(&dns, "").start().unwrap();
    hello(&converts)
        .transaction("minji@a.example", &["you@peer.example"], b"Subject: 7\r\n\r\nhi\r\n")
        .unwrap()
        .expect(250)
        .unwrap();
    wait_until("the plain one", PATIENCE, || seven.taken().len() == 1).unwrap();
    send(&converts);
    wait_until("the converted one", PATIENCE, || seven.taken().len() == 2)
        .unwrap_or_else(|error| panic!("{error:#}\n{}", converts.log_tail(30)));
    let sent = String::from_utf8(seven.taken()[1].message.clone()).unwrap();
    assert!(sent.ends_with("\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=EB=B6=88\r\n"), "{sent}");
    drop(converts);
    let does_not = relaying(&dns, "relay.convert_8bit = false").start().unwrap();
    send(&does_not);
    let text = bounce(&does_not);
    assert!(text.contains("Status: 5.6.3"), "{text}");
    assert_eq!(seven.taken().len(), 2);
}

/// The queue survives a stop and a kill of the whole node.
#[test]
fn the_queue_survives_a_restart() {
    let dns = dns();
    let peer = peer(&dns, &[]);
    peer.answer("CONNECT", None, "421 4.3.2 closed");
    let mut node = relaying(&dns, "").start().unwrap();
    let mut smtp = hello(&node);
    for number in 0..5 {
        let message = format!("Subject: {number}\r\n\r\nhi\r\n");
        smtp.transaction("minji@a.example", &["you@peer.example"], message.as_bytes()).unwrap().expect(250).unwrap();
    }
    wait_until("five deferred", PATIENCE, || node.cli(&["mailq"]).is_ok_and(|ran| ran.text.matches("closed").count() >= 5))
        .unwrap_or_else(|error| panic!("{error:#}\n{}", node.log_tail(30)));
    node.kill().unwrap();
    node.start().unwrap();
    assert_eq!(node.queue().unwrap().len(), 5);
    assert_eq!(node.stop().unwrap(), 0);
    peer.answer("CONNECT", None, "220 open again");
    node.start().unwrap();
    node.cli(&["queue", "run"]).unwrap().ok().unwrap();
    wait_until("all five", PATIENCE, || peer.taken().len() == 5)
        .unwrap_or_else(|error| panic!("{error:#}\n{}", node.log_tail(30)));
}

/// R3.6: hold, release, delete and bounce reach a waiting message.
#[test]
fn queue_commands_reach_a_waiting_message() {
    let dns = dns();
    let peer = peer(&dns, &[]);
    peer.answer("CONNECT", None, "421 4.3.2 closed");
    let node = relaying(&dns, "").start().unwrap();
    let mut smtp = hello(&node);
    let mut ids = Vec::new();
    for number in 0..3 {
        let message = format!("Subject: {number}\r\n\r\nhi\r\n");
        let reply =
            smtp.transaction("minji@a.example", &["you@peer.example"], message.as_bytes()).unwrap().expect(250).unwrap();
        ids.push(reply.text().rsplit(' ').next().unwrap().to_owned());
    }
    wait_until("three deferred", PATIENCE, || node.cli(&["mailq"]).is_ok_and(|ran| ran.text.matches("closed").count() >= 3))
        .unwrap();
    node.cli(&["queue", "hold", &ids[0]]).unwrap().ok().unwrap();
    node.cli(&["queue", "delete", &ids[1]]).unwrap().ok().unwrap();
    node.cli(&["queue", "bounce", &ids[2]]).unwrap().ok().unwrap();
    let text = bounce(&node);
    assert!(text.contains("you@peer.example"), "{text}");
    peer.answer("CONNECT", None, "220 open");
    node.cli(&["queue", "run"]).unwrap().ok().unwrap();
    wait_until("only the held one is left", PATIENCE, || node.queue().is_ok_and(|queue| queue.len() == 1)).unwrap();
    assert!(peer.taken().is_empty());
    node.cli(&["queue", "release", &ids[0]]).unwrap().ok().unwrap();
    node.wait_empty(PATIENCE).unwrap();
    assert!(peer.taken()[0].message.ends_with(b"Subject: 0\r\n\r\nhi\r\n"));
    let unknown = node.cli(&["queue", "delete", "00000000000000000000"]).unwrap();
    assert!(unknown.code != 0 && unknown.text.contains("00000000000000000000"), "{}", unknown.text);
}

/// R3.3: ETRN makes the queue of a relay domain run at once, towards its MX and never towards the asker.
#[test]
fn etrn_flushes_to_the_mx() {
    let dns = dns();
    let peer = peer(&dns, &[]);
    peer.answer("RCPT", 1, "451 4.3.0 down");
    let node = relaying(&dns, "").start().unwrap();
    let mut smtp = hello(&node);
    smtp.transaction("minji@a.example", &["you@peer.example"], b"\r\nhi\r\n").unwrap().expect(250).unwrap();
    wait_until("the deferral", PATIENCE, || node.cli(&["mailq"]).is_ok_and(|ran| ran.text.contains("down"))).unwrap();
    assert_eq!(smtp.command("ETRN other.example").unwrap().code, 459);
    let reply = smtp.command("ETRN peer.example").unwrap();
    assert!((250..=253).contains(&reply.code), "{} {}", reply.code, reply.text());
    wait_until("the message at the MX", PATIENCE, || peer.taken().len() == 1)
        .unwrap_or_else(|error| panic!("{error:#}\n{}", node.log_tail(30)));
    assert_eq!(smtp.command("ETRN peer.example").unwrap().code, 458, "asked too often");
}

/// R2.5, R3.4: a refusal by a block list is explained to the sender and named in `mailq`; NOTIFY=SUCCESS is told at once where the next server
/// does not offer DSN, and nothing under NOTIFY=NEVER.
#[test]
fn a_block_list_is_explained_and_each_wish_is_kept() {
    let dns = dns();
    let peer = peer(&dns, &["PIPELINING"]);
    let words = "Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/x";
    peer.answer("RCPT TO:<listed@", None, &format!("554 5.7.1 {words}"));
    peer.answer("RCPT TO:<later@", None, &format!("451 4.7.1 {words}"));
    let node = relaying(&dns, "").start().unwrap();
    let mut smtp = hello(&node);
    smtp.command("MAIL FROM:<minji@a.example>").unwrap().expect(250).unwrap();
    for (to, wish) in [("listed", "FAILURE"), ("later", "DELAY"), ("good", "SUCCESS"), ("quiet", "NEVER")] {
        smtp.command(&format!("RCPT TO:<{to}@peer.example> NOTIFY={wish}")).unwrap().expect(250).unwrap();
    }
    smtp.command("DATA").unwrap().expect(354).unwrap();
    smtp.send(&bongsu_harness::smtp::stuffed(b"Subject: x\r\n\r\nhi\r\n")).unwrap();
    let reply = smtp.reply().unwrap().expect(250).unwrap();
    let id = reply.text().rsplit(' ').next().unwrap().to_owned();
    let texts = wait_for("two notifications for minji", PATIENCE, || {
        let mut pop = node.pop("minji")?;
        let count = pop.stat()?.0;
        let mut texts = Vec::new();
        for number in 1..=count {
            texts.push(String::from_utf8_lossy(&pop.retr(number)?).replace("=\r\n", ""));
        }
        pop.quit()?;
        Ok((count == 2).then_some(texts))
    })
    .unwrap_or_else(|error| panic!("{error:#}\n{}", node.log_tail(30)));
    let of = |action: &str| texts.iter().find(|text| text.contains(&format!("Action: {action}"))).unwrap();
    let failed = of("failed");
    for part in ["the block list of Spamhaus names it", "More about it: https://www.spamhaus.org/x", "listed@peer.example"] {
        assert!(failed.contains(part), "{part} in {failed}");
    }
    let relayed = of("relayed");
    assert!(relayed.contains("good@peer.example") && !relayed.contains("quiet@"), "{relayed}");
    for command in [&["mailq"][..], &["queue", "show", &id]] {
        let shown = node.cli(command).unwrap().text;
        assert!(shown.contains("a block list names this server: Spamhaus"), "{command:?}: {shown}");
    }
    for command in [&["mailq", "--json"][..], &["queue", "show", &id, "--json"]] {
        let shown: serde_json::Value = serde_json::from_str(&node.cli(command).unwrap().text).unwrap();
        let recipients = shown["recipients"].as_array().unwrap();
        let names: Vec<_> = recipients.iter().filter_map(|recipient| recipient["block_list"]["name"].as_str()).collect();
        assert_eq!(names, ["Spamhaus"], "{command:?}: {shown}");
    }
}

/// R3.4: a sender with an address that message libraries refuse still gets its bounce; a null sender gets none.
#[test]
fn an_odd_sender_gets_its_bounce_and_a_null_sender_gets_none() {
    let dns = dns();
    let peer = peer(&dns, &[]);
    peer.answer("RCPT TO:<gone@", None, "550 5.1.1 no");
    let node = relaying(&dns, "").start().unwrap();
    let mut smtp = hello(&node);
    smtp.transaction("a..b.@peer.example", &["gone@peer.example"], b"Subject: odd\r\n\r\nhi\r\n").unwrap().expect(250).unwrap();
    smtp.transaction("", &["gone@peer.example"], b"Subject: null\r\n\r\nhi\r\n").unwrap().expect(250).unwrap();
    wait_until("the bounce", PATIENCE, || !peer.taken().is_empty())
        .unwrap_or_else(|error| panic!("{error:#}\n{}", node.log_tail(30)));
    node.wait_empty(PATIENCE).unwrap();
    let taken = peer.taken();
    assert_eq!(taken.len(), 1, "one bounce, and none for a bounce");
    assert_eq!(taken[0].recipients, ["RCPT TO:<a..b.@peer.example>"]);
    assert!(taken[0].mail.starts_with("MAIL FROM:<>"));
}

/// R3.6: yesterday's snapshot of the queue put back. What was finished since is done once more, a mailbox that was kept gets no second copy,
/// and what is new keeps its own ids.
#[test]
fn a_queue_put_back_to_a_snapshot_goes_on_from_there() {
    let dns = dns();
    let peer = peer(&dns, &["PIPELINING"]);
    peer.answer("RCPT TO:<later@", 1, "451 4.7.1 greylisted, come back");
    let mut node = relaying(&dns, "").start().unwrap();
    let send = |node: &Node, recipients: &[&str], subject: &str| {
        let message = format!("Subject: {subject}\r\n\r\nhello\r\n");
        hello(node).transaction("minji@a.example", recipients, message.as_bytes()).unwrap().expect(250).unwrap();
    };
    // Frozen, `deliver` leaves the local part in the snapshot.
    node.pause_role("deliver").unwrap();
    send(&node, &["later@peer.example", "minji@a.example"], "before");
    let waits = || node.cli(&["mailq"]).is_ok_and(|ran| ran.text.contains("greylisted, come back"));
    wait_until("the deferral", PATIENCE, waits).unwrap();
    let snapshot = tempfile::tempdir().unwrap();
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
        assert!(copied.success());
    };
    copy(&node.data().join("spool"), snapshot.path());
    node.resume_role("deliver").unwrap();
    node.cli(&["queue", "run"]).unwrap().ok().unwrap();
    node.wait_empty(PATIENCE).unwrap();
    send(&node, &["later@peer.example"], "after");
    node.wait_empty(PATIENCE).unwrap();
    assert_eq!(node.stop().unwrap(), 0);

    std::fs::remove_dir_all(node.data().join("spool")).unwrap();
    copy(&snapshot.path().join("spool"), &node.data());
    node.start().unwrap();
    node.cli(&["queue", "run"]).unwrap().ok().unwrap();
    node.wait_empty(PATIENCE).unwrap_or_else(|error| panic!("{error:#}\n{}", node.log_tail(30)));
    send(&node, &["later@peer.example"], "at last");
    node.wait_empty(PATIENCE).unwrap();
    let taken: Vec<String> = peer.taken().iter().map(|taken| String::from_utf8_lossy(&taken.message).into_owned()).collect();
    let times = |subject: &str| taken.iter().filter(|message| message.contains(&format!("Subject: {subject}\r\n"))).count();
    assert_eq!((times("before"), times("after"), times("at last")), (2, 1, 1));
    assert_eq!(node.delivered().unwrap().len(), 1, "one copy in the mailbox");
    assert!(!node.logged("damaged"), "{}", node.log_tail(30));
}

/// R3.8: the dialogue is shown as it was, under TLS, but for what was said between AUTH and its last reply.
#[test]
fn send_shows_the_dialogue_and_no_password() {
    let dns = dns();
    let mut plan = relaying(&dns, "");
    plan.environment.push(("BONGSU_PASSWORD".into(), "secret-minji".into()));
    let node = plan.start().unwrap();
    let server = node.at(port::SUBMISSION).to_string();
    let words = [
        "send",
        "-v",
        "--server",
        &server,
        "--user",
        "minji@a.example",
        "--to",
        "minji@a.example",
        "--subject",
        "x",
        "--body",
        "y",
    ];
    let said = node.cli(&words).unwrap().ok().unwrap().text;
    for part in [
        "220 ",
        "EHLO ",
        "STARTTLS",
        "AUTH",
        "235 ",
        "MAIL FROM:<minji@a.example>",
        "RCPT TO:<minji@a.example>",
        "354 ",
        "221 ",
    ] {
        assert!(said.contains(part), "{part} in\n{said}");
    }
    let encoded = "AG1pbmppQGEuZXhhbXBsZQBzZWNyZXQtbWluamk=";
    assert!(!said.contains("secret-minji") && !said.contains(encoded), "{said}");
    wait_until("the message", PATIENCE, || node.delivered().is_ok_and(|copies| copies.len() == 1)).unwrap();
}
