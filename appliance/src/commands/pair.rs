//! `bongsu pair …`: the peers of a backup-MX pair, and what is known of their recipients (docs/pair.md).

mod new;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lib_account::{Contact, Kept, Lists};
use lib_host::Clock;
use lib_mail::Timestamp;
use lib_net::wake::{Consumer, Wake, send_now};
use lib_settings::{PairPeer, Settings};
use lib_spool::{Queue, Spool};

use super::{mailq, settings};
use crate::cli;
use crate::layout::Layout;
use crate::owner::act_as_owner;
use crate::tree;

/// Runs one of the pair commands.
pub(crate) fn run(layout: &Layout, command: cli::Pair) -> Result<ExitCode> {
    if let Some(code) = act_as_owner(&layout.pairs())? {
        return Ok(code);
    }
    match command {
        cli::Pair::New(wanted) => new::run(&wanted),
        cli::Pair::Status { json } => status(layout, json),
        cli::Pair::Fetch => fetch(layout),
        cli::Pair::Confirm { name } => confirm(layout, &name),
    }
}

/// Makes the configurations of all nodes; needs no node.
pub(crate) fn new(wanted: &cli::PairNew) -> Result<ExitCode> {
    new::run(wanted)
}

fn lists(layout: &Layout) -> Lists {
    Lists::open(&layout.data().join("state"))
}

fn peers(settings: &Settings) -> Result<&[PairPeer]> {
    match settings.pair.peers.as_slice() {
        [] => bail!("this node has no peers; `bongsu pair new` writes the configurations of a pair"),
        peers => Ok(peers),
    }
}

/// How a peer fares.
struct Standing {
    kept: Kept,
    contact: Option<Contact>,
    /// Messages that wait for it.
    queued: usize,
}

fn status(layout: &Layout, json: bool) -> Result<ExitCode> {
    let settings = settings(layout)?;
    let clock = Clock::open(settings.testing.clock_file(layout.existing_config().as_deref(), layout.data()).as_deref())?;
    let spool = mailq::open(layout, &settings)?;
    for peer in peers(&settings)? {
        let standing = Standing {
            kept: lists(layout).read(&peer.name)?,
            contact: lists(layout).contact(&peer.name),
            queued: queued(&spool, peer),
        };
        if json {
            println!("{}", as_json(peer, &standing, clock.now()));
        } else {
            print!("{}", as_text(peer, &standing, clock.now()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn queued(spool: &Spool, peer: &PairPeer) -> usize {
    let listings = spool.list(Queue::Relay).filter_map(Result::ok);
    let waits = |listing: &lib_spool::Listing| {
        let pending = listing.recipients.pending();
        let recipients = pending.iter().filter_map(|index| listing.envelope.recipients.get(*index));
        recipients
            .map(|recipient| recipient.address.domain())
            .any(|domain| peer.domains.iter().any(|own| domain.is_within(own)))
    };
    listings.filter(waits).count()
}

fn as_json(peer: &PairPeer, standing: &Standing, now: Timestamp) -> serde_json::Value {
    let in_force = standing.kept.in_force.as_ref();
    let age = in_force.map(|(_, confirmed)| now.since(*confirmed));
    serde_json::json!({
        "name": peer.name,
        "primary_of": peer.domains.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "reached": standing.contact.as_ref().map(|contact| contact.trouble.is_none()),
        "tried_ms": standing.contact.as_ref().map(|contact| contact.at.0),
        "why": standing.contact.as_ref().and_then(|contact| contact.trouble.clone()),
        "recipients": in_force.map(|(listed, _)| listed.list.len()),
        "list_age_s": age.map(|age| age.as_secs()),
        "fresh": age.is_some_and(|age| age <= peer.max_age),
        "to_confirm": standing.kept.proposed.as_ref().map(|proposed| proposed.list.len()),
        "queued": standing.queued,
    })
}

fn as_text(peer: &PairPeer, standing: &Standing, now: Timestamp) -> String {
    let domains: Vec<String> = peer.domains.iter().map(ToString::to_string).collect();
    let part = if domains.is_empty() { "our backup".into() } else { format!("primary of {}", domains.join(", ")) };
    let mut text = format!("{}: {part}\n", peer.name);
    let ago = |at: Timestamp| duration(now.since(at).as_secs());
    text += &match &standing.contact {
        None => "  not tried yet; does the server run?\n".into(),
        Some(Contact { at, trouble: None }) => format!("  reached {} ago\n", ago(*at)),
        Some(Contact { at, trouble: Some(why) }) => format!("  not reached {} ago: {why}\n", ago(*at)),
    };
    if domains.is_empty() {
        return text;
    }
    text += &match &standing.kept.in_force {
        None => "  recipients: no list yet; all are answered 451\n".into(),
        Some((listed, confirmed)) => {
            let fresh = now.since(*confirmed) <= peer.max_age;
            let others = if fresh { "refused (550)" } else { "put off (451), for the list is too old" };
            format!("  recipients: {}, confirmed {} ago; others are {others}\n", listed.list.len(), ago(*confirmed))
        }
    };
    if let Some(proposed) = &standing.kept.proposed {
        let count = proposed.list.len();
        text += &format!("  a list of {count} recipients waits; if that is right, say: bongsu pair confirm {}\n", peer.name);
    }
    text + &format!("  queued for it: {}\n", standing.queued)
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn fetch(layout: &Layout) -> Result<ExitCode> {
    peers(&settings(layout)?)?;
    if !tree::is_held(layout) {
        bail!("no bongsu runs on {0}; start it with: bongsu up --data {0}", layout.data().display());
    }
    send_now(&layout.run(), Consumer::Relay, &Wake::Fetch);
    println!("asked; see what comes of it with: bongsu pair status");
    Ok(ExitCode::SUCCESS)
}

fn confirm(layout: &Layout, name: &str) -> Result<ExitCode> {
    let settings = settings(layout)?;
    let names: Vec<&str> = peers(&settings)?.iter().map(|peer| peer.name.as_str()).collect();
    if !names.contains(&name) {
        bail!("no peer is called {name:?}; the peers are {}", names.join(", "));
    }
    let clock = Clock::open(settings.testing.clock_file(layout.existing_config().as_deref(), layout.data()).as_deref())?;
    match lists(layout).confirm(name, clock.now()).context("the list stays as it was")? {
        Some(list) => println!("the list of {} recipients of {name} is in force", list.len()),
        None => bail!("no list of {name} waits to be confirmed; see: bongsu pair status"),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lib_account::Listed;
    use lib_policy::RecipientList;

    use super::*;

    fn peer(domains: &[&str]) -> PairPeer {
        PairPeer {
            name: "mx1".into(),
            host: None,
            port: 25,
            fingerprint: String::new(),
            domains: domains.iter().map(|domain| domain.parse().unwrap()).collect(),
            max_age: Duration::from_secs(3600),
        }
    }

    #[test]
    fn what_is_said_of_a_peer() {
        let list = |text: &str| Listed { digest: "d".into(), list: RecipientList::parse(text.split(',')).unwrap() };
        let kept = |at| Kept { in_force: Some((list("mailbox a@b.example"), Timestamp(at))), proposed: None };
        let reached = Contact { at: Timestamp(9_995_000), trouble: None };
        let lost = Contact { at: Timestamp(9_880_000), trouble: Some("Connection refused".into()) };
        for (domains, kept, contact, wanted, fresh) in [
            (&["b.example"][..], Kept::default(), None, "no list yet; all are answered 451", false),
            (
                &["b.example"],
                kept(9_990_000),
                Some(reached.clone()),
                "recipients: 1, confirmed 10 s ago; others are refused",
                true,
            ),
            (&["b.example"], kept(1_000), Some(lost), "not reached 2 min ago: Connection refused", false),
            (&["b.example"], kept(1_000), None, "put off (451)", false),
            (&[], Kept::default(), Some(reached), "our backup\n  reached 5 s ago\n", false),
            (
                &["b.example"],
                Kept { proposed: Some(list("size 1")), ..kept(9_990_000) },
                None,
                "a list of 0 recipients waits; if that is right, say: bongsu pair confirm mx1",
                true,
            ),
        ] {
            let standing = Standing { kept, contact, queued: 3 };
            let text = as_text(&peer(domains), &standing, Timestamp(10_000_000));
            assert!(text.contains(wanted), "{wanted}: {text}");
            assert_eq!(text.contains("queued for it: 3"), !domains.is_empty());
            let json = as_json(&peer(domains), &standing, Timestamp(10_000_000));
            assert_eq!((json["queued"].as_u64(), json["fresh"].as_bool()), (Some(3), Some(fresh)), "{json}");
        }
    }
}
