//! The AUTHORIZATION state: USER, PASS, AUTH PLAIN, STLS, QUIT, and what a login comes to.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Ask, Maildrop, Next, NotOpened, Password, Session, State, Transaction, Verdict, reply};
use crate::command::{Command, Sasl};

const START_TLS_FIRST: &str = "No password is taken before TLS: give STLS first, or use the port for POP3 over TLS";
const NO_TLS_HERE: &str = "No password is taken on this connection, which has no TLS";

impl<M: Maildrop> Session<M> {
    pub(super) fn in_authorization(&mut self, command: Command<'_>, output: &mut Vec<u8>) -> Next {
        match command {
            Command::Quit => {
                reply(output, true, "Bye");
                self.end()
            }
            Command::Stls => self.stls(output),
            Command::User(_) | Command::Pass(_) | Command::Auth(_) if !self.takes_password() => {
                self.bad(if self.offers_stls() { START_TLS_FIRST } else { NO_TLS_HERE }, output)
            }
            Command::User(name) => {
                // Whether there is such an account is not said.
                reply(output, true, "Now the password");
                self.state = State::Authorization { user: Some(name.into()) };
                Next::Again
            }
            Command::Pass(password) => self.pass(password, output),
            Command::Auth(None) => {
                output.extend_from_slice(b"+OK Mechanisms follow\r\nPLAIN\r\n.\r\n");
                Next::Again
            }
            Command::Auth(Some(sasl)) => self.auth(sasl, output),
            Command::Apop => self.bad("APOP is not offered", output),
            Command::Noop => self.bad("NOOP comes after the login", output),
            _ => self.bad("Log in first", output),
        }
    }

    fn stls(&mut self, output: &mut Vec<u8>) -> Next {
        if self.tls {
            return self.bad("TLS is up already", output);
        }
        if !self.rules.stls {
            return self.bad("TLS is not offered here", output);
        }
        reply(output, true, "Begin TLS");
        self.state = State::Securing;
        Next::StartTls
    }

    fn pass(&mut self, password: &str, output: &mut Vec<u8>) -> Next {
        let State::Authorization { user } = &mut self.state else { return self.end() };
        match user.take() {
            Some(user) => self.login(user.into(), password.to_owned()),
            None => self.bad("USER comes before PASS", output),
        }
    }

    fn auth(&mut self, sasl: Sasl<'_>, output: &mut Vec<u8>) -> Next {
        if !sasl.mechanism.eq_ignore_ascii_case("PLAIN") {
            return self.bad("The mechanism is PLAIN", output);
        }
        self.state = State::Authorization { user: None };
        match sasl.initial {
            None => {
                output.extend_from_slice(b"+ \r\n");
                self.state = State::Response;
                Next::Again
            }
            Some("=") => self.plain("", output),
            Some(initial) => self.plain(initial, output),
        }
    }

    /// The line that follows our `+ ` (RFC 5034 §4).
    pub(super) fn response(&mut self, line: &[u8], output: &mut Vec<u8>) -> Next {
        self.state = State::Authorization { user: None };
        if line == b"*" {
            return self.bad("The login was given up", output);
        }
        self.plain(&String::from_utf8_lossy(line), output)
    }

    /// `[authzid] NUL authcid NUL password` (RFC 4616 §2). Acting for another account is nobody's right here.
    fn plain(&mut self, base64: &str, output: &mut Vec<u8>) -> Next {
        let Some(text) = STANDARD.decode(base64).ok().and_then(|octets| String::from_utf8(octets).ok()) else {
            return self.bad("The response is not base64 of UTF-8 text", output);
        };
        let parts: Vec<&str> = text.split('\0').collect();
        match parts[..] {
            [_, "", _] | [_, _, ""] => self.bad("The response lacks a name or a password", output),
            [actor, user, password] if actor.is_empty() || actor.eq_ignore_ascii_case(user) => {
                self.login(user.to_owned(), password.to_owned())
            }
            [_, _, _] => {
                reply(output, false, "[AUTH] An account acts for itself only");
                self.login_failed()
            }
            _ => self.bad("The response is not of the mechanism PLAIN", output),
        }
    }

    fn login(&mut self, user: String, password: String) -> Next {
        self.state = State::Verifying;
        Next::Ask(Ask::Login { user, password: Password(password) })
    }

    pub(super) fn verified(&mut self, verdict: Verdict, output: &mut Vec<u8>) -> Next {
        let words = match verdict {
            Verdict::Verified => {
                self.state = State::Opening;
                return Next::Ask(Ask::Open);
            }
            Verdict::Refused => "[AUTH] Wrong name or password",
            Verdict::Forbidden => "[AUTH] This account may not use POP3",
            Verdict::Unavailable => "[SYS/TEMP] The password cannot be checked now; try again later",
        };
        reply(output, false, words);
        self.login_failed()
    }

    pub(super) fn opened(&mut self, maildrop: M, output: &mut Vec<u8>) -> Next {
        let transaction = Transaction::new(maildrop);
        transaction.reply_totals("Logged in;", output);
        self.state = State::Transaction(Box::new(transaction));
        Next::Again
    }

    pub(super) fn not_opened(&mut self, why: NotOpened, output: &mut Vec<u8>) -> Next {
        reply(
            output,
            false,
            match why {
                NotOpened::InUse => "[IN-USE] Another session has this maildrop open",
                NotOpened::Unavailable => "[SYS/TEMP] The maildrop cannot be opened now; try again later",
            },
        );
        self.login_failed()
    }

    fn login_failed(&mut self) -> Next {
        self.failed_logins += 1;
        if self.failed_logins >= self.rules.failed_logins {
            return self.end();
        }
        self.state = State::Authorization { user: None };
        Next::Again
    }
}
