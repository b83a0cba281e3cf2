//! Events as JSON lines: what roles send the supervisor, what `state/events/` keeps, and the log where `log.format = "json"`.

use std::io::Write;

use jiff::tz::TimeZone;

use crate::Event;

/// Appends the event as one line with its LF. With a zone, the moment is also written for readers, as `time`.
pub fn json_line(event: &Event, zone: Option<&TimeZone>, line: &mut Vec<u8>) {
    let start = line.len();
    if let Some(zone) = zone {
        let _ = write!(line, "{{\"time\":\"{}\",", event.at.rfc3339(zone));
    }
    let object = line.len();
    if serde_json::to_writer(&mut *line, event).is_err() {
        line.truncate(start);
        return;
    }
    if zone.is_some() {
        line.remove(object);
    }
    line.push(b'\n');
}

/// The event of a line; `None` where it is none of ours.
pub fn from_json(line: &[u8]) -> Option<Event> {
    serde_json::from_slice(line).ok()
}
