//! The report of a run that never was, to be looked at:
//! `cargo run -p bongsu-harness --example report -- page DIR [SCENARIOS MESSAGES] | plots DIR | live`.

use std::path::Path;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use bongsu_harness::Result;
use bongsu_harness::load::Draw;
use bongsu_harness::record::{MomentKind, Played, Run};
use bongsu_harness::report::live::Live;
use bongsu_harness::report::plot::{self, Bar, Bars, Look, Series};

#[path = "../tests/report/sample.rs"]
mod sample;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let dir = Path::new(words.get(1).map_or("target/report", String::as_str));
    let number = |at: usize| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(0);
    match words.first().map(String::as_str) {
        Some("live") => live(&sample::run(0, 0)),
        Some("plots") => plots(dir)?,
        _ => {
            let written = bongsu_harness::report::write(&sample::run(number(2), number(3)), dir)?;
            println!("{}\n{}", written.html.display(), written.junit.display());
        }
    }
    Ok(())
}

/// Each scenario four times as fast as it was, one after another; then two side by side.
fn live(run: &Run) {
    let live = Live::new(run.results.len() + 2);
    run.results.iter().for_each(|played| play(&live, played, &played.name));
    scope(|scope| {
        scope.spawn(|| play(&live, &run.results[0], "the_first"));
        scope.spawn(|| play(&live, &run.results[1], "the_second"));
    });
    live.say("report: target/report/report.html");
}

fn play(live: &Live, played: &Played, name: &str) {
    let (playing, record, began) = (live.scenario(name, &played.shows), &played.record, Instant::now());
    let until = |at: Duration| sleep((at / 4).saturating_sub(began.elapsed()));
    let mut moments = record.moments.iter().peekable();
    for sample in &record.samples {
        while let Some(moment) = moments.next_if(|moment| moment.at <= sample.at) {
            until(moment.at);
            playing.moment(moment);
        }
        until(sample.at);
        for node in &record.nodes {
            let within = |span: &&bongsu_harness::record::Span| {
                span.node == node.name && span.from <= sample.at && span.until.is_none_or(|until| sample.at < until)
            };
            playing.state(&node.name, record.spans.iter().find(within).map_or("up", |span| &span.state));
        }
        playing.sample(sample, &record.nodes);
    }
    moments.filter(|moment| moment.kind != MomentKind::Step).for_each(|moment| playing.moment(moment));
    playing.verdict(&played.verdict, played.took);
}

fn plots(dir: &Path) -> Result<()> {
    let mut draw = Draw(3);
    let mut latencies = |middle: u64| {
        let mut times: Vec<_> = (0..4000)
            .map(|_| Duration::from_micros(middle * draw.between(60, 160) / 100 + middle * 40 / draw.between(1, 900)))
            .collect();
        times.sort();
        times
    };
    let (ours, theirs) = (latencies(2_300), latencies(4_100));
    let bar = |name: &str, value: f64, spread: f64, own| Bar {
        name: name.into(),
        value,
        whisker: (value - spread, value + spread),
        own,
    };
    let bars = Bars {
        title: "Messages a second, as a ratio to postfix".into(),
        unit: "×".into(),
        line: Some((1.0, "as fast as postfix".into())),
        bars: vec![
            bar("one session, 4 KiB", 1.42, 0.12, true),
            bar("100 sessions, 4 KiB", 2.1, 0.3, true),
            bar("large messages, 10 MiB", 0.93, 0.05, true),
            bar("opensmtpd, one session", 0.7, 0.0, false),
        ],
    };
    let line = |name: &str, look, factor: f64| Series {
        name: name.into(),
        points: (0..60)
            .map(|n| (f64::from(n), (f64::from(n) / 9.0).sin().abs() * factor + f64::from(n) * factor / 30.0))
            .collect(),
        look,
    };
    let series = [line("accepted a second", Look::Accepted, 420.0), line("delivered a second", Look::Delivered, 400.0)];
    let loads = [("bongsu".to_owned(), &ours[..]), ("postfix".to_owned(), &theirs[..])];
    std::fs::create_dir_all(dir)?;
    let mut page = format!(
        "<!DOCTYPE html><meta charset=utf-8><meta name=color-scheme content='light dark'><style>{}</style>",
        plot::STYLE
    );
    for width in [760.0, 350.0] {
        page.push_str(&bars.svg(width));
        page.push_str(&plot::series("Messages a second", &series, width));
        page.push_str(&plot::percentiles("Latency by percentile", &loads, width));
        page.push_str(&plot::histogram("Latency", &ours, width));
    }
    std::fs::write(dir.join("plots.html"), page)?;
    std::fs::write(dir.join("bars.svg"), plot::alone(&bars.svg(760.0)))?;
    Ok(())
}
