//! What is written down of a connection: its lines as they passed, a message as one line, no password.

use std::time::{Duration, Instant};

use super::trip::Side;
use crate::record::DialogueRecord;

/// Most lines kept of one connection.
const LINES: usize = 400;
/// Most characters kept of one line.
const CHARACTERS: usize = 300;

#[derive(Debug)]
struct Line {
    at: Instant,
    side: Side,
    text: String,
}

/// One connection's dialogue.
#[derive(Debug)]
pub(super) struct Dialogue {
    began: Instant,
    lines: Vec<Line>,
    left_out: usize,
    /// Octets of the message that is on its way.
    message: Option<u64>,
    /// When TLS began, and the octets of client and server since.
    opaque: Option<(Instant, u64, u64)>,
    end: Option<String>,
    tripped: bool,
}

impl Dialogue {
    pub(super) fn new() -> Dialogue {
        Dialogue {
            began: Instant::now(),
            lines: Vec::new(),
            left_out: 0,
            message: None,
            opaque: None,
            end: None,
            tripped: false,
        }
    }

    /// A line that `side` said, or a remark in parentheses.
    pub(super) fn line(&mut self, side: Side, text: &str) {
        if self.lines.len() == LINES {
            self.left_out += 1;
            return;
        }
        let text = text.trim_end_matches(['\r', '\n']);
        let mut kept: String = text.chars().take(CHARACTERS).map(|c| if c.is_control() { '\u{b7}' } else { c }).collect();
        if kept.len() < text.len() && text.chars().nth(CHARACTERS).is_some() {
            kept.push('…');
        }
        self.lines.push(Line { at: Instant::now(), side, text: kept });
    }

    /// The gate says this to `to`, as if the other side had.
    pub(super) fn injected(&mut self, to: Side, octets: &[u8]) {
        for line in String::from_utf8_lossy(octets).lines() {
            self.line(to.other(), &format!("{line} (said by the gate)"));
        }
    }

    /// A command line; what it says of a password is left out.
    pub(super) fn command(&mut self, line: &str, credentials: bool) {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next(), words.next()) {
            _ if credentials => self.line(Side::Client, "(credentials)"),
            (Some(verb), Some(mechanism), Some(_)) if verb.eq_ignore_ascii_case("AUTH") => {
                self.line(Side::Client, &format!("{verb} {mechanism} (credentials)"));
            }
            _ => self.line(Side::Client, line),
        }
    }

    /// So many octets of a message have passed so far.
    pub(super) fn message(&mut self, octets: u64) {
        self.message = Some(octets);
    }

    /// The message has ended.
    pub(super) fn message_end(&mut self, octets: u64) {
        self.message = None;
        self.line(Side::Client, &format!("(message, {octets} octets)"));
    }

    /// So many octets passed under TLS.
    pub(super) fn opaque(&mut self, side: Side, octets: usize) {
        let (_, client, server) = self.opaque.get_or_insert_with(|| (Instant::now(), 0, 0));
        *(if side == Side::Client { client } else { server }) += octets as u64;
    }

    /// How it ended; the first word stands.
    pub(super) fn end(&mut self, text: String) {
        self.end.get_or_insert(text);
    }

    /// A trip acted on it.
    pub(super) fn trip(&mut self) {
        self.tripped = true;
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    /// Whether it has ended and no trip acted on it.
    pub(super) fn is_dull(&self) -> bool {
        self.end.is_some() && !self.tripped
    }

    /// The dialogue as a record between the two names, its times counted from `start`.
    pub(super) fn record(&self, names: &(String, String), start: Instant) -> DialogueRecord {
        let offset = |at: Instant| at.checked_duration_since(start).unwrap_or(Duration::ZERO);
        let mut lines: Vec<(Duration, char, String)> = self
            .lines
            .iter()
            .map(|line| (offset(line.at), if line.side == Side::Client { 'C' } else { 'S' }, line.text.clone()))
            .collect();
        let last = lines.last().map_or(offset(self.began), |(at, ..)| *at);
        if self.left_out > 0 {
            lines.push((last, 'C', format!("({} more lines)", self.left_out)));
        }
        if let Some(octets) = self.message {
            lines.push((last, 'C', format!("(message, {octets} octets and no end)")));
        }
        if let Some((at, client, server)) = self.opaque {
            lines.push((offset(at), 'C', format!("(TLS, {client} octets)")));
            lines.push((offset(at), 'S', format!("(TLS, {server} octets)")));
        }
        let end = self.end.clone().unwrap_or_else(|| "open".into());
        DialogueRecord { from: names.0.clone(), to: names.1.clone(), at: offset(self.began), lines, end }
    }
}
