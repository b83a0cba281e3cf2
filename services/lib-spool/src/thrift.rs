//! A history has an end: what is written past a length is shorter, so that no reader ever meets one that is too long for it.
//!
//! Outcomes that are final are few: each recipient has one, and one that the sender was told. Deferrals come without end, each with words
//! that a stranger chose, so they are what gives way.

use std::collections::BTreeMap;
use std::time::Duration;

use lib_mail::{By, Enhanced, QueueId, Status, Timestamp};

use crate::stored::MAX_HISTORY;
use crate::tail::{self, Entry};
use crate::{Line, Outcome, What};

/// Up to this length of the history every outcome keeps its words.
const ALL_WORDS: u64 = 1 << 20;
/// Up to this, those that are not deferrals keep [`WORDS`] octets of them.
const SOME_WORDS: u64 = 40 << 20;
/// The longest history to which an outcome is added; above it is room for the answers to orders.
const MOST: u64 = (MAX_HISTORY as u64) - (8 << 20);
/// The longest history to which an order is added; each will have an answer.
pub(crate) const MOST_FOR_ORDERS: u64 = 16 << 20;
/// Octets, as written, of words that are cut.
const WORDS: usize = 200;
/// Runs of indexes that a deferral without words names.
const RUNS: usize = 64;
/// A deferral without words is written at most this often. Far less than the time between two attempts that a schedule believes in
/// (`lib_policy::Schedule`), so that a message past its deadline is still returned.
const PACE: Duration = Duration::from_secs(300);

/// Lines for outcomes: equal ones of several recipients share one, but an expansion is one recipient's own.
pub(crate) fn gather(outcomes: &[(usize, Outcome)]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut places: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, outcome) in outcomes {
        let shareable = !matches!(outcome.what, What::Expanded(_));
        let candidates = places.entry(kin(outcome)).or_default();
        let same = candidates.iter().copied().find(|place| shareable && lines[*place].outcome == *outcome);
        match same {
            Some(place) => lines[place].recipients.push(*index),
            None => {
                candidates.push(lines.len());
                lines.push(Line { recipients: vec![*index], outcome: outcome.clone() });
            }
        }
    }
    for line in &mut lines {
        line.recipients.sort_unstable();
        line.recipients.dedup();
    }
    lines
}

/// Equal for equal outcomes, so that a thousand different ones are not each compared with all others.
fn kin(outcome: &Outcome) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    outcome.status.hash(&mut hasher);
    hasher.finish()
}

/// The text of outcomes, to be put behind a history of that length whose last deferral was at `last`; nothing where deferrals alone are
/// left out. `None` where not even the barest form fits.
pub(crate) fn fit(id: &QueueId, length: u64, lines: &[Line], last: Option<Timestamp>) -> Option<String> {
    let text = print(id, lines);
    if fits(length, &text, ALL_WORDS) {
        return Some(text);
    }
    let (deferred, finals): (Vec<&Line>, Vec<&Line>) = lines.iter().partition(|line| line.outcome.what == What::Deferred);
    let mut text = print(id, &finals.iter().map(|line| cut(line)).collect::<Vec<_>>());
    if !fits(length, &text, SOME_WORDS) {
        text = print(id, &bare(&finals));
    }
    if !text.is_empty() && !fits(length, &text, MOST) {
        return None;
    }
    if let Some(short) = brief(&deferred).filter(|line| is_time(line.outcome.status.at, last)) {
        let short = print(id, &[short]);
        if fits(length + text.len() as u64, &short, MOST) {
            text.push_str(&short);
        }
    }
    Some(text)
}

fn fits(length: u64, text: &str, limit: u64) -> bool {
    length.saturating_add(text.len() as u64) <= limit
}

fn print(id: &QueueId, lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        tail::print(&mut text, id, line.outcome.status.at, &Entry::Outcome(line.clone()));
    }
    text
}

/// Whether a deferral is written; also where the clock was set back.
fn is_time(now: Timestamp, last: Option<Timestamp>) -> bool {
    last.is_none_or(|last| last > now || now.since(last) >= PACE)
}

/// The line with some of its words.
fn cut(line: &Line) -> Line {
    let mut line = line.clone();
    let text = &mut line.outcome.status.text;
    let mut room = WORDS;
    let end = text.char_indices().find(|(_, c)| {
        let cost = if *c == '%' || c.is_control() { 3 * c.len_utf8() } else { c.len_utf8() };
        room.checked_sub(cost).map(|left| room = left).is_none()
    });
    if let Some((end, _)) = end {
        text.truncate(end);
    }
    line
}

/// One line for all that came to the same, in nobody's words. An expansion stays what it is.
fn bare(lines: &[&Line]) -> Vec<Line> {
    let mut bare: Vec<Line> = Vec::new();
    for line in lines {
        let what = &line.outcome.what;
        match bare.iter_mut().find(|other| other.outcome.what == *what && !matches!(what, What::Expanded(_))) {
            Some(other) => other.recipients.extend(&line.recipients),
            None => bare.push(Line { recipients: line.recipients.clone(), outcome: wordless(&line.outcome) }),
        }
    }
    for line in &mut bare {
        line.recipients.sort_unstable();
        line.recipients.dedup();
    }
    // A notification ends a failure only where it comes behind it.
    bare.sort_by_key(|line| matches!(line.outcome.what, What::Notified(_)));
    bare
}

/// One line for all deferrals of an attempt, in nobody's words; of indexes that are far from each other it names the first.
fn brief(lines: &[&Line]) -> Option<Line> {
    let outcome = wordless(&lines.iter().max_by_key(|line| line.outcome.status.at)?.outcome);
    let mut recipients: Vec<usize> = lines.iter().flat_map(|line| line.recipients.iter().copied()).collect();
    recipients.sort_unstable();
    recipients.dedup();
    let mut gaps = recipients.windows(2).enumerate().filter(|(_, pair)| pair[0] + 1 < pair[1]).map(|(place, _)| place + 1);
    let end = gaps.nth(RUNS - 1);
    if let Some(end) = end {
        recipients.truncate(end);
    }
    Some(Line { recipients, outcome })
}

fn wordless(outcome: &Outcome) -> Outcome {
    let class = outcome.status.code / 100;
    let code = match class {
        2 => 250,
        4 => 451,
        _ => 554,
    };
    let enhanced = Enhanced::new(u8::try_from(class).unwrap_or(5), 0, 0);
    let text = "The words are left out: the history is long";
    Outcome { what: outcome.what.clone(), status: Status::new(code, enhanced, By::Local, text, outcome.status.at) }
}

#[cfg(test)]
mod tests;
