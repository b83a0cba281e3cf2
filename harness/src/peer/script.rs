//! What a peer does in the place of what it would usually do, by command.

use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;

use crate::Result;

/// What the peer does at a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Replies so; lines are parted by CRLF. Whatever the code says is taken for true: a message is kept at 250.
    Reply(String),
    /// Closes the connection without a reply.
    Close,
    /// Resets the connection without a reply.
    Reset,
    /// Replies so and closes the connection.
    Farewell(String),
    /// Does the usual, so much later.
    Late(Duration),
    /// Does the usual, the reply an octet at a time, each so much later than the one before: a tarpit.
    Dribble(Duration),
    /// Never replies; the connection stands until the client leaves or the peer ends.
    Stall,
    /// At DATA: does the usual, and closes the connection after so many octets of the message.
    DropAfter(usize),
    /// At the end of a message: replies 250 as usual, and forgets the message.
    Forget,
    /// At the end of a message: keeps it, and replies so all the same.
    Keep(String),
    /// At the end of a message: keeps it, and closes the connection without a reply.
    Swallow,
    /// At STARTTLS: replies 220, and then speaks no TLS.
    BreakTls,
}

impl FromStr for Deed {
    type Err = anyhow::Error;

    /// `reply TEXT`, `close`, `reset`, `farewell TEXT`, `late MILLISECONDS`, `dribble MILLISECONDS`, `stall`, `drop OCTETS`, `forget`, `keep TEXT`,
    /// `swallow` or `break-tls`.
    fn from_str(text: &str) -> Result<Deed> {
        let (word, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let rest = rest.trim();
        let time =
            || -> Result<Duration> { Ok(Duration::from_millis(rest.parse().with_context(|| format!("{word} MILLISECONDS"))?)) };
        Ok(match word {
            "reply" if !rest.is_empty() => Deed::Reply(rest.to_owned()),
            "close" => Deed::Close,
            "reset" => Deed::Reset,
            "farewell" if !rest.is_empty() => Deed::Farewell(rest.to_owned()),
            "late" => Deed::Late(time()?),
            "dribble" => Deed::Dribble(time()?),
            "stall" => Deed::Stall,
            "drop" => Deed::DropAfter(rest.parse().context("drop OCTETS")?),
            "forget" => Deed::Forget,
            "keep" if !rest.is_empty() => Deed::Keep(rest.to_owned()),
            "swallow" => Deed::Swallow,
            "break-tls" => Deed::BreakTls,
            _ => anyhow::bail!(
                "{text} is nothing that a peer does: reply T, close, reset, farewell T, late N, dribble N, stall, drop N, forget, keep T, swallow, break-tls"
            ),
        })
    }
}

/// A deed, at which commands, and how often.
#[derive(Debug)]
struct Rule {
    /// The command begins so, without regard to case.
    prefix: String,
    /// Times left; `None` is always.
    times: Option<usize>,
    deed: Deed,
}

/// The rules, those that go first in front.
#[derive(Debug, Default)]
pub(super) struct Script {
    rules: Vec<Rule>,
}

impl Script {
    pub(super) fn add(&mut self, prefix: &str, times: Option<usize>, deed: Deed) {
        self.rules.insert(0, Rule { prefix: prefix.to_owned(), times, deed });
    }

    /// The deed at `line`, if any, used up by one.
    pub(super) fn at(&mut self, line: &str) -> Option<Deed> {
        let rule = self.rules.iter_mut().find(|rule| {
            let begins = line
                .as_bytes()
                .get(..rule.prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(rule.prefix.as_bytes()));
            rule.times != Some(0) && begins
        })?;
        rule.times = rule.times.map(|times| times - 1);
        Some(rule.deed.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form() {
        for (text, deed) in [
            ("reply 451 4.7.1 later", Deed::Reply("451 4.7.1 later".into())),
            ("late 250", Deed::Late(Duration::from_millis(250))),
            ("drop 1000", Deed::DropAfter(1000)),
            ("swallow", Deed::Swallow),
            ("break-tls", Deed::BreakTls),
        ] {
            assert_eq!(text.parse::<Deed>().unwrap(), deed);
        }
        for text in ["", "reply", "late", "late x", "drop -1", "dance"] {
            assert!(text.parse::<Deed>().is_err(), "{text}");
        }
    }

    #[test]
    fn later_rules_go_first_and_are_used_up() {
        let mut script = Script::default();
        script.add("", None, Deed::Stall);
        script.add("RCPT TO:<b", Some(1), Deed::Close);
        assert_eq!(script.at("rcpt to:<b@b>"), Some(Deed::Close));
        assert_eq!(script.at("rcpt to:<b@b>"), Some(Deed::Stall));
        assert_eq!(script.at("."), Some(Deed::Stall));
    }
}
