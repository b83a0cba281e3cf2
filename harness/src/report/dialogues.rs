//! The dialogues that the gates wrote down, folded, with how each ended.

use std::time::Duration;

use maud::{Markup, html};

use super::words;
use crate::record::DialogueRecord;

/// Lines of one dialogue: so many from its beginning and from its end.
const LINES: (usize, usize) = (60, 30);
/// Ordinary dialogues that stand on the page; more are folded once again.
const STANDING: usize = 8;
/// Letters of a line.
const LETTERS: usize = 400;

/// Whether it ended as dialogues should, or had not ended yet.
fn ordinary(dialogue: &DialogueRecord) -> bool {
    matches!(dialogue.end.as_str(), "" | "closed" | "open")
}

/// As many dialogues as have room in about `room` octets of page. Those that did not simply close come before others when there is too
/// little, and the list stays in order of time.
pub(super) fn dialogues(all: &[DialogueRecord], room: usize) -> Markup {
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by_key(|at| ordinary(&all[*at]));
    let mut left = room;
    let mut drawn: Vec<(usize, String)> = Vec::new();
    for at in order {
        let text = one(&all[at]).into_string();
        if text.len() > left && !drawn.is_empty() {
            break;
        }
        left = left.saturating_sub(text.len());
        drawn.push((at, text));
    }
    drawn.sort();
    let plain: Vec<usize> = drawn.iter().map(|(at, _)| *at).filter(|at| ordinary(&all[*at])).collect();
    let standing =
        |at: usize| !ordinary(&all[at]) || plain.len() <= STANDING + 2 || plain.iter().take(STANDING).any(|plain| *plain == at);
    let odd = all.iter().filter(|dialogue| !ordinary(dialogue)).count();
    html! {
        p.soft {
            (words::many(all.len(), "dialogue")) " written down between the servers and the client"
            @if odd > 0 { "; " (words::count(odd)) " did not simply close" }
            @if drawn.len() < all.len() { ". Shown: " (words::count(drawn.len())) ", broken ones before others" }
            "."
        }
        @for (at, text) in &drawn { @if standing(*at) { (maud::PreEscaped(text)) } }
        @if drawn.iter().any(|(at, _)| !standing(*at)) {
            details.more {
                summary { (words::many(drawn.iter().filter(|(at, _)| !standing(*at)).count(), "more dialogue")) " that simply closed" }
                @for (at, text) in &drawn { @if !standing(*at) { (maud::PreEscaped(text)) } }
            }
        }
    }
}

fn one(dialogue: &DialogueRecord) -> Markup {
    let broken = !ordinary(dialogue);
    let end = if dialogue.end.is_empty() { "no end seen" } else { &dialogue.end };
    let said = dialogue.lines.len();
    html! {
        details.dialogue {
            summary {
                span.at { (words::offset(dialogue.at)) }
                span.who { b { (words::visible(&dialogue.from)) } span.arrow { " → " } b { (words::visible(&dialogue.to)) } }
                span.end.(if broken { "broken" } else { "closed" }) { @if broken { span.sign { "⚡\u{fe0e}" } } (words::visible(end)) }
                span.soft.lines { (words::many(said, "line")) }
            }
            ol.lines {
                @for (n, line) in dialogue.lines.iter().enumerate() {
                    @if n < LINES.0 || n + LINES.1 >= said { (spoken(line)) }
                    @if n == LINES.0 && said > LINES.0 + LINES.1 {
                        li.cap { (words::many(said - LINES.0 - LINES.1, "line")) " between are left out" }
                    }
                }
                li.over.(if broken { "broken" } else { "closed" }) { (words::visible(end)) }
            }
        }
    }
}

fn spoken((at, side, text): &(Duration, char, String)) -> Markup {
    let class = match side {
        'C' => "client",
        'S' => "server",
        _ => "neither",
    };
    html! {
        li.(class) {
            span.at { (format!("{:.3}", at.as_secs_f64())) }
            span.side { (side) }
            code { (words::visible(&words::short(text, LETTERS))) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialogue(end: &str, lines: usize) -> DialogueRecord {
        let line = |n| (Duration::from_millis(n as u64), if n % 2 == 0 { 'S' } else { 'C' }, format!("line {n} <x>"));
        DialogueRecord {
            from: "client".into(),
            to: "primary".into(),
            at: Duration::ZERO,
            lines: (0..lines).map(line).collect(),
            end: end.into(),
        }
    }

    #[test]
    fn broken_ones_stay_where_room_is_short() {
        let mut all: Vec<_> = (0..50).map(|_| dialogue("closed", 10)).collect();
        all.push(dialogue("reset by the gate after the final dot", 10));
        let page = dialogues(&all, 8_000).into_string();
        assert!(page.contains("51 dialogues") && page.contains("broken ones before others") && page.contains("⚡"), "{page}");
        assert!(page.len() < 9_000, "{}", page.len());
    }

    #[test]
    fn long_ones_lose_their_middle() {
        let page = dialogues(&[dialogue("closed", 200)], 1_000_000).into_string();
        assert!(
            page.contains("110 lines between are left out")
                && page.contains("line 199 &lt;x&gt;")
                && !page.contains("line 100 ")
        );
    }
}
