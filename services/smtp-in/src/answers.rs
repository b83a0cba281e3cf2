//! What a client is told: questions of a session and what is known, to a status. Nothing here waits or touches the machine.

use lib_account::Maps;
use lib_mail::{Address, Domain, Enhanced, Recipient, Status, Timestamp};
use lib_net::auth::Verdict;
use lib_policy::{Client, Expansion, HeaderScan, Route, Standing, Trail, admit_recipient, admit_sender, expand, route};
use lib_smtp::server::Mail;
use lib_spool::{Error, Space};

/// Members that a reply lists, one a line; a longer list is not shown.
const MAX_LISTED: usize = 30;

/// The answer to MAIL.
pub(crate) fn mail(client: &Client<'_>, mail: &Mail, maps: &Maps, default_domain: &Domain, now: Timestamp) -> Status {
    if client.account.is_some() && maps.accounts.is_none() {
        return cannot_tell(now);
    }
    admit_sender(client, &mail.sender, &maps.facts(default_domain), now, Trail::off()).status
}

/// The answer to MAIL where there is no room for it; `None` where there is (R1.5). `space` is an error where nobody can tell: then the
/// message may come, and the commit decides.
pub(crate) fn room(space: &Result<Space, Error>, declared: Option<u64>, now: Timestamp) -> Option<Status> {
    let full = space.as_ref().is_ok_and(|space| !space.admits(declared.unwrap_or(0)));
    full.then(|| no_room(now))
}

/// 452 4.3.1.
pub(crate) fn no_room(now: Timestamp) -> Status {
    Status::local(452, Enhanced::new(4, 3, 1), "Insufficient disk space; try again later", now)
}

/// The answer to RCPT.
pub(crate) fn rcpt(client: &Client<'_>, to: &Recipient, maps: &Maps, default_domain: &Domain, now: Timestamp) -> Status {
    let admission = admit_recipient(client, &to.address, &maps.facts(default_domain), now, Trail::off());
    // Without accounts a local name is unknown to us, but that is our trouble and not the sender's mistake.
    if admission.route == Route::Unknown && maps.accounts.is_none() {
        return cannot_tell(now);
    }
    admission.verdict.status
}

/// The refusal of a message of `size` octets for a recipient whose mailbox takes none larger than `limit` (R1.2), or whose primary takes none so
/// large (R3.3); `None` where it may come. An alias may lead elsewhere too, so it is left to the delivery, as is a message that is too large for some recipients only.
pub(crate) fn too_large_for_mailbox(
    to: &Address,
    size: u64,
    limit: u64,
    maps: &Maps,
    default_domain: &Domain,
    now: Timestamp,
) -> Option<Status> {
    match route(to, &maps.facts(default_domain)) {
        Route::Mailbox(_) if size > limit => Some(lib_policy::too_large_for_mailbox(limit, now)),
        Route::Unsure => match maps.primaries.standing(to, now) {
            Standing::Known(limit) if size > limit => {
                let text = format!("Message is too large for the server that has this mailbox; {limit} bytes max");
                Some(Status::local(552, Enhanced::new(5, 3, 4), text, now))
            }
            _ => None,
        },
        _ => None,
    }
}

pub(crate) fn cannot_tell(now: Timestamp) -> Status {
    Status::local(451, Enhanced::new(4, 3, 0), "The accounts cannot be read; try again later", now)
}

/// Whether the recipient's mail goes to `deliver`; else to `relay-out`. A name that has become unknown since its RCPT is local: there
/// it fails, and the sender is told.
pub(crate) fn is_for_deliver(to: &Address, maps: &Maps, default_domain: &Domain) -> bool {
    !matches!(route(to, &maps.facts(default_domain)), Route::Relay | Route::Unsure)
}

/// The answer to VRFY, which the session asks only where it may be answered.
pub(crate) fn vrfy(user: &str, maps: &Maps, default_domain: &Domain, now: Timestamp) -> Status {
    let Some(address) = named(user, default_domain) else { return cannot_verify(now) };
    match route(&address, &maps.facts(default_domain)) {
        Route::Mailbox(_) | Route::Forward(_) if !address.is_ascii() => cannot_show(now),
        Route::Mailbox(_) | Route::Forward(_) => Status::local(250, Enhanced::new(2, 1, 5), format!("<{address}>"), now),
        Route::Unknown if maps.accounts.is_some() => Status::local(550, Enhanced::new(5, 1, 1), "No such user here", now),
        _ => cannot_verify(now),
    }
}

fn cannot_verify(now: Timestamp) -> Status {
    Status::local(252, Enhanced::new(2, 5, 2), "Cannot verify the user, but will take mail and try", now)
}

/// RFC 6531 §3.7.4.2: a reply of ours is ASCII.
fn cannot_show(now: Timestamp) -> Status {
    Status::local(252, Enhanced::new(2, 6, 8), "The answer holds addresses beyond ASCII and cannot be shown", now)
}

/// The answer to EXPN, which the session asks only where it may be answered: the members, or why they are not told.
pub(crate) fn expn(list: &str, maps: &Maps, default_domain: &Domain, now: Timestamp) -> Result<Vec<String>, Status> {
    let none = || Status::local(550, Enhanced::new(5, 1, 1), "No such list here", now);
    let Some(address) = named(list, default_domain).filter(|address| maps.is_local(&address.domain(), default_domain)) else {
        return Err(none());
    };
    let facts = maps.facts(default_domain);
    let members = match expand(&address, &facts) {
        Expansion::Members(members) => members,
        Expansion::Loop(_) | Expansion::TooMany => Vec::new(),
    };
    if members.is_empty() || members.iter().all(|member| member.route == Route::Unknown) {
        return Err(none());
    }
    if members.len() > MAX_LISTED {
        let text = format!("{} members, too many to show", members.len());
        return Err(Status::local(252, Enhanced::new(2, 5, 2), text, now));
    }
    if members.iter().any(|member| !member.address.is_ascii()) {
        return Err(cannot_show(now));
    }
    Ok(members.iter().map(|member| format!("<{}>", member.address)).collect())
}

/// `minji`, `minji@example.net`, `<minji@example.net>`.
fn named(text: &str, default_domain: &Domain) -> Option<Address> {
    let text = text.trim();
    let text = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(text);
    text.parse().ok().or_else(|| Address::new(text, default_domain).ok())
}

/// The refusal of a login; `None` where it stands. The account's right to send is asked at MAIL.
pub(crate) fn login(verdict: &Verdict, now: Timestamp) -> Option<Status> {
    match verdict {
        Verdict::Verified { .. } => None,
        Verdict::Refused => Some(Status::local(535, Enhanced::new(5, 7, 8), "Authentication failed", now)),
        Verdict::Forbidden => Some(Status::local(535, Enhanced::new(5, 7, 1), "This account may not send mail", now)),
        Verdict::Unavailable => {
            Some(Status::local(454, Enhanced::new(4, 7, 0), "Passwords cannot be checked now; try again later", now))
        }
    }
}

/// The verdict on a whole message.
pub(crate) fn content(scan: &HeaderScan, hop_limit: u32, now: Timestamp) -> Status {
    if scan.hops() > hop_limit {
        return Status::local(554, Enhanced::new(5, 4, 6), "Too many hops: the message is in a loop", now);
    }
    Status::local(250, Enhanced::new(2, 0, 0), "Message ok", now)
}

/// What the client is told where the spool failed.
pub(crate) fn spool_error(error: &Error, now: Timestamp) -> Status {
    if error.is_full() {
        return no_room(now);
    }
    Status::local(451, Enhanced::new(4, 3, 0), "The message cannot be stored now; try again later", now)
}

#[cfg(test)]
mod tests;
