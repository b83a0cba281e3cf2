//! The ways of the messages over the nodes: messages that went the same way to the same fate stand together, and open to single ones.

use std::collections::BTreeMap;
use std::time::Duration;

use maud::{Markup, PreEscaped, html};

use super::words;
use crate::record::{MessageRecord, RecipientRecord};

mod message;

/// Groups on the page; the rest are counted.
const GROUPS: usize = 40;

/// What messages have in common: what the client was told, the nodes and what they did, the fates of the recipients. How often a node
/// deferred is left out, or every message would be a group of its own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    bad: Rank,
    told: &'a str,
    way: Vec<(&'a str, Vec<&'a str>)>,
    fates: Vec<&'a str>,
}

/// The worst comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Bad,
    Open,
    Good,
}

fn rank(fate: &str) -> Rank {
    match fate {
        "lost" | "duplicated" | "damaged" => Rank::Bad,
        "queued" => Rank::Open,
        _ => Rank::Good,
    }
}

fn worst(recipients: &[RecipientRecord]) -> Rank {
    recipients.iter().map(|recipient| rank(&recipient.fate)).min().unwrap_or(Rank::Good)
}

/// What nodes do with a message, in the order in which it happens to one recipient.
const ORDER: [&str; 6] = ["accepted", "deferred", "relayed", "delivered", "failed", "bounced"];

/// Nodes stand in the order in which they first saw the message, and all that one did stands together: two servers tell of one handover in
/// either order, and that difference is none.
fn key(message: &MessageRecord) -> Key<'_> {
    let mut way: Vec<(&str, Vec<&str>)> = Vec::new();
    for hop in &message.hops {
        match way.iter_mut().find(|(node, _)| *node == hop.node) {
            Some((_, did)) => did.push(&hop.what),
            None => way.push((&hop.node, vec![&hop.what])),
        }
    }
    for (_, did) in &mut way {
        did.sort_by_key(|what| (ORDER.iter().position(|known| known == what).unwrap_or(ORDER.len()), *what));
        did.dedup();
    }
    let mut fates: Vec<&str> = message.recipients.iter().map(|recipient| recipient.fate.as_str()).collect();
    fates.sort_by_key(|fate| (rank(fate), *fate));
    fates.dedup();
    Key { bad: worst(&message.recipients), told: &message.told, way, fates }
}

/// From the first to the last that was seen of it.
fn travelled(message: &MessageRecord) -> Option<Duration> {
    message.hops.iter().map(|hop| hop.at).max().map(|last| last.saturating_sub(message.at))
}

/// All messages, grouped, in about `room` octets of page: the worst first, then the most frequent. Each group opens to some of its messages.
pub(super) fn ways(messages: &[MessageRecord], room: usize) -> Markup {
    let mut groups: BTreeMap<Key<'_>, Vec<&MessageRecord>> = BTreeMap::new();
    for message in messages {
        groups.entry(key(message)).or_default().push(message);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups
        .sort_by(|(a, these), (b, those)| (a.bad != Rank::Bad).cmp(&(b.bad != Rank::Bad)).then(those.len().cmp(&these.len())));
    let shown = groups.len().min(GROUPS);
    let hidden: usize = groups[shown..].iter().map(|(_, messages)| messages.len()).sum();
    let most = groups.iter().map(|(_, messages)| messages.len()).max().unwrap_or(1);
    // The smallest take their part first: what they leave goes to the larger ones.
    let mut left = room;
    let mut drawn = Vec::new();
    for (n, (key, messages)) in groups[..shown].iter().enumerate().rev() {
        let text = group(key, messages, most, left / (n + 1)).into_string();
        left = left.saturating_sub(text.len());
        drawn.push(text);
    }
    html! {
        p.soft { (words::many(messages.len(), "message")) " in " (words::many(groups.len(), "way")) ". Open a way to see single messages: hops, ids, replies." }
        @for text in drawn.iter().rev() { (PreEscaped(text)) }
        @if hidden > 0 {
            p.cap { (words::many(groups.len() - shown, "rarer way")) " with " (words::many(hidden, "message")) " are not shown." }
        }
    }
}

fn group(key: &Key<'_>, messages: &[&MessageRecord], most: usize, room: usize) -> Markup {
    let mut left = room;
    let mut drawn = Vec::new();
    for message in messages {
        let text = message::one(message).into_string();
        if text.len() > left && !drawn.is_empty() {
            break;
        }
        left = left.saturating_sub(text.len());
        drawn.push(text);
    }
    let part = messages.len() as f64 / most.max(1) as f64 * 100.0;
    html! {
        details.way.(class(key)) {
            summary {
                span.many { b { (words::count(messages.len())) } span.share { span style=(format!("width:{:.1}%", part.max(1.5))) {} } }
                span.path {
                    span.stop.from { b { "client" } i { (told(key.told)) } }
                    @for (node, did) in &key.way {
                        span.leg {
                            span.arrow { " → " }
                            span.stop {
                                b { (words::visible(node)) }
                                i { @for (m, what) in did.iter().enumerate() { @if m > 0 { ", " } (deed(messages, node, what)) } }
                            }
                        }
                    }
                    @if key.way.is_empty() { span.leg { span.arrow { " → " } i.nobody { "no server's log names it" } } }
                }
                span.fates { @for fate in &key.fates { span.fate.(fate_class(fate)) { (fate_sign(fate)) " " (words::visible(fate)) } " " } }
                span.time { (timing(messages)) }
            }
            div.inside {
                @for text in &drawn { (PreEscaped(text)) }
                @if drawn.len() < messages.len() {
                    p.cap { (words::many(messages.len() - drawn.len(), "more message")) " went this way and are not shown one by one." }
                }
            }
        }
    }
}

/// What a node did, and how often where messages differ from once: `deferred ×2–5`.
fn deed(messages: &[&MessageRecord], node: &str, what: &str) -> String {
    let times = |message: &&MessageRecord| message.hops.iter().filter(|hop| hop.node == node && hop.what == what).count();
    let (low, high) = messages.iter().map(times).fold((usize::MAX, 0), |(low, high), n| (low.min(n), high.max(n)));
    let what = words::visible(what);
    match (low, high) {
        (_, 0 | 1) => what,
        (low, high) if low == high => format!("{what} ×{high}"),
        (low, high) => format!("{what} ×{low}–{high}"),
    }
}

fn timing(messages: &[&MessageRecord]) -> String {
    let mut times: Vec<Duration> = messages.iter().filter_map(|message| travelled(message)).collect();
    times.sort();
    match (times.get(times.len() / 2), times.last()) {
        (Some(only), Some(_)) if times.len() == 1 => format!("took {}", words::took(*only)),
        (Some(median), Some(longest)) => format!("half within {}, all within {}", words::took(*median), words::took(*longest)),
        _ => String::new(),
    }
}

fn told(told: &str) -> &str {
    match told {
        "accepted" => "was told 250",
        "refused" => "was refused",
        "nothing" => "saw no reply",
        other => other,
    }
}

fn class(key: &Key<'_>) -> &'static str {
    match key.bad {
        Rank::Bad => "bad",
        Rank::Open => "open",
        Rank::Good => "fine",
    }
}

fn fate_class(fate: &str) -> &'static str {
    match (rank(fate), fate) {
        (Rank::Bad, _) => "bad",
        (Rank::Open, _) => "waits",
        (_, "delivered" | "handed over") => "good",
        _ => "plain",
    }
}

fn fate_sign(fate: &str) -> &'static str {
    match fate_class(fate) {
        "bad" => "✗",
        "waits" => "…",
        "good" => "✓",
        _ => "•",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Hop;

    fn message(token: &str, hops: &[(&str, &str)], fate: &str) -> MessageRecord {
        let hop = |(node, what): &(&str, &str)| Hop { node: (*node).into(), what: (*what).into(), ..Hop::default() };
        MessageRecord {
            token: token.into(),
            told: "accepted".into(),
            recipients: vec![RecipientRecord { fate: fate.into(), ..RecipientRecord::default() }],
            hops: hops.iter().map(hop).collect(),
            ..MessageRecord::default()
        }
    }

    #[test]
    fn the_same_way_is_one_group_however_often_it_was_deferred() {
        let way = |n: usize| {
            let mut hops = vec![("secondary", "accepted")];
            hops.extend(std::iter::repeat_n(("secondary", "deferred"), n));
            hops.extend([("secondary", "relayed"), ("primary", "accepted"), ("primary", "delivered")]);
            hops
        };
        let messages = [message("a", &way(2), "delivered"), message("b", &way(5), "delivered"), message("c", &way(3), "lost")];
        let page = ways(&messages, 100_000).into_string();
        assert!(page.contains("3 messages in 2 ways") && page.contains("deferred ×2–5"), "{page}");
        let told_late = [("primary", "accepted"), ("secondary", "relayed"), ("primary", "delivered")];
        let told_early = [("primary", "accepted"), ("primary", "delivered"), ("secondary", "relayed")];
        let from = |told: &[(&'static str, &'static str)]| {
            message("d", &[&[("secondary", "accepted")][..], told].concat(), "delivered")
        };
        let page_of_handovers = ways(&[from(&told_late), from(&told_early)], 100_000).into_string();
        assert!(page_of_handovers.contains("2 messages in 1 way"), "{page_of_handovers}");
        assert!(page.find("✗ lost") < page.find("✓ delivered"), "what is lost comes first");
    }

    #[test]
    fn many_are_capped_and_the_cap_is_said() {
        let messages: Vec<_> =
            (0..5000).map(|n| message(&format!("t-{n}"), &[("a", "accepted"), ("a", "delivered")], "delivered")).collect();
        let page = ways(&messages, 20_000).into_string();
        assert!(
            page.len() < 24_000 && page.contains("more messages went this way and are not shown one by one"),
            "{}",
            page.len()
        );
        let messages: Vec<_> = (0..100).map(|n| message("t", &[(&format!("node-{n}"), "accepted")], "delivered")).collect();
        assert!(ways(&messages, 20_000).into_string().contains("60 rarer ways with 60 messages are not shown"));
    }
}
