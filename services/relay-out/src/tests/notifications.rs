//! What senders are told of mail that goes elsewhere (RFC 3461 §5.2, §6.2).

use lib_mail::Return;

use super::*;

const TO: &str = "b@[127.0.0.1]";
const DSN: Option<&str> = Some("250-mx\n250 DSN");

fn on(success: bool, failure: bool, delay: bool) -> Notify {
    Notify::On { success, failure, delay }
}

/// The notifications in the local queue, without the soft ends of encoded lines.
fn told(node: &Node) -> Vec<String> {
    node.queue(Queue::Local).iter().map(|one| node.text(Queue::Local, one.id).replace("=\r\n", "")).collect()
}

/// The words of the fields Action, in alphabetical order.
fn actions(node: &Node) -> Vec<String> {
    let texts = told(node);
    let fields = texts.iter().flat_map(|text| text.lines().filter_map(|line| line.strip_prefix("Action: ")));
    let mut actions: Vec<String> = fields.map(|action| action.trim().to_owned()).collect();
    actions.sort();
    actions
}

/// R3.4: each wish, towards a server that offers DSN and one that does not, for each end.
#[tokio::test]
async fn who_is_told_of_what() {
    let (ok, no, later) = ("250 ok", "550 5.1.1 No such user", "450 4.2.0 later");
    for (notify, ehlo, reply, want, passed) in [
        (Notify::Default, None, ok, None, None),
        (Notify::Never, None, ok, None, None),
        (on(true, false, false), None, ok, Some("relayed"), None),
        (on(false, true, true), None, ok, None, None),
        // The next server has the wish, and tells.
        (on(true, true, false), DSN, ok, None, Some("NOTIFY=SUCCESS,FAILURE")),
        (Notify::Never, DSN, ok, None, Some("NOTIFY=NEVER")),
        (on(false, false, true), DSN, ok, None, Some("NOTIFY=DELAY")),
        (Notify::Default, DSN, ok, None, None),
        // It refused: then there is nobody else to tell.
        (Notify::Default, DSN, no, Some("failed"), None),
        (on(false, true, false), DSN, no, Some("failed"), Some("NOTIFY=FAILURE")),
        (on(true, false, true), DSN, no, None, None),
        (on(true, false, true), None, no, None, None),
        (Notify::Never, None, no, None, None),
        // It waits, for longer than the time of a warning.
        (Notify::Default, DSN, later, Some("delayed"), None),
        (on(false, false, true), None, later, Some("delayed"), None),
        (on(true, true, false), DSN, later, None, None),
        (Notify::Never, None, later, None, None),
    ] {
        let server = Scripted::start("127.0.0.1:0").await;
        if let Some(ehlo) = ehlo {
            server.answer("EHLO", None, ehlo);
        }
        server.answer("RCPT", None, reply);
        let node = Node::new(&settings(server.address.port()));
        let id = node.submit_with(&[TO], MESSAGE, |envelope| envelope.recipients[0].notify = notify);
        if reply == later {
            node.attempt(id).await;
            node.clock.advance(Duration::from_secs(5 * 3600));
        }
        node.attempt(id).await;
        let row = format!("{notify:?} {ehlo:?} {reply}");
        assert_eq!(actions(&node), want.into_iter().collect::<Vec<_>>(), "{row}");
        let rcpt = server.commands().into_iter().find(|command| command.starts_with("RCPT")).unwrap();
        match passed {
            Some(passed) => assert!(rcpt.ends_with(passed), "{row}: {rcpt}"),
            None => assert!(ehlo.is_some() || !rcpt.contains("NOTIFY"), "{row}: {rcpt}"),
        }
    }
}

/// "Relayed" is told at once, while another recipient of the message still waits, and once.
#[tokio::test]
async fn relayed_is_told_while_others_wait() {
    let server = Scripted::start("127.0.0.1:0").await;
    server.answer("RCPT TO:<c@", None, "450 4.2.0 later");
    let node = Node::new(&settings(server.address.port()));
    let id = node.submit_with(&[TO, "c@[127.0.0.1]"], MESSAGE, on_success);
    assert!(matches!(node.attempt(id).await, Next::Due(_)));
    assert_eq!(actions(&node), ["relayed"]);
    node.clock.advance(Duration::from_secs(300));
    assert!(matches!(node.attempt(id).await, Next::Due(_)));
    assert_eq!(actions(&node), ["relayed"]);
}

/// A server that took the message under DSN tells of it, also where it closes the connection behind its 250.
#[tokio::test]
async fn a_server_that_hangs_up_behind_its_250_still_tells() {
    let server = Scripted::start("127.0.0.1:0").await;
    server.answer("EHLO", None, "250-mx\n250 DSN");
    server.answer(".", None, "250 2.0.0 taken\n421 4.3.2 bye");
    let node = Node::new(&settings(server.address.port()));
    let id = node.submit_with(&[TO], MESSAGE, on_success);
    assert_eq!(node.attempt(id).await, Next::Gone);
    assert_eq!((server.messages().len(), actions(&node)), (1, Vec::new()));
}

/// RET, ENVID and ORCPT: passed on where the next server takes them, obeyed where it does not.
#[tokio::test]
async fn what_a_notification_returns_and_names_is_the_senders_choice() {
    for (ret, reply, body) in [
        (None, "550 5.1.1 no", false),
        (Some(Return::Headers), "550 5.1.1 no", false),
        (Some(Return::Full), "550 5.1.1 no", true),
        // RFC 3461 §4.3: only a failure returns the whole message.
        (Some(Return::Full), "250 ok", false),
    ] {
        for dsn in [false, true] {
            let server = Scripted::start("127.0.0.1:0").await;
            if dsn {
                server.answer("EHLO", None, "250-mx\n250 DSN");
            }
            server.answer("RCPT", None, reply);
            let node = Node::new(&settings(server.address.port()));
            let id = node.submit_with(&[TO], MESSAGE, |envelope| {
                on_success(envelope);
                (envelope.ret, envelope.envid) = (ret, Some("QQ+2B1".into()));
                envelope.recipients[0].orcpt = Some("rfc822;first+2Bx@example.org".into());
            });
            assert_eq!(node.attempt(id).await, Next::Gone);
            let commands = server.commands().join("\n");
            let word = match ret {
                _ if !dsn => None,
                Some(Return::Full) => Some("RET=FULL ENVID=QQ+2B1"),
                Some(Return::Headers) => Some("RET=HDRS ENVID=QQ+2B1"),
                None => Some("ENVID=QQ+2B1"),
            };
            assert_eq!(commands.contains("ENVID="), dsn, "{commands}");
            assert!(word.is_none_or(|word| commands.contains(word)), "{commands}");
            assert_eq!(commands.contains("ORCPT=rfc822;first+2Bx@example.org"), dsn, "{commands}");
            let texts = told(&node);
            if dsn && reply.starts_with('2') {
                assert!(texts.is_empty());
                continue;
            }
            let [text] = texts.try_into().unwrap();
            assert!(text.contains("Original-Envelope-Id: QQ+1\r\n"), "{text}");
            assert!(text.contains("Original-Recipient: rfc822; first+x@example.org\r\n"), "{text}");
            assert!(text.contains("Subject: hello") && text.contains("..\r\nbye") == body, "{ret:?} {reply}: {text}");
        }
    }
}

/// R3.5: a mistyped domain is pointed out in the warning and in the failure.
#[tokio::test]
async fn a_mistyped_domain_is_pointed_out() {
    let node = Node::new(&settings(9));
    let id = node.submit(&["minji@kebi.net"], MESSAGE);
    node.attempt(id).await;
    node.clock.advance(Duration::from_secs(5 * 3600));
    node.attempt(id).await;
    node.shared.spool.command(&id, lib_spool::Command::Bounce, Duration::ZERO).unwrap();
    assert_eq!(node.attempt(id).await, Next::Gone);
    assert_eq!(actions(&node), ["delayed", "failed"]);
    for text in told(&node) {
        assert!(text.contains("Did you mean <minji@kebi.com>?"), "{text}");
    }
}

/// R2.5: a refusal by a block list is explained.
#[tokio::test]
async fn a_block_list_is_explained() {
    let server = Scripted::start("127.0.0.1:0").await;
    server.answer("RCPT", None, "554-5.7.1 Service unavailable; Client host [192.0.2.1] blocked using\n554 5.7.1 zen.spamhaus.org; https://www.spamhaus.org/x");
    let node = Node::new(&settings(server.address.port()));
    let id = node.submit(&[TO], MESSAGE);
    assert_eq!(node.attempt(id).await, Next::Gone);
    let [text] = told(&node).try_into().unwrap();
    assert!(text.contains("since the block list of Spamhaus names it") && text.contains("Please tell postmaster@"), "{text}");
}
