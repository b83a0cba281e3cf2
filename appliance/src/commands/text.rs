//! What commands print: to a reader who may leave, and without what a stranger could do to a terminal.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

/// Lets `print` write to standard output. A reader that has seen enough (`| head`) ends the command, quietly and in order.
pub(crate) fn print(print: impl FnOnce(&mut dyn Write) -> Result<ExitCode>) -> Result<ExitCode> {
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    let printed = print(&mut out).and_then(|code| Ok(out.flush().map(|()| code)?));
    match printed {
        Err(error) if is_closed(&error) => Ok(ExitCode::SUCCESS),
        printed => printed,
    }
}

fn is_closed(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe))
}

/// A text of a stranger's without control characters and without those that turn the direction of writing.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    // Most of what a queue holds.
    if text.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let bad = |c: char| {
        c.is_control() && c != '\t' || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text.contains(bad) { Cow::Owned(text.replace(bad, "?")) } else { Cow::Borrowed(text) }
}

/// `45s`, `12m`, `3h05m`, `2d04h`: two units at most.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, minutes) => format!("{hours}h{minutes:02}m"),
        (days, hours, _) => format!("{days}d{hours:02}h"),
    }
}

/// `1 message`, `2 messages`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// How a list that repeats itself is shortened: of equal entries the first and the last are shown, the last with their number.
/// Entries without a key are all shown. For each entry: nothing where it is left out, else how many it stands for at its end.
pub(crate) fn shortened<K: Eq + std::hash::Hash>(keys: &[Option<K>]) -> Vec<Option<usize>> {
    let mut places: HashMap<&K, (usize, usize)> = HashMap::new();
    for (at, key) in keys.iter().enumerate() {
        if let Some(key) = key {
            let place = places.entry(key).or_insert((0, at));
            *place = (place.0 + 1, at);
        }
    }
    let mut begun: HashSet<&K> = HashSet::new();
    let shown = keys.iter().enumerate().map(|(at, key)| {
        let Some(key) = key else { return Some(1) };
        let (count, last) = places.get(key).copied().unwrap_or((1, at));
        match (begun.insert(key), at == last) {
            (true, _) => Some(1),
            (false, true) => Some(count),
            (false, false) => None,
        }
    });
    shown.collect()
}

/// ` (the 12th time)`, for what [`shortened`] let stand for several.
pub(crate) fn times(count: usize) -> String {
    let ending = match (count % 100, count % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    if count > 1 { format!(" (the {count}{ending} time)") } else { String::new() }
}

/// How often a long command says how far it is.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// How far a long command is, on standard error: nothing within the first second.
pub(crate) struct Progress {
    doing: &'static str,
    all: usize,
    said: Instant,
    on_line: bool,
}

impl Progress {
    /// `doing` as `deleting`; `all` is 0 where that is not known.
    pub(crate) fn new(doing: &'static str, all: usize) -> Progress {
        Progress { doing, all, said: Instant::now(), on_line: false }
    }

    /// So many are done.
    pub(crate) fn at(&mut self, done: usize) {
        if self.said.elapsed() < SAY_EVERY {
            return;
        }
        self.said = Instant::now();
        let (doing, of) = (self.doing, if self.all > 0 { format!(" of {}", self.all) } else { String::new() });
        if io::stderr().is_terminal() {
            eprint!("\rbongsu: {doing}: {done}{of} ");
            self.on_line = true;
        } else {
            eprintln!("bongsu: {doing}: {done}{of}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.on_line {
            eprintln!();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (seconds, text) in
            [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (3600, "1h00m"), (86_399, "23h59m"), (187_200, "2d04h")]
        {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn of_what_repeats_the_first_and_the_last_are_shown() {
        let keys = [Some('a'), Some('b'), None, Some('a'), Some('a'), None, Some('b'), Some('c')];
        let shown = [Some(1), Some(1), Some(1), None, Some(3), Some(1), Some(2), Some(1)];
        assert_eq!(shortened(&keys), shown);
        assert_eq!(
            [1, 2, 3, 11, 22, 240].map(times).concat(),
            " (the 2nd time) (the 3rd time) (the 11th time) (the 22nd time) (the 240th time)"
        );
    }

    #[test]
    fn nothing_reaches_the_terminal_that_could_steer_it() {
        assert_eq!(plain("a\x1b[2J\r\n\u{202e}b\tc"), "a?[2J???b\tc");
        assert!(matches!(plain("민지@메일.example"), Cow::Borrowed(_)));
    }
}
