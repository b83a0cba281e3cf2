//! The lines of MAIL and RCPT, with the parameters that the peer understands.

use lib_mail::{Address, Notify, Recipient, Return};

use super::{Capabilities, Transaction};
use crate::params::MAX_ORCPT;

/// Whether the sender or the content, and so the whole message, needs SMTPUTF8.
pub(super) fn needs_utf8(transaction: &Transaction) -> bool {
    let offered = Capabilities::default();
    transaction.content.utf8_header || transaction.sender.as_ref().is_some_and(|sender| path(sender, &offered).is_none())
}

/// `MAIL FROM:<…> …` with CRLF.
pub(super) fn mail(transaction: &Transaction, offered: &Capabilities) -> String {
    let sender = transaction.sender.as_ref().and_then(|sender| path(sender, offered)).unwrap_or_default();
    let mut line = format!("MAIL FROM:<{sender}>");
    if offered.size.is_some() {
        line.push_str(&format!(" SIZE={}", transaction.content.size));
    }
    let utf8 = offered.utf8
        && (needs_utf8(transaction)
            || !sender.is_ascii()
            || transaction.recipients.iter().any(|recipient| !recipient.address.is_ascii()));
    if (transaction.content.eight_bit || utf8) && offered.eight_bit {
        line.push_str(" BODY=8BITMIME");
    }
    if utf8 {
        line.push_str(" SMTPUTF8");
    }
    if offered.dsn {
        match transaction.ret {
            Some(Return::Full) => line.push_str(" RET=FULL"),
            Some(Return::Headers) => line.push_str(" RET=HDRS"),
            None => {}
        }
        parameter(&mut line, "ENVID", transaction.envid.as_deref());
    }
    line.push_str("\r\n");
    line
}

/// `RCPT TO:<…> …` with CRLF. A recipient without a [`path`] was settled before; the empty path would be refused.
pub(super) fn rcpt(recipient: &Recipient, offered: &Capabilities) -> String {
    let mut line = format!("RCPT TO:<{}>", path(&recipient.address, offered).unwrap_or_default());
    if offered.dsn {
        parameter(&mut line, "NOTIFY", notify(recipient.notify).as_deref());
        // In ASCII it is right with SMTPUTF8 and without.
        let orcpt = recipient.ascii_orcpt().filter(|orcpt| orcpt.len() <= MAX_ORCPT);
        parameter(&mut line, "ORCPT", orcpt.as_deref());
    }
    line.push_str("\r\n");
    line
}

/// Adds a parameter, unless its value is nothing that can stand in a command line.
fn parameter(line: &mut String, name: &str, value: Option<&str>) {
    if let Some(value) = value.filter(|value| !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic())) {
        line.push_str(&format!(" {name}={value}"));
    }
}

/// `None` where none was given: then the parameter is left out as well.
fn notify(notify: Notify) -> Option<String> {
    match notify {
        Notify::Default => None,
        Notify::Never => Some("NEVER".into()),
        Notify::On { success, failure, delay } => {
            let chosen = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
            Some(chosen.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect::<Vec<_>>().join(","))
        }
    }
}

/// The address as this peer can take it; `None` where it cannot. A non-ASCII domain behind an ASCII local part needs no SMTPUTF8, for
/// DNS has a name for it. What that name makes of the address is held to the grammar again before it is printed: it is not what was read
/// (a full-width `＞` maps to `>`).
pub(super) fn path(address: &Address, offered: &Capabilities) -> Option<String> {
    if offered.utf8 || address.is_ascii() {
        return Some(address.to_string());
    }
    let text = format!("{}@{}", address.local(), address.domain().key());
    (text.is_ascii() && text.parse::<Address>().is_ok()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_an_address_of_ascii_or_none_where_the_peer_knows_no_utf8() {
        let long = format!("{}@한글.example", "x".repeat(236));
        for (text, want) in [
            ("b@x.example", Some("b@x.example")),
            ("\"b> x\"@x.example", Some("\"b> x\"@x.example")),
            ("b@한글.example", Some("b@xn--bj0bj06e.example")),
            ("b@ａ。example", Some("b@a.example")),
            ("\"b> x\"@ａ.example", Some("\"b> x\"@a.example")),
            ("민지@x.example", None),
            (&long, None),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(path(&address, &Capabilities::default()).as_deref(), want, "{text}");
            let all = Capabilities { utf8: true, ..Capabilities::default() };
            assert_eq!(path(&address, &all).as_deref(), Some(text));
        }
    }
}
