//! Small plots as SVG text: curves over time, ratios with whiskers, latencies. The page uses them, and so do benchmarks.
//!
//! A plot names classes and no colours: [`STYLE`] colours it for light and for dark, and the page carries that once. [`alone`] makes of a
//! plot a file that stands by itself. Text is set in the reader's own face, so nothing here measures it exactly: places are reserved by
//! an upper bound.

use maud::{Markup, html};

use super::words;

mod bars;
mod latencies;

pub use bars::{Bar, Bars};
pub use latencies::{histogram, percentiles};

/// The colours and line styles of every plot, as CSS.
pub const STYLE: &str = include_str!("plot/plot.css");

/// The plot as a file of its own: its style is put into it.
pub fn alone(svg: &str) -> String {
    match svg.split_once('>') {
        Some((head, rest)) => format!("{head} xmlns=\"http://www.w3.org/2000/svg\"><style>{STYLE}</style>{rest}"),
        None => String::new(),
    }
}

/// How a curve is drawn. The four differ in line style as well as in colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A dashed line: what was promised.
    Accepted,
    /// A strong line: what arrived.
    Delivered,
    /// A filled area: what waits.
    Queued,
    /// A dotted line: what nobody was told.
    Doubt,
}

impl Look {
    fn class(self) -> &'static str {
        match self {
            Self::Accepted => "k1",
            Self::Delivered => "k2",
            Self::Queued => "k3",
            Self::Doubt => "k4",
        }
    }
}

/// A curve.
#[derive(Debug, Clone)]
pub struct Series {
    /// What it counts; stands at its right end.
    pub name: String,
    /// x and y; x ascends.
    pub points: Vec<(f64, f64)>,
    /// How it is drawn.
    pub look: Look,
}

/// A straight scale from values to pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) from: f64,
    pub(super) to: f64,
}

impl Scale {
    /// The pixel of `value`, rounded to a tenth: more digits only make the page larger.
    pub(super) fn at(&self, value: f64) -> f64 {
        let part = (value - self.low) / (self.high - self.low).max(f64::MIN_POSITIVE);
        tenth(self.from + part.clamp(0.0, 1.0) * (self.to - self.from))
    }

    /// At most about `most` round values within the scale.
    pub(super) fn ticks(&self, most: usize) -> Vec<f64> {
        let rough = (self.high - self.low).max(f64::MIN_POSITIVE) / most.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|of| of * power).find(|step| *step >= rough * 0.999).unwrap_or(power);
        let first = (self.low / step).ceil() as i64;
        (first..).map(|n| n as f64 * step).take_while(|tick| *tick <= self.high + step * 1e-6).take(50).collect()
    }
}

pub(super) fn tenth(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// A number as a tick shows it: no more digits than it needs.
pub(super) fn figure(value: f64) -> String {
    if value.fract().abs() < 1e-9 && value >= 0.0 {
        return words::count(value as usize);
    }
    if value >= 100.0 {
        return words::count(value.round() as usize);
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The `points` attribute of a line.
pub(super) fn points(points: &[(f64, f64)], x: &Scale, y: &Scale) -> String {
    points.iter().map(|(a, b)| format!("{},{}", x.at(*a), y.at(*b))).collect::<Vec<_>>().join(" ")
}

/// The same, closed down to zero.
pub(super) fn area(line: &[(f64, f64)], x: &Scale, y: &Scale) -> String {
    match (line.first(), line.last()) {
        (Some(first), Some(last)) => {
            format!("{},{} {} {},{}", x.at(first.0), y.at(0.0), points(line, x, y), x.at(last.0), y.at(0.0))
        }
        _ => String::new(),
    }
}

/// At most `most` of the points, evenly chosen, the last among them.
pub(super) fn thinned<T: Clone>(points: &[T], most: usize) -> Vec<T> {
    let step = points.len().div_ceil(most.max(1)).max(1);
    let mut kept: Vec<T> = points.iter().step_by(step).cloned().collect();
    if let Some(last) = points.last()
        && !(points.len() - 1).is_multiple_of(step)
    {
        kept.push(last.clone());
    }
    kept
}

/// Moves labels apart so that each has `gap` pixels, between `low` and `high`, and each as little as can be; their order is kept.
/// Where all have no room together they end beyond `high`.
pub(super) fn apart(places: &[f64], gap: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|a, b| places[*a].total_cmp(&places[*b]));
    // Without the gaps, neighbours in the wrong order share their mean: the least squares of all movements.
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for (n, at) in order.iter().enumerate() {
        let mut pool = (places[*at] - gap * n as f64, 1);
        while let Some(before) = pools.pop_if(|before| before.0 > pool.0) {
            let size = before.1 + pool.1;
            pool = ((before.0 * before.1 as f64 + pool.0 * pool.1 as f64) / size as f64, size);
        }
        pools.push(pool);
    }
    let most = high - gap * places.len().saturating_sub(1) as f64;
    let spread = pools.iter().flat_map(|(mean, size)| std::iter::repeat_n(mean.min(most).max(low), *size));
    let mut moved = places.to_vec();
    for ((n, at), mean) in order.iter().enumerate().zip(spread) {
        moved[*at] = mean + gap * n as f64;
    }
    moved
}

/// Grid lines with their numbers, the curves, and each curve's name and last number at its right end.
pub(super) fn curves(series: &[Series], x: &Scale, y: &Scale, ticks: usize) -> Markup {
    let last = |line: &Series| line.points.last().copied().unwrap_or_default();
    let places: Vec<f64> = series.iter().map(|line| y.at(last(line).1) + 4.0).collect();
    let places = apart(&places, 14.0, y.to + 4.0, y.from + 2.0);
    html! {
        @for tick in y.ticks(ticks) {
            line.grid x1=(x.from) x2=(x.to) y1=(y.at(tick)) y2=(y.at(tick)) {}
            @if tick > 0.0 { text.tick.halo x=(x.from + 4.0) y=(y.at(tick) - 4.0) { (figure(tick)) } }
        }
        @for line in series {
            @if line.look == Look::Queued {
                polygon.(format!("{} fill", line.look.class())) points=(area(&line.points, x, y)) {}
            }
            polyline.(format!("{} stroke", line.look.class())) points=(points(&line.points, x, y)) {}
        }
        @for (line, place) in series.iter().zip(places) {
            circle.(format!("{} dot", line.look.class())) cx=(x.at(last(line).0)) cy=(y.at(last(line).1)) r="3" {}
            text.(format!("{} end", line.look.class())) x=(x.to + 9.0) y=(tenth(place)) {
                tspan.number { (figure(last(line).1)) } " " (line.name)
            }
        }
    }
}

/// Curves over seconds, for a page `width` pixels wide. `title` is what a reader hears who does not see it.
pub fn series(title: &str, series: &[Series], width: f64) -> String {
    let height = if width < 500.0 { 190.0 } else { 240.0 };
    let names = series.iter().map(|line| words::width(&format!("99,999 {}", line.name), 12.0)).fold(0.0, f64::max);
    let all = || series.iter().flat_map(|line| &line.points);
    let x = Scale { low: 0.0, high: all().map(|p| p.0).fold(0.001, f64::max), from: 2.0, to: width - names - 10.0 };
    let y = Scale { low: 0.0, high: all().map(|p| p.1).fold(1.0, f64::max), from: height - 26.0, to: 16.0 };
    frame(title, width, height, html! { (curves(series, &x, &y, 4)) (seconds(&x, y.from)) })
}

/// The axis of seconds below a plot.
pub(super) fn seconds(x: &Scale, y: f64) -> Markup {
    let most = ((x.to - x.from) / 70.0) as usize;
    html! {
        line.axis x1=(x.from) x2=(x.to) y1=(y) y2=(y) {}
        @for tick in x.ticks(most.max(2)) {
            line.axis x1=(x.at(tick)) x2=(x.at(tick)) y1=(y) y2=(y + 5.0) {}
            text.tick.(if tick > 0.0 { "middle" } else { "start" }) x=(x.at(tick)) y=(y + 18.0) { (figure(tick)) " s" }
        }
    }
}

/// The outermost element, with its title for those who listen.
pub(super) fn frame(title: &str, width: f64, height: f64, inner: Markup) -> String {
    html! {
        svg.plot viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) role="img" aria-label=(title) {
            title { (title) }
            (inner)
        }
    }
    .into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_ticks() {
        let scale = |high: f64| Scale { low: 0.0, high, from: 0.0, to: 100.0 };
        assert_eq!(scale(21.3).ticks(5), [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(scale(400.0).ticks(4), [0.0, 100.0, 200.0, 300.0, 400.0]);
        assert_eq!(scale(0.0).ticks(4).len(), 1);
        assert_eq!((figure(0.2), figure(1500.0), figure(938.98)), ("0.2".into(), "1,500".into(), "939".into()));
    }

    #[test]
    fn labels_move_apart_and_stay_inside() {
        assert_eq!(apart(&[10.0, 10.0, 50.0], 14.0, 0.0, 60.0), [3.0, 17.0, 50.0]);
        assert_eq!(apart(&[50.0, 1.0, 1.0], 14.0, 0.0, 60.0), [50.0, 0.0, 14.0]);
        assert_eq!(apart(&[58.0, 60.0], 14.0, 0.0, 60.0), [46.0, 60.0]);
    }

    #[test]
    fn thinning_keeps_the_last() {
        assert_eq!(thinned(&[0, 1, 2, 3, 4, 5, 6, 7], 3), [0, 3, 6, 7]);
        assert_eq!(thinned(&[1, 2], 5), [1, 2]);
        assert!(thinned::<u8>(&[], 5).is_empty());
    }
}
