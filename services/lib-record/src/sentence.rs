//! Events about a message in words, for a trace. What a peer sent is neutralised as in a maillog line.

use lib_mail::By;

use crate::event::{Event, Outcome, RoleName, What};
use crate::maillog::{Delay, Text, Value};

/// What happened, as part of a story about its message: without time, node and id.
pub fn sentence(event: &Event) -> String {
    match &event.what {
        What::Accepted { from, size, nrcpts, msgid, proto, relay, account, parent } => {
            let recipients = if *nrcpts == 1 { "1 recipient".to_owned() } else { format!("{nrcpts} recipients") };
            let source = if relay.is_empty() {
                "made here".to_owned()
            } else {
                format!("taken from {} by {}", Text(relay), Value(proto))
            };
            let mut text = format!("{source}: sender <{}>, {recipients}, {size} octets", Value(from));
            if let Some(account) = account {
                text += &format!(", account {}", Value(account));
            }
            if !msgid.is_empty() {
                text += &format!(", Message-ID {}", Value(msgid));
            }
            if let Some(parent) = parent {
                text += &format!(", because of {parent}");
            }
            text
        }
        What::Rejected { relay, stage, from, to, status } => {
            let to = if to.is_empty() { String::new() } else { format!(" for <{}>", Value(to)) };
            format!(
                "refused {} at {}: sender <{}>{to}: {} {} {}",
                Text(relay),
                Value(stage),
                Value(from),
                status.code,
                status.enhanced,
                Text(&status.text)
            )
        }
        What::Attempt { to, outcome, relay, status, .. } => {
            let said = format!("{} {} {}", status.code, status.enhanced, Text(&status.text));
            let by = match &status.by {
                By::Remote(host) => format!(" (said by {})", Text(host)),
                By::Local => String::new(),
            };
            let to = Value(to);
            match outcome {
                Outcome::Delivered => format!("<{to}> delivered to the mailbox"),
                Outcome::Relayed => format!("<{to}> relayed to {}: {}", Text(relay), Text(&status.text)),
                Outcome::Expanded => format!("<{to}> expanded: {}", Text(&status.text)),
                Outcome::Deferred => format!("<{to}> deferred: {said}{by}"),
                Outcome::Failed => format!("<{to}> failed: {said}{by}"),
                Outcome::Discarded => format!("<{to}> discarded: {}", Text(&status.text)),
            }
        }
        What::Bounced { parent, to, kind } => format!("notification ({}) about {parent} to <{}>", Text(kind), Value(to)),
        What::Done { delay } => {
            // A message for here and for elsewhere ends twice.
            let what = match event.role {
                RoleName::Deliver => "local delivery",
                RoleName::RelayOut => "relaying",
                _ => "all",
            };
            format!("{what} done, after {}", Delay(*delay))
        }
        What::Ordered { order, result } if event.role == RoleName::Command => {
            format!("an administrator ordered {}: {}", Value(order), Text(result))
        }
        What::Ordered { order, result } => format!("{} obeyed the order {}: {}", event.role, Value(order), Text(result)),
        What::Warning { subject, text } => format!("warning: {}: {}", Text(subject), Text(text)),
        What::Notice { text } => Text(text).to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use lib_mail::{Enhanced, Status, Timestamp};

    use super::*;

    #[test]
    fn words_of_a_stranger_stay_in_their_line() {
        let at = Timestamp(0);
        let event = |what| Event { at, role: RoleName::Deliver, id: None, what };
        let status = Status::new(451, Enhanced::new(4, 7, 1), By::Remote("mx\u{202e}".into()), "come\nback", at);
        let attempt = What::Attempt {
            to: "a\x1b@b.example".into(),
            outcome: Outcome::Deferred,
            delay: Default::default(),
            relay: "mx".into(),
            size: 1,
            status,
        };
        assert_eq!(sentence(&event(attempt)), "<a?@b.example> deferred: 451 4.7.1 come back (said by mx?)");
        let accepted = What::Accepted {
            from: "a@b.example".into(),
            size: 12,
            nrcpts: 1,
            msgid: "<1@c>".into(),
            proto: "ESMTPS".into(),
            relay: "c.example [192.0.2.1]".into(),
            account: None,
            parent: None,
        };
        let want = "taken from c.example [192.0.2.1] by ESMTPS: sender <a@b.example>, 1 recipient, 12 octets, Message-ID <1@c>";
        assert_eq!(sentence(&event(accepted)), want);
        let order = What::Ordered { order: "hold".into(), result: "held".into() };
        assert_eq!(sentence(&event(order.clone())), "deliver obeyed the order hold: held");
        let command = Event { role: RoleName::Command, ..event(order) };
        assert_eq!(sentence(&command), "an administrator ordered hold: held");
    }
}
