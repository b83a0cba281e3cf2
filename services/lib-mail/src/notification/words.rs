//! The part that people read: what happened, who said it, what they can do.

use super::{Notification, NotificationKind, Reported};
use crate::block_list::{BlockList, block_list};
use crate::{By, Status};

/// The subject; ASCII.
pub(super) fn subject(kind: NotificationKind) -> &'static str {
    match kind {
        NotificationKind::Failed => "Your message could not be delivered",
        NotificationKind::Delayed => "Your message is delayed",
        NotificationKind::Delivered => "Your message was delivered",
        NotificationKind::Relayed => "Your message was passed on",
        NotificationKind::Expanded => "Your message was passed on to a list",
    }
}

/// The text, CRLF lines.
pub(super) fn text(told: &Notification<'_>) -> String {
    let mut lines = vec![format!("This is the mail server {}.", told.host), String::new()];
    lines.extend(opening(told));
    for reported in told.recipients {
        lines.extend([String::new(), format!("  <{}>", reported.recipient.address)]);
        if told.kind == NotificationKind::Expanded {
            continue;
        }
        lines.push(format!("    {}", said(reported.status)));
        if matches!(told.kind, NotificationKind::Failed | NotificationKind::Delayed) {
            lines.extend(advice(told, reported).into_iter().map(|line| format!("    {line}")));
        }
    }
    lines.push(String::new());
    lines.extend(closing(told));
    lines.push(String::new());
    lines.join("\r\n")
}

fn opening(told: &Notification<'_>) -> Vec<String> {
    let whom = if told.recipients.len() == 1 { "this address" } else { "these addresses" };
    let arrived = told.envelope.arrived.rfc5322(told.zone);
    let text = match told.kind {
        NotificationKind::Failed => {
            format!("Your message of {arrived}\r\ncould not be delivered to {whom}, and will not be tried again:")
        }
        NotificationKind::Delayed => format!(
            "Your message of {arrived}\r\ncould not be delivered to {whom} yet. You need not send it again:\r\nit will be tried until {}.",
            told.envelope.deadline.rfc5322(told.zone)
        ),
        NotificationKind::Delivered => format!("Your message of {arrived}\r\nlies in the mailbox of {whom}:"),
        NotificationKind::Relayed => format!(
            "Your message of {arrived}\r\nwas taken by the server of {whom}. That server does not tell what becomes of it,\r\nso you will not hear more:"
        ),
        NotificationKind::Expanded => {
            format!("Your message of {arrived}\r\nwas passed on to the people behind {whom}:")
        }
    };
    vec![text]
}

fn said(status: &Status) -> String {
    match (&status.by, status.last_attempt()) {
        (By::Remote(host), Some(last)) => format!("At the last attempt the server {host} said: {last}"),
        (By::Remote(host), None) => format!("The server {host} said: {status}"),
        (By::Local, _) => format!("{status}"),
    }
}

fn closing(told: &Notification<'_>) -> Option<String> {
    (told.kind == NotificationKind::Failed).then(|| format!("If you need help, send this message to {}.", postmaster(told)))
}

/// What the sender can do about it.
fn advice(told: &Notification<'_>, reported: &Reported<'_>) -> Vec<String> {
    let mut lines = match block_list(reported.status) {
        Some(list) => blocked(told, &list),
        None => vec![by_code(reported.status).to_owned()],
    };
    if let Some(meant) = &reported.meant {
        lines.push(format!("Did you mean <{}@{meant}>?", reported.recipient.address.local()));
    }
    lines
}

/// A refusal that the sender neither caused nor can end (R2.5).
fn blocked(told: &Notification<'_>, list: &BlockList<'_>) -> Vec<String> {
    let which = list.name.map_or_else(|| "a block list".to_owned(), |name| format!("the block list of {name}"));
    let mut lines = vec![
        format!("That server refuses all mail from the address of this server, since {which} names it."),
        "The fault is not in your message or in its address.".to_owned(),
        format!("Please tell {}, who can ask for the address to be taken off the list.", postmaster(told)),
    ];
    lines.extend(list.url.map(|url| format!("More about it: {url}")));
    lines
}

fn postmaster(told: &Notification<'_>) -> String {
    format!("postmaster@{}", told.host)
}

/// By subject and detail of the enhanced code (RFC 3463, RFC 7505, RFC 7504).
fn by_code(status: &Status) -> &'static str {
    match (status.enhanced.subject, status.enhanced.detail) {
        (1, 1) | (2, 1) => "There is no such mailbox. Please check the spelling before the @.",
        (1, 2) | (4, 4) => "There is no such mail domain. Please check the spelling after the @.",
        (1, 3) => "The address is not written as an address must be. Please check it.",
        (1, 10) => "That domain takes no mail at all. Please ask the person for another address.",
        (2, 2) => "The mailbox is full. Only its owner can make room; please tell them by another way.",
        (2, 3) | (3, 4) => "The message is too large. Please send less, or a link to the file.",
        (3, 1) => "The other server has no room left. Please try again later.",
        (4, 6) => "The message goes round in a circle between servers. Please tell the postmaster.",
        // Any reason may stand behind it, also a server that was reached each time.
        (4, 7) if status.is_permanent() => {
            "It was tried until its time was up. The words above say what was in the way; please try again later."
        }
        (4, 1 | 2 | 3 | 7) => "The other server could not be reached. The fault may pass; please try again later.",
        (6, 3) => {
            "The other server takes plain ASCII text only. Please send the text without other letters, or as an attachment."
        }
        (6, 7) => "The other server does not take international addresses. Please use an ASCII address.",
        (7, 1) => "The other server does not want this message by its rules. Its words above may say why.",
        (7, _) => "A rule about security stood against it. Please tell the postmaster.",
        _ => "Please look at the words above; they say what was wrong.",
    }
}
