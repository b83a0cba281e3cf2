//! Accounts: what `account add`, `passwd` and `remove` say is so when they end.

use bongsu_harness::node::{Node, Plan, REPLY, port};
use bongsu_harness::pop::Pop;

/// What RCPT is answered in a session of its own.
fn asked_for(node: &Node, recipient: &str) -> u16 {
    let mut smtp = node.smtp().unwrap();
    smtp.command("EHLO client.example").unwrap().expect(250).unwrap();
    smtp.command("MAIL FROM:<a@b.example>").unwrap().expect(250).unwrap();
    let code = smtp.command(&format!("RCPT TO:<{recipient}>")).unwrap().code;
    smtp.quit().unwrap();
    code
}

fn logs_in(node: &Node, user: &str, password: &str) -> bool {
    Pop::login(node.at(port::POP3), user, password, REPLY).is_ok_and(|pop| pop.quit().is_ok())
}

fn account(node: &Node, args: &[&str], password: &str) -> String {
    let args = [&["account"], args].concat();
    node.cli_with(&args, format!("{password}\n").as_bytes()).unwrap().ok().unwrap().text
}

/// R4.5: once the command has ended there is no moment in which a role does not know yet. Mail that follows at once arrives.
#[test]
fn a_change_of_the_accounts_counts_when_the_command_has_ended() {
    // Failed logins are wanted here, and need not wait.
    let node = Plan::new("office", &[]).with("exempt_networks = [\"127.0.0.0/8\"]").start().unwrap();
    for number in 0..5 {
        let name = format!("minji{number}@office.example");
        assert_eq!(asked_for(&node, &name), 550, "{name}");
        let said = account(&node, &["add", &name], "first");
        assert_eq!(said, format!("added {name}\n"), "nothing to be warned of");
        assert_eq!(asked_for(&node, &name), 250, "{name}");
        assert!(logs_in(&node, &name, "first"), "{name}");

        let mut smtp = node.smtp().unwrap();
        smtp.command("EHLO client.example").unwrap().expect(250).unwrap();
        smtp.transaction("a@b.example", &[&name], b"Subject: welcome\r\n\r\nhi\r\n").unwrap().expect(250).unwrap();
        node.wait_empty(REPLY).unwrap();
        let mut pop = Pop::login(node.at(port::POP3), &name, "first", REPLY).unwrap();
        assert_eq!(pop.stat().unwrap().0, 1, "{name}");
        pop.quit().unwrap();

        account(&node, &["passwd", &name], "second");
        assert!(logs_in(&node, &name, "second") && !logs_in(&node, &name, "first"), "{name}");
        account(&node, &["remove", &name], "");
        assert_eq!(asked_for(&node, &name), 550, "{name}");
        assert!(!logs_in(&node, &name, "second"), "{name}");
    }
}

/// Without a running server the commands work all the same and say in one line when it counts.
#[test]
fn accounts_change_while_no_server_runs() {
    let mut node = Plan::new("office", &[]).make().unwrap();
    let name = "minji@office.example";
    let said = account(&node, &["add", name], "first");
    assert!(said.starts_with(&format!("added {name}\n")) && said.contains("no bongsu runs on"), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
    node.start().unwrap();
    assert_eq!(asked_for(&node, name), 250);
    assert!(logs_in(&node, name, "first"));
    assert_eq!(node.stop().unwrap(), 0);
    account(&node, &["remove", name], "");
    node.start().unwrap();
    assert_eq!(asked_for(&node, name), 550);
}

/// A role that hangs delays the command by its patience, and is named.
#[test]
fn a_role_that_does_not_answer_is_named_and_the_change_stands() {
    let node = Plan::new("office", &[]).start().unwrap();
    let name = "minji@office.example";
    node.pause_role("deliver").unwrap();
    let said = account(&node, &["add", name], "first");
    assert!(said.contains("deliver did not answer yet"), "{said}");
    assert_eq!(asked_for(&node, name), 250, "the others know");
    node.resume_role("deliver").unwrap();
    let said = account(&node, &["passwd", name], "second");
    assert_eq!(said, format!("new password for {name}\n"));
}
