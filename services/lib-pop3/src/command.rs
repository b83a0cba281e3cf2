//! A command line as a value. Parse, print and parse again gives the same value.

use std::fmt;

/// The keywords, in the order of RFC 1939 and its extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// RFC 1939 §7.
    User,
    /// RFC 1939 §7.
    Pass,
    /// RFC 1939 §5.
    Stat,
    /// RFC 1939 §5.
    List,
    /// RFC 1939 §5.
    Retr,
    /// RFC 1939 §5.
    Dele,
    /// RFC 1939 §5.
    Noop,
    /// RFC 1939 §5.
    Rset,
    /// RFC 1939 §4 and §6.
    Quit,
    /// RFC 1939 §7.
    Uidl,
    /// RFC 1939 §7.
    Top,
    /// RFC 1939 §7; known, and refused.
    Apop,
    /// RFC 2449 §5.
    Capa,
    /// RFC 2595 §4.
    Stls,
    /// RFC 5034 §4.
    Auth,
}

/// Keyword, verb, and the shape of the arguments as an error shows it.
const VERBS: [(&str, Verb, &str); 15] = [
    ("USER", Verb::User, "USER name"),
    ("PASS", Verb::Pass, "PASS password"),
    ("STAT", Verb::Stat, "STAT"),
    ("LIST", Verb::List, "LIST [number]"),
    ("RETR", Verb::Retr, "RETR number"),
    ("DELE", Verb::Dele, "DELE number"),
    ("NOOP", Verb::Noop, "NOOP"),
    ("RSET", Verb::Rset, "RSET"),
    ("QUIT", Verb::Quit, "QUIT"),
    ("UIDL", Verb::Uidl, "UIDL [number]"),
    ("TOP", Verb::Top, "TOP number lines"),
    ("APOP", Verb::Apop, "APOP name digest"),
    ("CAPA", Verb::Capa, "CAPA"),
    ("STLS", Verb::Stls, "STLS"),
    ("AUTH", Verb::Auth, "AUTH [PLAIN [initial response]]"),
];

impl Verb {
    /// All verbs, for tables that must leave none out.
    pub fn all() -> impl Iterator<Item = Verb> {
        VERBS.iter().map(|(_, verb, _)| *verb)
    }

    /// The keyword with the shape of its arguments.
    pub fn usage(self) -> &'static str {
        VERBS.iter().find(|(_, verb, _)| *verb == self).map_or("", |(_, _, usage)| usage)
    }
}

/// The arguments of AUTH.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sasl<'a> {
    /// As given; compares without regard to case.
    pub mechanism: &'a str,
    /// The initial response in base64, `=` for an empty one; `None` where the client waits for `+ `.
    pub initial: Option<&'a str>,
}

/// A command. Message numbers are as the client wrote them: they may be 0 or beyond the last message; one too large for the type is
/// its largest value, which no maildrop reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is its verb")]
pub enum Command<'a> {
    User(&'a str),
    Pass(&'a str),
    Stat,
    List(Option<usize>),
    Retr(usize),
    Dele(usize),
    Noop,
    Rset,
    Quit,
    Uidl(Option<usize>),
    /// Message number and lines of the body.
    Top(usize, u64),
    Apop,
    Capa,
    Stls,
    /// `None` asks which mechanisms there are, an old habit of some clients.
    Auth(Option<Sasl<'a>>),
}

/// Why a line is no command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The keyword is unknown, or the line holds control characters or is no UTF-8.
    #[error("Unknown command")]
    Unknown,
    /// The arguments do not fit the verb.
    #[error("The form is: {}", .0.usage())]
    Arguments(Verb),
}

impl<'a> Command<'a> {
    /// Reads a line without its end. Keywords count without regard to case (RFC 1939 §3). Spaces behind the last argument are forgiven,
    /// except that every octet behind `PASS ` is the password.
    pub fn parse(line: &'a [u8]) -> Result<Command<'a>, CommandError> {
        let text = std::str::from_utf8(line).map_err(|_| CommandError::Unknown)?;
        if text.chars().any(char::is_control) {
            return Err(CommandError::Unknown);
        }
        let (keyword, rest) = match text.split_once(' ') {
            Some((keyword, rest)) => (keyword, Some(rest)),
            None => (text, None),
        };
        let verb = VERBS.iter().find(|(name, ..)| name.eq_ignore_ascii_case(keyword)).map(|(_, verb, _)| *verb);
        let verb = verb.ok_or(CommandError::Unknown)?;
        arguments(verb, rest).ok_or(CommandError::Arguments(verb))
    }

    /// The verb of the command.
    pub fn verb(&self) -> Verb {
        match self {
            Command::User(_) => Verb::User,
            Command::Pass(_) => Verb::Pass,
            Command::Stat => Verb::Stat,
            Command::List(_) => Verb::List,
            Command::Retr(_) => Verb::Retr,
            Command::Dele(_) => Verb::Dele,
            Command::Noop => Verb::Noop,
            Command::Rset => Verb::Rset,
            Command::Quit => Verb::Quit,
            Command::Uidl(_) => Verb::Uidl,
            Command::Top(..) => Verb::Top,
            Command::Apop => Verb::Apop,
            Command::Capa => Verb::Capa,
            Command::Stls => Verb::Stls,
            Command::Auth(_) => Verb::Auth,
        }
    }
}

fn arguments(verb: Verb, rest: Option<&str>) -> Option<Command<'_>> {
    if verb == Verb::Pass {
        return rest.filter(|password| !password.is_empty()).map(Command::Pass);
    }
    let mut words = rest.unwrap_or("").split(' ').filter(|word| !word.is_empty());
    let command = match verb {
        Verb::User => Command::User(words.next()?),
        Verb::Retr => Command::Retr(number(words.next()?)?),
        Verb::Dele => Command::Dele(number(words.next()?)?),
        Verb::Top => Command::Top(number(words.next()?)?, number(words.next()?)? as u64),
        Verb::List => Command::List(optional_number(words.next())?),
        Verb::Uidl => Command::Uidl(optional_number(words.next())?),
        Verb::Auth => Command::Auth(words.next().map(|mechanism| Sasl { mechanism, initial: words.next() })),
        Verb::Apop => return Some(Command::Apop),
        Verb::Stat => Command::Stat,
        Verb::Noop => Command::Noop,
        Verb::Rset => Command::Rset,
        Verb::Quit => Command::Quit,
        Verb::Capa => Command::Capa,
        Verb::Stls => Command::Stls,
        Verb::Pass => return None,
    };
    words.next().is_none().then_some(command)
}

fn optional_number(word: Option<&str>) -> Option<Option<usize>> {
    match word {
        None => Some(None),
        Some(word) => number(word).map(Some),
    }
}

/// Digits only; `+1` is no number here. Saturates.
fn number(word: &str) -> Option<usize> {
    if !word.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    Some(word.parse().unwrap_or(usize::MAX))
}

/// The line without its end, passwords included: for a client and for tests.
impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::User(name) => write!(f, "USER {name}"),
            Command::Pass(password) => write!(f, "PASS {password}"),
            Command::List(Some(number)) => write!(f, "LIST {number}"),
            Command::Uidl(Some(number)) => write!(f, "UIDL {number}"),
            Command::Retr(number) => write!(f, "RETR {number}"),
            Command::Dele(number) => write!(f, "DELE {number}"),
            Command::Top(number, lines) => write!(f, "TOP {number} {lines}"),
            Command::Auth(Some(Sasl { mechanism, initial: Some(initial) })) => write!(f, "AUTH {mechanism} {initial}"),
            Command::Auth(Some(Sasl { mechanism, initial: None })) => write!(f, "AUTH {mechanism}"),
            other => {
                let verb = other.verb();
                f.write_str(VERBS.iter().find(|(_, of, _)| *of == verb).map_or("", |(keyword, ..)| keyword))
            }
        }
    }
}

/// Without what may be a secret.
impl fmt::Debug for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Command::Pass(_) => f.write_str("PASS …"),
            Command::Auth(Some(sasl)) => write!(f, "AUTH {} …", sasl.mechanism),
            other => write!(f, "{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use CommandError::{Arguments, Unknown};

    #[test]
    fn lines_and_commands() {
        let plain = |initial| Ok(Command::Auth(Some(Sasl { mechanism: "plain", initial })));
        for (line, want) in [
            ("USER minji", Ok(Command::User("minji"))),
            ("user minji@example.kr ", Ok(Command::User("minji@example.kr"))),
            ("USER", Err(Arguments(Verb::User))),
            ("USER a b", Err(Arguments(Verb::User))),
            ("PASS two words ", Ok(Command::Pass("two words "))),
            ("PASS  x", Ok(Command::Pass(" x"))),
            ("PASS 비밀", Ok(Command::Pass("비밀"))),
            ("PASS ", Err(Arguments(Verb::Pass))),
            ("PASS", Err(Arguments(Verb::Pass))),
            ("STAT", Ok(Command::Stat)),
            ("stat ", Ok(Command::Stat)),
            ("STAT 1", Err(Arguments(Verb::Stat))),
            ("LIST", Ok(Command::List(None))),
            ("LIST 1", Ok(Command::List(Some(1)))),
            ("LIST 007", Ok(Command::List(Some(7)))),
            ("LIST +1", Err(Arguments(Verb::List))),
            ("LIST -1", Err(Arguments(Verb::List))),
            ("LIST 1 2", Err(Arguments(Verb::List))),
            ("RETR 99999999999999999999999", Ok(Command::Retr(usize::MAX))),
            ("RETR", Err(Arguments(Verb::Retr))),
            ("RETR ١", Err(Arguments(Verb::Retr))),
            ("TOP 1 0", Ok(Command::Top(1, 0))),
            ("TOP 1", Err(Arguments(Verb::Top))),
            ("UIDL", Ok(Command::Uidl(None))),
            ("AUTH", Ok(Command::Auth(None))),
            ("AUTH plain", plain(None)),
            ("AUTH plain AGEAYg==", plain(Some("AGEAYg=="))),
            ("AUTH plain a b", Err(Arguments(Verb::Auth))),
            ("APOP minji c4c9334bac560ecc979e58001b3e22fb", Ok(Command::Apop)),
            ("", Err(Unknown)),
            (" STAT", Err(Unknown)),
            ("STATUS", Err(Unknown)),
            ("ST\0AT", Err(Unknown)),
            ("STAT\r", Err(Unknown)),
            ("USER a\tb", Err(Unknown)),
            ("GET / HTTP/1.1", Err(Unknown)),
        ] {
            assert_eq!(Command::parse(line.as_bytes()), want, "{line:?}");
        }
        assert_eq!(Command::parse(b"USER \xff"), Err(Unknown));
    }

    #[test]
    fn secrets_stay_out_of_debug() {
        for line in ["PASS hunter2", "AUTH PLAIN aHVudGVyMg=="] {
            let shown = format!("{:?}", Command::parse(line.as_bytes()).unwrap());
            assert!(!shown.contains("hunter2") && !shown.contains("aHVu"), "{shown}");
        }
    }
}
