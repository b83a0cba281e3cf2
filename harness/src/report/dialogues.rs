//! The dialogues that the gates wrote down, folded, with how each ended.

use std::collections::BTreeMap;
use std::time::Duration;

use maud::{Markup, PreEscaped, html};

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

/// Connections on which nobody said a word, between the same two and with the same end: they stand together, since a server that is down
/// makes hundreds of them.
fn silent(all: &[DialogueRecord]) -> BTreeMap<(&str, &str, &str), Vec<&DialogueRecord>> {
    let mut silent: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for dialogue in all.iter().filter(|dialogue| dialogue.lines.is_empty()) {
        silent.entry((dialogue.from.as_str(), dialogue.to.as_str(), dialogue.end.as_str())).or_default().push(dialogue);
    }
    silent
}

/// As many dialogues as have room in about `room` octets of page. Those that did not simply close come before others when there is too
/// little, and the list stays in order of time.
pub(super) fn dialogues(all: &[DialogueRecord], room: usize) -> Markup {
    let spoken: Vec<&DialogueRecord> = all.iter().filter(|dialogue| !dialogue.lines.is_empty()).collect();
    let mut order: Vec<&DialogueRecord> = spoken.clone();
    order.sort_by_key(|dialogue| ordinary(dialogue));
    let mut left = room;
    let mut drawn: Vec<(Duration, bool, String)> = Vec::new();
    for dialogue in order {
        let text = one(dialogue).into_string();
        if text.len() > left && !drawn.is_empty() {
            break;
        }
        left = left.saturating_sub(text.len());
        drawn.push((dialogue.at, ordinary(dialogue), text));
    }
    drawn.sort();
    let shown = drawn.len();
    drawn.extend(
        silent(all)
            .into_values()
            .map(|these| (these.first().map_or(Duration::ZERO, |first| first.at), false, wordless(&these).into_string())),
    );
    drawn.sort();
    let plain = drawn.iter().filter(|(_, ordinary, _)| *ordinary).count();
    let standing = if plain <= STANDING + 2 { plain } else { STANDING };
    let mut before = 0;
    let (top, more): (Vec<_>, Vec<_>) = drawn.into_iter().partition(|(_, ordinary, _)| {
        before += usize::from(*ordinary);
        !ordinary || before <= standing
    });
    let odd = spoken.iter().filter(|dialogue| !ordinary(dialogue)).count();
    html! {
        p.soft {
            (words::many(spoken.len(), "dialogue")) " written down between the servers and the client"
            @if odd > 0 { "; " (words::count(odd)) " did not simply close" }
            @if shown < spoken.len() { ". Shown: " (words::count(shown)) ", broken ones before others" }
            "."
        }
        @for (_, _, text) in &top { (PreEscaped(text)) }
        @if !more.is_empty() {
            details.more {
                summary { (words::many(more.len(), "more dialogue")) " that simply closed" }
                @for (_, _, text) in &more { (PreEscaped(text)) }
            }
        }
    }
}

/// Connections without a word.
fn wordless(these: &[&DialogueRecord]) -> Markup {
    let (Some(first), Some(last)) = (these.first(), these.last()) else { return html! {} };
    html! {
        div.dialogue.wordless {
            span.at { (words::offset(first.at)) }
            (who(first))
            (end(first))
            span.soft.lines { @if these.len() > 1 { (words::count(these.len())) " times until " (words::offset(last.at)) } @else { "no line" } }
        }
    }
}

fn who(dialogue: &DialogueRecord) -> Markup {
    html! { span.who { b { (words::visible(&dialogue.from)) } span.arrow { " → " } b { (words::visible(&dialogue.to)) } } }
}

fn end(dialogue: &DialogueRecord) -> Markup {
    let broken = !ordinary(dialogue);
    html! { span.end.(if broken { "broken" } else { "closed" }) { @if broken { span.sign { "⚡\u{fe0e}" } } (ended(dialogue)) } }
}

fn ended(dialogue: &DialogueRecord) -> String {
    if dialogue.end.is_empty() { "no end seen".into() } else { words::visible(&dialogue.end) }
}

fn one(dialogue: &DialogueRecord) -> Markup {
    let broken = !ordinary(dialogue);
    let said = dialogue.lines.len();
    html! {
        details.dialogue {
            summary {
                span.at { (words::offset(dialogue.at)) }
                (who(dialogue))
                (end(dialogue))
                span.soft.lines { (words::many(said, "line")) }
            }
            ol.lines {
                @for (n, line) in dialogue.lines.iter().enumerate() {
                    @if n < LINES.0 || n + LINES.1 >= said { (spoken(line)) }
                    @if n == LINES.0 && said > LINES.0 + LINES.1 {
                        li.cap { (words::many(said - LINES.0 - LINES.1, "line")) " between are left out" }
                    }
                }
                li.over.(if broken { "broken" } else { "closed" }) { (ended(dialogue)) }
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
    fn connections_without_a_word_stand_together() {
        let mut all: Vec<_> = (0..300).map(|_| dialogue("the server could not be reached", 0)).collect();
        all.push(dialogue("closed", 4));
        let page = dialogues(&all, 100_000).into_string();
        assert!(page.contains("1 dialogue written down") && page.contains("300 times until"), "{page}");
        assert_eq!(page.matches("could not be reached").count(), 1);
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
