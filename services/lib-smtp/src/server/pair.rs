//! What a peer of a pair may do besides: prove who it is (AUTH EXTERNAL, RFC 4422 appendix A), say whose message it hands over (XFORWARD), and
//! ask who has mail here (XLIST). Others are told that there are no such commands.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lib_mail::Status;

use super::auth::Exchange;
use super::print::{self, Reply};
use super::{Ask, Question, Session, State};
use crate::forward::Forward;

/// Lines of a list in one reply; a client keeps no more of a reply than 128.
pub const LIST_LINES: usize = 100;

impl<R: fmt::Display> Session<R> {
    /// The handshake showed the key of this peer.
    pub(super) fn shown(&mut self, peer: String) {
        if self.tls && self.extended.is_none() {
            self.shown = Some(peer);
        }
    }

    /// Whether AUTH EXTERNAL would be accepted.
    pub(super) fn may_prove(&self) -> bool {
        self.shown.is_some() && self.pair.is_none() && self.account.is_none()
    }

    pub(super) fn external(&mut self, initial: Option<&str>) {
        match initial {
            None => self.prompt(Exchange::External, ""),
            Some("=") => self.identity(""),
            Some(response) => self.identity(response),
        }
    }

    /// The authorization identity, in base64: none, or the peer's own name.
    pub(super) fn identity(&mut self, response: &str) {
        let text = BASE64.decode(response).ok().and_then(|octets| String::from_utf8(octets).ok());
        match (text, self.shown.clone()) {
            (None, _) => self.complain(Reply::new(501, 5, 2, "The response is not base64 of UTF-8")),
            (Some(identity), Some(peer)) if identity.is_empty() || identity == peer => {
                self.ask(Question::Pair(peer.clone()), Ask::Pair(peer));
            }
            (Some(_), _) => self.complain(Reply::new(535, 7, 8, "The certificate is that of another")),
        }
    }

    pub(super) fn pair_answered(&mut self, peer: String, status: &Status) {
        if status.is_success() {
            self.pair = Some(peer);
            self.say(&Reply { code: 235, enhanced: lib_mail::Enhanced::new(2, 7, 0), text: "Welcome, peer".into() });
        } else {
            self.tell(Reply::from(status));
        }
    }

    pub(super) fn forward(&mut self, forward: Forward) {
        if self.pair.is_none() {
            self.complain(Reply::new(502, 5, 1, "XFORWARD is not offered"));
        } else if self.transaction.is_some() {
            self.complain(Reply::new(503, 5, 1, "Not within a transaction"));
        } else {
            self.forward = Some(self.forward.take().unwrap_or_default().and(forward));
            self.say(&Reply::new(250, 0, 0, "Ok"));
        }
    }

    pub(super) fn list(&mut self, have: String, from: Option<usize>) {
        if self.pair.is_none() {
            self.complain(Reply::new(502, 5, 1, "XLIST is not offered"));
        } else if self.transaction.is_some() {
            self.complain(Reply::new(503, 5, 1, "Not within a transaction"));
        } else {
            self.ask(Question::Told, Ask::List { have, from });
        }
    }

    /// A reply of these lines. They may hold any letters: a peer reads them, and nobody else.
    pub(super) fn listed(&mut self, lines: &[String]) {
        if !matches!(self.state, State::Asked(Question::Told)) {
            return;
        }
        self.state = State::Command;
        let lines: Vec<Cow<'_, str>> = lines.iter().map(|line| line.as_str().into()).collect();
        print::letters(&mut self.out, 250, &lines);
    }
}
