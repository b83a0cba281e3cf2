//! The block that is redrawn in place. It is a function of what is known, so that a test can read it.

use std::time::Duration;

use super::{Act, lines::sort};
use crate::record::{Moment, MomentKind};
use crate::report::words;

/// A piece of a line: its colour as a terminal takes it, and its text.
type Piece = (&'static str, String);

/// `text` in `colour`, or bare.
pub(super) fn paint(colours: bool, colour: &str, text: &str) -> String {
    if colours && !colour.is_empty() && !text.is_empty() { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
}

/// The lines of the block, none wider than `columns`: a line that wraps could not be taken back.
pub(super) fn block(act: &Act, planned: usize, (columns, colours): (usize, bool)) -> Vec<String> {
    let mut block =
        vec![title(act, planned, columns), vec![("2", words::visible(&act.shows))], Vec::new(), counts(act, columns)];
    block.extend(nodes(act, columns));
    if !act.moments.is_empty() {
        block.push(Vec::new());
    }
    block.extend(act.moments.iter().map(moment));
    block.into_iter().map(|line| fitted(&line, columns.saturating_sub(1), colours)).collect()
}

fn fitted(line: &[Piece], columns: usize, colours: bool) -> String {
    let mut room = columns;
    let mut text = String::new();
    for (colour, piece) in line {
        let cut = if piece.chars().count() > room { words::short(piece, room) } else { piece.clone() };
        room -= cut.chars().count().min(room);
        text.push_str(&paint(colours, colour, &cut));
        if room == 0 {
            break;
        }
    }
    text
}

fn title(act: &Act, planned: usize, columns: usize) -> Vec<Piece> {
    let of = if planned > 1 { format!("{} of {planned}  ", act.number) } else { String::new() };
    let time = words::took(Duration::from_secs(act.since.elapsed().as_secs()).max(Duration::from_millis(1)));
    let time = if act.since.elapsed().as_secs() == 0 { "0 s".to_owned() } else { time.replace(".0 s", " s") };
    let used = of.chars().count() + act.name.chars().count() + time.chars().count() + 1;
    vec![("2", of), ("1", act.name.clone()), ("", " ".repeat(columns.saturating_sub(used).max(2))), ("2", time)]
}

fn counts(act: &Act, columns: usize) -> Vec<Piece> {
    let sample = &act.sample;
    let (delivered, queued): (usize, usize) = (sample.delivered.iter().flatten().sum(), sample.queued.iter().flatten().sum());
    let mut line = vec![("1", words::count(sample.accepted)), ("", " accepted  ".into())];
    line.extend(bar(columns.saturating_sub(66).clamp(8, 40), delivered, queued, sample.accepted.max(delivered + queued)));
    line.extend([("1", format!("  {}", words::count(delivered))), ("", " delivered".into())]);
    line.extend([("1", format!("  {}", words::count(queued))), ("", " queued".into())]);
    if sample.in_doubt > 0 {
        line.extend([("1;35", format!("  {}", words::count(sample.in_doubt))), ("35", " in doubt".into())]);
    }
    if sample.refused > 0 {
        line.extend([("1", format!("  {}", words::count(sample.refused))), ("", " refused".into())]);
    }
    line
}

fn nodes(act: &Act, columns: usize) -> Vec<Vec<Piece>> {
    let name = act.nodes.iter().map(|node| node.name.chars().count()).max().unwrap_or(0).min(columns / 3);
    let count = |counts: &[Option<usize>], n: usize| counts.get(n).copied().flatten();
    let at = |n: usize| (count(&act.sample.delivered, n), count(&act.sample.queued, n));
    let most =
        (0..act.nodes.len()).map(|n| at(n).0.unwrap_or(0) + at(n).1.unwrap_or(0)).max().unwrap_or(0).max(act.sample.accepted);
    let number = |count: Option<usize>| count.map_or("?".into(), words::count);
    let line = |(n, node): (usize, &crate::record::NodeRecord)| {
        let state = act.states.iter().find(|(of, _)| *of == node.name).map_or("up", |(_, state)| state);
        let sign = if state == "up" { ("32", "●") } else { ("1;31", "✗") };
        let mut line = vec![
            (sign.0, format!("  {} ", sign.1)),
            ("1", format!("{:<name$} ", words::short(&node.name, name))),
            (if state == "up" { "2" } else { "1;31" }, format!("{:<7}", words::short(state, 7))),
        ];
        line.extend(bar(columns.saturating_sub(name + 56).clamp(6, 30), at(n).0.unwrap_or(0), at(n).1.unwrap_or(0), most));
        line.extend([
            ("", format!("{:>8} delivered", number(at(n).0))),
            ("33", format!("{:>8}", number(at(n).1))),
            ("", " queued".into()),
        ]);
        line
    };
    act.nodes.iter().enumerate().map(line).collect()
}

/// What was delivered in full blocks, what is queued in lighter ones, out of `most`. What is there is never drawn as nothing.
fn bar(cells: usize, delivered: usize, queued: usize, most: usize) -> [Piece; 3] {
    let part = |count: usize| if count == 0 { 0 } else { (count * cells / most.max(1)).max(1) };
    let full = part(delivered).min(cells);
    let light = part(queued).min(cells - full);
    [("32", "█".repeat(full)), ("33", "▒".repeat(light)), ("2", "·".repeat(cells - full - light))]
}

fn moment(moment: &Moment) -> Vec<Piece> {
    let sign = match moment.kind {
        MomentKind::Fault => "✗",
        MomentKind::Heal => "○",
        MomentKind::Step => "•",
        MomentKind::Check => "✓",
    };
    let colour = sort(moment.kind).1;
    vec![
        ("2", format!("{:>10}  ", words::offset(moment.at))),
        (colour, format!("{sign} ")),
        (if moment.kind == MomentKind::Step { "" } else { colour }, words::visible(&moment.text)),
    ]
}
