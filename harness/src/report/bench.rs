//! The page of a measurement: ratios to the first system, figures with their spread, latencies. One file, as the page of scenarios is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::html::head;
use super::plot::{self, Bar, Bars};
use super::words;
use crate::Result;
use crate::bench::{Better, Comparison, Measured, Row, table};

/// Widths of a plot, for a broad page and for a telephone.
const WIDTHS: [(&str, f64); 2] = [("wide", 1000.0), ("narrow", 340.0)];
/// Points of a latency curve need no more than this many latencies.
const LATENCIES: usize = 20_000;
const STYLE: &str = include_str!("bench/bench.css");

/// Writes `bench.html` and `bench.json` into `dir`, which is made where it does not exist. The page's path.
pub fn write(comparison: &Comparison, dir: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let (page_at, json_at) = (dir.join("bench.html"), dir.join("bench.json"));
    for (path, text) in [(&page_at, page(comparison)), (&json_at, serde_json::to_string_pretty(comparison)?)] {
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(page_at)
}

/// The whole page.
pub fn page(comparison: &Comparison) -> String {
    let names: Vec<&str> = comparison.benches.iter().map(|bench| bench.name.as_str()).collect();
    let headline = match comparison.systems.as_slice() {
        [only] => format!("{only}, measured"),
        [first, others @ ..] => format!("{} beside {first}", others.join(" and ")),
        [] => "Nothing was measured".to_owned(),
    };
    let failed = comparison.failed();
    html! {
        (DOCTYPE)
        html lang="en" {
            (head(&format!("{headline}: {}", names.join(", ")), STYLE))
            body {
                header.top {
                    p.eyebrow { "bongsu-harness bench · " (words::date(comparison.started)) " · took " (words::took(comparison.took)) }
                    h1.(if failed { "failed" } else { "" }) { (headline) @if failed { ": not all of it is valid" } }
                    dl.about { @for (name, value) in &comparison.about { div { dt { (words::visible(name)) } dd { (words::visible(value)) } } } }
                }
                main {
                    (overview(comparison))
                    @for bench in &comparison.benches { (section(bench, &comparison.systems)) }
                }
                footer {
                    p {
                        "The systems took turns, round after round, on one machine. A figure is the median of its rounds, with the smallest and the "
                        "largest; a ratio is taken within each round. Absolute figures are this machine's alone."
                    }
                }
            }
        }
    }
    .into_string()
}

/// The first quantity of each workload, as a ratio to the first system.
fn overview(comparison: &Comparison) -> Markup {
    let Some(first) = comparison.systems.first() else { return html! {} };
    let mut bars = Vec::new();
    for bench in &comparison.benches {
        for workload in bench.workloads() {
            let Some(row) = bench.rows.iter().find(|row| row.workload == workload && row.better != Better::Neither) else {
                continue;
            };
            for (at, system) in comparison.systems.iter().enumerate().skip(1) {
                let Some(ratio) = row.ratio(at) else { continue };
                let who = if comparison.systems.len() > 2 { format!("{system}, ") } else { String::new() };
                // Where less is better the bar is turned round, so that a longer one is always better.
                let turned = row.better == Better::Less && ratio.low > 0.0;
                let value = if turned { 1.0 / ratio.median } else { ratio.median };
                let whisker = if turned { (1.0 / ratio.high, 1.0 / ratio.low) } else { (ratio.low, ratio.high) };
                let name = format!("{who}{}, {}", bench.name, words::short(workload, 48));
                bars.push(Bar { name, value, whisker, own: system == "bongsu" });
            }
        }
    }
    if bars.is_empty() {
        return html! {};
    }
    let title = format!("How many times as good as {first}");
    let line = Some((1.0, format!("as good as {first}")));
    html! {
        section.scenario {
            h2 { (title) }
            p.shows { "Of each workload its first figure. Longer is better: where less is better, the ratio is turned round. "
                "Where they are far apart, each step of the scale is so many times the one before." }
            (both(|width| Bars { title: title.clone(), unit: "×".into(), line: line.clone(), bars: bars.clone() }.svg(width)))
        }
    }
}

/// A plot at each width; the style shows one of them.
fn both(plot: impl Fn(f64) -> String) -> Markup {
    html! { @for (class, width) in WIDTHS { div.(class) { (PreEscaped(plot(width))) } } }
}

fn section(bench: &Measured, systems: &[String]) -> Markup {
    let rounds = words::many(bench.rounds, "round");
    html! {
        section.scenario.(if bench.failed.is_empty() { "passed" } else { "failed" }) {
            header {
                h2 { (words::heading(&bench.name.replace('-', " "))) }
                p.meta { span { (rounds) } code { "bongsu-harness bench " (bench.name) } }
                p.shows { (words::visible(&bench.shows)) }
            }
            @for why in &bench.failed { div.failure role="note" { p { b { "Void. " } } pre tabindex="0" { (words::log(why)) } } }
            @for (system, why) in &bench.skipped { p.reason { b { (system) " is not measured. " } (words::visible(why)) } }
            @for workload in bench.workloads() {
                h3 { (words::visible(workload)) }
                (figures(bench, workload, systems))
                (latencies(bench, workload, systems))
            }
        }
    }
}

fn figures(bench: &Measured, workload: &str, systems: &[String]) -> Markup {
    let rows: Vec<&Row> = bench.rows.iter().filter(|row| row.workload == workload).collect();
    html! {
        div.figures {
            table {
                thead { tr {
                    th {} @for system in systems { th.right { (system) } }
                    @for system in systems.iter().skip(1) { th.right { (system) " : " (systems[0]) } }
                } }
                tbody { @for row in rows { tr.(if row.better == Better::Neither { "soft" } else { "" }) {
                    th scope="row" { (row.quantity) }
                    @for at in 0..systems.len() { td.right { (spread(table::spread(row.spread(at)))) } }
                    @for at in 1..systems.len() {
                        td.right { b { (spread(table::spread(row.ratio(at).filter(|_| row.better != Better::Neither)))) } }
                    }
                } } }
            }
        }
    }
}

/// The median, and the others in a line of their own where the page is narrow.
fn spread(text: String) -> Markup {
    match text.split_once(' ') {
        Some((median, range)) => html! { (median) " " i { (range) } },
        None => html! { (text) },
    }
}

fn latencies(bench: &Measured, workload: &str, systems: &[String]) -> Markup {
    let of_it = bench.latencies.iter().filter(|of| of.workload == workload && !of.sorted.is_empty());
    let loads: Vec<(String, Vec<Duration>)> =
        of_it.map(|of| (systems.get(of.system).cloned().unwrap_or_default(), thinned(&of.sorted))).collect();
    if loads.is_empty() {
        return html! {};
    }
    let loads: Vec<(String, &[Duration])> = loads.iter().map(|(name, sorted)| (name.clone(), sorted.as_slice())).collect();
    both(|width| plot::percentiles(&format!("Latencies, {workload}"), &loads, width))
}

fn thinned(sorted: &[Duration]) -> Vec<Duration> {
    plot::thinned(sorted, LATENCIES)
}
