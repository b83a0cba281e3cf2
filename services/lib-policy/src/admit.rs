//! May this client send as this sender, and to this recipient?
//!
//! Rights come from three things: the listener's role, the client's address, and AUTH (R1.11). Where the address is a gateway's that
//! hides its clients, it gives no right. Nothing that stands in the message or in HELO gives one.

use ipnet::IpNet;
use lib_mail::{Address, Domain, Enhanced, Peer, ReversePath, Status, Timestamp, Trust};

use crate::route::{Expansion, Facts, Route, expand, route_with_trail};
use crate::{Standing, Trail, Verdict};

/// What the listener is for, as far as rights go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Strangers bring mail for our domains.
    Mx,
    /// Our users send, after AUTH.
    Submission,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// Which listener it came to.
    pub door: Door,
    /// Its address and how far it is to be believed.
    pub peer: Peer,
    /// The account it authenticated as, as its key.
    pub account: Option<&'a str>,
    /// `smtp.relay_networks`.
    pub relay_networks: &'a [IpNet],
}

impl Client<'_> {
    /// The network in `smtp.relay_networks` that lets this client send to everywhere.
    fn relay_network(&self) -> Option<&IpNet> {
        let address = self.peer.address().ip().to_canonical();
        let believed = self.peer.trust != Trust::Hidden;
        self.relay_networks.iter().filter(|_| believed).find(|network| network.contains(&address))
    }
}

/// The answer to RCPT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// What the client is told.
    pub verdict: Verdict,
    /// Where the mail would go; also known where the client is refused.
    pub route: Route,
}

/// The answer to MAIL: may this client send as `sender`? With a kept trail, the verdict has one.
pub fn admit_sender(client: &Client<'_>, sender: &ReversePath, facts: &Facts<'_>, now: Timestamp, trail: Trail) -> Verdict {
    let mut trail = trail;
    let status = sender_status(client, sender, facts, now, &mut trail);
    Verdict { status, trail: trail.into_steps() }
}

fn sender_status(client: &Client<'_>, sender: &ReversePath, facts: &Facts<'_>, now: Timestamp, trail: &mut Trail) -> Status {
    let say = |code, enhanced: (u8, u16, u16), text: &str| {
        Status::local(code, Enhanced::new(enhanced.0, enhanced.1, enhanced.2), text, now)
    };
    let ok = || say(250, (2, 1, 0), "Sender ok");
    let Some(account) = client.account else {
        trail.note("AUTH", || format!("none, at a listener for {:?}", client.door));
        return match client.door {
            Door::Mx => ok(),
            Door::Submission => say(530, (5, 7, 0), "Authentication required"),
        };
    };
    trail.note("AUTH", || account.to_owned());
    if !facts.accounts.may_send(account) {
        trail.note("account's right to send", || "no".into());
        return say(550, (5, 7, 1), "This account may not send mail");
    }
    // The null sender is for notifications, which a mail program sends as read receipts.
    let Some(sender) = sender else { return ok() };
    let owned = owns(account, sender, facts);
    trail.note("sender's owner", || owned.map_or_else(|| format!("{account} does not own {sender}"), str::to_owned));
    if owned.is_some() { ok() } else { say(553, (5, 7, 1), "This account does not own the sender address") }
}

/// Why `account` may send as `sender`; `None` where it may not.
fn owns(account: &str, sender: &Address, facts: &Facts<'_>) -> Option<&'static str> {
    let key = sender.key();
    if key == account {
        return Some("the account's own address");
    }
    if facts.accounts.owns(account, &key) {
        return Some("listed with the account");
    }
    let local = facts.local_domains.has(&sender.domain()) || sender.domain() == *facts.default_domain;
    let leads_here = |expansion| match expansion {
        Expansion::Members(members) => members.iter().any(|member| member.route == Route::Mailbox(account.to_owned())),
        Expansion::Loop(_) | Expansion::TooMany => false,
    };
    (local && leads_here(expand(sender, facts))).then_some("an alias of the account")
}

/// The answer to RCPT: may this client send to `recipient`? Whether it may send at all, `admit_sender` has said.
pub fn admit_recipient(
    client: &Client<'_>,
    recipient: &Address,
    facts: &Facts<'_>,
    now: Timestamp,
    mut trail: Trail,
) -> Admission {
    let route = route_with_trail(recipient, facts, &mut trail);
    let (code, enhanced, text) = match recipient_answer(client, recipient, &route, &mut trail) {
        OK if route == Route::Unsure => backup_answer(client, recipient, facts, now, &mut trail),
        answer => answer,
    };
    let status = Status::local(code, enhanced, text, now);
    Admission { verdict: Verdict { status, trail: trail.into_steps() }, route }
}

/// What the sender of a message is told that a mailbox does not take, since it has more than `limit` octets (R1.2).
pub fn too_large_for_mailbox(limit: u64, now: Timestamp) -> Status {
    let text = format!("Message is too large for this mailbox; {limit} bytes max");
    Status::local(552, Enhanced::new(5, 2, 3), text, now)
}

type Answer = (u16, Enhanced, &'static str);
const OK: Answer = (250, Enhanced::new(2, 1, 5), "Recipient ok");
const UNKNOWN: Answer = (550, Enhanced::new(5, 1, 1), "No such user here");

fn recipient_answer(client: &Client<'_>, recipient: &Address, route: &Route, trail: &mut Trail) -> Answer {
    const DENIED: Answer = (550, Enhanced::new(5, 7, 1), "Relaying denied");
    if client.door == Door::Submission && client.account.is_none() {
        return (530, Enhanced::new(5, 7, 0), "Authentication required");
    }
    match route {
        // RFC 6409 §4.2. A name without a dot is of no use beyond this host, and mostly half of what was meant.
        Route::Relay if client.door == Door::Submission && is_incomplete(&recipient.domain()) => {
            trail.note("recipient", || "the domain has no dot".into());
            (554, Enhanced::new(5, 1, 2), "The domain must be complete, such as example.net")
        }
        Route::Mailbox(_) | Route::Forward(_) => OK,
        Route::List(_) | Route::File(_) | Route::Pipe(_) => {
            (550, Enhanced::new(5, 3, 3), "Lists, files and programs are not supported as recipients")
        }
        Route::Unknown => UNKNOWN,
        Route::Relay | Route::Unsure if may_relay(client, trail) => OK,
        // The server behind us may read another host out of such a name, and it trusts us.
        Route::Unsure if names_another_host(recipient) => {
            trail.note("recipient", || "names another host by %, ! or @".into());
            DENIED
        }
        Route::Unsure => OK,
        Route::Relay => DENIED,
    }
}

/// The answer for a recipient that we are backup for. Who may relay anyway hears of the primary's doubts from the primary; the bounce is
/// then for one of ours.
fn backup_answer(client: &Client<'_>, recipient: &Address, facts: &Facts<'_>, now: Timestamp, trail: &mut Trail) -> Answer {
    let standing = facts.primaries.standing(recipient, now);
    trail.note("pair", || match standing {
        Standing::NoPrimary => "no peer is primary for the domain".into(),
        Standing::Known(_) => format!("the primary knows {recipient}"),
        Standing::Unknown => format!("the primary does not know {recipient}"),
        Standing::Unsure => format!("the list of recipients is too old to say whether {recipient} exists"),
    });
    match standing {
        Standing::NoPrimary | Standing::Known(_) => OK,
        Standing::Unknown => UNKNOWN,
        Standing::Unsure if may_relay(client, &mut Trail::off()) => OK,
        Standing::Unsure => (451, Enhanced::new(4, 3, 0), "Whether this user exists cannot be told now; try again later"),
    }
}

/// Whether the client may send to other servers through us.
fn may_relay(client: &Client<'_>, trail: &mut Trail) -> bool {
    if let Some(account) = client.account {
        trail.note("relay", || format!("allowed: authenticated as {account}"));
        return true;
    }
    let network = client.relay_network();
    trail.note("smtp.relay_networks", || match network {
        Some(network) => format!("{network} has {}", client.peer.address().ip()),
        None if client.peer.trust == Trust::Hidden => "the client's address is hidden by a gateway".into(),
        None => format!("none has {}", client.peer.address().ip()),
    });
    network.is_some()
}

fn is_incomplete(domain: &Domain) -> bool {
    domain.literal().is_none() && !domain.key().contains('.')
}

fn names_another_host(recipient: &Address) -> bool {
    recipient.mailbox().contains(['%', '!', '@'])
}

#[cfg(test)]
mod tests;
