//! What OpenSMTPD said of its messages, as events. It names no Message-ID, so a report can't join its steps to those of other nodes.

use crate::server::Event;

/// The events of what it printed: `MILLISECONDS SESSION mta delivery evpid=ID from=<…> to=<…> … result="TempFail" stat="…"`.
pub(super) fn events(log: &str) -> Vec<Event> {
    log.lines().filter_map(event).collect()
}

fn event(line: &str) -> Option<Event> {
    let (at, rest) = line.split_once(' ')?;
    let (_, rest) = rest.split_once(' ')?;
    let (by, text) =
        ["smtp message ", "mta delivery ", "mda delivery "].iter().find_map(|by| Some((*by, rest.strip_prefix(by)?)))?;
    let field = |name: &str| {
        let (_, value) = text.split_once(&format!("{name}="))?;
        Some(match value.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next().unwrap_or(quoted),
            None => value.split(' ').next().unwrap_or(value),
        })
    };
    let (what, detail) = match (by, field("result")) {
        ("smtp message ", _) => ("accepted", String::new()),
        (_, Some(result)) => {
            let what = match (result, by) {
                ("Ok", "mda delivery ") => "delivered",
                ("Ok", _) => "relayed",
                ("TempFail", _) => "deferred",
                _ => "failed",
            };
            let relay = field("relay").unwrap_or("its mailbox");
            let words = text.split_once("stat=").map_or("", |(_, words)| words.trim_matches('"'));
            (what, format!("{} via {relay}: {words}", field("to")?))
        }
        _ => return None,
    };
    let id = field("msgid").or_else(|| field("evpid")?.get(..8))?;
    Some(Event { at: at.parse().ok()?, id: id.to_owned(), message_id: None, what: what.into(), detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_events() {
        let log = "1795744790000 info: OpenSMTPD 6.8.0p2 starting\n\
            1795744792001 c3be smtp message msgid=8614c04d size=290 nrcpt=1 proto=ESMTP\n\
            1795744792002 c3be smtp envelope evpid=8614c04d0b4d5255 from=<s@office.example> to=<m@office.example>\n\
            1795744792003 0000 mta delivery evpid=8614c04d0b4d5255 from=<s@office.example> to=<far@c1.example> rcpt=<x@office.example> source=\"-\" \
            relay=\"c1.example\" delay=0s result=\"TempFail\" stat=\"Temporary failure in MX lookup\"\n\
            1795744792004 c3be mda delivery evpid=8614c04d0b4d5255 from=<s@office.example> to=<m@office.example> rcpt=<m@office.example> user=m \
            delay=0s result=Ok stat=Delivered\n";
        let got: Vec<(i64, String, String, String)> =
            events(log).into_iter().map(|event| (event.at % 10, event.id, event.what, event.detail)).collect();
        let expected = [
            (1, "accepted", ""),
            (3, "deferred", "<far@c1.example> via c1.example: Temporary failure in MX lookup"),
            (4, "delivered", "<m@office.example> via its mailbox: Delivered"),
        ];
        let expected = expected.map(|(at, what, detail)| (at, "8614c04d".to_owned(), what.to_owned(), detail.to_owned()));
        assert_eq!(got, expected);
    }
}
