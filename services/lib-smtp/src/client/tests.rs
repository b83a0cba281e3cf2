//! A server is played by a script: each `C:` line is what the client must send, each `S:` line what it is answered.

use lib_mail::{Class, Notify, Recipient, Return, Timestamp};

use super::*;

mod hello;
mod pair;
mod splits;
mod transaction;

pub(super) const NOW: Timestamp = Timestamp(1_795_401_000_123);
pub(super) const EHLO: &str = "S: 220 mx.example.net ESMTP\nC: EHLO client.example\n";
pub(super) const PLAIN: &str = "S: 250 mx.example.net\n";
pub(super) const PIPELINED: &str = "S: 250-mx.example.net\nS: 250 PIPELINING\n";

pub(super) fn config() -> Config {
    Config {
        helo: "client.example".into(),
        peer: "mx.example.net [192.0.2.1]".into(),
        tls: TlsMode::Offered,
        login: None,
        external: false,
    }
}

pub(super) fn to(recipients: &[&str]) -> Transaction {
    Transaction {
        sender: Some("a@example.org".parse().unwrap()),
        recipients: recipients.iter().map(|address| Recipient::new(address.parse().unwrap())).collect(),
        ret: None,
        envid: None,
        content: Content { size: 6, eight_bit: false, utf8_header: false },
        forward: None,
    }
}

/// What a run came to.
#[derive(Debug, PartialEq, Default)]
pub(super) struct Run {
    /// What the client sent, as text.
    pub(super) sent: String,
    /// `250 2.0.0 OK`, one for each recipient.
    pub(super) fates: Vec<String>,
    pub(super) unheard: bool,
    /// The reason, where the session ended.
    pub(super) closed: Option<String>,
    pub(super) tls_failed: bool,
    pub(super) ready: bool,
    /// Replies to `ask`.
    pub(super) said: Vec<String>,
}

/// Plays a script. `S: …` gives a line to the client, `C: …` demands one from it, `lost` ends the connection, `tls` and `notls` end
/// the handshake, `begin` hands in the next transaction, `quit` takes leave. The message is always `Hi.\r\n`.
pub(super) fn play(config: Config, transactions: &[Transaction], script: &str) -> Run {
    let mut player = Player { client: Client::new(config), run: Run::default(), unread: String::new() };
    let mut transactions = transactions.iter().cloned();
    player.settle();
    for line in script.lines().filter(|line| !line.is_empty()) {
        match line.split_once(": ") {
            Some(("S", reply)) => player.client.handle(Input::Octets(format!("{reply}\r\n").as_bytes()), NOW),
            Some(("C", want)) => player.demand(want),
            _ => match line {
                "lost" => player.client.handle(Input::Lost("Connection lost"), NOW),
                "tls" => player.client.handle(Input::TlsUp, NOW),
                "notls" => player.client.handle(Input::TlsFailed("bad certificate"), NOW),
                "begin" => player.client.handle(Input::Begin(transactions.next().expect("a transaction")), NOW),
                "quit" => player.client.handle(Input::Quit, NOW),
                line if line.starts_with("ask ") => player.client.handle(Input::Ask(&line[4..]), NOW),
                other => panic!("{other} in a script"),
            },
        }
        player.settle();
    }
    assert_eq!(player.unread, "", "nobody asked for this; script:\n{script}");
    player.run
}

struct Player {
    client: Client,
    run: Run,
    unread: String,
}

impl Player {
    fn demand(&mut self, want: &str) {
        let (line, rest) = self.unread.split_once("\r\n").unwrap_or_else(|| panic!("wanted {want}, got {:?}", self.run));
        assert_eq!(line, want);
        self.unread = rest.to_owned();
    }

    /// Does what the client says until it waits.
    fn settle(&mut self) {
        self.run.ready = false;
        loop {
            match self.client.poll() {
                Output::Send(octets) => self.take(&octets),
                Output::Body => {
                    let mut octets = Vec::new();
                    self.client.encode_body(b"Hi.\r\n", &mut octets);
                    self.client.end_body(&mut octets);
                    self.take(&octets);
                    self.client.handle(Input::BodySent, NOW);
                }
                Output::Done(done) => {
                    self.run.fates = done.fates.iter().map(ToString::to_string).collect();
                    self.run.unheard = done.unheard;
                    assert!(done.fates.iter().all(|fate| fate.by == By::Remote("mx.example.net [192.0.2.1]".into())));
                }
                Output::Said(reply) => self.run.said.push(reply.lines.join("|")),
                Output::Closed(closed) => {
                    assert_eq!(closed.status.class(), Class::Temporary);
                    self.run.tls_failed = closed.tls_failed;
                    self.run.closed = Some(closed.status.to_string());
                    return;
                }
                Output::Ready => {
                    self.run.ready = true;
                    return;
                }
                Output::Await(_) | Output::StartTls => return,
            }
        }
    }

    fn take(&mut self, octets: &[u8]) {
        let text = std::str::from_utf8(octets).unwrap();
        self.run.sent.push_str(text);
        self.unread.push_str(text);
    }
}
