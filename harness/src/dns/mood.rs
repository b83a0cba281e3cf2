//! What a name server does with a name, until told otherwise.

use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;

use crate::Result;

/// What the server does with a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mood {
    /// Answers from the zone.
    Answer,
    /// Answers SERVFAIL.
    ServFail,
    /// Never answers.
    Silent,
    /// Answers from the zone, so much later.
    Slow(Duration),
    /// Answers over UDP that the answer does not fit, and over TCP from the zone.
    Truncated,
    /// Answers that the name does not exist.
    NxDomain,
    /// Answers REFUSED.
    Refused,
    /// Answers with these records, each as `TYPE DATA`, whatever type was asked for.
    Lie(Vec<String>),
}

impl FromStr for Mood {
    type Err = anyhow::Error;

    /// `answer`, `servfail`, `silent`, `slow MILLISECONDS`, `truncated`, `nxdomain`, `refused` or `lie TYPE DATA | TYPE DATA…`.
    fn from_str(text: &str) -> Result<Mood> {
        let (word, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        Ok(match (word, rest.trim()) {
            ("answer", "") => Mood::Answer,
            ("servfail", "") => Mood::ServFail,
            ("silent", "") => Mood::Silent,
            ("slow", rest) => Mood::Slow(Duration::from_millis(rest.parse().context("slow MILLISECONDS")?)),
            ("truncated", "") => Mood::Truncated,
            ("nxdomain", "") => Mood::NxDomain,
            ("refused", "") => Mood::Refused,
            ("lie", rest) if !rest.is_empty() => Mood::Lie(rest.split('|').map(|record| record.trim().to_owned()).collect()),
            _ => anyhow::bail!(
                "{text} is no mood: answer, servfail, silent, slow N, truncated, nxdomain, refused, lie TYPE DATA"
            ),
        })
    }
}

impl std::fmt::Display for Mood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Mood::Answer => f.write_str("answer"),
            Mood::ServFail => f.write_str("servfail"),
            Mood::Silent => f.write_str("silent"),
            Mood::Slow(delay) => write!(f, "slow {}", delay.as_millis()),
            Mood::Truncated => f.write_str("truncated"),
            Mood::NxDomain => f.write_str("nxdomain"),
            Mood::Refused => f.write_str("refused"),
            Mood::Lie(records) => write!(f, "lie {}", records.join(" | ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_printed() {
        for text in
            ["answer", "servfail", "silent", "slow 250", "truncated", "nxdomain", "refused", "lie A 127.0.0.9 | TXT x; y"]
        {
            assert_eq!(text.parse::<Mood>().unwrap().to_string(), text);
        }
        for text in ["", "slow", "lie", "answer 1"] {
            assert!(text.parse::<Mood>().is_err(), "{text}");
        }
    }
}
