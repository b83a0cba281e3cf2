//! A break at one exact point of a dialogue: where, and what happens there.
//!
//! The text form, for the command line, is `[Nx] before|after PLACE => WHAT`:
//!
//! | PLACE | WHAT |
//! | --- | --- |
//! | `connect` | `fin`, `reset`, `silence` |
//! | `client N`, `server N` (the octet, from 1) | `half-close` |
//! | `client N past TEXT`, `server N past TEXT` (with `\r` and `\n`) | |
//! | `line PREFIX` | `lose fin`, `lose reset`, `lose silence` |
//! | `dot` | `inject client TEXT`, `inject server TEXT` (CRLF is added) |
//! | `reply greeting` (`ehlo`, `mail`, `rcpt`, `data`, `dot`, `starttls`, `quit`, `other`) | `strip-starttls`, `break-tls`, `slow OCTETS` in a second |

use std::fmt;

use anyhow::Context;

use crate::Result;

/// An end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The end that connected.
    Client,
    /// The end that was connected to.
    Server,
}

impl Side {
    /// The opposite end.
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }
}

/// On which side of its place a trip acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// Once the place's first octet is at the gate; it does not pass.
    Before,
    /// Once the place's last octet has passed, whether or not another follows.
    After,
}

/// What the server replies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The connection: its reply is the greeting.
    Greeting,
    /// EHLO, HELO or LHLO.
    Ehlo,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data,
    /// The end of the message: the line of the dot, or the last octet after BDAT LAST.
    FinalDot,
    /// STARTTLS.
    StartTls,
    /// QUIT.
    Quit,
    /// Anything else.
    Other,
}

/// A point of a dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The connection was accepted and the server has not heard of it; before and after are the same.
    Connect,
    /// The octet with this number, from 1, that this end sends on the connection; the only place that is found under TLS.
    Octet(Side, u64),
    /// The octet with this number, from 1, of those that this end says once it has said this text for the first time.
    Past(Side, String, u64),
    /// A command line that begins so, without regard to case: `MAIL`, `RCPT TO:<bob`.
    Line(String),
    /// The end of a message: the line of the dot, or the last octet after BDAT LAST.
    FinalDot,
    /// A reply, all its lines.
    Reply(Stage),
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// In order, as when a process ends: FIN to both ends. What they say afterwards is dropped.
    Fin,
    /// RST to both ends, after what passed has arrived.
    Reset,
    /// It stands, and nothing passes either way, until [`super::Gate::reset`] or the end of the gate.
    Silence,
}

/// What happens at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// [`How::Fin`].
    Fin,
    /// [`How::Reset`].
    Reset,
    /// [`How::Silence`].
    Silence,
    /// FIN to the end that the place's octets go to, and to it alone: it may still be heard. More of them is dropped.
    HalfClose,
    /// The server gets everything, its whole reply comes to the gate and no further, then the connection ends so. The reply is the one to the
    /// place's line or message, the place itself, or else the next that begins.
    LoseReply(How),
    /// This end gets these octets, as they are, beside what passes. Replies to them are not expected: the gate counts them as others.
    Inject(Side, String),
    /// From here on EHLO replies say `XXXXXXXX` in the place of `STARTTLS`, as some firewalls do.
    StripStartTls,
    /// From here on what the server says under TLS is garbled, the handshake first.
    BreakTls,
    /// From here on the end that sends the place's octets is read at this rate, with small buffers, so that it has to wait.
    ReadSlowly {
        /// Octets in a second; 0 is taken as 1.
        octets_per_second: u32,
    },
}

/// A place, what happens there, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trip {
    /// Before the place or after it.
    pub edge: Edge,
    /// Where.
    pub place: Place,
    /// What.
    pub what: What,
    /// How often in all, over all connections.
    pub times: usize,
    /// How many of the first that come by pass unharmed.
    pub skip: usize,
}

impl Trip {
    /// Once, before `place`.
    pub fn before(place: Place, what: What) -> Trip {
        Trip { edge: Edge::Before, place, what, times: 1, skip: 0 }
    }

    /// Once, after `place`.
    pub fn after(place: Place, what: What) -> Trip {
        Trip { edge: Edge::After, place, what, times: 1, skip: 0 }
    }

    /// So often.
    #[must_use]
    pub fn times(self, times: usize) -> Trip {
        Trip { times, ..self }
    }

    /// After so many that pass unharmed.
    #[must_use]
    pub fn skip(self, skip: usize) -> Trip {
        Trip { skip, ..self }
    }

    /// Where it acts: `after the final dot`.
    pub fn point(&self) -> String {
        let edge = if self.edge == Edge::Before { "before" } else { "after" };
        match &self.place {
            Place::Connect => "at the connection's start".into(),
            Place::Octet(side, number) => format!("{edge} octet {number} of the {}", side.word()),
            Place::Past(side, text, number) => {
                format!("{edge} octet {number} of the {} past {}", side.word(), text.escape_debug())
            }
            Place::Line(prefix) => format!("{edge} the line {prefix}"),
            Place::FinalDot => format!("{edge} the final dot"),
            Place::Reply(Stage::Greeting) => format!("{edge} the greeting"),
            Place::Reply(stage) => format!("{edge} the reply to {}", stage.word()),
        }
    }
}

impl Stage {
    const ALL: [Stage; 9] = [
        Stage::Greeting,
        Stage::Ehlo,
        Stage::Mail,
        Stage::Rcpt,
        Stage::Data,
        Stage::FinalDot,
        Stage::StartTls,
        Stage::Quit,
        Stage::Other,
    ];

    fn word(self) -> &'static str {
        match self {
            Stage::Greeting => "greeting",
            Stage::Ehlo => "ehlo",
            Stage::Mail => "mail",
            Stage::Rcpt => "rcpt",
            Stage::Data => "data",
            Stage::FinalDot => "dot",
            Stage::StartTls => "starttls",
            Stage::Quit => "quit",
            Stage::Other => "other",
        }
    }

    /// The stage of a command line.
    pub(super) fn of(line: &str) -> Stage {
        let verb = line.split([' ', '\t']).next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" | "HELO" | "LHLO" => Stage::Ehlo,
            "MAIL" => Stage::Mail,
            "RCPT" => Stage::Rcpt,
            "DATA" => Stage::Data,
            "STARTTLS" => Stage::StartTls,
            "QUIT" => Stage::Quit,
            _ => Stage::Other,
        }
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            How::Fin => "closed",
            How::Reset => "reset",
            How::Silence => "silenced",
        })
    }
}

impl std::str::FromStr for Trip {
    type Err = anyhow::Error;

    /// The text form that the module describes: `2x after dot => lose reset`.
    fn from_str(text: &str) -> Result<Trip> {
        let (point, what) = text.split_once("=>").with_context(|| format!("{text}: a trip is EDGE PLACE => WHAT"))?;
        let (first, rest) = point.trim().split_once(' ').with_context(|| format!("{text}: a trip needs a place"))?;
        let (times, edge, place) = match first.strip_suffix('x').and_then(|number| number.parse().ok()) {
            Some(times) => {
                let (edge, place) = rest.trim().split_once(' ').with_context(|| format!("{text}: a trip needs a place"))?;
                (times, edge, place)
            }
            None => (1, first, rest),
        };
        let edge = match edge {
            "before" => Edge::Before,
            "after" => Edge::After,
            other => anyhow::bail!("{other} is neither before nor after"),
        };
        Ok(Trip { edge, place: place_of(place.trim())?, what: what_of(what.trim())?, times, skip: 0 })
    }
}

fn place_of(text: &str) -> Result<Place> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    Ok(match word {
        "connect" => Place::Connect,
        "client" => octet(Side::Client, rest)?,
        "server" => octet(Side::Server, rest)?,
        "line" if !rest.is_empty() => Place::Line(rest.to_owned()),
        "dot" => Place::FinalDot,
        "reply" => {
            let stage = Stage::ALL.into_iter().find(|stage| stage.word() == rest.trim());
            Place::Reply(stage.with_context(|| format!("{rest} is no stage"))?)
        }
        _ => anyhow::bail!("{text} is no place: connect, client N, server N, line PREFIX, dot, reply STAGE"),
    })
}

fn octet(side: Side, text: &str) -> Result<Place> {
    let number = |text: &str| text.trim().parse().with_context(|| format!("{} NUMBER [past TEXT]", side.word()));
    match text.split_once(" past ") {
        Some((octet, mark)) => Ok(Place::Past(side, mark.replace("\\r", "\r").replace("\\n", "\n"), number(octet)?)),
        None => Ok(Place::Octet(side, number(text)?)),
    }
}

fn what_of(text: &str) -> Result<What> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let how = |word: &str| match word {
        "fin" => Some(How::Fin),
        "reset" => Some(How::Reset),
        "silence" => Some(How::Silence),
        _ => None,
    };
    Ok(match word {
        "fin" => What::Fin,
        "reset" => What::Reset,
        "silence" => What::Silence,
        "half-close" => What::HalfClose,
        "lose" => What::LoseReply(how(rest.trim()).with_context(|| format!("{rest}: fin, reset or silence"))?),
        "inject" => {
            let (side, text) = rest.split_once(' ').context("inject client|server TEXT")?;
            let side = match side {
                "client" => Side::Client,
                "server" => Side::Server,
                other => anyhow::bail!("{other} is neither client nor server"),
            };
            What::Inject(side, format!("{text}\r\n"))
        }
        "strip-starttls" => What::StripStartTls,
        "break-tls" => What::BreakTls,
        "slow" => What::ReadSlowly { octets_per_second: rest.trim().parse().context("slow OCTETS")? },
        _ => anyhow::bail!("{text} is nothing that a trip does"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form() {
        for (text, trip) in [
            ("after dot => lose reset", Trip::after(Place::FinalDot, What::LoseReply(How::Reset))),
            ("3x before line RCPT TO:<bob => fin", Trip::before(Place::Line("RCPT TO:<bob".into()), What::Fin).times(3)),
            ("before client 12 => silence", Trip::before(Place::Octet(Side::Client, 12), What::Silence)),
            ("after client 2 past .\\r\\n => fin", Trip::after(Place::Past(Side::Client, ".\r\n".into(), 2), What::Fin)),
            ("after reply mail => half-close", Trip::after(Place::Reply(Stage::Mail), What::HalfClose)),
            (
                "before connect => inject client 421 no",
                Trip::before(Place::Connect, What::Inject(Side::Client, "421 no\r\n".into())),
            ),
        ] {
            assert_eq!(text.parse::<Trip>().unwrap(), trip, "{text}");
        }
        for text in ["", "dot => fin", "after => fin", "after moon => fin", "after dot => lose", "after reply x => fin"] {
            assert!(text.parse::<Trip>().is_err(), "{text}");
        }
    }
}
