//! Latencies: how they are spread, and what the slowest of them are.

use std::time::Duration;

use maud::html;

use super::{Look, Scale, apart, frame, points, tenth};
use crate::report::words;

/// The parts that a percentile curve passes, as it labels them. Their distances grow with each nine: the tail is what is looked for.
const PARTS: [(f64, &str); 6] =
    [(0.0, "fastest"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (1.0, "slowest")];

/// Nearest rank, of sorted latencies.
fn percentile(sorted: &[Duration], part: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * part).round() as usize).copied().unwrap_or_default()
}

/// Powers of ten that hold all latencies, in seconds; at least one decade.
fn decades(all: impl Iterator<Item = Duration>) -> (f64, f64) {
    let (low, high) =
        all.map(|time| time.as_secs_f64().max(1e-6)).fold((f64::MAX, 0.0), |(a, b): (f64, f64), t| (a.min(t), b.max(t)));
    if high == 0.0 {
        return (-3.0, 0.0);
    }
    let (low, high) = (low.log10().floor(), high.log10().ceil());
    (low, high.max(low + 1.0))
}

fn log(time: Duration) -> f64 {
    time.as_secs_f64().max(1e-6).log10()
}

fn decade(power: i32) -> String {
    match power {
        ..=-4 => format!("{} µs", 10i64.pow((power + 6).max(0) as u32)),
        -3..=-1 => format!("{} ms", 10i64.pow((power + 3) as u32)),
        _ => format!("{} s", 10i64.pow(power as u32)),
    }
}

/// Percentile curves of several loads on one scale; each load's latencies are sorted, as [`crate::load::Report`] has them.
/// At most four, which differ in line style; more are left out.
pub fn percentiles(title: &str, loads: &[(String, &[Duration])], width: f64) -> String {
    const LOOKS: [Look; 4] = [Look::Delivered, Look::Accepted, Look::Doubt, Look::Queued];
    let height = 250.0;
    let names = loads.iter().map(|(name, _)| words::width(name, 12.0)).fold(0.0, f64::max);
    let (low, high) = decades(loads.iter().flat_map(|(_, sorted)| sorted.iter().copied()));
    let x = Scale { low: 0.0, high: (PARTS.len() - 1) as f64, from: 48.0, to: width - names - 24.0 };
    let y = Scale { low, high, from: height - 28.0, to: 12.0 };
    let lines: Vec<Vec<(f64, f64)>> = loads
        .iter()
        .take(LOOKS.len())
        .map(|(_, sorted)| PARTS.iter().enumerate().map(|(n, (part, _))| (n as f64, log(percentile(sorted, *part)))).collect())
        .collect();
    let ends: Vec<f64> = lines.iter().map(|line| y.at(line.last().map_or(0.0, |p| p.1)) + 4.0).collect();
    let ends = apart(&ends, 14.0, y.to, y.from);
    let inner = html! {
        @for power in low as i32..=high as i32 {
            line.grid x1=(x.from) x2=(x.to) y1=(y.at(power.into())) y2=(y.at(power.into())) {}
            text.tick.finish x=(x.from - 6.0) y=(y.at(power.into()) + 4.0) { (decade(power)) }
        }
        @for (n, (_, part)) in PARTS.iter().enumerate() {
            @let anchor = if n == 0 { "start" } else { "middle" };
            @if width >= 500.0 || n % 2 == 1 { text.tick.(anchor) x=(x.at(n as f64)) y=(height - 8.0) { (part) } }
        }
        @for ((line, (name, _)), (end, look)) in lines.iter().zip(loads).zip(ends.iter().zip(LOOKS)) {
            polyline.(format!("{} stroke", look.class())) points=(points(line, &x, &y)) {}
            @for (n, (at, part)) in line.iter().zip(PARTS).enumerate() {
                circle.(format!("{} dot", look.class())) cx=(x.at(n as f64)) cy=(y.at(at.1)) r="3" {
                    title { (name) ", " (part.1) ": " (words::took(Duration::from_secs_f64(10f64.powf(at.1)))) }
                }
            }
            text.(format!("{} end", look.class())) x=(x.to + 10.0) y=(tenth(*end)) { (name) }
        }
    };
    frame(title, width, height, inner)
}

/// How often each latency occurred, on a scale of tenfold steps, with the median and the 99th percentile marked.
/// `sorted` is sorted; an empty one gives an empty plot.
pub fn histogram(title: &str, sorted: &[Duration], width: f64) -> String {
    const EACH_DECADE: f64 = 10.0;
    let height = 210.0;
    let (low, high) = decades(sorted.iter().copied());
    let bins = ((high - low) * EACH_DECADE) as usize;
    let mut counts = vec![0usize; bins.max(1)];
    for time in sorted {
        let bin = ((log(*time) - low) * EACH_DECADE) as usize;
        counts[bin.min(bins.saturating_sub(1))] += 1;
    }
    let x = Scale { low, high, from: 4.0, to: width - 24.0 };
    let y = Scale { low: 0.0, high: counts.iter().copied().max().unwrap_or(1).max(1) as f64, from: height - 26.0, to: 44.0 };
    let each = (x.to - x.from) / counts.len() as f64;
    let marks: Vec<(String, f64)> = [(0.5, "half below"), (0.99, "99 % below")]
        .map(|(part, name)| (format!("{name} {}", words::took(percentile(sorted, part))), x.at(log(percentile(sorted, part)))))
        .into();
    let inner = html! {
        @for (n, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            @let top = y.at(*count as f64).min(y.from - 1.0);
            rect.bar.own x=(tenth(x.from + each * n as f64 + 0.5)) y=(top) width=(tenth(each - 1.0)) height=(tenth(y.from - top)) {
                title { (words::many(*count, "message")) }
            }
        }
        line.axis x1=(x.from) x2=(x.to) y1=(y.from) y2=(y.from) {}
        @for power in low as i32..=high as i32 {
            @let at = x.at(power.into());
            line.axis x1=(at) x2=(at) y1=(y.from) y2=(y.from + 5.0) {}
            text.tick.(if power == low as i32 { "start" } else { "middle" }) x=(at) y=(y.from + 18.0) { (decade(power)) }
        }
        @for (n, (name, at)) in marks.iter().enumerate().filter(|_| !sorted.is_empty()) {
            @let right = *at + words::width(name, 12.0) > width;
            line.one x1=(at) x2=(at) y1=(18.0 + 16.0 * n as f64) y2=(y.from) {}
            text.value.halo.(if right { "finish" } else { "start" }) x=(if right { at - 5.0 } else { at + 5.0 }) y=(24.0 + 16.0 * n as f64) { (name) }
        }
    };
    frame(title, width, height, inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads() {
        let sorted: Vec<Duration> = (1..=1000).map(|n| Duration::from_micros(n * n)).collect();
        let svg = histogram("latency", &sorted, 600.0);
        assert!(svg.contains("half below 251 ms") && svg.contains("1 µs") && svg.contains("1 s"), "{svg}");
        let svg = percentiles("latency", &[("bongsu".into(), &sorted), ("postfix".into(), &sorted)], 600.0);
        assert!(svg.contains("99.9 %") && svg.contains("postfix"));
        for svg in [svg, histogram("none", &[], 360.0), percentiles("none", &[("a".into(), &[])], 360.0)] {
            roxmltree::Document::parse(&super::super::alone(&svg)).expect("well-formed");
        }
    }
}
