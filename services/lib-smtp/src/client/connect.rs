//! From the banner to a session that is ready for mail: EHLO or HELO, STARTTLS, AUTH.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lib_mail::{Enhanced, Timestamp};

use super::{Capabilities, Client, State, TlsMode};
use crate::reply::Reply;

/// What the next reply of an AUTH exchange answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AuthStep {
    /// `AUTH EXTERNAL` with no identity but the certificate's.
    External,
    /// `AUTH PLAIN` with everything.
    Plain,
    /// `AUTH LOGIN`.
    LoginUser,
    /// The user's name.
    LoginPassword,
    /// The password.
    LoginEnd,
}

impl Client {
    pub(super) fn banner(&mut self, reply: &Reply, now: Timestamp) {
        match reply.code {
            220 => self.greet(true),
            _ if reply.is_refusal() => self.refused(reply, now),
            _ => self.nonsense(&format!("it greeted with {reply}"), now),
        }
    }

    fn greet(&mut self, extended: bool) {
        let verb = if extended { "EHLO" } else { "HELO" };
        self.send(format!("{verb} {}\r\n", self.config.helo));
        self.state = State::Hello { extended };
    }

    pub(super) fn hello(&mut self, extended: bool, reply: &Reply, now: Timestamp) {
        match (reply.code / 100, extended) {
            (2, true) => {
                self.offered = Capabilities::parse(reply);
                self.secure_or_log_in(now);
            }
            (2, false) => {
                self.offered = Capabilities::default();
                self.secure_or_log_in(now);
            }
            // RFC 5321 §3.2: a server may know only HELO.
            (5, true) => self.greet(false),
            (4 | 5, _) => self.refused(reply, now),
            _ => self.nonsense(&format!("it said {reply}"), now),
        }
    }

    fn secure_or_log_in(&mut self, now: Timestamp) {
        match (self.config.tls, self.secure, self.offered.start_tls) {
            (TlsMode::Offered | TlsMode::Required, false, true) => {
                self.send("STARTTLS\r\n");
                self.state = State::StartTls;
            }
            (TlsMode::Required, false, false) => {
                let text = format!("{} offers no TLS, which the settings require", self.config.peer);
                self.close(self.about(454, Enhanced::new(4, 7, 4), &text, now), false);
            }
            _ => self.log_in(now),
        }
    }

    pub(super) fn start_tls(&mut self, reply: &Reply, now: Timestamp) {
        match (reply.code, self.config.tls) {
            (220, _) => self.state = State::Handshake,
            _ if !reply.is_refusal() => self.nonsense(&format!("it said {reply}"), now),
            // It offered and then did not: the connection itself is sound.
            (_, TlsMode::Offered) => self.log_in(now),
            _ => self.refused(reply, now),
        }
    }

    pub(super) fn tls_up(&mut self) {
        if matches!(self.state, State::Handshake) {
            self.secure = true;
            self.offered = Capabilities::default();
            self.greet(true);
        }
    }

    fn log_in(&mut self, now: Timestamp) {
        if self.config.external {
            if !self.secure || !self.offered.auth_external {
                return self.no_login(
                    "it does not know our certificate; do both peers name each other's fingerprint in pair.peers?",
                    now,
                );
            }
            self.send("AUTH EXTERNAL =\r\n");
            self.state = State::Auth(AuthStep::External);
            return;
        }
        let Some(login) = &self.config.login else {
            self.state = State::Ready;
            return;
        };
        let (command, step) = if !self.secure && !login.without_tls {
            return self.no_login("no TLS is up, and the password must not go out without", now);
        } else if self.offered.auth_plain {
            let response = BASE64.encode(format!("\0{}\0{}", login.user, login.password));
            (format!("AUTH PLAIN {response}\r\n"), AuthStep::Plain)
        } else if self.offered.auth_login {
            ("AUTH LOGIN\r\n".to_owned(), AuthStep::LoginUser)
        } else {
            return self.no_login("it offers neither AUTH PLAIN nor LOGIN", now);
        };
        self.send(command);
        self.state = State::Auth(step);
    }

    pub(super) fn auth(&mut self, reply: &Reply, now: Timestamp) {
        if matches!(self.state, State::Auth(AuthStep::External)) {
            return match reply.code {
                235 => self.state = State::Ready,
                _ if reply.is_refusal() => self.no_login(&reply.to_string(), now),
                _ => self.nonsense(&format!("it said {reply}"), now),
            };
        }
        let (State::Auth(step), Some(login)) = (&self.state, &self.config.login) else { return };
        let next = match (reply.code, step) {
            (235, _) => return self.state = State::Ready,
            (334, AuthStep::LoginUser) => (&login.user, AuthStep::LoginPassword),
            (334, AuthStep::LoginPassword) => (&login.password, AuthStep::LoginEnd),
            // A refused login is a fault of our settings. The mail waits until they are right.
            _ if reply.is_refusal() => return self.no_login(&reply.to_string(), now),
            _ => return self.nonsense(&format!("it said {reply}"), now),
        };
        let line = format!("{}\r\n", BASE64.encode(next.0));
        self.state = State::Auth(next.1);
        self.send(line);
    }

    fn no_login(&mut self, why: &str, now: Timestamp) {
        let text = format!("cannot log in at {}: {why}", self.config.peer);
        self.close(self.about(454, Enhanced::new(4, 7, 0), &text, now), false);
    }
}
