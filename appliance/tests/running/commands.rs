//! The command line: first start, accounts, init, errors that say what to do.

use std::process::Command;

use crate::node::{BINARY, Node, said};

#[test]
fn accounts_are_added_listed_changed_and_removed() {
    let node = Node::new();
    let with_password = |arguments: &[&str]| node.command(arguments).env("BONGSU_PASSWORD", "correct horse").output().unwrap();
    assert!(with_password(&["account", "add", "Kim@Example.net", "--owns", "sales@example.net"]).status.success());
    let again = with_password(&["account", "add", "kim@example.net"]);
    assert!(!again.status.success() && said(&again).contains("already"), "{}", said(&again));
    let list: serde_json::Value = serde_json::from_slice(&node.run(&["account", "list", "--json"]).stdout).unwrap();
    assert_eq!(list[0]["address"], "Kim@Example.net");
    assert_eq!(list[0]["owns"][0], "sales@example.net");
    let random = node.run(&["account", "passwd", "kim@example.net", "--random"]);
    assert!(String::from_utf8(random.stdout).unwrap().contains("password "));
    assert!(node.run(&["account", "remove", "kim@example.net"]).status.success());
    let gone = node.run(&["account", "remove", "kim@example.net"]);
    assert!(!gone.status.success() && said(&gone).contains("no account"), "{}", said(&gone));
}

#[test]
fn a_password_must_come_from_somewhere() {
    let node = Node::new();
    let output = node.run(&["account", "add", "kim@example.net"]);
    assert!(!output.status.success());
    for way in ["BONGSU_PASSWORD", "--random", "standard input"] {
        assert!(said(&output).contains(way), "{}", said(&output));
    }
}

#[test]
fn init_writes_what_check_accepts_and_prints_the_records() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| Command::new(BINARY).args(arguments).arg("--data").arg(dir.path()).output().unwrap();
    let output = run(&["init", "--domain", "example.net", "--address", "192.0.2.25"]);
    assert!(output.status.success(), "{}", said(&output));
    for part in ["password", "A    192.0.2.25", "MX   10 mail.example.net.", "v=spf1 mx -all"] {
        assert!(said(&output).contains(part), "{part}: {}", said(&output));
    }
    let check = run(&["check"]);
    assert!(check.status.success(), "{}", said(&check));
    for file in ["bongsu.toml", "local-host-names", "relay-domains", "aliases"] {
        assert!(dir.path().join("config").join(file).is_file(), "{file}");
    }
    assert!(!run(&["init", "--domain", "example.net"]).status.success());
}

#[test]
fn settings_from_init_on_standard_output_load() {
    let dir = tempfile::tempdir().unwrap();
    let output =
        Command::new(BINARY).args(["init", "--domain", "example.net", "--stdout", "--data"]).arg(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let file = dir.path().join("elsewhere.toml");
    std::fs::write(&file, output.stdout).unwrap();
    let check = Command::new(BINARY).args(["check", "--data"]).arg(dir.path()).arg("--config").arg(&file).output().unwrap();
    assert!(check.status.success(), "{}", said(&check));
}

#[test]
fn commands_without_a_server_or_a_directory_say_what_to_do() {
    let node = Node::new();
    for arguments in [&["status"][..], &["reload"], &["stop"], &["queue", "run"]] {
        let output = node.run(arguments);
        assert!(!output.status.success());
        assert!(said(&output).contains("bongsu up"), "{arguments:?}: {}", said(&output));
    }
    for arguments in [&["mailq"][..], &["account", "list"], &["check", "--isolation"]] {
        let output = node.run(arguments);
        assert!(!output.status.success());
        assert!(said(&output).contains("--data"), "{arguments:?}: {}", said(&output));
    }
}

#[test]
fn an_unknown_queue_id_is_told_apart_from_a_bad_one() {
    let node = Node::up();
    for (id, words) in [("nonsense", "no queue id"), ("0000000000000000000a", "no message")] {
        let output = node.run(&["queue", "delete", id]);
        assert!(!output.status.success());
        assert!(said(&output).contains(words), "{}", said(&output));
    }
    let empty = node.run(&["mailq"]);
    assert!(String::from_utf8(empty.stdout).unwrap().contains("Total requests: 0"));
}

#[test]
fn help_shows_first_steps() {
    let output = Command::new(BINARY).arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("bongsu up --data ./mail") && text.contains("bongsu init"), "{text}");
    assert!(!text.contains("role-probe"), "{text}");
}
