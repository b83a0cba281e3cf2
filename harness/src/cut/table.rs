//! A matrix on a terminal.

use std::fmt::Write;

use super::{Matrix, Outcome, POINTS, WAYS};

/// Width of a column of outcomes.
const COLUMN: usize = 17;

/// The matrix as text: a row for each point, then the counts, then every cell that is wrong with what was seen of it.
pub fn print(matrix: &Matrix) -> String {
    let mut text = format!("{} sends to {}; the connection breaks once:\n", matrix.from.name(), matrix.to.name());
    let _ = write!(text, "{:57}", "");
    for way in &WAYS {
        let _ = write!(text, "{:COLUMN$}", way.name);
    }
    text.push('\n');
    let mut line = "";
    for (at, point) in POINTS.iter().enumerate() {
        let shown = if point.line == line { "" } else { point.line };
        line = point.line;
        let _ = write!(text, "{shown:26}{:31}", point.at);
        for way in 0..WAYS.len() {
            let words = matrix.cell(at, way).map_or("-", |cell| cell.outcome.words());
            let _ = write!(text, "{words:COLUMN$}");
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    let counts: Vec<String> = Outcome::ALL
        .iter()
        .map(|outcome| (matrix.count(*outcome), outcome.words()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, words)| format!("{count} {words}"))
        .collect();
    let _ = writeln!(text, "{} messages: {} ({:.1} s)", matrix.cells.len(), counts.join("; "), matrix.took.as_secs_f64());
    for cell in matrix.wrong() {
        let point = &POINTS[cell.point];
        let _ =
            writeln!(text, "{}: {}, {}, {}: {}", cell.outcome.words(), point.line, point.at, WAYS[cell.way].name, cell.note);
    }
    text
}
