//! Every dialogue file is played against a running node, whole and octet by octet.

use std::collections::BTreeMap;
use std::path::Path;

use bongsu_harness::dialog::Dialog;
use bongsu_harness::node::{Node, Plan, port};

fn node(settings: &str) -> Node {
    let mut plan = Plan::new("mail", &[]).with("exempt_networks = [\"127.0.0.0/8\", \"::1\"]").with(settings);
    plan.domain = "example.org".into();
    plan.accounts = ["minji", "chulsoo", "hana"].map(|user| (user.to_owned(), "burning-beacon".to_owned())).to_vec();
    plan.aliases = "postmaster: minji\nroot: minji\n".into();
    plan.relay_domains = vec!["relay.example".into()];
    plan.host_name = Some("mail.example.org".into());
    plan.start().unwrap_or_else(|error| panic!("{error:#}\nwith {settings}"))
}

/// R1.1, R1.3, R1.7, R1.11, R1.12, R3.3, R5.1: each file says which it shows.
#[test]
fn every_dialogue_is_played_against_a_running_node() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("dialogs");
    let mut by_settings: BTreeMap<String, Vec<(String, Dialog)>> = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "dialog") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let dialog =
                Dialog::parse(&std::fs::read_to_string(&path).unwrap()).unwrap_or_else(|error| panic!("{name}: {error:#}"));
            by_settings.entry(dialog.settings.clone()).or_default().push((name, dialog));
        }
    }
    let mut failed = Vec::new();
    let mut played = 0;
    for (settings, dialogs) in &by_settings {
        // A node of its own for each way of cutting: what one play leaves behind (a queue just started) must not reach the other.
        for octet_by_octet in [false, true] {
            let node = node(settings);
            for (name, dialog) in dialogs {
                played += 1;
                let (number, implicit) = listener(&dialog.port);
                if let Err(error) = dialog.play(node.at(number), implicit, octet_by_octet) {
                    failed.push(format!("{name} (octet by octet: {octet_by_octet}): {error:#}"));
                }
            }
        }
    }
    assert!(played >= 40, "only {played} plays");
    assert!(failed.is_empty(), "{} of {played} failed:\n{}", failed.len(), failed.join("\n"));
}

/// The port of a listener, and whether it speaks TLS from the first octet.
fn listener(name: &str) -> (u16, bool) {
    match name {
        "mx" => (port::MX, false),
        "submission" => (port::SUBMISSION, false),
        "submissions" => (port::SUBMISSIONS, true),
        "pop3" => (port::POP3, false),
        "pop3s" => (port::POP3S, true),
        other => panic!("no port {other}"),
    }
}
