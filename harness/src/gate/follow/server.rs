//! The server's direction: replies, each matched with what it replies to.

use super::super::trip::{Edge, Place, Side, Stage};
use super::{Deed, Expected, Flow, Follow, LINE, Loss, Phase, extend, split_line};

/// What EHLO says of TLS, and what stands in its place.
const STARTTLS: &[u8] = b"STARTTLS";
const BLOTTED: &[u8] = b"XXXXXXXX";

impl Follow {
    pub(super) fn server_says(&mut self, octets: &[u8], flow: &mut Flow) {
        let mut rest = octets;
        while !rest.is_empty() && !flow.ended {
            if matches!(self.phase, Phase::Opaque) {
                self.opaque(Side::Server, rest, flow);
                return;
            }
            if !self.replying {
                self.reply_begins(flow);
                if flow.ended {
                    return;
                }
            }
            let (part, line_ends, later) = split_line(rest);
            rest = later;
            extend(&mut self.server.line, part);
            if self.losing.is_none() {
                self.server.held.extend_from_slice(part);
                if line_ends && self.strips() {
                    blot(&mut self.server.held);
                }
                if line_ends || !self.strips() || self.server.held.len() >= LINE {
                    flow.pass(&std::mem::take(&mut self.server.held));
                }
            }
            if line_ends {
                self.reply_line(flow);
            }
        }
    }

    fn reply_begins(&mut self, flow: &mut Flow) {
        self.replying = true;
        let stage = self.stage();
        let lose = self.reach(flow, Edge::Before, |place| *place == Place::Reply(stage));
        let known = self.expected.front_mut().and_then(|expected| expected.lose.take());
        self.losing = lose.or(known).or_else(|| self.lose_next.take());
    }

    fn reply_line(&mut self, flow: &mut Flow) {
        let mut line = std::mem::take(&mut self.server.line);
        if self.strips() {
            blot(&mut line);
        }
        let text = String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned();
        let lost = if self.losing.is_some() { " (lost at the gate)" } else { "" };
        self.dialogue().line(Side::Server, &format!("{text}{lost}"));
        if text.as_bytes().get(3) == Some(&b'-') {
            return;
        }
        self.replying = false;
        if let Some(Loss { number, how, point }) = self.losing.take() {
            flow.act(number, Deed::End(how), point);
            return;
        }
        let stage = self.stage();
        self.expected.pop_front();
        match (stage, text.get(..3).unwrap_or_default()) {
            (Stage::StartTls, "220") => {
                self.phase = Phase::Opaque;
                self.dialogue().opaque(Side::Server, 0);
            }
            (Stage::Data, code) if code != "354" && matches!(self.phase, Phase::Message(_)) => self.phase = Phase::Command,
            (_, "334") => self.credentials = true,
            _ => {}
        }
        self.reach(flow, Edge::After, |place| *place == Place::Reply(stage));
    }

    /// What the reply is to that is going on or comes next.
    fn stage(&self) -> Stage {
        self.expected.front().map_or(Stage::Other, |Expected { stage, .. }| *stage)
    }

    fn strips(&self) -> bool {
        self.strip_starttls && self.stage() == Stage::Ehlo
    }
}

/// Overwrites the keyword where it stands alone after the code.
fn blot(line: &mut [u8]) {
    if let Some(word) = line.get_mut(4..4 + STARTTLS.len()).filter(|word| word.eq_ignore_ascii_case(STARTTLS)) {
        word.copy_from_slice(BLOTTED);
    }
}
