//! The client's direction: command lines, messages, chunks.

use super::super::trip::{Edge, Place, Side, Stage};
use super::{Expected, Flow, Follow, LINE, Phase, extend, split_line};

/// A message on its way, after DATA.
#[derive(Debug)]
pub(super) struct Message {
    /// Octets so far.
    size: u64,
    /// The first octets of the line, as many as tell a dot line.
    start: Vec<u8>,
    /// Octets of the line.
    length: u64,
    /// The line before ended in CRLF; so does the DATA line.
    after_crlf: bool,
    /// The octet before.
    last: u8,
}

/// The line that ends a message.
const DOT: &[u8] = b".\r\n";

impl Message {
    fn new() -> Message {
        Message { size: 0, start: Vec::new(), length: 0, after_crlf: true, last: b'\n' }
    }

    /// Takes octets up to the end of a line; whether they end the message.
    fn take(&mut self, octets: &[u8], line_ends: bool) -> bool {
        let room = DOT.len().saturating_sub(self.start.len());
        self.start.extend_from_slice(&octets[..octets.len().min(room)]);
        self.length += octets.len() as u64;
        self.size += octets.len() as u64;
        let before = if octets.len() > 1 { octets[octets.len() - 2] } else { self.last };
        self.last = octets.last().copied().unwrap_or(self.last);
        if !line_ends {
            return false;
        }
        let ends = self.may_end() && self.start == DOT;
        self.after_crlf = before == b'\r';
        self.start.clear();
        self.length = 0;
        ends
    }

    /// Whether the line so far may be the one that ends the message.
    fn may_end(&self) -> bool {
        self.after_crlf && self.length <= DOT.len() as u64 && DOT.starts_with(&self.start)
    }
}

impl Follow {
    pub(super) fn client_says(&mut self, octets: &[u8], flow: &mut Flow) {
        let mut rest = octets;
        while !rest.is_empty() && !flow.ended {
            rest = match self.phase {
                Phase::Command => self.command(rest, flow),
                Phase::Message(_) => self.message(rest, flow),
                Phase::Chunk { .. } => self.chunk(rest, flow),
                Phase::Opaque => {
                    self.opaque(Side::Client, rest, flow);
                    return;
                }
            };
        }
    }

    fn command<'a>(&mut self, octets: &'a [u8], flow: &mut Flow) -> &'a [u8] {
        let (part, line_ends, rest) = split_line(octets);
        extend(&mut self.client.line, part);
        self.client.held.extend_from_slice(part);
        if line_ends {
            self.command_line(flow);
        } else if self.client.held.len() >= LINE || !self.trips.may_act_before_line(&self.client.line) {
            flow.pass(&std::mem::take(&mut self.client.held));
        }
        rest
    }

    fn command_line(&mut self, flow: &mut Flow) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.client.line)).trim_end_matches(['\r', '\n']).to_owned();
        let held = std::mem::take(&mut self.client.held);
        if std::mem::take(&mut self.credentials) {
            self.dialogue().command(&line, true);
            self.expect(Stage::Other);
            flow.pass(&held);
            return;
        }
        let here = |place: &Place| matches!(place, Place::Line(prefix) if begins(&line, prefix));
        let lose = self.reach(flow, Edge::Before, here);
        if flow.ended {
            return;
        }
        self.dialogue().command(&line, false);
        flow.pass(&held);
        let chunk = bdat(&line);
        self.expected.push_back(Expected {
            stage: match chunk {
                Some((_, true)) => Stage::FinalDot,
                Some((_, false)) => Stage::Other,
                None => Stage::of(&line),
            },
            lose,
        });
        match chunk {
            Some((0, last)) => self.chunk_end(0, last, flow),
            Some((size, last)) => self.phase = Phase::Chunk { left: size, size, last },
            None if Stage::of(&line) == Stage::Data => self.phase = Phase::Message(Message::new()),
            None => {}
        }
        self.reach(flow, Edge::After, here);
    }

    fn message<'a>(&mut self, octets: &'a [u8], flow: &mut Flow) -> &'a [u8] {
        let hold = self.trips.acts_before_dot();
        let mut rest = octets;
        while !rest.is_empty() {
            let Phase::Message(message) = &mut self.phase else { return rest };
            let (part, line_ends, later) = split_line(rest);
            rest = later;
            if message.take(part, line_ends) {
                let size = message.size - DOT.len() as u64;
                self.client.held.extend_from_slice(part);
                self.expect(Stage::FinalDot);
                self.message_end(size, flow);
                return rest;
            }
            if hold && !line_ends && message.may_end() {
                self.client.held.extend_from_slice(part);
            } else {
                let size = message.size;
                flow.pass(&std::mem::take(&mut self.client.held));
                flow.pass(part);
                if rest.is_empty() {
                    self.dialogue().message(size);
                }
            }
        }
        rest
    }

    /// The end of a message is there, as much of it as is held: it is lost, or its reply is, or it passes.
    fn message_end(&mut self, size: u64, flow: &mut Flow) {
        let here = |place: &Place| *place == Place::FinalDot;
        let lose = self.reach(flow, Edge::Before, here);
        if flow.ended {
            return;
        }
        if let Some(expected) = self.expected.back_mut().filter(|_| lose.is_some()) {
            expected.lose = lose;
        }
        flow.pass(&std::mem::take(&mut self.client.held));
        self.dialogue().message_end(size);
        self.phase = Phase::Command;
        self.reach(flow, Edge::After, here);
    }

    fn chunk<'a>(&mut self, octets: &'a [u8], flow: &mut Flow) -> &'a [u8] {
        let Phase::Chunk { left, size, last } = self.phase else { return octets };
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(octets.len());
        let (part, rest) = octets.split_at(now);
        let left = left - now as u64;
        self.phase = Phase::Chunk { left, size, last };
        if left > 0 {
            flow.pass(part);
            self.dialogue().message(size - left);
        } else {
            // The last octet alone stands for the end.
            flow.pass(&part[..now - 1]);
            self.client.held.extend_from_slice(&part[now - 1..]);
            self.chunk_end(size, last, flow);
        }
        rest
    }

    fn chunk_end(&mut self, size: u64, last: bool, flow: &mut Flow) {
        if last {
            self.message_end(size, flow);
        } else {
            flow.pass(&std::mem::take(&mut self.client.held));
            self.dialogue().message_end(size);
            self.phase = Phase::Command;
        }
    }

    fn expect(&mut self, stage: Stage) {
        self.expected.push_back(Expected { stage, lose: None });
    }
}

fn begins(line: &str, prefix: &str) -> bool {
    line.as_bytes().get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// The size of the chunk that follows, and whether it is the last, where the line is BDAT (RFC 3030 §2).
fn bdat(line: &str) -> Option<(u64, bool)> {
    let mut words = line.split_ascii_whitespace();
    words.next().filter(|verb| verb.eq_ignore_ascii_case("BDAT"))?;
    let size = words.next()?.parse().ok()?;
    Some((size, words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST"))))
}
