//! Proving grounds: what the fuzz targets, their replay in the normal test run, and the tests share. Not for programs.
//!
//! Each function takes arbitrary octets and panics where an invariant of the wire or of the session does not hold.

mod client;

pub use client::{client, reply};

use std::sync::Arc;

use lib_mail::{Domain, Enhanced, Status, Timestamp};

use crate::bdat::ChunkScan;
use crate::command::Command;
use crate::data::{ContentFault, Unstuffer};
use crate::forward::Forward;
use crate::line::MAX_AUTH;
use crate::server::{
    Ask, AuthConfig, Config, Extensions, Input, Mechanism, Output, Privacy, Refusal, Role, Session, Tls, Transaction,
};

/// Something that a session had done.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A question.
    Asked(Ask),
    /// A message began.
    Begun,
    /// A message was committed: for whom, and its octets.
    Committed(Transaction, Vec<u8>),
    /// A message was discarded.
    Discarded,
    /// The session refused something by itself.
    Refused(Refusal),
    /// A handshake is due.
    StartTls,
    /// The end.
    Closed,
}

/// A driver in memory: it answers as `tests/dialogs/README.md` says that the common server does, and remembers everything.
#[derive(Debug)]
pub struct Bench {
    /// The session.
    pub session: Session<u32>,
    /// What happened, each with the number of octets said before it.
    pub events: Vec<(usize, Event)>,
    /// Everything said so far.
    pub said: Vec<u8>,
    buffer: Vec<u8>,
    message: Option<Vec<u8>>,
    commits: u32,
    /// The queue of `relay.example` was started.
    run: bool,
    over: bool,
}

/// The settings that the dialogues count on.
pub fn config() -> Config {
    Config {
        hostname: "mail.example.org".into(),
        greeting: "mail.example.org ESMTP".into(),
        postmaster_domain: domain("example.org"),
        role: Role::Mx,
        tls: Tls::Offered,
        auth: AuthConfig { mechanisms: Vec::new(), without_tls: false },
        size_limit: Some(64_000),
        oversize: Enhanced::new(5, 3, 4),
        max_recipients: 1000,
        max_errors: 20,
        max_refusals: 100,
        extensions: Extensions::default(),
        privacy: Privacy::GOAWAY,
        etrn: true,
    }
}

fn domain(text: &str) -> Domain {
    text.parse().expect("because the callers name domains")
}

fn status(code: u16, subject: u16, detail: u16, text: &str) -> Status {
    Status::local(code, Enhanced::new((code / 100) as u8, subject, detail), text, Timestamp(0))
}

impl Bench {
    /// A driver with a new session, before the greeting.
    pub fn new(config: Config) -> Self {
        Bench {
            session: Session::new(Arc::new(config)),
            events: Vec::new(),
            said: Vec::new(),
            buffer: Vec::new(),
            message: None,
            commits: 0,
            run: false,
            over: false,
        }
    }

    /// Whether the session closed.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Hands octets in and goes on until the session wants more.
    pub fn feed(&mut self, octets: &[u8]) {
        self.buffer.extend_from_slice(octets);
        let buffer = std::mem::take(&mut self.buffer);
        let mut taken = 0;
        // Every octet can cause a few outputs at most; more is a loop.
        for _ in 0..16 + 8 * buffer.len() {
            let step = self.session.poll(&buffer[taken..]);
            assert!(step.taken <= buffer.len() - taken, "no more is taken than there is");
            taken += step.taken;
            self.said.append(self.session.replies());
            if !self.act(step.output) {
                self.buffer = buffer[taken..].to_vec();
                assert!(self.over || self.buffer.len() <= MAX_AUTH, "what waits is bounded");
                return;
            }
        }
        unreachable!("because a session comes to rest");
    }

    /// Hands an input in and goes on until the session wants octets.
    pub fn handle(&mut self, input: Input<u32>) {
        self.session.handle(input);
        self.feed(b"");
    }

    fn note(&mut self, event: Event) {
        self.events.push((self.said.len(), event));
    }

    /// Does what the session says; false where it waits.
    fn act(&mut self, output: Output<'_>) -> bool {
        match output {
            Output::Flush => {}
            Output::Read(_) => return false,
            Output::Pending => unreachable!("because every question was answered"),
            Output::Ask(ask) => {
                self.note(Event::Asked(ask.clone()));
                self.answer(ask);
            }
            Output::Begin => {
                assert!(self.message.is_none(), "one message at a time");
                let transaction = self.session.transaction().expect("because a message has a transaction");
                assert!(!transaction.recipients.is_empty(), "a message has recipients");
                self.message = Some(Vec::new());
                self.note(Event::Begun);
            }
            Output::Append(octets) => {
                self.message.as_mut().expect("because a message has begun").extend_from_slice(octets);
            }
            Output::Commit => self.commit(),
            Output::Discard => {
                assert!(self.message.take().is_some(), "only what has begun is discarded");
                self.note(Event::Discarded);
            }
            Output::Refused(refusal) => self.note(Event::Refused(refusal)),
            Output::StartTls => {
                self.note(Event::StartTls);
                return false;
            }
            Output::Close => {
                assert!(self.message.is_none(), "nothing begun is left behind");
                if !self.over {
                    self.note(Event::Closed);
                }
                self.over = true;
                return false;
            }
        }
        true
    }

    fn commit(&mut self) {
        let message = self.message.take().expect("because a message has begun");
        let transaction = self.session.transaction().cloned().expect("because a message has a transaction");
        assert_eq!(reference_fault(&message), None, "what is committed is lines");
        assert!(message.is_empty() || message.ends_with(b"\r\n"), "the last line has its end");
        self.note(Event::Committed(transaction, message));
        self.commits += 1;
        self.session.handle(Input::Committed(Ok(self.commits)));
    }

    fn answer(&mut self, ask: Ask) {
        let answer = match ask {
            Ask::Mail(_) => Input::Answer(status(250, 1, 0, "Sender ok")),
            Ask::Rcpt(recipient) => Input::Answer(self.recipient(&recipient.address.key())),
            Ask::Auth(login) if login.user == "minji@example.org" && login.password == "burning-beacon" => {
                Input::Authenticated { account: login.user }
            }
            Ask::Auth(_) => Input::Answer(status(535, 7, 8, "The credentials are not valid")),
            Ask::Vrfy(_) => Input::Answer(status(252, 5, 2, "Not told; send, and see")),
            Ask::Expn(list) if list == "staff" => {
                Input::Members(vec!["<minji@example.org>".into(), "<chulsoo@example.org>".into()])
            }
            Ask::Expn(_) => Input::Answer(status(550, 1, 1, "No such list")),
            Ask::Etrn { domain: asked, .. } if asked.is_within(&domain("relay.example")) => Input::Answer(self.start_queue()),
            Ask::Etrn { .. } => Input::Answer(status(459, 7, 1, "No queue for this domain")),
            Ask::Pair(_) => Input::Answer(status(235, 7, 0, "Welcome")),
            Ask::List { have, from } => {
                Input::Lines(vec![format!("digest {have} {from:?}"), "mailbox 민지@example.org".into()])
            }
            Ask::Content => self.verdict(),
        };
        self.session.handle(answer);
    }

    fn start_queue(&mut self) -> Status {
        match std::mem::replace(&mut self.run, true) {
            false => status(250, 0, 0, "Queuing started"),
            true => status(458, 7, 0, "Started a moment ago"),
        }
    }

    fn recipient(&self, key: &str) -> Status {
        match key.rsplit_once('@') {
            Some(("minji" | "chulsoo" | "postmaster" | "root", "example.org")) | Some((_, "relay.example")) => {
                status(250, 1, 5, "Recipient ok")
            }
            Some((_, "example.org")) => status(550, 1, 1, "No such user"),
            _ if self.session.account().is_some() => status(250, 1, 5, "Recipient ok"),
            _ => status(550, 7, 1, "Relaying is denied"),
        }
    }

    fn verdict(&self) -> Input<u32> {
        let message = self.message.as_deref().unwrap_or_default();
        let verdict = match message.windows(6).any(|window| window == b"VIRUS!") {
            true => status(550, 7, 1, "Not here"),
            false => status(250, 0, 0, "Ok"),
        };
        let recipients = self.session.transaction().map_or(0, |transaction| transaction.recipients.len());
        Input::Content(vec![verdict; recipients])
    }
}

/// The first fault of a message, found the slow and obvious way.
fn reference_fault(message: &[u8]) -> Option<ContentFault> {
    message.iter().enumerate().find_map(|(at, octet)| match octet {
        0 => Some(ContentFault::Nul),
        b'\r' if message.get(at + 1) != Some(&b'\n') => Some(ContentFault::BareCr),
        b'\n' if at == 0 || message[at - 1] != b'\r' => Some(ContentFault::BareLf),
        _ => None,
    })
}

/// A command line: what is read prints as a line that is read the same.
pub fn command(line: &[u8]) {
    if let Ok(command) = Command::parse(line) {
        let printed = command.to_string();
        assert!(!printed.contains(['\r', '\n', '\0']), "a command is one line");
        assert_eq!(Command::parse(printed.as_bytes()), Ok(command));
    }
}

/// The first octet says how the rest is split; the rest follows DATA.
pub fn data(input: &[u8]) {
    let Some((step, input)) = input.split_first() else { return };
    let whole = unstuff(input, input.len().max(1));
    assert_eq!(whole, unstuff(input, usize::from(*step).max(1)), "a split changes nothing");
    // The slow and obvious way: the first CRLF.CRLF ends it, with a CRLF before the first octet for the search.
    let framed = [b"\r\n", input].concat();
    let end = framed.windows(5).position(|window| window == b"\r\n.\r\n");
    assert_eq!(whole.1, end.map(|at| at + 3));
    if let Some(at) = end {
        let mut stuffed = framed[..at + 2].to_vec();
        while let Some(dot) = stuffed.windows(3).position(|window| window == b"\r\n.") {
            // The mark keeps a dot that follows a removed one from being taken for stuffing.
            stuffed.splice(dot..dot + 3, *b"\r\x01\n");
        }
        let message: Vec<u8> = stuffed.into_iter().filter(|octet| *octet != 1).skip(2).collect();
        if !input.contains(&1) {
            assert_eq!(whole.0, message);
            assert_eq!(whole.2, reference_fault(&message));
        }
    }
}

/// Message, octets up to and with the end, fault.
fn unstuff(input: &[u8], step: usize) -> (Vec<u8>, Option<usize>, Option<ContentFault>) {
    let (mut unstuffer, mut message) = (Unstuffer::default(), Vec::new());
    let (mut start, mut end) = (0, 0);
    loop {
        let piece = unstuffer.next(&input[start..end]);
        start += piece.taken;
        message.extend_from_slice(piece.octets);
        if piece.end {
            return (message, Some(start), unstuffer.fault());
        }
        if piece.taken == 0 {
            assert!(end - start <= 2, "a dot and a CR wait at most");
            if end == input.len() {
                return (message, None, None);
            }
            end = (end + step).min(input.len());
        }
    }
}

/// The first octet says how the rest is split into chunks.
pub fn bdat(input: &[u8]) {
    let Some((step, input)) = input.split_first() else { return };
    let mut scan = ChunkScan::default();
    input.chunks(usize::from(*step).max(1)).for_each(|chunk| scan.look(chunk));
    let want = match reference_fault(input) {
        Some(fault) => Err(fault),
        None => Ok(!input.is_empty() && !input.ends_with(b"\r\n")),
    };
    assert_eq!(scan.finish(), want);
}

/// The first octet chooses settings, the second a split; the rest is what a client sends. Splits change nothing.
pub fn session(input: &[u8]) {
    let [choice, step, input @ ..] = input else { return };
    let is_set = |bit: u8| choice & (1 << bit) != 0;
    let config = Config {
        role: if is_set(0) { Role::Submission } else { Role::Mx },
        tls: if is_set(1) { Tls::Active } else { Tls::Off },
        auth: AuthConfig { mechanisms: vec![Mechanism::Plain, Mechanism::Login], without_tls: is_set(2) },
        size_limit: is_set(3).then_some(40),
        max_recipients: if is_set(4) { 1 } else { 1000 },
        extensions: if is_set(5) {
            Extensions { chunking: false, dsn: false, ..Extensions::default() }
        } else {
            Extensions::default()
        },
        privacy: if is_set(6) { Privacy::default() } else { Privacy::GOAWAY },
        max_errors: if is_set(7) { 3 } else { 1000 },
        max_refusals: if is_set(7) { 2 } else { 1000 },
        ..config()
    };
    let play = |step: usize| {
        let mut bench = Bench::new(config.clone());
        bench.feed(b"");
        input.chunks(step).for_each(|octets| {
            if !bench.is_over() {
                bench.feed(octets);
            }
        });
        bench.handle(Input::Eof);
        assert!(bench.is_over());
        (bench.said, bench.events)
    };
    let whole = play(input.len().max(1));
    assert_eq!(whole, play(usize::from(*step).max(1)), "a split changes nothing");
    assert!(whole.0.is_empty() || whole.0.ends_with(b"\r\n"), "replies are lines");
    starttls(input);
}

/// Nothing that stands behind an accepted STARTTLS is executed.
fn starttls(input: &[u8]) {
    let mut bench = Bench::new(config());
    bench.feed(b"");
    bench.feed(input);
    let handshake = bench.events.iter().position(|(_, event)| *event == Event::StartTls);
    if let Some(at) = handshake {
        assert_eq!(at + 1, bench.events.len(), "nothing happens behind it");
        assert!(bench.buffer.is_empty(), "no octet is left over");
        let text = String::from_utf8_lossy(input);
        let last = text.strip_suffix("\r\n").and_then(|text| text.rsplit('\n').next()).unwrap_or_default();
        assert!(last.trim_end_matches(' ').eq_ignore_ascii_case("STARTTLS"), "it was the last command");
    }
}

/// Reads arbitrary octets as the argument of XFORWARD. Panics where what is read does not print as what is read the same.
pub fn forward(octets: &[u8]) {
    let Some(read) = Forward::parse(&String::from_utf8_lossy(octets)) else { return };
    let printed = read.to_string();
    assert!(!printed.chars().any(char::is_control), "it ends the line: {printed:?}");
    let address = read.address.map(|address| address.to_canonical());
    assert_eq!(Forward::parse(&printed), Some(Forward { address, ..read }), "{printed}");
}
