//! What Postfix wrote down of its messages, as events.

use std::time::{SystemTime, UNIX_EPOCH};

use super::super::date::{days_of, year_of};
use crate::server::Event;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The events of a log: `Nov 26 22:11:41 host postfix/smtp[12]: ID: to=<…>, … status=sent (…)`.
pub(super) fn events(log: &str) -> Vec<Event> {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    let year = year_of(i64::try_from(days).unwrap_or(0));
    log.lines().filter_map(|line| event(line, year)).collect()
}

fn event(line: &str, year: i64) -> Option<Event> {
    let (stamp, rest) = line.split_at_checked(16)?;
    let (_, rest) = rest.split_once("postfix/")?;
    let (program, rest) = rest.split_once("]: ")?;
    let (program, _) = program.split_once('[')?;
    let (id, text) = rest.split_once(": ")?;
    let at = milliseconds(stamp, year)?;
    let field = |name: &str| text.split_once(&format!("{name}=")).map(|(_, rest)| rest.split(", ").next().unwrap_or(rest));
    let (what, detail, message_id) = match program {
        "cleanup" => ("accepted", String::new(), Some(field("message-id")?.to_owned())),
        "bounce" if text.contains("non-delivery notification") => ("bounced", text.to_owned(), None),
        "smtp" | "relay/smtp" | "virtual" | "error" | "retry" => {
            let what = match text.split_once("status=")?.1.split(' ').next()? {
                "sent" if program == "virtual" => "delivered",
                "sent" => "relayed",
                "deferred" => "deferred",
                "bounced" => "failed",
                _ => return None,
            };
            let words = text.split_once("status=").and_then(|(_, rest)| rest.split_once(' ')).map_or("", |(_, words)| words);
            (what, format!("{} via {}: {words}", field("to")?, field("relay").unwrap_or("-")), None)
        }
        _ => return None,
    };
    Some(Event { at, id: id.to_owned(), message_id, what: what.into(), detail })
}

/// `Nov 26 22:11:41 ` of this year, in UTC, which the node is told to write.
fn milliseconds(stamp: &str, year: i64) -> Option<i64> {
    let mut words = stamp.split_whitespace();
    let month = MONTHS.iter().position(|month| words.clone().next() == Some(month))?;
    let day: i64 = words.nth(1)?.parse().ok()?;
    let mut time = words.next()?.split(':').map_while(|part| part.parse::<i64>().ok());
    let (hours, minutes, seconds) = (time.next()?, time.next()?, time.next()?);
    let days = days_of(year, i64::try_from(month).ok()? + 1, day);
    Some((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_events() {
        let log = "Nov 26 22:11:41 b postfix/smtpd[9]: connect from localhost[127.0.0.1]\n\
            Nov 26 22:11:42 b postfix/cleanup[10]: 4X: message-id=<one1-0@load.example>\n\
            Nov 26 22:11:43 b postfix/smtp[11]: 4X: to=<a@b.example>, relay=b.example[127.0.0.2]:25, delay=0.1, status=deferred (lost connection)\n\
            Nov  6 22:11:44 b postfix/virtual[12]: 4X: to=<a@b.example>, relay=virtual, delay=0.1, dsn=2.0.0, status=sent (delivered to maildir)\n";
        let got: Vec<(String, String)> = events(log).into_iter().map(|event| (event.what, event.detail)).collect();
        let expected = [
            ("accepted", ""),
            ("deferred", "<a@b.example> via b.example[127.0.0.2]:25: (lost connection)"),
            ("delivered", "<a@b.example> via virtual: (delivered to maildir)"),
        ];
        assert_eq!(got, expected.map(|(what, detail)| (what.to_owned(), detail.to_owned())));
        assert_eq!(event(log.lines().nth(1).unwrap(), 2026).unwrap().at, (20_783 * 86_400 + 22 * 3600 + 11 * 60 + 42) * 1000);
        assert_eq!(events(log)[0].message_id.as_deref(), Some("<one1-0@load.example>"));
    }
}
