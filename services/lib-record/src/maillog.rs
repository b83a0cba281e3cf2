//! Events as lines of the maillog shape: time, host, role, queue id, then `name=value` (R6.3).
//!
//! What a peer sent can hold anything. Here it loses its control characters, its line ends and what looks like the next field, and
//! it is cut at a named length, so that no client can write a line of its own into the log.

use std::fmt::{self, Write};
use std::time::Duration;

use jiff::tz::TimeZone;
use lib_mail::Status;

use crate::event::{Event, Outcome, Service, What};

/// Characters of one value from a peer that are shown.
const MAX_VALUE: usize = 256;
/// Characters of a sentence (a reply of another server, a warning) that are shown.
const MAX_TEXT: usize = 512;

/// Appends the event as one line with its LF: `Nov 23 12:30:00 mail smtp-in: ID: from=<a@b>, size=12, …`.
pub fn maillog_line(event: &Event, zone: &TimeZone, host: &str, line: &mut String) {
    let _ = write!(line, "{} {host} {}: ", event.at.maillog(zone), event.role.as_str());
    if let Some(id) = &event.id {
        line.push_str(id.as_str());
        line.push_str(": ");
    }
    // Writing into a String cannot fail.
    let _ = what(&event.what, line);
    line.push('\n');
}

fn what(what: &What, out: &mut String) -> fmt::Result {
    match what {
        What::Connected { peer, listener } => write!(out, "connect from={}, listener={}", Value(peer), Value(listener)),
        What::Dropped { peer, why } => write!(out, "drop from={}, why={}", Value(peer), Text(why)),
        What::Accepted { .. } => accepted(what, out),
        What::Rejected { relay, stage, from, to, status } => {
            write!(out, "reject={stage}, from=<{}>, ", Value(from))?;
            if !to.is_empty() {
                write!(out, "to=<{}>, ", Value(to))?;
            }
            write!(out, "relay={}, dsn={}, stat={} {}", Value(relay), status.enhanced, status.code, Text(&status.text))
        }
        What::Attempt { to, outcome, delay, relay, status, .. } => {
            write!(out, "to=<{}>, delay={}, ", Value(to), Delay(*delay))?;
            if !relay.is_empty() {
                write!(out, "relay={}, ", Value(relay))?;
            }
            write!(out, "dsn={}, stat=", status.enhanced)?;
            stat(*outcome, status, out)
        }
        What::Bounced { parent, to, kind } => write!(out, "{}: to=<{}>, parent={parent}", Text(kind), Value(to)),
        What::Done { delay } => write!(out, "done, delay={}", Delay(*delay)),
        What::Ordered { order, result } => write!(out, "order={}, result={}", Value(order), Text(result)),
        What::Login { user, ok, peer, service, tls } => {
            let service = if *service == Service::Smtp { "smtp" } else { "pop3" };
            let (ok, tls) = (if *ok { "accepted" } else { "refused" }, if *tls { "yes" } else { "no" });
            write!(out, "login {ok}, user={}, service={service}, tls={tls}, relay={}", Value(user), Value(peer))
        }
        What::Fetched { account, peer, retrieved, octets, deleted, left } => write!(
            out,
            "fetch account=<{}>, relay={}, retrieved={retrieved}, octets={octets}, deleted={deleted}, left={left}",
            Value(account),
            Value(peer)
        ),
        What::Role { name, did, detail } => {
            write!(out, "{} {}", Value(name), Text(did))?;
            if detail.is_empty() { Ok(()) } else { write!(out, ": {}", Text(detail)) }
        }
        What::Warning { subject, text } => write!(out, "warning: {}: {}", Text(subject), Text(text)),
        What::Notice { text } => write!(out, "{}", Text(text)),
        What::Lost { count } => write!(out, "warning: log: {count} events were lost because their writer could not keep up"),
    }
}

fn accepted(what: &What, out: &mut String) -> fmt::Result {
    let What::Accepted { from, size, nrcpts, msgid, proto, relay, account, parent } = what else { return Ok(()) };
    write!(out, "from=<{}>, size={size}, nrcpts={nrcpts}, msgid={}, proto={proto}", Value(from), Value(msgid))?;
    if let Some(account) = account {
        write!(out, ", authid={}", Value(account))?;
    }
    if let Some(parent) = parent {
        write!(out, ", parent={parent}")?;
    }
    if relay.is_empty() { write!(out, ", relay=local") } else { write!(out, ", relay={}", Value(relay)) }
}

fn stat(outcome: Outcome, status: &Status, out: &mut String) -> fmt::Result {
    let text = Text(&status.text);
    match outcome {
        Outcome::Delivered | Outcome::Relayed => write!(out, "Sent ({text})"),
        Outcome::Expanded => write!(out, "Expanded ({text})"),
        Outcome::Deferred => write!(out, "Deferred: {text}"),
        Outcome::Failed => write!(out, "Failed: {} {text}", status.code),
        Outcome::Discarded => write!(out, "Discarded: {text}"),
    }
}

/// `00:00:04`, with days in front where there are any: `1+02:03:04`.
pub(crate) struct Delay(pub(crate) Duration);

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        if seconds >= 86_400 {
            write!(f, "{}+", seconds / 86_400)?;
        }
        write!(f, "{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60)
    }
}

/// One field's value: nothing in it ends the field or the line.
pub(crate) struct Value<'a>(pub(crate) &'a str);

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(self.0, MAX_VALUE, f, |c| c == ',')
    }
}

/// A sentence at a line's end: it may hold commas.
pub(crate) struct Text<'a>(pub(crate) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shown(self.0, MAX_TEXT, f, |_| false)
    }
}

fn shown(text: &str, most: usize, f: &mut fmt::Formatter<'_>, bad: impl Fn(char) -> bool) -> fmt::Result {
    let harmless = |c: char| matches!(c, ' '..='~') && !bad(c);
    // Nearly every value is short and plain, and is written in one piece.
    if text.len() <= most && text.chars().all(harmless) {
        return f.write_str(text);
    }
    for (count, c) in text.chars().enumerate() {
        if count == most {
            return f.write_str("...");
        }
        f.write_char(if c.is_control() || bad(c) || misleads(c) { '?' } else { c })?;
    }
    Ok(())
}

/// Characters that end a line or turn its direction in a reader's terminal.
fn misleads(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}
