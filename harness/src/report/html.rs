//! The page: how the run ended, a table of its scenarios, and for each of them what happened, when, and where every message is.
//!
//! It holds no script and asks for nothing from anywhere. What is long is folded; what is too long for a page is capped, and the page says so.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{books, dialogues, moments, plot, timeline, ways, words};
use crate::record::{Played, Record, Run, Verdict};

const STYLE: &str = include_str!("html/page.css");

/// Octets that messages and dialogues of all scenarios may take together; each scenario has an equal part, within [`ROOM`].
const ALL: usize = 7_000_000;
/// The least and the most that one scenario's messages and dialogues may take, in octets.
const ROOM: (usize, usize) = (30_000, 2_500_000);
/// Fewer latencies make no histogram.
const LATENCIES: usize = 20;
/// Octets of a failure's text.
const FAILURE: usize = 48_000;

/// What stands at the top of each page, with a style for this one alone.
pub(super) fn head(title: &str, style: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) }
            link rel="icon" href="data:,";
            style { (PreEscaped(plot::STYLE)) (PreEscaped(STYLE)) (PreEscaped(style)) }
        }
    }
}

/// The whole page.
pub fn page(run: &Run) -> String {
    let (_, failed, _) = outcome(run);
    let title = format!("{} · {}", headline(run), words::date(run.started));
    let room = (ALL / run.results.len().max(1)).clamp(ROOM.0, ROOM.1);
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(&title, ""))
            body {
                (timeline::patterns())
                header.top {
                    p.eyebrow { "bongsu-harness · " (words::date(run.started)) " · took " (words::took(run.took)) }
                    h1.(if failed > 0 { "failed" } else { "passed" }) { (headline(run)) }
                    (totals(run))
                    @if !run.about.is_empty() {
                        dl.about { @for (name, value) in &run.about { div { dt { (words::visible(name)) } dd { (words::visible(value)) } } } }
                    }
                }
                main {
                    @if run.results.len() > 1 { (table(run)) }
                    @for (n, played) in run.results.iter().enumerate() { (scenario(n, played, room)) }
                }
                footer {
                    p { "Times are seconds from the start of a scenario. Books are counted in copies: a message for two recipients has two." }
                }
            }
        }
    }
    .into_string()
}

/// Passed, failed, skipped.
fn outcome(run: &Run) -> (usize, usize, usize) {
    let of = |word: &str| run.results.iter().filter(|played| words::verdict(&played.verdict).0 == word).count();
    (of("passed"), of("failed"), of("skipped"))
}

fn headline(run: &Run) -> String {
    let (passed, failed, skipped) = outcome(run);
    let mut text = match (passed, failed) {
        (0, 0) => "Nothing was played".to_owned(),
        (passed, 0) => format!("{} passed", words::many(passed, "scenario")),
        (passed, failed) => format!("{} of {} failed", words::count(failed), words::many(passed + failed, "scenario")),
    };
    let differ = run.results.iter().filter(|played| matches!(played.verdict, Verdict::Differs(_))).count();
    if differ > 0 {
        text.push_str(&format!(", {} known to differ", words::count(differ)));
    }
    if skipped > 0 {
        text.push_str(&format!(", {} skipped", words::count(skipped)));
    }
    text
}

/// The books of all scenarios together.
fn totals(run: &Run) -> Markup {
    let sum = |of: fn(&Record) -> usize| run.results.iter().map(|played| of(&played.record)).sum::<usize>();
    let allowed = sum(|record| record.books.allowed_duplicates.0);
    let lost = sum(|record| record.books.lost.len());
    let twice = sum(|record| record.books.duplicated.len());
    html! {
        ul.totals {
            li { b { (words::count(sum(|record| record.messages.len()))) } "messages sent" }
            li { b { (words::count(sum(|record| record.books.accepted))) } "copies accepted" }
            li { b { (words::count(sum(|record| record.books.delivered + record.books.handed_over))) } "arrived" }
            li.(if lost > 0 { "bad" } else { "" }) { b { (words::count(lost)) } "lost" }
            li.(if twice > allowed { "bad" } else { "" }) { b { (words::count(twice)) } "duplicated" }
            li { b { (words::count(sum(|record| record.books.in_doubt))) } "in doubt" }
        }
    }
}

fn badge(verdict: &Verdict) -> Markup {
    let (word, sign) = words::verdict(verdict);
    html! { span.badge.(word) { span aria-hidden="true" { (sign) } " " (word) } }
}

fn table(run: &Run) -> Markup {
    html! {
        table.scenarios {
            caption { "Scenarios" }
            thead { tr { th { "Verdict" } th { "Scenario" } th { "System" } th { "Driver" } th { "Rows" } th.right { "Accepted" } th.right { "Took" } } }
            tbody {
                @for (n, played) in run.results.iter().enumerate() {
                    tr.(words::verdict(&played.verdict).0) {
                        td { (badge(&played.verdict)) }
                        th scope="row" { a href=(format!("#s{}", n + 1)) { (words::heading(&played.name)) } p { (words::visible(&why(played))) } }
                        td data-label="System" { (played.system) }
                        td data-label="Driver" { (played.driver) }
                        td data-label="Rows" { (played.rows.join(", ")) }
                        @if matches!(played.verdict, Verdict::Skipped(_)) { td.right {} td.right {} } @else {
                            td.right data-label="Accepted" { (words::count(played.record.books.accepted)) }
                            td.right data-label="Took" { (words::took(played.took)) }
                        }
                    }
                }
            }
        }
    }
}

/// What the table says below a name: why it failed or was skipped, otherwise what it shows.
fn why(played: &Played) -> String {
    match &played.verdict {
        Verdict::Passed => words::short(&played.shows, 200),
        Verdict::Failed(text) | Verdict::Differs(text) | Verdict::Skipped(text) => {
            words::short(text.lines().next().unwrap_or_default(), 200)
        }
    }
}

fn scenario(n: usize, played: &Played, room: usize) -> Markup {
    let record = &played.record;
    html! {
        section.scenario.(words::verdict(&played.verdict).0) id=(format!("s{}", n + 1)) {
            header {
                h2 { (words::heading(&played.name)) }
                p.meta {
                    (badge(&played.verdict))
                    span { (played.system) " on " (played.driver) }
                    @if !matches!(played.verdict, Verdict::Skipped(_)) { span { (words::took(played.took)) } }
                    @for row in &played.rows { span.row title="row of the requirement book" { (row) } }
                    code { (played.name) }
                }
                p.shows { (words::visible(&played.shows)) }
            }
            @match &played.verdict {
                Verdict::Passed => {}
                Verdict::Failed(text) => (failure(text)),
                Verdict::Differs(text) => {
                    p.reason { b { "Differs, as is known. " } (words::visible(text.lines().next().unwrap_or_default())) }
                    (failure(text.split_once('\n').map_or("", |(_, what)| what)))
                }
                Verdict::Skipped(reason) => p.reason { b { "Skipped. " } (words::visible(reason)) },
            }
            @if !record.nodes.is_empty() { (network(record)) }
            @if !record.nodes.is_empty() { h3 { "What happened" } (timeline::timeline(record, played.took)) }
            @if !record.moments.is_empty() { (moments::list(record)) }
            @if !record.messages.is_empty() || record.books != Default::default() {
                h3 { "The books" }
                (books::equation(&record.books))
            }
            @if record.latencies.len() >= LATENCIES {
                h3 { "How long it took to be accepted" }
                (PreEscaped(plot::histogram("Latencies of accepted messages, from their first try on", &record.latencies, 760.0)))
            }
            @if !record.messages.is_empty() { h3 { "The ways of the messages" } (ways::ways(&record.messages, room * 3 / 5)) }
            @if !record.dialogues.is_empty() { h3 { "SMTP dialogues" } (dialogues::dialogues(&record.dialogues, room * 2 / 5)) }
        }
    }
}

fn failure(text: &str) -> Markup {
    let text = words::log(&words::ends(text, FAILURE));
    let (first, rest) = text.trim_end().split_once('\n').unwrap_or((text.trim_end(), ""));
    let rest = rest.trim_matches('\n');
    html! {
        div.failure role="note" {
            p { b { "Failed. " } (first) }
            @if !rest.is_empty() { pre tabindex="0" { (rest) } }
        }
    }
}

fn network(record: &Record) -> Markup {
    html! {
        ul.network aria-label="Servers" {
            @for node in &record.nodes {
                li {
                    b { (words::visible(&node.name)) }
                    span { (words::visible(&node.part)) }
                    span.soft { (node.system) @if !node.address.is_empty() { " · " code { (node.address) } } }
                }
            }
        }
    }
}
