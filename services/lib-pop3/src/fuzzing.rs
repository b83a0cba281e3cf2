//! Proving grounds: what the fuzz targets, their replay in the normal test run, and the tests share. Not for programs.
//!
//! [`Bench`] plays the driver and the program in memory; [`session`] takes arbitrary octets and panics where an invariant of the wire or
//! of the session does not hold.

use std::sync::Arc;

use crate::command::Command;
use crate::session::{Answer, Ask, Maildrop, Next, NotOpened, Rules, Session, Verdict};
use crate::stuff::{Stuffer, TopCut};

/// A password that is refused, whatever the mailbox says.
pub const WRONG: &str = "wrong";
/// Two messages: one with a line that begins with a dot.
pub const MESSAGES: [&str; 2] = ["Subject: one\r\n\r\n.dot\r\nline\r\n", "Subject: two\r\n\r\nx\r\n"];

/// A mailbox in memory, and what comes of trying to open it.
#[derive(Debug, Clone)]
pub struct Mailbox {
    /// In wire form.
    pub messages: Vec<&'static str>,
    /// On every login but with [`WRONG`].
    pub verdict: Verdict,
    /// Why it cannot be opened, if so.
    pub not_opened: Option<NotOpened>,
    /// Octets of one piece of a message.
    pub piece: usize,
    /// The second message breaks off after its first piece.
    pub breaks: bool,
    /// What is deleted is removed.
    pub complete: bool,
}

impl Default for Mailbox {
    fn default() -> Self {
        let (verdict, not_opened) = (Verdict::Verified, None);
        Mailbox { messages: MESSAGES.to_vec(), verdict, not_opened, piece: 7, breaks: false, complete: true }
    }
}

/// Sizes and unique ids.
#[derive(Debug)]
pub struct Listed(pub Vec<(u64, String)>);

impl Maildrop for Listed {
    fn count(&self) -> usize {
        self.0.len()
    }
    fn size(&self, index: usize) -> u64 {
        self.0[index].0
    }
    fn uid(&self, index: usize) -> &str {
        &self.0[index].1
    }
}

/// The rules of a listener that allows everything.
pub fn rules() -> Rules {
    Rules { greeting: "ready".into(), stls: true, clear_passwords: true, bad_commands: 20, failed_logins: 3 }
}

/// A session with the driver's and the program's parts played.
pub struct Bench {
    /// The session.
    pub session: Session<Listed>,
    /// What it serves.
    pub mailbox: Mailbox,
    /// Index and octets of the message being read.
    reading: (usize, usize),
    /// What was to be removed, for each commit.
    pub commits: Vec<Vec<usize>>,
    /// Names and passwords that were asked about.
    pub logins: Vec<(String, String)>,
    /// Replies since the last [`Bench::say`].
    pub output: Vec<u8>,
    /// What the session has not taken.
    pub pending: Vec<u8>,
    /// The session ended.
    pub closed: bool,
    /// A handshake was begun.
    pub started_tls: bool,
}

impl Bench {
    /// A session that has greeted.
    pub fn new(rules: Rules, mailbox: Mailbox) -> Bench {
        let session = Session::new(Arc::new(rules), false);
        let (commits, logins, output, pending) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (reading, closed, started_tls) = ((0, 0), false, false);
        let mut bench = Bench { session, mailbox, reading, commits, logins, output, pending, closed, started_tls };
        bench.give(b"");
        bench
    }

    /// Gives octets; returns what was replied since the last call.
    pub fn say(&mut self, text: &str) -> String {
        self.output.clear();
        self.give(text.as_bytes());
        String::from_utf8_lossy(&self.output).into_owned()
    }

    /// Gives octets.
    pub fn give(&mut self, octets: &[u8]) {
        self.pending.extend_from_slice(octets);
        let mut output = std::mem::take(&mut self.output);
        while !self.closed {
            let (taken, mut next) = self.session.turn(&self.pending, &mut output);
            self.pending.drain(..taken);
            while let Next::Ask(ask) = next {
                next = self.answer(ask, &mut output);
            }
            match next {
                Next::Again | Next::Write => {}
                Next::Read => break,
                Next::StartTls => {
                    self.pending.clear();
                    self.started_tls = true;
                    self.session.secured();
                }
                Next::Close | Next::Ask(_) => self.closed = true,
            }
        }
        self.output = output;
    }

    fn answer(&mut self, ask: Ask, output: &mut Vec<u8>) -> Next {
        let answer = match ask {
            Ask::Login { user, password } => {
                let verdict = if password.0 == WRONG { Verdict::Refused } else { self.mailbox.verdict };
                self.logins.push((user, password.0));
                Answer::Login(verdict)
            }
            Ask::Open => match self.mailbox.not_opened {
                Some(why) => Answer::NotOpened(why),
                None => {
                    let listed = |(index, text): (usize, &&str)| (text.len() as u64, format!("uid{index}"));
                    Answer::Opened(Listed(self.mailbox.messages.iter().enumerate().map(listed).collect()))
                }
            },
            Ask::Read { index, .. } => {
                self.reading = (index, 0);
                self.piece()
            }
            Ask::More => self.piece(),
            Ask::Commit { deleted } => {
                self.commits.push(deleted);
                Answer::Committed { complete: self.mailbox.complete }
            }
        };
        self.session.answer(answer, output)
    }

    fn piece(&mut self) -> Answer<'static, Listed> {
        let (index, from) = self.reading;
        if self.mailbox.breaks && index == 1 && from > 0 {
            return Answer::Unreadable;
        }
        let text = self.mailbox.messages[index].as_bytes();
        let to = (from + self.mailbox.piece).min(text.len());
        self.reading.1 = to;
        Answer::Piece { octets: &text[from..to], last: to == text.len() }
    }
}

/// The first two octets choose rules, mailbox and the cut; the rest is what a client says. Panics where
/// - another split of the input gives other replies or another commit (STLS apart, which throws away what came with it),
/// - a reply line is no `+OK`, `-ERR` or `+ ` within 512 octets (RFC 2449 §4), outside of multi-line replies,
/// - anything is committed without QUIT, or twice, or a login is asked where the rules forbid it,
/// - a command line does not survive being printed and read again.
pub fn session(input: &[u8]) {
    let [choice, cut, said @ ..] = input else { return };
    let clear_passwords = choice & 1 == 0;
    let rules = Rules { clear_passwords, stls: choice & 2 == 0, ..rules() };
    let mailbox = Mailbox {
        piece: 1 + usize::from(choice >> 4),
        breaks: choice & 4 != 0,
        complete: choice & 8 == 0,
        ..Mailbox::default()
    };
    let mut whole = Bench::new(rules.clone(), mailbox.clone());
    whole.give(said);
    let mut split = Bench::new(rules, mailbox);
    said.chunks(1 + usize::from(*cut)).for_each(|part| split.give(part));
    if !whole.started_tls && !split.started_tls {
        assert_eq!(String::from_utf8_lossy(&whole.output), String::from_utf8_lossy(&split.output));
        assert_eq!((&whole.commits, whole.closed), (&split.commits, split.closed));
    }
    for bench in [&whole, &split] {
        check_replies(&bench.output);
        assert!(bench.commits.len() <= 1);
        assert!(bench.commits.is_empty() || said.windows(4).any(|word| word.eq_ignore_ascii_case(b"QUIT")));
        assert!(clear_passwords || bench.started_tls || bench.logins.is_empty());
    }
    said.split(|octet| *octet == b'\n').for_each(command);
}

/// A line that is a command is the same command after being printed and read again.
pub fn command(line: &[u8]) {
    if let Ok(command) = Command::parse(line) {
        let printed = command.to_string();
        let again = Command::parse(printed.as_bytes());
        assert!(again == Ok(command) || matches!(command, Command::Apop), "{printed}");
    }
}

/// The first octet is where the message behind it is cut. Panics where the cut changes the reply or the top, where a line of the reply is a
/// dot alone before its end, or where what a client reads back is not the message.
pub fn message(input: &[u8]) {
    let [cut, message @ ..] = input else { return };
    let (front, back) = message.split_at(usize::from(*cut).min(message.len()));
    let whole = stuffed(&[message]);
    assert_eq!(whole, stuffed(&[front, back]));
    let body = whole.strip_suffix(b".\r\n").unwrap_or_default();
    let lines: Vec<&[u8]> = body.split_inclusive(|octet| *octet == b'\n').collect();
    assert!(lines.iter().all(|line| !matches!(line, [b'.', b'\r' | b'\n', ..])));
    let read: Vec<u8> = lines.iter().flat_map(|line| line.strip_prefix(b".").unwrap_or(line)).copied().collect();
    assert!(read.starts_with(message) && read.len() <= message.len() + 2);
    let lines = u64::from(*cut) % 8;
    let (mut top, mut cut_top) = (TopCut::new(lines), TopCut::new(lines));
    let shown = cut_top.shown(front);
    let shown = shown + if shown == front.len() { cut_top.shown(back) } else { 0 };
    assert_eq!(top.shown(message), shown);
}

fn stuffed(pieces: &[&[u8]]) -> Vec<u8> {
    let (mut stuffer, mut output) = (Stuffer::default(), Vec::new());
    pieces.iter().for_each(|piece| stuffer.push(piece, &mut output));
    stuffer.finish(&mut output);
    output
}

fn check_replies(output: &[u8]) {
    let text = String::from_utf8_lossy(output);
    assert!(text.is_empty() || text.ends_with("\r\n") || text.contains(" octets\r\n") || text.contains("The top"), "{text}");
    let mut lines = text.split("\r\n");
    while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
        assert!(line.len() <= 510, "{line}");
        let status = line.starts_with("+OK ") || line.starts_with("-ERR ") || line == "+ ";
        assert!(status, "no status: {line:?} in {text:?}");
        let words = ["follow", "There are", "octets"];
        let many =
            words.iter().any(|word| line.contains(word)) && !line.contains("Logged in") && !line.contains("The maildrop has");
        if many && line.starts_with("+OK") {
            // Up to the final dot, or to where a message broke off.
            lines.by_ref().find(|line| *line == ".");
        }
    }
}
