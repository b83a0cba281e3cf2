//! What became of a recipient: one value from the remote's words to the spool, the log, mailq and the notification.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// The first digit of a reply, as a recipient's fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// 2yz.
    Success,
    /// 4yz: try again later.
    Temporary,
    /// 5yz: never try again.
    Permanent,
}

/// An enhanced status code, `class.subject.detail` (RFC 3463 §2). The class stands in the reply code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Enhanced {
    /// 2, 4 or 5.
    pub class: u8,
    /// 0 to 999.
    pub subject: u16,
    /// 0 to 999.
    pub detail: u16,
}

impl Enhanced {
    /// `class` is 2, 4 or 5; `subject` and `detail` at most 999.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        Enhanced { class, subject, detail }
    }
}

impl fmt::Display for Enhanced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

impl From<Enhanced> for String {
    fn from(code: Enhanced) -> String {
        code.to_string()
    }
}

impl TryFrom<String> for Enhanced {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for Enhanced {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const BAD: &str = "an enhanced status code is three numbers, as 5.1.1";
        let mut parts = text.split('.');
        let mut number = || -> Option<u16> {
            let part = parts.next()?;
            (!part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?
        };
        let (class, subject, detail) = (number().ok_or(BAD)?, number().ok_or(BAD)?, number().ok_or(BAD)?);
        if parts.next().is_some() || !matches!(class, 2 | 4 | 5) {
            return Err(BAD);
        }
        Ok(Enhanced { class: class as u8, subject, detail })
    }
}

/// Delivery time expired (RFC 3463 §3.5).
const EXPIRED: Enhanced = Enhanced::new(5, 4, 7);
/// What stands before the words of the last attempt.
const LAST_ATTEMPT: &str = "Delivery time expired; the last attempt: ";

/// Who said it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// This node.
    Local,
    /// The named host, as `mx1.example.net [192.0.2.1]`; never empty.
    Remote(String),
}

/// What became of a recipient, or what is answered for it. Never an `(error, permanent)` pair.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Status {
    /// The SMTP reply code, 200 to 599 and not 3yz.
    pub code: u16,
    /// Its class equals the first digit of `code`.
    pub enhanced: Enhanced,
    /// Who said it.
    pub by: By,
    /// The words after the codes: one line without CR, LF or NUL; the lines of a remote reply are joined by a space.
    pub text: String,
    /// When, on the queue clock.
    pub at: Timestamp,
}

impl Status {
    /// A status of this node's own. The class of `enhanced` follows `code`.
    pub fn local(code: u16, enhanced: Enhanced, text: impl Into<String>, at: Timestamp) -> Self {
        Status::new(code, enhanced, By::Local, text, at)
    }

    /// A status said by `by`. Control characters in `text` become spaces; the class of `enhanced` is made to follow `code`,
    /// and a code that is no final reply (1yz, 3yz, above 599) becomes 451: unclear is temporary, never permanent.
    pub fn new(code: u16, enhanced: Enhanced, by: By, text: impl Into<String>, at: Timestamp) -> Self {
        let code = if matches!(code / 100, 2 | 4 | 5) { code } else { 451 };
        let mut text: String = text.into();
        let clean = text.bytes().all(|octet| matches!(octet, b' '..=b'~')) && !text.starts_with(' ') && !text.ends_with(' ');
        if !clean {
            text = text.replace(|c: char| c.is_control(), " ").trim().to_owned();
        }
        Status { code, enhanced: Enhanced { class: (code / 100) as u8, ..enhanced }, by, text, at }
    }

    /// 5.4.7 for mail whose time is up, with the words of the last attempt, in the name of who said those.
    pub fn expired(last: Option<&Status>, at: Timestamp) -> Self {
        let (by, text) = match last {
            Some(last) => (last.by.clone(), format!("{LAST_ATTEMPT}{last}")),
            None => (By::Local, "Delivery time expired".to_owned()),
        };
        Status::new(554, EXPIRED, by, text, at)
    }

    /// What [`Status::expired`] has of the last attempt: `451 4.7.1 Greylisted`.
    pub fn last_attempt(&self) -> Option<&str> {
        if self.enhanced == EXPIRED { self.text.strip_prefix(LAST_ATTEMPT) } else { None }
    }

    /// The first digit of the code.
    pub fn class(&self) -> Class {
        match self.code / 100 {
            2 => Class::Success,
            5 => Class::Permanent,
            _ => Class::Temporary,
        }
    }

    /// 2yz.
    pub fn is_success(&self) -> bool {
        self.class() == Class::Success
    }

    /// 5yz.
    pub fn is_permanent(&self) -> bool {
        self.class() == Class::Permanent
    }
}

/// `550 5.1.1 No such user`
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.enhanced)?;
        if self.text.is_empty() { Ok(()) } else { write!(f, " {}", self.text) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expired_message_keeps_the_last_words() {
        let by = By::Remote("mx1.example.net [192.0.2.1]".into());
        let last = Status::new(451, Enhanced::new(4, 7, 1), by.clone(), "Greylisted", Timestamp(5));
        let status = Status::expired(Some(&last), Timestamp(9));
        assert_eq!(status.to_string(), "554 5.4.7 Delivery time expired; the last attempt: 451 4.7.1 Greylisted");
        assert_eq!(status.last_attempt(), Some("451 4.7.1 Greylisted"));
        assert_eq!((status.by, status.at), (by, Timestamp(9)));
        let untried = Status::expired(None, Timestamp(9));
        assert!(untried.is_permanent() && untried.last_attempt().is_none() && last.last_attempt().is_none());
    }

    #[test]
    fn enhanced_codes() {
        for (text, ok) in [
            ("2.0.0", true),
            ("5.1.10", true),
            ("4.999.999", true),
            ("3.0.0", false),
            ("5.1", false),
            ("5.1.1.1", false),
            ("5.1.", false),
            ("5.1.1000", false),
            ("5.+1.1", false),
        ] {
            assert_eq!(text.parse::<Enhanced>().is_ok(), ok, "{text}");
            if let Ok(code) = text.parse::<Enhanced>() {
                assert_eq!(code.to_string(), text);
            }
        }
    }

    #[test]
    fn unclear_is_temporary() {
        let at = Timestamp(0);
        for code in [0, 199, 354, 600, 999] {
            assert_eq!(Status::new(code, Enhanced::new(5, 0, 0), By::Local, "x", at).class(), Class::Temporary);
        }
        let status = Status::local(550, Enhanced::new(2, 1, 1), "\0 No\r\nsuch\0user \0", at);
        assert_eq!(status.to_string(), "550 5.1.1 No  such user");
        assert!(status.is_permanent());
    }
}
