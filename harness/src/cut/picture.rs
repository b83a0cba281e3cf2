//! A matrix as a picture: the dialogue from top to bottom, a column for each way of breaking, a mark for what came of each message.
//!
//! It is laid out for a telephone and grows with the window; marks differ by shape and sign as well as by colour.

use super::svg::Svg;
use super::{Cell, Matrix, Outcome, POINTS, Point, WAYS};

/// Units across: CSS pixels on a narrow screen.
const WIDTH: f64 = 390.0;
/// Widest, in pixels.
const WIDEST: u32 = 620;
const ROW: f64 = 18.0;
const TOP: f64 = 84.0;
/// The middle of the first column, and from one to the next.
const COLUMN: f64 = 232.0;
const NEXT: f64 = 61.0;

const STYLE: &str = "text{font-family:system-ui,'Segoe UI',Roboto,'Noto Sans',sans-serif;font-size:12px;fill:#1d2433}\
    .title{font-size:16px;font-weight:600}.small{font-size:11.5px;fill:#4a5468}.head{font-weight:600;text-anchor:middle}\
    .wire{font-family:ui-monospace,'DejaVu Sans Mono',monospace;font-size:11.5px;font-weight:600}\
    .sign{font-size:11px;font-weight:700;text-anchor:middle;fill:#fff}.dark{font-size:11px;font-weight:700;text-anchor:middle;fill:#1d2433}\
    .page{fill:#fff}.band{fill:#eef1f6}.rule{stroke:#d5dae3;stroke-width:1}\
    .good{fill:#1f7a4d}.twice{fill:#f2b632}.none{fill:#e3e7ee}.bad{fill:#c0262d}.stuck{fill:#6b3fa0}";

/// The mark of an outcome: its class, the sign on it, the class of the sign, how round it is.
fn mark(outcome: Outcome) -> (&'static str, &'static str, &'static str, f64) {
    match outcome {
        Outcome::Once => ("good", "1", "sign", 7.5),
        Outcome::Twice => ("twice", "2", "dark", 3.0),
        Outcome::Unreached => ("none", "–", "dark", 7.5),
        Outcome::Doubled => ("bad", "2!", "sign", 0.0),
        Outcome::Damaged => ("bad", "#", "sign", 0.0),
        Outcome::Bounced => ("bad", "←", "sign", 0.0),
        Outcome::Limbo => ("stuck", "…", "sign", 0.0),
        Outcome::Lost => ("bad", "0", "sign", 0.0),
    }
}

/// The picture, as SVG.
pub fn draw(matrix: &Matrix) -> String {
    let mut svg = Svg::new();
    let legend: Vec<Outcome> = Outcome::ALL
        .into_iter()
        .filter(|outcome| {
            matrix.count(*outcome) > 0 || matches!(outcome, Outcome::Once | Outcome::Twice | Outcome::Limbo | Outcome::Lost)
        })
        .collect();
    let groups = POINTS.chunk_by(|a, b| a.line == b.line);
    let height =
        TOP + ROW * (POINTS.len() + groups.clone().count()) as f64 + 34.0 + ROW * legend.len().div_ceil(2) as f64 + 20.0;
    svg.rect((0.0, 0.0), (WIDTH, height), 0.0, "page");
    let title = format!("{} sends to {}", matrix.from.name(), matrix.to.name());
    svg.text(10.0, 24.0, "title", &title);
    let wrong = matrix.wrong().len();
    svg.text(10.0, 42.0, "small", "The connection breaks once at each point, one message each;");
    let verdict = match wrong {
        0 => format!("All {} messages arrived.", matrix.cells.len()),
        _ => format!("{wrong} of {} messages did not come out right.", matrix.cells.len()),
    };
    svg.text(10.0, 57.0, "small", format!("then the network is whole. {verdict}"));
    for (at, way) in WAYS.iter().enumerate() {
        svg.text(column(at), 76.0, "head", way.name);
    }
    let mut y = TOP;
    let mut number = 0;
    for group in groups {
        svg.rect((0.0, y), (WIDTH, ROW), 0.0, "band");
        svg.text(10.0, y + 13.0, "wire", group[0].line);
        y += ROW;
        for point in group {
            row(&mut svg, matrix, (number, point), y);
            number += 1;
            y += ROW;
        }
    }
    svg.line((0.0, y), (WIDTH, y), "rule");
    svg.text(10.0, y + 22.0, "small", "Copies at the receiver after all:");
    y += 30.0;
    for (at, outcome) in legend.iter().enumerate() {
        let (x, y) = (18.0 + 190.0 * (at % 2) as f64, y + ROW * (at / 2) as f64);
        put(&mut svg, *outcome, x, y);
        svg.text(x + 14.0, y + 13.0, "small", format!("{} ({})", outcome.words(), matrix.count(*outcome)));
    }
    svg.finish((WIDTH, height), WIDEST, STYLE, &title)
}

fn row(svg: &mut Svg, matrix: &Matrix, (number, point): (usize, &Point), y: f64) {
    svg.text(22.0, y + 13.0, "small", point.at);
    for (at, way) in WAYS.iter().enumerate() {
        if let Some(Cell { outcome, note, .. }) = matrix.cell(number, at) {
            svg.open(&format!("{}, {}, {}: {} ({note})", point.line, point.at, way.name, outcome.words()));
            put(svg, *outcome, column(at), y);
            svg.close();
        }
    }
}

fn put(svg: &mut Svg, outcome: Outcome, x: f64, y: f64) {
    let (class, sign, sign_class, round) = mark(outcome);
    svg.rect((x - 7.5, y + 1.5), (15.0, 15.0), round, class);
    svg.text(x, y + 13.0, sign_class, sign);
}

fn column(way: usize) -> f64 {
    COLUMN + NEXT * way as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cut::End;

    #[test]
    fn every_cell_and_the_legend_are_drawn() {
        let cell = |point, way| Cell {
            point,
            way,
            outcome: Outcome::ALL[(point + way) % 8],
            copies: 1,
            note: "a <note> & more".into(),
        };
        let cells = (0..POINTS.len()).flat_map(|point| (0..WAYS.len()).map(move |way| cell(point, way))).collect();
        let picture = draw(&Matrix { from: End::Bongsu, to: End::Postfix, cells, took: std::time::Duration::ZERO });
        assert_eq!(picture.matches("<g>").count(), POINTS.len() * WAYS.len());
        for outcome in Outcome::ALL {
            assert!(picture.contains(&format!(">{} (", outcome.words())), "{outcome:?}");
        }
        assert!(picture.contains("a &lt;note&gt; &amp; more") && !picture.contains("<note>"));
    }
}
