//! What a gate does with every connection, until told otherwise.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;

use crate::Result;

/// A standing way to treat connections. It changes at any time and, where it says so, for connections that stand already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mood {
    /// Everything passes.
    #[default]
    Pass,
    /// Nobody listens: new connections are refused (RST), those that stand are reset.
    Refuse,
    /// A firewall that drops: SYNs are not answered, so that a client runs into its own time-out, and those that stand go silent. Once it
    /// ends, they are reset: the firewall has forgotten them.
    BlackHole,
    /// New connections are accepted, and nothing passes either way, on those that stand neither. Once it ends, all go on.
    Silent,
    /// This many octets pass each second, each way, on every connection.
    Slow {
        /// Octets in a second; 0 is taken as 1.
        octets_per_second: u32,
    },
    /// Every octet arrives so much later, each way, on every connection; the rate stays.
    Delay(Duration),
    /// New connections are accepted and read, and are never greeted; the server hears nothing of them, and they stay so until their
    /// client leaves. Those that stand pass.
    Tarpit,
    /// The cable is pulled: SYNs are not answered and those that stand go silent. Once it is back, the latter go on where they were, as far as
    /// neither end gave up, and SYNs that are still repeated are answered.
    Cut,
}

impl Mood {
    /// Whether octets pass on connections that stand.
    pub(super) fn flows(self) -> bool {
        !matches!(self, Mood::Refuse | Mood::BlackHole | Mood::Silent | Mood::Cut)
    }

    /// Whether SYNs are left without an answer.
    pub(super) fn swallows_syns(self) -> bool {
        matches!(self, Mood::BlackHole | Mood::Cut)
    }

    /// Octets in a second, where they are limited.
    pub(super) fn rate(self) -> Option<u32> {
        match self {
            Mood::Slow { octets_per_second } => Some(octets_per_second.max(1)),
            _ => None,
        }
    }

    /// How much later octets arrive.
    pub(super) fn delay(self) -> Duration {
        match self {
            Mood::Delay(delay) => delay,
            _ => Duration::ZERO,
        }
    }
}

impl fmt::Display for Mood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mood::Pass => f.write_str("pass"),
            Mood::Refuse => f.write_str("refuse"),
            Mood::BlackHole => f.write_str("black-hole"),
            Mood::Silent => f.write_str("silent"),
            Mood::Slow { octets_per_second } => write!(f, "slow={octets_per_second}"),
            Mood::Delay(delay) => write!(f, "delay={}", delay.as_millis()),
            Mood::Tarpit => f.write_str("tarpit"),
            Mood::Cut => f.write_str("cut"),
        }
    }
}

impl FromStr for Mood {
    type Err = anyhow::Error;

    /// `pass`, `refuse`, `black-hole`, `silent`, `slow=OCTETS` in a second, `delay=MILLISECONDS`, `tarpit` or `cut`.
    fn from_str(text: &str) -> Result<Mood> {
        let (word, number) = text.split_once('=').unwrap_or((text, ""));
        Ok(match (word, number) {
            ("pass", "") => Mood::Pass,
            ("refuse", "") => Mood::Refuse,
            ("black-hole", "") => Mood::BlackHole,
            ("silent", "") => Mood::Silent,
            ("slow", number) => Mood::Slow { octets_per_second: number.parse().context("slow=OCTETS in a second")? },
            ("delay", number) => Mood::Delay(Duration::from_millis(number.parse().context("delay=MILLISECONDS")?)),
            ("tarpit", "") => Mood::Tarpit,
            ("cut", "") => Mood::Cut,
            _ => anyhow::bail!("{text} is no mood: pass, refuse, black-hole, silent, slow=N, delay=N, tarpit, cut"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_printed() {
        for text in ["pass", "refuse", "black-hole", "silent", "slow=100", "delay=250", "tarpit", "cut"] {
            assert_eq!(text.parse::<Mood>().unwrap().to_string(), text);
        }
        for text in ["", "slow", "slow=x", "cut=1", "delay=-1"] {
            assert!(text.parse::<Mood>().is_err(), "{text}");
        }
    }
}
