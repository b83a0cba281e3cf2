//! The supervisor as the operator meets it: the real binary, its processes, its exit statuses and its words.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;

use crate::node::{BINARY, Node, lives, said, signal, wait_until};
use rustix::process::Signal;

const ROLES: [&str; 6] = ["auth", "deliver", "relay-out", "smtp-in", "submission", "pop3"];

/// Goal: a crash of one role never stops the others. Method: kill -9 each in turn; the others keep their processes.
#[test]
fn a_killed_role_comes_back_and_the_others_do_not_notice() {
    let node = Node::up();
    for role in ROLES {
        let before: Vec<_> = ROLES.map(|role| node.pid(role).unwrap()).to_vec();
        let old = node.pid(role).unwrap();
        signal(old, Signal::KILL);
        wait_until("the role is back", || node.pid(role).is_some_and(|pid| pid != old));
        for (other, pid) in ROLES.iter().zip(before).filter(|(other, _)| **other != role) {
            assert_eq!(node.pid(other), Some(pid), "{other} after a kill of {role}");
        }
    }
    assert!(node.run(&["status"]).status.success());
}

/// Goal: nothing outlives a supervisor that was killed, and the next one binds at once, whatever state the roles were in.
#[test]
fn roles_end_with_a_killed_supervisor_and_the_next_start_binds_at_once() {
    let mut node = Node::up();
    for _ in 0..3 {
        let roles = node.pids();
        assert_eq!(roles.len(), ROLES.len());
        signal(node.supervisor_pid(), Signal::KILL);
        assert!(!node.ended());
        wait_until("all roles are gone", || !roles.iter().any(|pid| lives(*pid)));
        assert!(!node.run(&["status", "--quiet"]).status.success());
        node.start();
    }
}

#[test]
fn terminate_ends_everything_in_order() {
    let mut node = Node::up();
    let roles = node.pids();
    signal(node.supervisor_pid(), Signal::TERM);
    assert!(node.ended());
    assert!(!roles.iter().any(|pid| lives(*pid)));
    assert!(!node.answers("mx"));
}

#[test]
fn stop_waits_until_the_server_has_stopped() {
    let mut node = Node::up();
    assert!(node.run(&["stop"]).status.success());
    assert!(node.ended());
    assert!(!node.run(&["stop"]).status.success());
}

#[test]
fn a_taken_port_is_one_clear_line() {
    let node = Node::new();
    let _taken = TcpListener::bind(("127.0.0.1", node.ports[3])).unwrap();
    let output = node.run(&["up"]);
    assert!(!output.status.success());
    let said = said(&output);
    assert_eq!(said.lines().count(), 1, "{said}");
    for part in [&format!("port {}", node.ports[3]), "taken", "ss -ltnp", "bongsu.toml"] {
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn a_second_server_on_the_same_data_is_refused() {
    let node = Node::up();
    let output = node.run(&["up"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("another \"bongsu up\""), "{}", said(&output));
    assert!(node.run(&["status"]).status.success());
}

#[test]
fn bad_settings_keep_the_server_from_starting_and_are_named_with_their_line() {
    let node = Node::new();
    node.write_settings("[smtp]\nmesage_size_limit = \"10 MB\"");
    for command in ["up", "check"] {
        let output = node.run(&[command]);
        assert!(!output.status.success());
        let said = said(&output);
        for part in ["bongsu.toml:3", "mesage_size_limit", "message_size_limit"] {
            assert!(said.contains(part), "{command}: {said}");
        }
    }
}

#[test]
fn a_bad_map_or_account_file_keeps_the_server_from_starting() {
    let node = Node::new();
    std::fs::write(node.config().join("relay-domains"), "example.org\n@example.com\n").unwrap();
    let said = said(&node.run(&["up"]));
    assert!(said.contains("relay-domains:2"), "{said}");
    std::fs::remove_file(node.config().join("relay-domains")).unwrap();
    std::fs::create_dir_all(node.data().join("state/accounts")).unwrap();
    std::fs::write(node.data().join("state/accounts/accounts"), "this is no account\n").unwrap();
    let said = crate::node::said(&node.run(&["up"]));
    assert!(said.contains("accounts:1"), "{said}");
}

#[test]
fn a_certificate_that_cannot_be_read_is_one_clear_line() {
    let node = Node::new();
    node.write_settings("[[tls.certificates]]\nchain_file = \"mail.crt\"\nkey_file = \"mail.key\"");
    let said = said(&node.run(&["up"]));
    assert!(said.lines().next().is_some_and(|line| line.contains("mail.crt") && line.contains("cannot be read")), "{said}");
}

#[test]
fn a_reload_puts_good_settings_in_force_and_keeps_the_last_good_ones_otherwise() {
    let node = Node::up();
    let pids = node.pids();
    node.write_settings("[smtp]\nhop_limit = \"many\"");
    let output = node.run(&["reload"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("bongsu.toml:3"), "{}", said(&output));
    assert_eq!(node.status()["generation"], 1);

    node.write_settings("[smtp]\nhop_limit = 30\n[relay]\nnameservers = [\"192.0.2.53:53\"]");
    let output = node.run(&["reload"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("only after a restart: relay.nameservers"), "{}", said(&output));
    assert_eq!(node.status()["generation"], 2);
    assert_eq!(node.pids(), pids, "a reload restarts nothing");

    signal(node.supervisor_pid(), Signal::HUP);
    wait_until("SIGHUP reloads", || node.status()["generation"] == 3);
}

#[test]
fn a_reload_with_another_port_opens_it_and_closes_the_old_one() {
    let mut node = Node::up();
    let (old, kept) = (node.ports[0], node.pid("pop3"));
    let smtp_in = node.pid("smtp-in").unwrap();
    node.ports[0] = old + 7;
    node.write_settings("");
    let output = node.run(&["reload"]);
    assert!(output.status.success(), "{}", said(&output));
    wait_until("the new port answers", || node.answers("mx"));
    wait_until("the old process has drained", || !lives(smtp_in));
    wait_until("the old port is closed", || std::net::TcpStream::connect(("127.0.0.1", old)).is_err());
    assert_eq!(node.pid("pop3"), kept);
    wait_until("all runs", || node.run(&["status", "--quiet"]).status.success());
}

#[test]
fn a_reload_onto_a_taken_port_changes_nothing() {
    let mut node = Node::up();
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let old = std::mem::replace(&mut node.ports[0], taken.local_addr().unwrap().port());
    node.write_settings("");
    let output = node.run(&["reload"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("taken"), "{}", said(&output));
    node.ports[0] = old;
    assert!(node.answers("mx"));
}

/// Goal: R8, separate rights. Method: a child restricted as each role tries every directory.
#[test]
fn each_role_gets_eacces_on_every_directory_that_is_not_its_own() {
    let node = Node::up();
    let output = node.run(&["check", "--isolation", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let probes: Vec<serde_json::Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(probes.len(), ROLES.len());
    for probe in &probes {
        assert!(probe["isolation"].as_str().unwrap().starts_with("landlock"), "{probe}");
        let tried = probe["tried"].as_array().unwrap();
        assert_eq!(tried.len(), 10, "every directory was tried: {probe}");
        for place in tried {
            let wanted = |may: &str| if place[may] == true { "ok" } else { "EACCES" };
            assert_eq!(place["read"], wanted("may_read"), "{}: {place}", probe["role"]);
            assert_eq!(place["write"], wanted("may_write"), "{}: {place}", probe["role"]);
        }
    }
    let closed = |role: &str, end: &str| {
        let probe = probes.iter().find(|probe| probe["role"] == role).unwrap();
        let place =
            probe["tried"].as_array().unwrap().iter().find(|place| place["path"].as_str().unwrap().ends_with(end)).unwrap();
        place["read"] == "EACCES" && place["write"] == "EACCES"
    };
    for role in ROLES.iter().filter(|role| **role != "auth") {
        assert!(closed(role, "state/secrets"), "{role} reaches password hashes");
    }
    assert!(closed("smtp-in", "mail") && closed("relay-out", "mail") && closed("pop3", "spool") && closed("auth", "mail"));
    let status = node.status();
    assert!(status["roles"].as_array().unwrap().iter().all(|role| role["isolation"].as_str().unwrap().starts_with("landlock")));
}

#[test]
fn a_role_started_by_hand_says_who_starts_it() {
    let output = std::process::Command::new(BINARY).args(["role", "pop3"]).stdin(std::process::Stdio::null()).output().unwrap();
    assert!(!output.status.success());
    assert!(said(&output).contains("bongsu up"), "{}", said(&output));
}

#[test]
fn a_directory_of_another_user_is_refused_with_the_command_that_mends_it() {
    if !rustix::process::geteuid().is_root() {
        // Only root can make a directory of another user; others meet the same text through /.
        let output = std::process::Command::new(BINARY).args(["up", "--data", "/proc/bongsu"]).output().unwrap();
        assert!(!output.status.success());
        return;
    }
    let node = Node::new();
    std::fs::set_permissions(node.data(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let readable = std::env::temp_dir().join(format!("bongsu-{}", std::process::id()));
    std::fs::copy(BINARY, &readable).unwrap();
    let mut command = std::process::Command::new(&readable);
    let output = command.args(["up", "--data"]).arg(node.data()).uid(65_534).gid(65_534).output();
    std::fs::remove_file(&readable).unwrap();
    let output = output.unwrap();
    assert!(!output.status.success());
    let said = said(&output);
    assert!(said.contains("belongs to user 0") && said.contains("chown -R 65534:65534"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn data_of_a_newer_version_are_left_alone() {
    let node = Node::new();
    std::fs::write(node.data().join("VERSION"), "bongsu-data 9\n").unwrap();
    let output = node.run(&["up"]);
    assert!(!output.status.success());
    assert!(said(&output).contains("format 9"), "{}", said(&output));
    assert!(!node.data().join("spool").exists());
}

/// Goal: `up` in an empty directory is a working node that says how to use it. Method: read what it prints, twice.
#[test]
fn a_first_start_makes_an_account_and_says_its_password_once() {
    let node = Node::new();
    let text = std::fs::read_to_string(node.config().join("bongsu.toml")).unwrap();
    std::fs::remove_dir_all(node.config()).unwrap();
    // The same listeners as a value, because there is to be no settings file.
    let tables = text.split("[[listen]]").skip(1).map(|table| format!("{{{}}}", table.trim().replace('\n', ", ")));
    let listen = format!("[{}]", tables.collect::<Vec<_>>().join(", "));
    let first = node.log_of_a_start(&listen);
    for part in ["mail.bongsu.test", "you@bongsu.test", "password", "swaks --server", "curl --cacert"] {
        assert!(first.contains(part), "{part}: {first}");
    }
    let second = node.log_of_a_start(&listen);
    assert!(second.contains("you@bongsu.test") && second.contains("swaks"), "{second}");
    assert!(!second.contains("password  "), "{second}");
}

/// Goal: R6.1, the exit status is a health check. Method: kill a role faster than it comes back, then let it live.
#[test]
fn status_fails_while_a_role_is_down_and_says_which() {
    let node = Node::up();
    let mut said = String::new();
    wait_until("status tells of a role that is down", || {
        if let Some(pid) = node.pid("pop3") {
            signal(pid, Signal::KILL);
        }
        let output = node.run(&["status"]);
        said = String::from_utf8(output.stdout).unwrap();
        !output.status.success()
    });
    let line = said.lines().find(|line| line.contains("pop3")).unwrap();
    assert!(said.contains("NOT everything runs") && (line.contains("down") || line.contains("starting")), "{said}");
    wait_until("all runs again", || node.run(&["status", "--quiet"]).status.success());
}
