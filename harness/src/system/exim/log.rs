//! What Exim wrote down of its messages, as events.

use super::super::date::days_of;
use crate::server::Event;

/// Characters of `2026-11-27 02:00:18 `.
const STAMP: usize = 20;

/// The events of a log: `2026-11-27 02:00:18 ID => ADDRESS …`.
pub(super) fn events(log: &str) -> Vec<Event> {
    log.lines().filter_map(event).collect()
}

fn event(line: &str) -> Option<Event> {
    let (stamp, rest) = line.split_at_checked(STAMP)?;
    let mut words = rest.splitn(3, ' ');
    let (id, sign, text) = (words.next()?, words.next()?, words.next()?);
    // `T=maildir` says by which of its transports.
    let by = |transport: &str| text.split(' ').any(|word| word.strip_prefix("T=") == Some(transport));
    let (what, message_id) = match sign {
        "<=" if text.starts_with("<> ") => ("bounced", None),
        "<=" => ("accepted", text.split(' ').find_map(|word| word.strip_prefix("id=")).map(|id| format!("<{id}>"))),
        "=>" | "->" if by("maildir") => ("delivered", None),
        "=>" | "->" => ("relayed", None),
        "==" => ("deferred", None),
        "**" => ("failed", None),
        _ => return None,
    };
    let detail = if what == "accepted" { String::new() } else { text.to_owned() };
    Some(Event { at: milliseconds(stamp)?, id: id.to_owned(), message_id, what: what.into(), detail })
}

/// `2026-11-27 02:00:18 `, in UTC, which the node is told to write.
fn milliseconds(stamp: &str) -> Option<i64> {
    let mut numbers = stamp.trim_end().split(['-', ' ', ':']).map_while(|part| part.parse::<i64>().ok());
    let mut next = || numbers.next();
    let days = days_of(next()?, next()?, next()?);
    let (hours, minutes, seconds) = (next()?, next()?, next()?);
    Some((((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_events() {
        let log = "2026-11-26 22:11:41 exim 4.96 daemon started: pid=10089, -q1s, listening for SMTP on [127.9.9.11]:2525\n\
            2026-11-26 22:11:42 1xW-2r <= sora@office.example H=([127.0.0.1]) [127.0.0.1] P=esmtp S=306 id=one1-0@load.example\n\
            2026-11-26 22:11:43 1xW-2r == far@c1.cut.example R=others defer (-1): host lookup did not complete\n\
            2026-11-26 22:11:44 1xW-2r => minji <minji@office.example> R=mailboxes T=maildir\n\
            2026-11-26 22:11:44 1xW-2r -> a@b.example R=others T=smtp H=gate.b.example [127.0.0.2] C=\"250 OK\"\n\
            2026-11-26 22:11:45 1xW-2r Completed\n\
            2026-11-26 22:11:46 1xW-2s <= <> R=1xW-2r U=Debian-exim P=local S=1000\n";
        let got = events(log);
        let whats: Vec<&str> = got.iter().map(|event| event.what.as_str()).collect();
        assert_eq!(whats, ["accepted", "deferred", "delivered", "relayed", "bounced"]);
        assert_eq!(got[0].message_id.as_deref(), Some("<one1-0@load.example>"));
        assert_eq!(got[0].at, (20_783 * 86_400 + 22 * 3600 + 11 * 60 + 42) * 1000);
        assert!(got[1].detail.starts_with("far@c1.cut.example") && got[1].id == "1xW-2r");
    }
}
