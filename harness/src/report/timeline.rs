//! The timeline: one lane a node with its states and its queue, what was broken and mended above, the whole network's counts below.
//!
//! It is drawn twice, for a wide and for a narrow page; the style sheet shows one of them. Scaling one drawing down would leave labels
//! that nobody can read on a phone.

use std::time::Duration;

use maud::{Markup, PreEscaped, html};

use super::moments::{self, Mark};
use super::plot::{self, Look, Scale, Series};
use super::words;
use crate::record::{MomentKind, NodeRecord, Record, Sample, Span};

mod marks;
mod states;

pub(super) use states::patterns;

/// Points of a curve; more are thinned, no eye tells them apart.
const POINTS: usize = 220;

/// The timeline of one scenario, with its legend; empty where nothing was recorded.
pub(super) fn timeline(record: &Record, took: Duration) -> Markup {
    if record.nodes.is_empty() {
        return html! {};
    }
    html! {
        figure.when {
            div.wide { (PreEscaped(Drawing::new(record, took, false).svg())) }
            div.narrow { (PreEscaped(Drawing::new(record, took, true).svg())) }
            figcaption {
                span.key { span.sign.fault { "1" } "something is broken" }
                span.key { span.sign.heal { "2" } "it is mended" }
                (states::legend(record))
                @if !record.samples.is_empty() {
                    span.key { svg.timeline.plot width="30" height="14" aria-hidden="true" { polygon.k3.fill points="0,14 0,9 12,3 30,11 30,14" {} polyline.k3.stroke points="0,9 12,3 30,11" {} } "messages in the node's queue, one scale for all lanes" }
                    span.key { "accepted, queued and in doubt count messages; delivered counts copies, one for each recipient" }
                }
            }
        }
    }
}

struct Drawing<'a> {
    record: &'a Record,
    narrow: bool,
    width: f64,
    x: Scale,
    /// Height of a lane and its distance to the next.
    lane: (f64, f64),
    /// Where the first lane begins: below the labels.
    top: f64,
    labels: Vec<marks::Label<'a>>,
    marks: Vec<(Mark<'a>, f64)>,
}

impl<'a> Drawing<'a> {
    fn new(record: &'a Record, took: Duration, narrow: bool) -> Self {
        let ends = record.spans.iter().filter_map(|span| span.until);
        let seen =
            record.samples.iter().map(|sample| sample.at).chain(record.moments.iter().map(|moment| moment.at)).chain(ends);
        let end = seen.max().unwrap_or(took).as_secs_f64().max(0.1);
        let names = record.nodes.iter().map(|node| words::width(&words::short(&node.name, 22), 13.5)).fold(116.0, f64::max);
        let (width, from, to) = if narrow { (358.0, 2.0, 270.0) } else { (1080.0, names + 16.0, 950.0) };
        let x = Scale { low: 0.0, high: end, from, to };
        let marks: Vec<_> = moments::marks(record).into_iter().map(|mark| (mark, x.at(mark.moment.at.as_secs_f64()))).collect();
        let labels = marks::place(&marks, (if narrow { 0.0 } else { from - 9.0 }, width), !narrow, if narrow { 5 } else { 8 });
        let labelled = if labels.is_empty() { 0.0 } else { marks::rows(&labels) as f64 * marks::ROW - 4.0 + marks::BEND };
        let top = labelled + if narrow { 24.0 } else { 4.0 };
        Self { record, narrow, width, x, lane: if narrow { (36.0, 30.0) } else { (44.0, 14.0) }, top, labels, marks }
    }

    fn lane_top(&self, n: usize) -> f64 {
        self.top + n as f64 * (self.lane.0 + self.lane.1)
    }

    fn svg(&self) -> String {
        let lanes = self.lane_top(self.record.nodes.len()) - self.lane.1;
        let panel = if self.record.samples.len() > 1 { if self.narrow { 150.0 } else { 180.0 } } else { 0.0 };
        let bottom = lanes + panel + 18.0;
        let most = self.queue_most();
        let height = bottom + 26.0;
        let inner = html! {
            @for (mark, x) in &self.marks {
                path.leader.(moments::kind(mark.moment.kind)) d=(self.leader(mark, *x, bottom)) {}
            }
            @for (n, node) in self.record.nodes.iter().enumerate() { (self.lane(n, node, most)) }
            @if panel > 0.0 { (self.panel(lanes + 34.0, bottom)) }
            (plot::seconds(&self.x, bottom))
            @for label in &self.labels { (self.label(label)) }
        };
        let svg = plot::frame(&self.told(), self.width, height, inner);
        svg.replacen("class=\"plot\"", "class=\"plot timeline\"", 1)
    }

    /// The line of a mark: from its number straight down, then to its moment, then through all lanes.
    fn leader(&self, mark: &Mark<'_>, x: f64, bottom: f64) -> String {
        let lanes = self.top - if self.narrow { 20.0 } else { 0.0 };
        match self.labels.iter().find(|label| label.mark.number == mark.number) {
            Some(label) => {
                let (y, bend) = (self.row_y(label.row) + marks::BADGE, lanes - marks::BEND);
                format!("M{} {y}V{bend}L{x} {lanes}V{bottom}", label.stem)
            }
            None => format!("M{x} {lanes}V{bottom}"),
        }
    }

    fn row_y(&self, row: usize) -> f64 {
        (marks::rows(&self.labels).saturating_sub(row + 1)) as f64 * marks::ROW
    }

    fn label(&self, label: &marks::Label<'_>) -> Markup {
        let (y, side) = (self.row_y(label.row), marks::BADGE);
        let kind = moments::kind(label.mark.moment.kind);
        let round = if label.mark.moment.kind == MomentKind::Heal { side / 2.0 } else { 3.0 };
        html! {
            g.mark.(kind) {
                title { (words::offset(label.mark.moment.at)) ": " (words::visible(&label.mark.moment.text)) }
                rect.badge x=(plot::tenth(label.stem - side / 2.0)) y=(y) width=(side) height=(side) rx=(round) {}
                text.number.(if label.mark.number > 9 { "long" } else { "" }) x=(label.stem) y=(y + 12.6) { (label.mark.number) }
                @if !label.text.is_empty() {
                    @let (x, anchor) = if label.mirrored { (label.stem - side / 2.0 - 5.0, "finish") } else { (label.stem + side / 2.0 + 5.0, "start") };
                    text.said.(anchor) x=(plot::tenth(x)) y=(y + 12.8) { (label.text) }
                }
            }
        }
    }

    fn lane(&self, n: usize, node: &NodeRecord, most: usize) -> Markup {
        let (top, height) = (self.lane_top(n), self.lane.0);
        let bottom = top + height;
        let y = Scale { low: 0.0, high: most as f64, from: bottom, to: top + 3.0 };
        let peak = self.record.samples.iter().filter_map(|sample| *sample.queued.get(n)?).max();
        let waits = peak
            .map(|peak| if peak == 0 { "nothing queued".to_owned() } else { format!("up to {} queued", words::count(peak)) });
        let arrived = last(&self.record.samples, |sample| &sample.delivered, n).filter(|copies| *copies > 0);
        let name = words::visible(&words::short(&node.name, 22));
        html! {
            rect.lane x=(self.x.from) y=(top) width=(self.x.to - self.x.from) height=(height) rx="3" {}
            @for run in self.queue(n) {
                polygon.k3.fill points=(plot::area(&run, &self.x, &y)) {}
                polyline.k3.stroke points=(plot::points(&run, &self.x, &y)) {}
            }
            (self.states(&node.name, top, height))
            line.axis x1=(self.x.from) x2=(self.x.to) y1=(bottom) y2=(bottom) {}
            @for (mark, x) in self.marks.iter().filter(|(mark, _)| mark.moment.node.as_ref() == Some(&node.name)) {
                circle.touch.(moments::kind(mark.moment.kind)) cx=(x) cy=(bottom) r="4.5" {}
            }
            @if self.narrow {
                text.node x=(self.x.from) y=(top - 7.0) { (name) }
                text.tick.finish x=(self.width) y=(top - 7.0) {
                    (waits.into_iter().chain(arrived.map(|copies| format!("{} delivered", words::count(copies)))).collect::<Vec<_>>().join(", "))
                }
            } @else {
                text.node.finish x=(self.x.from - 14.0) y=(top + 19.0) { (name) }
                @if let Some(waits) = waits { text.tick.finish x=(self.x.from - 14.0) y=(top + 35.0) { (waits) } }
                @if let Some(copies) = arrived {
                    text.k2.end x=(self.x.to + 9.0) y=(top + height / 2.0 + 4.0) { tspan.number { (words::count(copies)) } " delivered" }
                }
            }
        }
    }

    /// The states of a node; those that overlap share the lane's height.
    fn states(&self, node: &str, top: f64, height: f64) -> Markup {
        let spans: Vec<&Span> = self.record.spans.iter().filter(|span| span.node == node).collect();
        let until = |span: &Span| span.until.map_or(self.x.high, |until| until.as_secs_f64());
        let mut rows: Vec<f64> = Vec::new();
        let mut placed = Vec::new();
        for span in spans {
            let from = span.from.as_secs_f64();
            let row = rows.iter().position(|end| *end <= from + 1e-9).unwrap_or(rows.len());
            if row == rows.len() {
                rows.push(0.0);
            }
            rows[row] = until(span);
            placed.push((span, row));
        }
        let each = height / rows.len().max(1) as f64;
        html! {
            @for (span, row) in placed {
                @let (from, to) = (self.x.at(span.from.as_secs_f64()), self.x.at(until(span)));
                @let y = plot::tenth(top + each * row as f64);
                @let lasted = words::took(span.until.unwrap_or(Duration::from_secs_f64(self.x.high)).saturating_sub(span.from));
                @let texts = [format!("{} {lasted}", span.state), span.state.clone()];
                rect.state.(states::class(&span.state)) x=(from) y=(y) width=(plot::tenth((to - from).max(2.0))) height=(plot::tenth(each)) rx="2" {
                    title { (node) " is " (span.state) " for " (lasted) ", from " (words::offset(span.from)) }
                }
                @if let Some(text) = texts.iter().find(|text| words::width(text, 12.0) + 16.0 < to - from && each >= 15.0) {
                    @let wide = words::width(text, 12.0) + 6.0;
                    @let middle = (from + to) / 2.0;
                    rect.plate x=(plot::tenth(middle - wide / 2.0)) y=(plot::tenth(y + each / 2.0 - 8.0)) width=(plot::tenth(wide)) height="16" rx="3" {}
                    text.middle.named.(states::class(&span.state)) x=(plot::tenth(middle)) y=(plot::tenth(y + each / 2.0 + 4.2)) { (text) }
                }
            }
        }
    }

    /// The largest queue of any node; one scale for all lanes lets them be compared.
    fn queue_most(&self) -> usize {
        self.record.samples.iter().flat_map(|sample| sample.queued.iter().flatten()).copied().max().unwrap_or(0).max(1)
    }

    /// A node's queue over time, in pieces: where it could not say there is a gap.
    fn queue(&self, n: usize) -> Vec<Vec<(f64, f64)>> {
        let points: Vec<(f64, Option<usize>)> = self
            .record
            .samples
            .iter()
            .map(|sample| (sample.at.as_secs_f64(), sample.queued.get(n).copied().flatten()))
            .collect();
        plot::thinned(&points, POINTS)
            .split(|(_, queued)| queued.is_none())
            .filter(|run| run.iter().any(|(_, queued)| *queued != Some(0)))
            .map(|run| run.iter().map(|(at, queued)| (*at, queued.unwrap_or(0) as f64)).collect())
            .collect()
    }

    fn panel(&self, top: f64, bottom: f64) -> Markup {
        let series = counts(&self.record.samples, self.record.nodes.len());
        let most = series.iter().flat_map(|line| &line.points).map(|point| point.1).fold(1.0, f64::max);
        plot::curves(&series, &self.x, &Scale { low: 0.0, high: most, from: bottom, to: top }, 4)
    }

    /// The drawing in words.
    fn told(&self) -> String {
        let mut text = format!(
            "Timeline of {} over {}.",
            words::many(self.record.nodes.len(), "node"),
            words::took(Duration::from_secs_f64(self.x.high))
        );
        for span in self.record.spans.iter().take(20) {
            let until = span.until.map_or("to the end".into(), |until| format!("until {}", words::offset(until)));
            text.push_str(&format!(" {} is {} from {} {until}.", span.node, span.state, words::offset(span.from)));
        }
        if let Some(sample) = self.record.samples.last() {
            text.push_str(&format!(" {} accepted at the end.", words::many(sample.accepted, "message")));
        }
        text
    }
}

/// What a node said last.
fn last(samples: &[Sample], of: fn(&Sample) -> &Vec<Option<usize>>, n: usize) -> Option<usize> {
    samples.iter().rev().find_map(|sample| of(sample).get(n).copied().flatten())
}

/// The counts of all nodes together. A node that could not say counts with what it said last.
fn counts(samples: &[Sample], nodes: usize) -> Vec<Series> {
    let together = |of: fn(&Sample) -> &Vec<Option<usize>>| {
        let mut said = vec![0; nodes];
        let add = |sample: &Sample| {
            for (last, now) in said.iter_mut().zip(of(sample)) {
                *last = now.unwrap_or(*last);
            }
            (sample.at.as_secs_f64(), said.iter().sum::<usize>() as f64)
        };
        plot::thinned(&samples.iter().map(add).collect::<Vec<_>>(), POINTS)
    };
    let told = |of: fn(&Sample) -> usize| {
        plot::thinned(&samples.iter().map(|sample| (sample.at.as_secs_f64(), of(sample) as f64)).collect::<Vec<_>>(), POINTS)
    };
    let line = |name: &str, points, look| Series { name: name.into(), points, look };
    let mut series = vec![
        line("queued", together(|sample| &sample.queued), Look::Queued),
        line("delivered", together(|sample| &sample.delivered), Look::Delivered),
        line("accepted", told(|sample| sample.accepted), Look::Accepted),
    ];
    if samples.iter().any(|sample| sample.in_doubt > 0) {
        series.push(line("in doubt", told(|sample| sample.in_doubt), Look::Doubt));
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_cannot_say_counts_with_what_it_said_last() {
        let sample =
            |at, queued: &[Option<usize>]| Sample { at: Duration::from_secs(at), queued: queued.to_vec(), ..Sample::default() };
        let samples = [sample(0, &[Some(3), Some(1)]), sample(1, &[None, Some(2)]), sample(2, &[Some(0), None])];
        assert_eq!(counts(&samples, 2)[0].points, [(0.0, 4.0), (1.0, 5.0), (2.0, 2.0)]);
    }

    #[test]
    fn nothing_recorded_draws_nothing() {
        assert_eq!(timeline(&Record::default(), Duration::ZERO).into_string(), "");
        let record = Record { nodes: vec![NodeRecord { name: "a".into(), ..NodeRecord::default() }], ..Record::default() };
        let drawn = timeline(&record, Duration::ZERO).into_string();
        assert!(drawn.contains("Timeline of 1 node") && !drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
    }
}
