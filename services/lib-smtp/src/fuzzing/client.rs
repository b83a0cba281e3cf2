//! Octets of a server, as the client's side reads them.

use lib_mail::{Class, Recipient, Timestamp};

use crate::client::{Client, Closed, Config, Content, Done, Input, Login, Output, TlsMode, Transaction};
use crate::reply::{MAX_REPLY_TEXT, Reply, ReplyError, ReplyReader};

const NOW: Timestamp = Timestamp(1_795_401_000_123);
/// Messages of one connection.
const MESSAGES: usize = 3;

/// The first octet says how the rest is split; the rest is what a server sends. Any split gives the same replies.
pub fn reply(input: &[u8]) {
    let Some((step, input)) = input.split_first() else { return };
    let whole = replies(input, input.len().max(1));
    assert_eq!(whole, replies(input, usize::from(*step).max(1)), "a split changes nothing");
    for reply in &whole.0 {
        assert!((200..600).contains(&reply.code) && !reply.lines.is_empty());
        assert!(reply.text().len() <= MAX_REPLY_TEXT);
        assert!(!reply.to_string().chars().any(char::is_control), "what goes to the log is one line");
    }
}

fn replies(input: &[u8], step: usize) -> (Vec<Reply>, Option<ReplyError>) {
    let (mut reader, mut replies) = (ReplyReader::default(), Vec::new());
    for octets in input.chunks(step) {
        reader.push(octets);
    }
    loop {
        match reader.take() {
            Ok(Some(reply)) => replies.push(reply),
            Ok(None) => return (replies, None),
            Err(error) => return (replies, Some(error)),
        }
    }
}

/// The first octet chooses settings, the second a split; the rest is what a server sends, line after line. Whatever it says, each message
/// has one fate for each recipient, and what is sent are lines.
pub fn client(input: &[u8]) {
    let [choice, step, input @ ..] = input else { return };
    let tls = [TlsMode::Never, TlsMode::Offered, TlsMode::Required, TlsMode::Implicit][usize::from(choice & 3)];
    let login =
        (choice & 4 != 0).then(|| Login { user: "minji".into(), password: "beacon".into(), without_tls: choice & 8 != 0 });
    let config = Config { helo: "client.example".into(), peer: "mx.example [192.0.2.1]".into(), tls, login, external: false };
    let whole = play(config.clone(), input, usize::MAX);
    assert_eq!(whole, play(config, input, usize::from(*step).max(1)), "a split within lines changes nothing");
}

/// What a client did: the ends of its transactions, its end, and what it sent.
#[derive(Debug, PartialEq, Default)]
struct Run {
    begun: usize,
    done: Vec<Done>,
    closed: Option<Closed>,
    sent: Vec<u8>,
}

fn play(config: Config, input: &[u8], step: usize) -> Run {
    let (mut client, mut run) = (Client::new(config), Run::default());
    settle(&mut client, &mut run);
    for line in input.split_inclusive(|octet| *octet == b'\n') {
        for octets in line.chunks(step.min(line.len())) {
            client.handle(Input::Octets(octets), NOW);
            settle(&mut client, &mut run);
        }
    }
    client.handle(Input::Lost("Connection lost"), NOW);
    settle(&mut client, &mut run);
    assert_eq!(run.begun, run.done.len(), "each message has an end");
    assert!(run.sent.is_empty() || run.sent.ends_with(b"\r\n"), "what is sent are lines");
    run
}

fn settle(client: &mut Client, run: &mut Run) {
    // No input can make a session talk without end.
    for _ in 0..1000 {
        match client.poll() {
            Output::Send(octets) => run.sent.extend(octets),
            Output::Body => {
                client.encode_body(b".\r\n", &mut run.sent);
                client.end_body(&mut run.sent);
                client.handle(Input::BodySent, NOW);
            }
            Output::Done(done) => {
                assert_eq!(done.fates.len(), 2, "one fate for each recipient");
                run.done.push(done);
            }
            Output::Ready if run.begun < MESSAGES => {
                run.begun += 1;
                client.handle(Input::Begin(transaction()), NOW);
            }
            Output::Said(_) => {}
            Output::StartTls => client.handle(Input::TlsUp, NOW),
            Output::Closed(closed) => {
                assert_eq!(closed.status.class(), Class::Temporary, "another host may do better");
                run.closed = Some(closed);
                return;
            }
            Output::Ready | Output::Await(_) => return,
        }
    }
    unreachable!("because a session comes to rest");
}

fn transaction() -> Transaction {
    let to = |text: &str| Recipient::new(text.parse().expect("because it is an address"));
    Transaction {
        sender: None,
        recipients: vec![to("b@x.example"), to("민지@x.example")],
        ret: None,
        envid: None,
        content: Content { size: 3, eight_bit: true, utf8_header: false },
        forward: None,
    }
}
