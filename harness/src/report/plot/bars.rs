//! Bars with whiskers: ratios and rates, one bar for each thing that was measured.

use maud::html;

use super::{Scale, figure, frame, tenth};
use crate::report::words;

/// One thing that was measured.
#[derive(Debug, Clone)]
pub struct Bar {
    /// What it is; stands left of the bar, above it where the page is narrow.
    pub name: String,
    /// The length.
    pub value: f64,
    /// The smallest and the largest of the runs: `low <= value <= high`; equal where there was one run.
    pub whisker: (f64, f64),
    /// Whether it is the one that the others are measured against, or that the reader looks for.
    pub own: bool,
}

/// The largest ratio on a straight scale.
const BROAD: f64 = 20.0;

/// Ticks of a logarithmic scale: these steps of each power of ten.
fn decades(least: f64, most: f64, steps: &[f64]) -> Vec<f64> {
    let powers = least.log10().floor() as i32..=most.log10().floor() as i32;
    let all = powers.flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
    all.filter(|tick| (least..=most).contains(tick)).collect()
}

/// A chart of bars.
#[derive(Debug, Clone, Default)]
pub struct Bars {
    /// What a reader hears who does not see it.
    pub title: String,
    /// After each number: `×`, ` msg/s`.
    pub unit: String,
    /// A line across all bars and what it means: 1.0 and `as fast`.
    pub line: Option<(f64, String)>,
    /// From above to below.
    pub bars: Vec<Bar>,
}

impl Bars {
    /// The chart for a page `width` pixels wide.
    pub fn svg(&self, width: f64) -> String {
        let narrow = width < 500.0;
        let names = self.bars.iter().map(|bar| words::width(&bar.name, 14.5)).fold(0.0, f64::max).min(width * 0.4);
        let numbers = self.bars.iter().map(|bar| words::width(&self.number(bar.value), 13.0)).fold(0.0, f64::max);
        let (row, left) = if narrow { (46.0, 2.0) } else { (34.0, names + 14.0) };
        let top = if self.line.is_some() { 22.0 } else { 6.0 };
        let bottom = top + row * self.bars.len() as f64;
        let most = self.bars.iter().map(|bar| bar.whisker.1.max(bar.value)).fold(0.0, f64::max);
        let most = self.line.as_ref().map_or(most, |(at, _)| most.max(*at));
        let least = self.bars.iter().map(|bar| bar.whisker.0.min(bar.value)).fold(0.8, f64::min);
        let (from, to) = (left, width - numbers - 14.0);
        let broad = self.is_broad();
        let x = match broad {
            true => Scale { low: least.log10(), high: most.log10(), from, to },
            false => Scale { low: 0.0, high: most.max(f64::MIN_POSITIVE), from, to },
        };
        let at = |value: f64| x.at(if broad { value.log10() } else { value });
        let ticks = match (broad, narrow) {
            (true, _) => decades(least, most, if narrow { &[1.0] } else { &[1.0, 2.0, 5.0] }),
            (false, _) => x.ticks(if narrow { 4 } else { 8 }),
        };
        let base = if broad { at(1.0) } else { left };
        let inner = html! {
            @for tick in ticks {
                line.grid x1=(at(tick)) x2=(at(tick)) y1=(top) y2=(bottom) {}
                text.tick.(if tick > 0.0 { "middle" } else { "start" }) x=(at(tick)) y=(bottom + 16.0) { (figure(tick)) (self.unit) }
            }
            @for (n, bar) in self.bars.iter().enumerate() {
                @let y = top + row * n as f64 + if narrow { 20.0 } else { 7.0 };
                @let middle = y + 10.0;
                text.name.halo.(if bar.own { "own" } else { "" }).(if narrow { "start" } else { "finish" })
                    x=(if narrow { left } else { left - 10.0 }) y=(if narrow { y - 5.0 } else { y + 14.5 }) { (bar.name) }
                rect.bar.(if bar.own { "own" } else { "" }) x=(base.min(at(bar.value))) y=(y) width=(tenth((at(bar.value) - base).abs())) height="20" rx="2" {
                    title { (bar.name) ": " (self.number(bar.value)) ", from " (self.number(bar.whisker.0)) " to " (self.number(bar.whisker.1)) }
                }
                @if bar.whisker.0 < bar.whisker.1 {
                    @let (a, b) = (at(bar.whisker.0), at(bar.whisker.1));
                    path.whisker d=(format!("M{a} {} v10 M{a} {middle} H{b} M{b} {} v10", middle - 5.0, middle - 5.0)) {}
                }
                text.value.halo x=(at(bar.value.max(bar.whisker.1)).max(base) + 7.0) y=(y + 14.5) { (self.number(bar.value)) }
            }
            @if let Some((one, means)) = &self.line {
                line.one x1=(at(*one)) x2=(at(*one)) y1=(top - 4.0) y2=(bottom) {}
                text.tick.(if at(*one) > width / 2.0 { "finish" } else { "start" }) x=(at(*one)) y=(top - 9.0) { (means) }
            }
        };
        frame(&self.title, width, bottom + 24.0, inner)
    }

    /// Whether the bars are ratios so far apart that on a straight scale the small ones could not be told from one another.
    fn is_broad(&self) -> bool {
        let most = self.bars.iter().map(|bar| bar.whisker.1.max(bar.value)).fold(0.0, f64::max);
        let positive = self.bars.iter().all(|bar| bar.value > 0.0 && bar.whisker.0 > 0.0);
        self.line.as_ref().is_some_and(|(at, _)| *at == 1.0) && positive && most > BROAD
    }

    fn number(&self, value: f64) -> String {
        let digits = if value.abs() >= 100.0 { value.round() } else { (value * 100.0).round() / 100.0 };
        format!("{}{}", figure(digits), self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_at_both_widths() {
        let bar = |name: &str, value: f64, own| Bar { name: name.into(), value, whisker: (value * 0.9, value * 1.1), own };
        let bars = Bars {
            title: "Messages a second, as a ratio".into(),
            unit: "×".into(),
            line: Some((1.0, "as fast as postfix".into())),
            bars: vec![bar("one <session>", 1.43, true), bar("ten sessions", 0.8, false)],
        };
        for width in [360.0, 1000.0] {
            let svg = bars.svg(width);
            assert!(svg.contains("1.43×") && svg.contains("one &lt;session&gt;") && svg.contains("as fast as postfix"));
            roxmltree::Document::parse(&super::super::alone(&svg)).expect("a plot alone is well-formed");
        }
        let broad = Bars { bars: vec![bar("little", 0.5, true), bar("some", 3.0, true), bar("much", 300.0, true)], ..bars };
        let svg = broad.svg(1000.0);
        for tick in [">0.5×<", ">1×<", ">10×<", ">200×<"] {
            assert!(svg.contains(tick), "{tick} in {svg}");
        }
        let widths: Vec<f64> = svg.split("width=\"").skip(2).filter_map(|rest| rest.split('"').next()?.parse().ok()).collect();
        assert!(widths[1] > 100.0 && widths[2] > 4.0 * widths[1], "three times as good is seen beside 300 times: {widths:?}");
        assert!(Bars::default().svg(360.0).starts_with("<svg"));
    }
}
