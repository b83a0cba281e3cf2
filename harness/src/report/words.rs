//! Times, counts and foreign text, spelled for people. The same everywhere, so that a number on the page is found again in the terminal.

use std::time::Duration;

use crate::record::Verdict;

/// `passed`, `failed`, `differs` or `skipped`, with the sign that stands for it where colours do not.
pub(super) fn verdict(verdict: &Verdict) -> (&'static str, &'static str) {
    match verdict {
        Verdict::Passed => ("passed", "✓"),
        Verdict::Failed(_) => ("failed", "✗"),
        Verdict::Differs(_) => ("differs", "≠"),
        Verdict::Skipped(_) => ("skipped", "–"),
    }
}

/// How long something took: `830 ms`, `4.2 s`, `1 min 12 s`, `2 h 3 min`.
pub(super) fn took(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        _ if seconds < 0.0005 => "0 ms".into(),
        _ if seconds < 0.9995 => format!("{:.0} ms", seconds * 1000.0),
        _ if seconds < 59.95 => format!("{seconds:.1} s"),
        _ if seconds < 3599.5 => {
            let whole = seconds.round() as u64;
            format!("{} min {} s", whole / 60, whole % 60)
        }
        _ => format!("{} h {} min", time.as_secs() / 3600, time.as_secs() % 3600 / 60),
    }
}

/// A moment, in seconds from the start: `4.012 s`.
pub(super) fn offset(at: Duration) -> String {
    format!("{:.3} s", at.as_secs_f64())
}

/// A number with its thousands set apart: `5,000`.
pub(super) fn count(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and its noun: `1 message`, `400 messages`, `2 copies`.
pub(super) fn many(number: usize, noun: &str) -> String {
    match (number, noun.strip_suffix("py")) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{} {stem}pies", count(number)),
        (_, None) => format!("{} {noun}s", count(number)),
    }
}

/// A scenario's name as a heading: underscores become spaces, the first letter is large.
pub(super) fn heading(name: &str) -> String {
    let spaced = name.replace('_', " ");
    let mut letters = spaced.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// At most `most` characters; what is cut leaves an ellipsis.
pub(super) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(most.saturating_sub(1)).collect();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    cut
}

/// The beginning and the end of a long text, and how much between them was left out. Nothing is lost of a text of at most `most` octets.
pub(super) fn ends(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let (mut head, mut tail) = (most * 2 / 3, text.len() - most / 3);
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    format!("{}\n[… {} octets are left out here …]\n{}", &text[..head], count(tail - head), &text[tail..])
}

/// The text with its control characters, other than line ends and tabs, as `cat -v` writes them (`^[`): foreign text must neither break the XML
/// nor steer a terminal.
pub(super) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\t' => shown.push(letter),
            '\u{0}'..='\u{1f}' | '\u{7f}' => shown.extend(['^', char::from(letter as u8 ^ 0x40)]),
            '\u{80}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => shown.push('\u{fffd}'),
            _ => shown.push(letter),
        }
    }
    shown
}

/// The same for a log: colours are taken out before, and line ends may be CRLF.
pub(super) fn log(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let mut pieces = text.split("\u{1b}[");
    bare.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let end = piece.find(|letter: char| !letter.is_ascii_digit() && letter != ';').unwrap_or(piece.len());
        match piece.get(end..).and_then(|rest| rest.strip_prefix('m')) {
            Some(rest) => bare.push_str(rest),
            None => bare.extend(["\u{1b}[", piece]),
        }
    }
    visible(&bare.replace("\r\n", "\n"))
}

/// The width in pixels that `text` needs at most at `size` pixels in a common sans-serif face; a little more than most faces take.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let units: f64 = text
        .chars()
        .map(|letter| match letter {
            'i' | 'j' | 'l' | 't' | 'f' | 'r' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | '(' | ')' | ' ' => 0.38,
            'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.95,
            'A'..='Z' => 0.72,
            _ if letter.is_ascii() => 0.6,
            _ => 1.0,
        })
        .sum();
    units * size
}

/// Year, month and day of a moment in seconds since 1970, UTC.
fn day(seconds: u64) -> (u64, u64, u64) {
    // The calendar in eras of 400 years that begin on 1 March, so that the leap day is the last of its year.
    let days = seconds / 86_400 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

/// `26 November 2026, 21:24 UTC`.
pub(super) fn date(seconds: u64) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let (year, month, day) = day(seconds);
    let month = MONTHS.get(month.saturating_sub(1) as usize).unwrap_or(&"");
    format!("{day} {month} {year}, {:02}:{:02} UTC", seconds / 3600 % 24, seconds / 60 % 60)
}

/// `2026-11-26T21:24:05`, UTC, as JUnit wants it.
pub(super) fn stamp(seconds: u64) -> String {
    let (year, month, day) = day(seconds);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelled() {
        for (millis, text) in [
            (0, "0 ms"),
            (830, "830 ms"),
            (4_249, "4.2 s"),
            (59_970, "1 min 0 s"),
            (72_000, "1 min 12 s"),
            (7_380_000, "2 h 3 min"),
        ] {
            assert_eq!(took(Duration::from_millis(millis)), text);
        }
        assert_eq!(
            (count(7), count(1_234_567), many(1, "copy"), many(5000, "copy")),
            ("7".into(), "1,234,567".into(), "1 copy".into(), "5,000 copies".into())
        );
        assert_eq!(heading("primary_is_killed"), "Primary is killed");
        assert_eq!(visible("a\u{1b}[31m\n\u{0}\u{7f}\u{9b}"), "a^[[31m\n^@^?\u{fffd}");
        assert_eq!(log("\u{1b}[1;31mred\u{1b}[0m\r\n\u{1b}[2Jgone"), "red\n^[[2Jgone");
    }

    #[test]
    fn cut() {
        assert_eq!((short("primary", 7), short("primary is killed", 9)), ("primary".into(), "primary…".into()));
        let text = "é".repeat(1000);
        assert_eq!(ends(&text, 2000), text);
        assert!(ends(&text, 301).contains("octets are left out"));
    }

    #[test]
    fn the_calendar() {
        assert_eq!(stamp(0), "1970-01-01T00:00:00");
        assert_eq!(stamp(1_709_210_096), "2024-02-29T12:34:56");
        assert_eq!(date(1_795_728_240), "26 November 2026, 21:24 UTC");
    }
}
