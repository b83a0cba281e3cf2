//! The lines of MAIL and RCPT, with the parameters that the peer understands.

use lib_mail::{Address, Notify, Recipient, Return};

use super::{Capabilities, Transaction};

/// Whether the sender or the content, and so the whole message, needs SMTPUTF8.
pub(super) fn needs_utf8(transaction: &Transaction) -> bool {
    transaction.content.utf8_header || transaction.sender.as_ref().is_some_and(|sender| !sender.local().is_ascii())
}

/// `MAIL FROM:<…> …` with CRLF.
pub(super) fn mail(transaction: &Transaction, offered: &Capabilities) -> String {
    let sender = transaction.sender.as_ref().map(|sender| path(sender, offered)).unwrap_or_default();
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
        parameter(&mut line, "ENVID", transaction.envid.as_deref(), false);
    }
    line.push_str("\r\n");
    line
}

/// `RCPT TO:<…> …` with CRLF.
pub(super) fn rcpt(recipient: &Recipient, offered: &Capabilities) -> String {
    let mut line = format!("RCPT TO:<{}>", path(&recipient.address, offered));
    if offered.dsn {
        parameter(&mut line, "NOTIFY", notify(recipient.notify).as_deref(), false);
        parameter(&mut line, "ORCPT", recipient.orcpt.as_deref(), offered.utf8);
    }
    line.push_str("\r\n");
    line
}

/// Adds a parameter, unless its value is nothing that can stand in a command line.
fn parameter(line: &mut String, name: &str, value: Option<&str>, utf8: bool) {
    let fits = |c: char| c.is_ascii_graphic() || (utf8 && !c.is_ascii() && !c.is_control() && !c.is_whitespace());
    if let Some(value) = value.filter(|value| !value.is_empty() && value.chars().all(fits)) {
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

/// The address as this peer can take it: a non-ASCII domain behind an ASCII local part needs no SMTPUTF8, for DNS has a name for it.
fn path(address: &Address, offered: &Capabilities) -> String {
    if offered.utf8 || address.is_ascii() || !address.local().is_ascii() {
        address.to_string()
    } else {
        format!("{}@{}", address.local(), address.domain().key())
    }
}
