//! A smart host that is not ours: a Postfix that wants TLS and a login.

use std::net::SocketAddr;
use std::time::Duration;

use bongsu_harness::dns::Dns;
use bongsu_harness::node::{Node, Plan, free_address, port};
use bongsu_harness::postfix::{Postfix, impossible};
use bongsu_harness::wait::wait_until;

const PATIENCE: Duration = Duration::from_secs(60);
const NAME: &str = "smart.example";
const SECRET: &str = "over the hills";

fn smart_host(tls: &str) -> String {
    format!(
        "relay.smart_host.host = \"{NAME}\"\nrelay.smart_host.port = {}\nrelay.smart_host.tls = \"{tls}\"\n\
         relay.smart_host.user = \"office\"\nrelay.smart_host.password_file = \"smart-host-password\"\n",
        port::MX
    )
}

/// Changes settings and password, and puts them in force.
fn change(node: &mut Node, settings: String, password: &str) {
    node.plan.settings = settings;
    std::fs::write(node.config(), node.plan.toml()).unwrap();
    std::fs::write(node.config_file("smart-host-password"), format!("{password}\n")).unwrap();
    node.cli(&["reload"]).unwrap().ok().unwrap();
}

/// Waits until mailq shows these words, and gives all that it shows.
fn deferred_with(node: &Node, words: &str) -> String {
    let shown = || node.cli(&["mailq"]).unwrap().text.split_whitespace().collect::<Vec<_>>().join(" ");
    wait_until(words, PATIENCE, || shown().contains(words))
        .unwrap_or_else(|error| panic!("{error:#}\n{}\n{}", shown(), node.log_tail(30)));
    shown()
}

/// R3.7: mail waits, and mailq says why, while the certificate or the password is not accepted; with both right it is relayed. The password
/// never goes to a server whose certificate was to be checked and is not valid.
#[test]
fn mail_waits_for_a_login_at_postfix_and_goes_out_with_the_right_password() {
    if let Some(why) = impossible() {
        eprintln!("SKIPPED: {why}");
        return;
    }
    let address = SocketAddr::new(free_address().into(), port::MX);
    let postfix = Postfix::start(address, NAME, "far.example", "office", SECRET).unwrap();
    let dns = Dns::start("127.0.0.1".parse().unwrap()).unwrap();
    dns.host(NAME, address.ip()).unwrap();
    let plan = Plan::new("a", &["minji"])
        .with("smtp.relay_networks = [\"127.0.0.0/8\"]")
        .with(&format!("relay.nameservers = [\"{}\"]\nrelay.allow_loopback = true\nqueue.retry = [\"1h\"]", dns.address()));
    let own = plan.settings.clone();
    let mut node = plan.start().unwrap();

    change(&mut node, own.clone() + &smart_host("required"), SECRET);
    let mut smtp = node.smtp().unwrap();
    smtp.command("EHLO client.example").unwrap().expect(250).unwrap();
    let message = b"Subject: smart\r\n\r\nby way of Postfix\r\n";
    smtp.transaction("minji@a.example", &["you@far.example"], message).unwrap().expect(250).unwrap();
    let shown = deferred_with(&node, "certificate");
    assert!(shown.contains(NAME), "{shown}");
    assert!(!postfix.log().contains("sasl"), "no login was tried: {}", postfix.log());

    change(&mut node, own.clone() + &smart_host("opportunistic"), "not this one");
    node.cli(&["queue", "run"]).unwrap().ok().unwrap();
    let shown = deferred_with(&node, "535 5.7.8");
    assert!(shown.contains(&format!("cannot log in at {NAME}")), "{shown}");
    assert!(postfix.log().contains("SASL PLAIN authentication failed"), "{}", postfix.log());
    assert!(postfix.taken().unwrap().is_empty());
    assert_eq!(node.queue().unwrap().len(), 1, "a refused login returns no mail");
    assert!(!node.logged("not this one") && !shown.contains("not this one"), "nobody writes passwords down");

    change(&mut node, own + &smart_host("opportunistic"), SECRET);
    node.cli(&["queue", "run"]).unwrap().ok().unwrap();
    node.wait_empty(PATIENCE).unwrap();
    wait_until("the message in Postfix's mailbox", PATIENCE, || postfix.taken().is_ok_and(|taken| taken.len() == 1)).unwrap();
    let text = &postfix.taken().unwrap()[0];
    for part in ["(Authenticated sender: office)", "with ESMTPSA", "Return-Path: <minji@a.example>", "by way of Postfix"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
