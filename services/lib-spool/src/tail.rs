//! The history as text: lines behind the envelope, each begun by LF and ended by a check sum.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use lib_mail::{By, QueueId, Status, Timestamp};

use crate::text::{In, get, put};
use crate::{Command, Line, Outcome, What};

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// What became of recipients.
    Outcome(Line),
    /// An order, by its number.
    Want(u32, Command),
    /// The order of that number was obeyed.
    Did(u32, Obeyed),
}

/// How the owner obeyed an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obeyed {
    Deleted,
    Held,
    Due,
}

const VERBS: [(Command, &str); 5] = [
    (Command::Delete, "delete"),
    (Command::Bounce, "bounce"),
    (Command::Hold, "hold"),
    (Command::Release, "release"),
    (Command::Retry, "retry"),
];
/// The order that has an argument: the new deadline.
const REQUEUE: &str = "requeue";
const EFFECTS: [(Obeyed, &str); 3] = [(Obeyed::Deleted, "deleted"), (Obeyed::Held, "held"), (Obeyed::Due, "due")];

fn word<T: PartialEq>(table: &[(T, &'static str)], value: &T) -> &'static str {
    table.iter().find(|(of, _)| of == value).map_or("", |(_, word)| *word)
}

fn value<T: Copy>(table: &[(T, &'static str)], word: &str) -> Option<T> {
    table.iter().find(|(_, of)| *of == word).map(|(value, _)| *value)
}

fn sum(id: &QueueId, line: &str) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(id.as_str().as_bytes());
    sum.update(line.as_bytes());
    sum.finalize()
}

/// A line with its check sum behind it.
pub(crate) fn summed(id: &QueueId, line: &str) -> String {
    format!("{line} {:08x}", sum(id, line))
}

/// Puts a line behind `out`, its leading LF included.
pub(crate) fn print(out: &mut String, id: &QueueId, at: Timestamp, entry: &Entry) {
    out.push('\n');
    let start = out.len();
    let _ = write!(out, "@{at} ");
    match entry {
        Entry::Outcome(line) => print_outcome(out, line),
        Entry::Want(number, Command::Requeue(deadline)) => {
            let _ = write!(out, "want {number:08x} {REQUEUE} {deadline}");
        }
        Entry::Want(number, command) => {
            let _ = write!(out, "want {number:08x} {}", word(&VERBS, command));
        }
        Entry::Did(number, obeyed) => {
            let _ = write!(out, "did {number:08x} {}", word(&EFFECTS, obeyed));
        }
    }
    let line = summed(id, &out[start..]);
    out.truncate(start);
    out.push_str(&line);
}

fn print_outcome(out: &mut String, line: &Line) {
    out.push_str("to ");
    print_list(out, &line.recipients);
    let (what, child) = match &line.outcome.what {
        What::Delivered => ("delivered", None),
        What::Relayed => ("relayed", None),
        What::Forwarded(child) => ("forwarded", Some(child)),
        What::Expanded(_) => ("expanded", None),
        What::Discarded => ("discarded", None),
        What::Deferred => ("deferred", None),
        What::Failed => ("failed", None),
        What::Notified(child) => ("notified", child.as_ref()),
    };
    let _ = write!(out, " {what} ");
    match (&line.outcome.what, child) {
        (What::Expanded(members), _) if !members.is_empty() => members.iter().for_each(|member| {
            put(out, member, In::Word);
            out.push(',');
        }),
        (_, Some(child)) => out.push_str(child.as_str()),
        _ => out.push('-'),
    }
    let status = &line.outcome.status;
    let _ = write!(out, " {} {} ", status.code, status.enhanced);
    match &status.by {
        // A host of that name is not this node.
        By::Remote(host) if host == "-" => out.push_str("%2d"),
        By::Remote(host) if !host.is_empty() => put(out, host, In::Word),
        _ => out.push('-'),
    }
    out.push(' ');
    put(out, &status.text, In::Line);
}

/// Ascending indexes as `0-4,7`.
fn print_list(out: &mut String, list: &[usize]) {
    let mut rest = list;
    while let Some(first) = rest.first() {
        let run = rest.iter().enumerate().take_while(|(place, index)| **index == first + place).count();
        let _ = if run == 1 { write!(out, "{first}") } else { write!(out, "{first}-{}", first + run - 1) };
        rest = &rest[run..];
        if !rest.is_empty() {
            out.push(',');
        }
    }
}

/// The good lines of a history, oldest first; what is torn or foreign is skipped. NUL ends a line, too: where a power cut leaves zeros of an
/// append, its LF may be among them, and the line before it was synced.
pub(crate) fn parse<'a>(id: &'a QueueId, octets: &'a [u8]) -> impl Iterator<Item = (Timestamp, Entry)> + 'a {
    octets.split(|octet| matches!(octet, b'\n' | 0)).filter_map(|line| parse_line(id, std::str::from_utf8(line).ok()?))
}

fn parse_line(id: &QueueId, line: &str) -> Option<(Timestamp, Entry)> {
    let (said, stated) = line.rsplit_once(' ')?;
    if stated.len() != 8 || u32::from_str_radix(stated, 16).ok()? != sum(id, said) {
        return None;
    }
    let (at, rest) = said.strip_prefix('@')?.split_once(' ')?;
    let at = Timestamp(at.parse().ok()?);
    let (kind, rest) = rest.split_once(' ')?;
    let entry = match kind {
        "to" => Entry::Outcome(parse_outcome(rest, at)?),
        "want" | "did" => {
            let (number, name) = rest.split_once(' ')?;
            let number = u32::from_str_radix(number, 16).ok()?;
            match (kind, name.split_once(' ')) {
                ("want", Some((REQUEUE, deadline))) => Entry::Want(number, Command::Requeue(Timestamp(deadline.parse().ok()?))),
                ("want", _) => Entry::Want(number, value(&VERBS, name)?),
                _ => Entry::Did(number, value(&EFFECTS, name)?),
            }
        }
        _ => return None,
    };
    Some((at, entry))
}

fn parse_outcome(text: &str, at: Timestamp) -> Option<Line> {
    let mut words = text.splitn(7, ' ');
    let recipients = parse_list(words.next()?)?;
    let (name, argument) = (words.next()?, words.next()?);
    let child = |argument: &str| argument.parse::<QueueId>().ok();
    let what = match name {
        "delivered" => What::Delivered,
        "relayed" => What::Relayed,
        "forwarded" => What::Forwarded(child(argument)?),
        "expanded" if argument == "-" => What::Expanded(Vec::new()),
        "expanded" => What::Expanded(argument.strip_suffix(',')?.split(',').map(get).collect::<Option<_>>()?),
        "discarded" => What::Discarded,
        "deferred" => What::Deferred,
        "failed" => What::Failed,
        "notified" if argument == "-" => What::Notified(None),
        "notified" => What::Notified(Some(child(argument)?)),
        _ => return None,
    };
    let (code, enhanced) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let by = match words.next()? {
        "" => return None,
        "-" => By::Local,
        host => By::Remote(get(host)?),
    };
    let status = Status::new(code, enhanced, by, get(words.next()?)?, at);
    Some(Line { recipients, outcome: Outcome { what, status } })
}

/// Runs of indexes are read only as far as any message goes, so that no line can ask for memory without end.
fn parse_list(text: &str) -> Option<Vec<usize>> {
    const MOST: usize = 1_000_000;
    let mut list: Vec<usize> = Vec::new();
    for part in text.split(',') {
        let run: RangeInclusive<usize> = match part.split_once('-') {
            None => part.parse().ok().map(|index| index..=index)?,
            Some((first, last)) => first.parse().ok()?..=last.parse().ok()?,
        };
        let ascends = list.last().is_none_or(|last| last < run.start());
        if !ascends || run.is_empty() || *run.end() >= MOST {
            return None;
        }
        list.extend(run);
    }
    Some(list)
}

#[cfg(test)]
mod tests;
