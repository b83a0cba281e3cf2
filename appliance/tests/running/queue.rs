//! The queue as its operator sees it, acts on it, traces it and moves it: the real binary beside a running node.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Stdio;

use serde_json::Value;

use crate::node::{Node, said, wait_until};

/// Mail from loopback goes anywhere, and the only name server answers nobody.
const RELAY: &str = "smtp.relay_networks = [\"127.0.0.0/8\"]\nrelay.allow_loopback = true\nrelay.nameservers = [\"127.0.0.1:9\"]\n\
                     queue.retry = [\"1h\"]\n";

/// A node that runs with these settings.
fn up(more: &str) -> Node {
    let mut node = Node::new();
    node.write_settings(&format!("{RELAY}{more}"));
    node.start();
    node
}

/// Hands in a message with that Message-ID.
fn submit(node: &Node, to: &[&str], message_id: &str) {
    let mut socket = TcpStream::connect(("127.0.0.1", node.ports[0])).unwrap();
    let mut replies = BufReader::new(socket.try_clone().unwrap());
    let mut reply = || {
        let mut line = String::new();
        replies.read_line(&mut line).unwrap();
        line
    };
    assert!(reply().starts_with("220"));
    let recipients = to.iter().map(|to| format!("RCPT TO:<{to}>\r\n"));
    let commands =
        ["HELO client.example\r\n".to_owned(), "MAIL FROM:<boss@a.example>\r\n".into()].into_iter().chain(recipients);
    for command in commands {
        socket.write_all(command.as_bytes()).unwrap();
        let reply = reply();
        assert!(reply.starts_with("250"), "{command}{reply}");
    }
    socket.write_all(b"DATA\r\n").unwrap();
    assert!(reply().starts_with("354"));
    socket.write_all(format!("Subject: hello\r\nMessage-ID: {message_id}\r\n\r\nhello\r\n.\r\nQUIT\r\n").as_bytes()).unwrap();
    let taken = reply();
    assert!(taken.starts_with("250"), "{taken}");
}

/// What a command prints, whether it succeeds or not.
fn node_says(node: &Node, arguments: &[&str]) -> String {
    String::from_utf8_lossy(&node.run(arguments).stdout).into_owned()
}

/// What a command that succeeds prints.
fn shown(node: &Node, arguments: &[&str]) -> String {
    let output = node.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn messages(node: &Node, filter: &[&str]) -> Vec<Value> {
    let arguments: Vec<&str> = ["mailq", "--json"].iter().chain(filter).copied().collect();
    shown(node, &arguments).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A node with two messages that were tried once and wait.
fn waiting() -> Node {
    let node = up("");
    submit(&node, &["x@kebi.net"], "<one@client.example>");
    submit(&node, &["y@example.org", "z@example.org"], "<two@client.example>");
    wait_until("both were tried", || {
        let messages = messages(&node, &[]);
        messages.len() == 2 && messages.iter().all(|message| message["recipients"][0]["attempts"] == 1)
    });
    wait_until("nobody is at work", || messages(&node, &[]).iter().all(|message| message["recipients"][0]["in_work"] == false));
    node
}

/// R3.5: lists, sums and filters tell the same story.
#[test]
fn the_queue_is_listed_filtered_and_summed_up() {
    let node = waiting();
    let list = shown(&node, &["mailq"]);
    for part in ["spool (2 requests)", "(tried once, next ", "<x@kebi.net> (did they mean kebi.com?)", "Total requests: 2"] {
        assert!(list.contains(part), "{part}: {list}");
    }
    for (filter, count) in [
        (&["--to", "kebi.net"][..], 1),
        (&["--to", "@EXAMPLE.org"], 1),
        (&["--recipient", "y@example.org"], 1),
        (&["--to", "nobody@example.org"], 0),
        (&["--sender", "boss@a.example"], 2),
        (&["--sender", "<>"], 0),
        (&["--older", "1h"], 0),
        (&["--younger", "1h"], 2),
        (&["--reason", "LOOK UP"], 2),
        (&["--reason", "mail servers of kebi.net"], 1),
        (&["--held"], 0),
        (&["--queue", "local"], 0),
        (&["--queue", "relay", "--to", "kebi.net"], 1),
    ] {
        assert_eq!(messages(&node, filter).len(), count, "{filter:?}");
    }
    let sums = shown(&node, &["queue", "list", "--summary"]);
    let words: Vec<Vec<&str>> = sums.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(words.iter().any(|row| row.first() == Some(&"1") && row[1] == "2" && row[3] == "example.org"), "{sums}");
    assert!(words.last().unwrap().starts_with(&["2", "3"]), "{sums}");
    assert!(sums.contains("did they mean kebi.com?"), "{sums}");
    assert_eq!(shown(&node, &["mailq", "--summary", "reason", "--json"]).lines().count(), 2);
    assert!(shown(&node, &["mailq", "--to", "kebi.net"]).contains("Total requests: 1 of 2"));
}

#[test]
fn a_reader_that_has_seen_enough_ends_a_listing_quietly() {
    let node = waiting();
    for arguments in [&["mailq"][..], &["mailq", "--json"], &["log"], &["trace", "boss@a.example"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = node.command(arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {}", said(&output));
    }
}

/// R3.6: orders by filter and by id, each told, and traced afterwards (R6.4).
#[test]
fn orders_reach_what_they_mean_and_are_traced() {
    let node = waiting();
    let nothing = node.run(&["queue", "delete"]);
    assert!(!nothing.status.success() && said(&nothing).contains("--all"), "{}", said(&nothing));
    assert!(shown(&node, &["queue", "delete", "--all", "--dry-run"]).starts_with("2 messages"));
    assert_eq!(shown(&node, &["queue", "hold", "--to", "kebi.net"]), "1: held\n");
    let list = shown(&node, &["mailq"]);
    assert!(list.contains("spool/relay (1 request)") && list.contains("spool/hold/relay (1 request)"), "{list}");
    let held = messages(&node, &["--held"]).remove(0)["id"].as_str().unwrap().to_owned();
    let page = shown(&node, &["queue", "show", &held]);
    for part in [
        "(relay queue, held)",
        "sender    <boss@a.example>",
        "deferred: 451 4.4.3",
        "Subject: hello",
        "did they mean kebi.com?",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let body = shown(&node, &["queue", "show", "--message", &held]);
    assert_eq!(body, "Subject: hello\r\nMessage-ID: <one@client.example>\r\n\r\nhello\r\n");
    let file: Value = serde_json::from_str(&shown(&node, &["queue", "show", "--json", &held])).unwrap();
    assert_eq!((&file["place"], &file["recipients"][0]["attempts"]), (&Value::from("held"), &Value::from(1)));
    assert!(shown(&node, &["queue", "requeue", &format!("{held}*")]).contains("fresh start"));
    wait_until("it was tried again, as if for the first time", || {
        let page = shown(&node, &["queue", "show", &held]);
        page.contains("failed attempts so far: 1") && page.contains("(the 2nd time)") && page.contains("fresh start")
    });
    wait_until("nobody is at work", || messages(&node, &[]).iter().all(|message| message["recipients"][0]["in_work"] == false));
    assert_eq!(shown(&node, &["queue", "delete", "--sender", "boss@a.example"]), "2: deleted\n");
    let gone = node.run(&["queue", "show", &held]);
    assert!(!gone.status.success() && said(&gone).contains("bongsu trace"), "{}", said(&gone));
    for what in [held.as_str(), "<one@client.example>", "one@client.example", "x@kebi.net"] {
        let story = shown(&node, &["trace", what]);
        for part in [
            "Message-ID <one@client.example>",
            "<x@kebi.net> deferred: 451",
            "ordered hold: held",
            "ordered requeue",
            "ordered delete",
        ] {
            assert!(story.contains(part), "{what}: {part}: {story}");
        }
        assert!(!story.contains("two@client.example"), "{what}: {story}");
    }
    let unknown = node.run(&["trace", "@nowhere.example"]);
    assert!(!unknown.status.success() && said(&unknown).contains("nothing is known"), "{}", said(&unknown));
    let log = shown(&node, &["log", "--json", "--since", "1h"]);
    assert!(log.lines().count() > 10);
    for line in log.lines() {
        assert_eq!(serde_json::from_str::<Value>(line).unwrap()["host"], "mail.example.net", "{line}");
    }
    assert!(shown(&node, &["log"]).contains(&format!("command: {held}: order=hold, result=held")));
}

/// R6.4 and R3.6: a message over two nodes is one story, and a queue that moves to the other node arrives there as it was.
#[test]
fn a_pair_tells_one_story_and_passes_its_queue_on() {
    let mut other = Node::new();
    other.write_settings(RELAY);
    let settings = other.config().join("bongsu.toml");
    let text = std::fs::read_to_string(&settings).unwrap().replace("mail.example.net", "mail.b.example");
    std::fs::write(settings, text).unwrap();
    let added = other.command(&["account", "add", "lee@b.example"]).env("BONGSU_PASSWORD", "correct horse").output().unwrap();
    assert!(added.status.success(), "{}", said(&added));
    other.start();
    let smart_host = format!(
        "relay.smart_host.host = \"[127.0.0.1]\"\nrelay.smart_host.port = {}\nrelay.smart_host.tls = \"none\"\n",
        other.ports[0]
    );
    let first = up(&smart_host);
    submit(&first, &["lee@b.example"], "<far@client.example>");
    let data = other.data().display().to_string();
    let traced = |more: &[&str]| shown(&first, &[&["trace", "<far@client.example>", "--with"][..], more].concat());
    // Before the first event is kept, there is nothing to tell.
    let traced_yet =
        || node_says(&first, &["trace", "<far@client.example>", "--with", &data]).contains("delivered to the mailbox");
    wait_until("one story", traced_yet);
    let export = other.data().join("other.jsonl");
    std::fs::write(&export, shown(&other, &["log", "--json"])).unwrap();
    for with in [data, export.display().to_string()] {
        let story = traced(&[&with]);
        let on: Vec<&str> = story.lines().filter(|line| line.contains(" on mail.")).collect();
        assert!(on.len() == 2 && on[0].ends_with("on mail.example.net") && on[1].ends_with("on mail.b.example"), "{story}");
        assert!(on[1].starts_with("    "), "{story}");
        let story: Value = serde_json::from_str(&traced(&[&with, "--json"])).unwrap();
        assert_eq!(story["children"][0]["events"][0]["node"], "mail.b.example");
    }
    submit(&other, &["x@kebi.net"], "<moved@client.example>");
    wait_until("it was tried", || messages(&other, &["--reason", "look up"]).len() == 1);
    assert!(shown(&other, &["queue", "hold", "--to", "kebi.net"]).contains("held"));
    let before = messages(&other, &["--held"]);
    let archive = other.data().join("moved.tar").display().to_string();
    shown(&other, &["queue", "export", "--held", "--remove", &archive]);
    assert!(messages(&other, &[]).is_empty());
    assert!(shown(&first, &["queue", "import", &archive]).starts_with("1 message file"));
    let rounded = |mut messages: Vec<Value>| {
        let due = &mut messages[0]["recipients"][0]["next_attempt_ms"];
        *due = Value::from(due.as_i64().unwrap().unsigned_abs().div_ceil(1000));
        messages
    };
    assert_eq!(rounded(messages(&first, &["--held"])), rounded(before));
    let again = first.run(&["queue", "import", &archive]);
    assert!(again.status.success() && said(&again).contains("already"), "{}", said(&again));
    let pipe = other.run(&["queue", "export", "--all", "--remove", "-"]);
    assert!(!pipe.status.success() && said(&pipe).contains("name a file"), "{}", said(&pipe));
}
