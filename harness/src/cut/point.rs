//! The points of a dialogue at which a connection is cut, in the order in which the dialogue comes by them.

use crate::gate::{Edge, Place, Side, Stage, Trip, What};
use crate::load::message;

/// Octets of a cell's message.
const SIZE: usize = 700;

/// A point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// The line of the dialogue, with `C` or `S` in front: `S 250 (the reply to MAIL)`.
    pub line: &'static str,
    /// Where in that line: `before it`.
    pub at: &'static str,
    /// The receiver has the whole message there: a sender that is cut off without a reply lawfully sends it once more (RFC 1047).
    pub whole: bool,
    what: Where,
}

/// Where the gate finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    Reply(Edge, Stage),
    /// After so many octets past a text of the message.
    Octet(Text, u64),
    /// Before the client's QUIT.
    Quit,
}

/// A text of a cell's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    /// The DATA line, which is in front of it.
    Data,
    /// The token, at the end of the header's last line.
    Token,
    /// The token and the empty line: the first line of the body, which begins with a dot, is next.
    Header,
    /// The line in the middle of the body.
    Middle,
    /// The last line but for its last octet.
    Last,
}

const fn reply(line: &'static str, edge: Edge, stage: Stage) -> Point {
    let at = match edge {
        Edge::Before => "before it",
        Edge::After => "after it",
    };
    Point { line, at, whole: matches!(stage, Stage::FinalDot), what: Where::Reply(edge, stage) }
}

const fn octet(line: &'static str, at: &'static str, text: Text, number: u64) -> Point {
    Point { line, at, whole: false, what: Where::Octet(text, number) }
}

const GREETING: &str = "S 220 (greeting)";
const EHLO: &str = "S 250 (to EHLO)";
const MAIL: &str = "S 250 (to MAIL)";
const RCPT: &str = "S 250 (to RCPT)";
const DATA: &str = "S 354 (to DATA)";
const MESSAGE: &str = "C the message";
const END: &str = "C CR LF . CR LF";
const DOT: &str = "S 250 (to the message)";
const QUIT: &str = "C QUIT";

/// All of them.
pub const POINTS: &[Point] = &[
    reply(GREETING, Edge::Before, Stage::Greeting),
    reply(GREETING, Edge::After, Stage::Greeting),
    reply(EHLO, Edge::Before, Stage::Ehlo),
    reply(EHLO, Edge::After, Stage::Ehlo),
    reply(MAIL, Edge::Before, Stage::Mail),
    reply(MAIL, Edge::After, Stage::Mail),
    reply(RCPT, Edge::Before, Stage::Rcpt),
    reply(RCPT, Edge::After, Stage::Rcpt),
    reply(DATA, Edge::Before, Stage::Data),
    reply(DATA, Edge::After, Stage::Data),
    octet(MESSAGE, "after the first octet", Text::Data, 1),
    octet(MESSAGE, "in a header line's CR LF", Text::Token, 1),
    octet(MESSAGE, "in the empty line's CR LF", Text::Token, 3),
    octet(MESSAGE, "between two stuffed dots", Text::Header, 1),
    octet(MESSAGE, "in the middle of the body", Text::Middle, 5),
    octet(MESSAGE, "after the last octet of text", Text::Last, 1),
    octet(END, "after CR", Text::Last, 2),
    octet(END, "after CR LF", Text::Last, 3),
    octet(END, "after CR LF .", Text::Last, 4),
    octet(END, "after CR LF . CR", Text::Last, 5),
    Point { whole: true, ..octet(END, "after CR LF . CR LF", Text::Last, 6) },
    reply(DOT, Edge::Before, Stage::FinalDot),
    reply(DOT, Edge::After, Stage::FinalDot),
    Point { line: QUIT, at: "before it", whole: true, what: Where::Quit },
];

impl Point {
    /// The trip that cuts there once, in a dialogue that carries the message with this token.
    pub fn trip(&self, token: &str, what: What) -> Trip {
        match self.what {
            Where::Reply(Edge::Before, stage) => Trip::before(Place::Reply(stage), what),
            Where::Reply(Edge::After, stage) => Trip::after(Place::Reply(stage), what),
            Where::Quit => Trip::before(Place::Line("QUIT".into()), what),
            Where::Octet(text, number) => Trip::after(Place::Past(Side::Client, text.of(token), number), what),
        }
    }
}

impl Text {
    fn of(self, token: &str) -> String {
        let field = format!("{}: {token}", crate::ledger::FIELD);
        match self {
            Text::Data => "DATA\r\n".into(),
            Text::Token => field,
            Text::Header => format!("{field}\r\n\r\n"),
            Text::Middle => "\r\n00003 the beacon".into(),
            Text::Last => {
                let text = String::from_utf8_lossy(&message(token, SIZE)).into_owned();
                let last = text.trim_end().rsplit("\r\n").next().unwrap_or_default();
                last[..last.len().saturating_sub(1)].to_owned()
            }
        }
    }
}

/// The message of a cell, with CRLF line ends, before dot-stuffing.
pub(super) fn text(token: &str) -> Vec<u8> {
    message(token, SIZE)
}

/// The smallest and largest size of the messages of cells, as a load wants it.
pub(super) fn size() -> (usize, usize) {
    (SIZE, SIZE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_in_the_message_once_and_the_octets_past_it_are_as_the_names_say() {
        for token in ["cut-0", "cut-71"] {
            let wire = [b"DATA\r\n".to_vec(), crate::smtp::stuffed(&text(token))].concat();
            let wire = String::from_utf8(wire).unwrap();
            for (of, next) in [
                (Text::Data, "From:"),
                (Text::Token, "\r\n\r\n"),
                (Text::Header, "..00000"),
                (Text::Middle, " on the"),
                (Text::Last, "t\r\n.\r\n"),
            ] {
                let found: Vec<&str> = wire.split(&of.of(token)).collect();
                assert_eq!(found.len(), 2, "{of:?}");
                assert!(found[1].starts_with(next), "{of:?}: {}", found[1]);
            }
        }
    }
}
