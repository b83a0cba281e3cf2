//! A bench as a table for the terminal.

use std::fmt::Write;

use super::figures::{Measured, Spread};

/// The table: a line for each quantity of each workload, a column for each system, and for each but the first its ratio to the first.
pub fn table(bench: &Measured, systems: &[String]) -> String {
    let mut head = vec![String::new()];
    head.extend(systems.iter().cloned());
    head.extend(systems.iter().skip(1).map(|system| format!("{system} : {}", systems[0])));
    let mut lines = vec![head];
    for workload in bench.workloads() {
        lines.push(vec![workload.to_owned()]);
        for row in bench.rows.iter().filter(|row| row.workload == workload) {
            let mut line = vec![format!("  {}", row.quantity)];
            line.extend((0..systems.len()).map(|system| spread(row.spread(system))));
            let judged = row.better != super::figures::Better::Neither;
            line.extend((1..systems.len()).map(|system| spread(row.ratio(system).filter(|_| judged))));
            lines.push(line);
        }
    }
    let rounds = if bench.rounds == 1 { "1 round".to_owned() } else { format!("{} rounds", bench.rounds) };
    let mut text = format!("{} ({rounds}): {}\n", bench.name, bench.shows);
    if lines.len() > 1 {
        text.push_str(&aligned(&lines));
    }
    for (system, why) in &bench.skipped {
        let _ = writeln!(text, "SKIPPED {system}: {why}");
    }
    for why in &bench.failed {
        let _ = writeln!(text, "FAILED {why}");
    }
    text
}

/// Columns as wide as they need to be; a line of one cell does not count.
fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let wide = |column: usize| {
        lines.iter().filter(|line| line.len() > 1).filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| wide(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("   ").trim_end());
        text.push('\n');
    }
    text
}

/// `median (smallest–largest)`, or the one value; `–` where there is none.
pub fn spread(spread: Option<Spread>) -> String {
    match spread {
        None => "–".into(),
        Some(Spread { median, low, high }) if low == high => number(median),
        Some(Spread { median, low, high }) => format!("{} ({}–{})", number(median), number(low), number(high)),
    }
}

/// Three digits that count; more would be noise.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 || size == 0.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::super::figures::{CPU, Measured, OTHERS, RATE, Turned};
    use super::*;

    #[test]
    fn a_table_of_two_systems() {
        let mut bench = Measured { name: "accept".into(), shows: "How fast.".into(), rounds: 2, ..Measured::default() };
        for (system, round, rate) in [(0, 0, 100.0), (1, 0, 350.0), (0, 1, 110.0), (1, 1, 400.0)] {
            let mut turned = Turned::default();
            turned.add("10 × 1", RATE, rate);
            turned.add("10 × 1", CPU, 0.25);
            turned.add("10 × 1", OTHERS, 1.0);
            bench.enter(2, system, round, turned);
        }
        bench.skipped.push(("exim".into(), "not installed".into()));
        let text = table(&bench, &["postfix".into(), "bongsu".into()]);
        let expected = "\
accept (2 rounds): How fast.
                           postfix         bongsu          bongsu : postfix
10 × 1
  messages/s               105 (100–110)   375 (350–400)   3.57 (3.50–3.64)
  CPU s/1000               0.250           0.250           1.00
  cores busy with others   1.00            1.00            –
SKIPPED exim: not installed
";
        assert_eq!(text, expected);
    }
}
