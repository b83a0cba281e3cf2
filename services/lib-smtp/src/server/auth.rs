//! AUTH (RFC 4954) with PLAIN (RFC 4616) and LOGIN. Who is who is the driver's to say.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lib_mail::Status;

use super::print::{self, Reply};
use super::{Ask, Credentials, Mechanism, Question, Session, State};

/// Octets of a login name and of a password.
const MAX_CREDENTIAL: usize = 1024;

/// What the next line of an exchange is.
#[derive(Debug)]
pub(super) enum Exchange {
    /// The response of PLAIN.
    Plain,
    /// The authorization identity of EXTERNAL.
    External,
    /// The user name of LOGIN.
    LoginUser,
    /// The password of LOGIN.
    LoginPassword {
        /// The user name, given before.
        user: String,
    },
}

impl<R: fmt::Display> Session<R> {
    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<&str>) {
        if self.config.auth.mechanisms.is_empty() && self.shown.is_none() {
            return self.complain(Reply::new(502, 5, 1, "AUTH is not offered"));
        }
        if self.extended != Some(true) {
            return self.complain(Reply::new(503, 5, 1, "EHLO comes first"));
        }
        if self.account.is_some() || self.pair.is_some() {
            return self.complain(Reply::new(503, 5, 1, "You are authenticated already"));
        }
        if self.transaction.is_some() {
            return self.complain(Reply::new(503, 5, 1, "Not within a transaction"));
        }
        if mechanism == "EXTERNAL" && self.may_prove() {
            return self.external(initial);
        }
        let known = self.config.auth.mechanisms.iter().find(|known| known.name() == mechanism);
        let Some(mechanism) = known.copied() else {
            return self.complain(Reply::new(504, 5, 4, "The mechanism is not known"));
        };
        if !self.may_authenticate() {
            return self.complain(Reply::new(538, 7, 11, "A password must not go in clear; STARTTLS comes first"));
        }
        self.begin_exchange(mechanism, initial);
    }

    fn begin_exchange(&mut self, mechanism: Mechanism, initial: Option<&str>) {
        let exchange = match mechanism {
            Mechanism::Plain => Exchange::Plain,
            Mechanism::Login => Exchange::LoginUser,
        };
        match (initial, &exchange) {
            (Some(response), _) => {
                self.response(exchange, response.strip_prefix('=').filter(|r| r.is_empty()).unwrap_or(response))
            }
            (None, Exchange::Plain) => self.prompt(exchange, ""),
            (None, _) => self.prompt(exchange, "Username:"),
        }
    }

    /// `334` and the prompt in base64.
    pub(super) fn prompt(&mut self, exchange: Exchange, words: &str) {
        print::lines(&mut self.out, 334, &[BASE64.encode(words).into()]);
        self.state = State::Auth(exchange);
    }

    /// A line of the exchange.
    pub(super) fn auth_line(&mut self, line: &[u8]) {
        let State::Auth(exchange) = std::mem::replace(&mut self.state, State::Command) else { return };
        match std::str::from_utf8(line) {
            Ok("*") => self.complain(Reply::new(501, 7, 0, "The exchange was cancelled")),
            Ok(response) => self.response(exchange, response),
            Err(_) => self.complain(not_base64()),
        }
    }

    fn response(&mut self, exchange: Exchange, response: &str) {
        if matches!(exchange, Exchange::External) {
            return self.identity(response);
        }
        let text = BASE64.decode(response).ok().and_then(|octets| String::from_utf8(octets).ok());
        let Some(text) = text else { return self.complain(not_base64()) };
        match exchange {
            Exchange::Plain => match plain(&text) {
                Ok(credentials) => self.ask_credentials(credentials),
                Err(reply) => self.complain(reply),
            },
            Exchange::External => {}
            Exchange::LoginUser => self.prompt(Exchange::LoginPassword { user: text }, "Password:"),
            Exchange::LoginPassword { user } => self.ask_credentials(Credentials { user, password: text }),
        }
    }

    fn ask_credentials(&mut self, credentials: Credentials) {
        let Credentials { user, password } = &credentials;
        let fits = |text: &str| !text.is_empty() && text.len() <= MAX_CREDENTIAL && !text.chars().any(char::is_control);
        if fits(user) && fits(password) {
            self.ask(Question::Auth, Ask::Auth(credentials));
        } else {
            self.complain(Reply::new(535, 7, 8, "The credentials are not valid"));
        }
    }

    pub(super) fn authenticated(&mut self, account: String) {
        if !matches!(self.state, State::Asked(Question::Auth)) {
            return;
        }
        self.state = State::Command;
        self.account = Some(account);
        self.say(&Reply::new(235, 7, 0, "Welcome"));
    }

    pub(super) fn auth_refused(&mut self, status: &Status) {
        if status.is_success() {
            // Only an account makes a login; an answer without one is the driver's mistake and no right of the client.
            return self.say(&Reply::new(454, 7, 0, "Authentication is not possible now"));
        }
        match status.code {
            421 => self.tell(Reply::from(status)),
            _ => self.complain(Reply::from(status)),
        }
    }
}

fn not_base64() -> Reply {
    Reply::new(501, 5, 2, "The response is not base64 of UTF-8")
}

/// `authorization identity NUL user NUL password`. Nobody may act as another here.
fn plain(text: &str) -> Result<Credentials, Reply> {
    let mut parts = text.split('\0');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(identity), Some(user), Some(password), None) if identity.is_empty() || identity == user => {
            Ok(Credentials { user: user.to_owned(), password: password.to_owned() })
        }
        (Some(_), Some(_), Some(_), None) => Err(Reply::new(535, 7, 8, "Nobody may log in as another")),
        _ => Err(Reply::new(501, 5, 2, "The response of PLAIN is identity, user and password")),
    }
}
