//! STARTTLS (RFC 3207). Nothing that came in clear outlives the handshake: neither octets (CVE-2011-0411) nor what the client said
//! of itself.

use std::fmt;

use super::print::Reply;
use super::{Output, Session, State, Tls};

impl<R: fmt::Display> Session<R> {
    /// `pending` says that octets stand behind the command. A client has to wait for the reply, so they are an attacker's.
    pub(super) fn starttls(&mut self, pending: bool) {
        if self.config.tls == Tls::Off {
            self.complain(Reply::new(502, 5, 1, "STARTTLS is not offered"));
        } else if self.tls {
            self.complain(Reply::new(503, 5, 1, "TLS is active already"));
        } else if self.extended != Some(true) {
            self.complain(Reply::new(503, 5, 1, "EHLO comes first"));
        } else if self.transaction.is_some() {
            self.complain(Reply::new(503, 5, 1, "Not within a transaction"));
        } else if pending {
            self.hang_up(Reply::new(503, 5, 1, "Nothing may follow STARTTLS in clear; closing the connection"));
        } else {
            self.say(&Reply::new(220, 0, 0, "Go ahead"));
            self.queue.push_back(Output::StartTls);
            self.state = State::Handshake;
        }
    }

    pub(super) fn tls_started(&mut self) {
        if !matches!(self.state, State::Handshake) {
            return;
        }
        self.state = State::Command;
        self.tls = true;
        self.extended = None;
        self.helo.clear();
        self.account = None;
        self.forward = None;
    }
}
