//! Lines that stay: the beginning, each moment and the end of a scenario.

use std::time::Duration;

use super::{Screen, block::paint};
use crate::record::{Moment, MomentKind, Verdict};
use crate::report::words;

/// Lines of a failure that go to the terminal; the report has all.
const FAILURE: usize = 40;

/// In front of each line while several scenarios play.
fn prefix(screen: &Screen, number: usize) -> String {
    match screen.named(number) {
        Some(act) if screen.acts.len() > 1 => paint(screen.manner.colours, "2", &format!("{}: ", act.name)),
        _ => String::new(),
    }
}

/// `primary_dies (3 of 25): what it shows`.
pub(super) fn begins(screen: &Screen, number: usize) -> String {
    let Some(act) = screen.named(number) else { return String::new() };
    let of = if screen.planned > 1 { format!(" ({number} of {})", screen.planned) } else { String::new() };
    format!("{}{of}: {}\n", paint(screen.manner.colours, "1", &act.name), words::visible(&act.shows))
}

/// `   4.012 s  fault  primary is killed (SIGKILL)`.
pub(super) fn moment(screen: &Screen, number: usize, moment: &Moment) -> String {
    let (word, colour) = sort(moment.kind);
    format!(
        "{}{:>11}  {}  {}\n",
        prefix(screen, number),
        words::offset(moment.at),
        paint(screen.manner.colours, colour, &format!("{word:<5}")),
        words::visible(&moment.text)
    )
}

/// `✓ primary_dies passed in 21.3 s`, with the reason where it did not, and the counts that were seen last.
pub(super) fn ends(screen: &Screen, number: usize, verdict: &Verdict, took: Duration) -> String {
    let Some(act) = screen.named(number) else { return String::new() };
    let ((word, sign), colours) = (words::verdict(verdict), screen.manner.colours);
    let colour = match verdict {
        Verdict::Passed => "32",
        Verdict::Failed(_) => "1;31",
        Verdict::Differs(_) | Verdict::Skipped(_) => "33",
    };
    let head = paint(colours, colour, &format!("{sign} {} {word}", act.name));
    match verdict {
        Verdict::Passed => {
            let sample = &act.sample;
            let delivered: usize = sample.delivered.iter().flatten().sum();
            let doubt =
                if sample.in_doubt > 0 { format!(", {} in doubt", words::count(sample.in_doubt)) } else { String::new() };
            let counts = match sample.accepted {
                0 => String::new(),
                accepted => {
                    format!(
                        ": {} accepted, {} delivered{doubt}",
                        words::many(accepted, "message"),
                        words::many(delivered, "copy")
                    )
                }
            };
            format!("{head} in {}{counts}\n", words::took(took))
        }
        Verdict::Differs(text) => {
            format!("{head}, as is known: {}\n", words::visible(text.lines().next().unwrap_or_default()))
        }
        Verdict::Skipped(reason) => format!("{head}: {}\n", words::visible(reason)),
        Verdict::Failed(text) => {
            let mut all = format!("{head} after {}\n", words::took(took));
            let lines = text.lines().count();
            for line in text.lines().take(FAILURE) {
                all.push_str(&format!("    {}\n", words::log(line)));
            }
            if lines > FAILURE {
                all.push_str(&format!("    … {} are in the report\n", words::many(lines - FAILURE, "more line")));
            }
            all
        }
    }
}

/// A word and a colour for a sort of moment.
pub(super) fn sort(kind: MomentKind) -> (&'static str, &'static str) {
    match kind {
        MomentKind::Fault => ("fault", "1;31"),
        MomentKind::Heal => ("heal", "32"),
        MomentKind::Step => ("step", "2"),
        MomentKind::Check => ("check", "36"),
    }
}
