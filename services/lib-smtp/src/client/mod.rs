//! The client's side of an SMTP session, without sockets: replies in, commands out.
//!
//! ```text
//!  Banner ─220→ Hello ─250→ StartTls ─220→ Handshake ─TlsUp→ Hello ─250→ Auth ─235→ Ready ⇄ Transaction ⇄ Reset
//!     └──────────┴────────────┴──────────────┴── refused, lost, nonsense ──┴────────────────────→ Closed
//! ```
//! The driver calls [`Client::poll`] and does what it says, until it says [`Output::Await`]; then it hands in what the peer sent by
//! [`Client::handle`], and so on. Whatever happens, each recipient of a transaction gets one [`Status`] in [`Output::Done`]:
//! the peer's own words, or a temporary one where the connection ended first or its replies make no sense. After the final dot this
//! may mean a second copy, which RFC 5321 §4.5.5 prefers to a lost message.
//!
//! # What becomes of content that a peer does not take
//! What counts is what is in the message, never what its sender declared ([`Content`]):
//!
//! | content | peer offers | outcome |
//! | --- | --- | --- |
//! | octets above 127 | 8BITMIME | sent with `BODY=8BITMIME`, declared by the sender or not |
//! | octets above 127 | – | all recipients `554 5.6.3`: whoever wants it converted does so before |
//! | 7-bit, declared 8BITMIME | anything | sent without `BODY=` |
//! | UTF-8 header fields or non-ASCII sender | SMTPUTF8 | sent with `SMTPUTF8 BODY=8BITMIME` |
//! | UTF-8 header fields or non-ASCII sender | – | all recipients `554 5.6.7` |
//! | recipient with non-ASCII local part | – | that recipient `553 5.6.7` |
//! | address with non-ASCII domain only | – | sent with the domain's A-labels |
//! | more octets than the `SIZE` limit | SIZE | all recipients `552 5.3.4` |

mod body;
mod capabilities;
mod command;
mod config;
mod connect;
mod stage;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::VecDeque;

use lib_mail::{By, Enhanced, Recipient, Return, ReversePath, Status, Timestamp};

pub use capabilities::Capabilities;
pub use config::{Config, Login, TlsMode};
use connect::AuthStep;
pub use stage::{Stage, Wait};
use transaction::Progress;

use crate::forward::Forward;
use crate::reply::{Reply, ReplyReader};

/// What is in a message: found by reading it, never by what was declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Content {
    /// Octets of the message on the wire, without dot-stuffing: what SIZE declares.
    pub size: u64,
    /// Any octet above 127, in header or body.
    pub eight_bit: bool,
    /// Header fields hold UTF-8 that SMTPUTF8 was asked for (RFC 6532). Raw 8-bit octets in the header of a message that never was
    /// an SMTPUTF8 one count as `eight_bit` only.
    pub utf8_header: bool,
}

/// One message for some recipients.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// The sender.
    pub sender: ReversePath,
    /// At least one. Their order is that of [`Done::fates`].
    pub recipients: Vec<Recipient>,
    /// RET, passed on where the peer knows DSN.
    pub ret: Option<Return>,
    /// ENVID in wire form, passed on where the peer knows DSN.
    pub envid: Option<String>,
    /// What is in the message.
    pub content: Content,
    /// Whose message is handed over, told where the peer asks for it by XFORWARD.
    pub forward: Option<Box<Forward>>,
}

/// What the driver hands in.
#[derive(Debug)]
pub enum Input<'a> {
    /// What the peer sent.
    Octets(&'a [u8]),
    /// The connection is gone, or the driver gave up waiting. The words begin a sentence: `Connection timed out`.
    Lost(&'a str),
    /// The handshake that [`Output::StartTls`] asked for is done.
    TlsUp,
    /// The handshake failed: why.
    TlsFailed(&'a str),
    /// Send this message. Only after [`Output::Ready`].
    Begin(Transaction),
    /// [`Client::end_body`] was written.
    BodySent,
    /// Say this line, without its CRLF; [`Output::Said`] has the reply. Only after [`Output::Ready`].
    Ask(&'a str),
    /// Take leave. Only after [`Output::Ready`].
    Quit,
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Write these octets.
    Send(Vec<u8>),
    /// Read, and hand in what came.
    Await(Wait),
    /// Do the TLS handshake, then hand in [`Input::TlsUp`] or [`Input::TlsFailed`].
    StartTls,
    /// Hand in [`Input::Begin`] or [`Input::Quit`], or leave the connection idle.
    Ready,
    /// Write the message through [`Client::encode_body`], then [`Client::end_body`], then hand in [`Input::BodySent`]. A peer that
    /// speaks meanwhile is to be heard.
    Body,
    /// The reply to [`Input::Ask`].
    Said(Reply),
    /// The transaction is over.
    Done(Done),
    /// Close the connection; nothing else is of use.
    Closed(Closed),
}

/// The end of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// One for each recipient, in their order.
    pub fates: Vec<Status>,
    /// Nothing but a farewell was heard since the transaction began: on a connection that had lain idle, this is no attempt.
    pub unheard: bool,
}

/// Why a connection is of no more use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Always temporary: another host, or a later time, may do better.
    pub status: Status,
    /// TLS is what failed; where it is optional, a new connection without it may do.
    pub tls_failed: bool,
}

#[derive(Debug)]
enum State {
    Banner,
    Hello { extended: bool },
    StartTls,
    Handshake,
    Auth(AuthStep),
    Ready,
    Transaction(Box<Progress>),
    Reset,
    Asked,
    Quit,
    Closed(Closed),
}

/// A session with one server; see the module's text.
#[derive(Debug)]
pub struct Client {
    config: Config,
    reader: ReplyReader,
    state: State,
    output: VecDeque<Output>,
    offered: Capabilities,
    secure: bool,
    replies: u32,
}

impl Client {
    /// A session whose banner has not come yet.
    pub fn new(config: Config) -> Client {
        let secure = config.tls == TlsMode::Implicit;
        Client {
            config,
            reader: ReplyReader::default(),
            state: State::Banner,
            output: VecDeque::new(),
            offered: Capabilities::default(),
            secure,
            replies: 0,
        }
    }

    /// What to do next. The same again until something is handed in, but for `Send` and `Done`.
    pub fn poll(&mut self) -> Output {
        if let Some(output) = self.output.pop_front() {
            return output;
        }
        match &self.state {
            State::Ready => Output::Ready,
            State::Handshake => Output::StartTls,
            State::Closed(closed) => Output::Closed(closed.clone()),
            State::Transaction(progress) if progress.stage() == Stage::Body => Output::Body,
            _ => Output::Await(Wait { stage: self.stage(), replies: self.replies }),
        }
    }

    /// Takes an input. One that does not fit the state (a second `Begin`, say) is ignored, but for octets: a peer that speaks when
    /// it was not asked is out of step, and the session ends. `now` is the queue clock's, for the statuses.
    pub fn handle(&mut self, input: Input<'_>, now: Timestamp) {
        match input {
            Input::Octets(octets) => self.octets(octets, now),
            Input::Lost(why) => self.lost(why, now),
            Input::TlsUp => self.tls_up(),
            Input::TlsFailed(why) => self.tls_failed(why, now),
            Input::Begin(transaction) => self.begin(transaction, now),
            Input::BodySent => self.body_sent(),
            Input::Ask(line) => self.ask(line),
            Input::Quit => self.quit(),
        }
    }

    /// What the peer offered in its last EHLO reply.
    pub fn offered(&self) -> &Capabilities {
        &self.offered
    }

    /// Whether TLS is up.
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// The peer as [`Config::peer`] named it.
    pub fn peer(&self) -> &str {
        &self.config.peer
    }

    /// What the next reply answers.
    pub fn stage(&self) -> Stage {
        match &self.state {
            State::Banner => Stage::Banner,
            State::Hello { .. } => Stage::Hello,
            State::StartTls | State::Handshake => Stage::StartTls,
            State::Auth(_) => Stage::Auth,
            State::Ready | State::Closed(_) => Stage::Idle,
            State::Transaction(progress) => progress.stage(),
            State::Reset => Stage::Reset,
            State::Asked => Stage::Asked,
            State::Quit => Stage::Quit,
        }
    }

    fn octets(&mut self, octets: &[u8], now: Timestamp) {
        self.reader.push(octets);
        while !matches!(self.state, State::Closed(_) | State::Handshake) {
            match self.reader.take() {
                Ok(Some(reply)) => self.reply(&reply, now),
                Ok(None) => return,
                Err(error) => return self.nonsense(&format!("it {error}"), now),
            }
        }
        // RFC 3207 §6: what came before the handshake must not be taken for what comes under TLS.
        if matches!(self.state, State::Handshake) && self.reader.holds_more() {
            self.tls_failed("it spoke before the handshake", now);
        }
    }

    fn reply(&mut self, reply: &Reply, now: Timestamp) {
        self.replies = self.replies.saturating_add(1);
        if reply.closes() && !matches!(self.state, State::Quit) {
            return self.refused(reply, now);
        }
        match &self.state {
            State::Banner => self.banner(reply, now),
            State::Hello { extended } => self.hello(*extended, reply, now),
            State::StartTls => self.start_tls(reply, now),
            State::Auth(_) => self.auth(reply, now),
            State::Transaction(_) => self.transaction(reply, now),
            State::Reset if reply.is_success() => self.state = State::Ready,
            State::Reset => self.refused(reply, now),
            State::Asked => {
                self.output.push_back(Output::Said(reply.clone()));
                self.state = State::Ready;
            }
            State::Quit => self.lost("Closed", now),
            State::Ready => self.nonsense(&format!("unasked it said {reply}"), now),
            State::Handshake | State::Closed(_) => {}
        }
    }

    fn ask(&mut self, line: &str) {
        if matches!(self.state, State::Ready) && !line.contains(char::is_control) {
            self.send(format!("{line}\r\n"));
            self.state = State::Asked;
        }
    }

    fn quit(&mut self) {
        if matches!(self.state, State::Ready) {
            self.send("QUIT\r\n");
            self.state = State::Quit;
        }
    }

    fn send(&mut self, command: impl Into<Vec<u8>>) {
        self.output.push_back(Output::Send(command.into()));
    }

    /// A status in the peer's own words.
    fn said(&self, reply: &Reply, now: Timestamp) -> Status {
        Status::new(reply.code, reply.enhanced_or_default(), By::Remote(self.config.peer.clone()), reply.text(), now)
    }

    /// A status about the peer that it did not say itself.
    fn about(&self, code: u16, enhanced: Enhanced, text: &str, now: Timestamp) -> Status {
        Status::new(code, enhanced, By::Remote(self.config.peer.clone()), text, now)
    }

    /// The peer wants nothing to do with us now. A 5yz here speaks of the host and not of the recipient, so it becomes temporary.
    fn refused(&mut self, reply: &Reply, now: Timestamp) {
        let status = if reply.code / 100 == 4 {
            self.said(reply, now)
        } else {
            self.about(451, reply.enhanced_or_default(), &format!("{} refused us: {reply}", self.config.peer), now)
        };
        self.close(status, false);
    }

    fn nonsense(&mut self, what: &str, now: Timestamp) {
        let text = format!("{} does not speak SMTP: {what} while {}", self.config.peer, self.stage().doing());
        self.close(self.about(451, Enhanced::new(4, 5, 0), &text, now), false);
    }

    fn lost(&mut self, why: &str, now: Timestamp) {
        let text = format!("{why} with {} while {}", self.config.peer, self.stage().doing());
        self.close(self.about(421, Enhanced::new(4, 4, 2), &text, now), false);
    }

    fn tls_failed(&mut self, why: &str, now: Timestamp) {
        let text = format!("TLS with {} failed: {why}", self.config.peer);
        self.close(self.about(454, Enhanced::new(4, 7, 5), &text, now), true);
    }

    fn close(&mut self, status: Status, tls_failed: bool) {
        if matches!(self.state, State::Closed(_)) {
            return;
        }
        let closed = Closed { status: status.clone(), tls_failed };
        if let State::Transaction(progress) = std::mem::replace(&mut self.state, State::Closed(closed)) {
            // What was not sent yet must not go out behind the end.
            self.output.clear();
            self.output.push_back(Output::Done(progress.cut_short(&status)));
        }
    }
}
