//! Texts past which trips are armed, found in what an end says, in however many pieces it says it.

use super::super::trip::Side;
use super::Follow;

/// Longest text, less one octet.
const TAIL: usize = 255;

impl Follow {
    /// Notes where texts end in the octets that `side` says now.
    pub(super) fn find_texts(&mut self, side: Side, octets: &[u8]) {
        let wanted = self.trips.texts(side);
        let way = self.way(side);
        if way.ended {
            return;
        }
        let before = way.seen - way.tail.len() as u64;
        let mut said = std::mem::take(&mut way.tail);
        said.extend_from_slice(octets);
        for (number, text) in wanted.iter().filter(|(_, text)| !text.is_empty()) {
            let known = self.texts.iter().any(|(known, _)| known == number);
            let found = said.windows(text.len()).position(|window| window == text.as_bytes()).filter(|_| !known);
            self.texts.extend(found.map(|at| (*number, before + (at + text.len()) as u64)));
        }
        said.drain(..said.len().saturating_sub(TAIL));
        self.way(side).tail = said;
    }
}
