//! `mailq`: the queue in the shape that sendmail's administrators know.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lib_host::Clock;
use lib_mail::QueueId;
use lib_settings::{Settings, Zone};
use lib_spool::{Fate, Listing, Options, Place, Queue, Spool, What};

use super::settings;
use crate::layout::Layout;
use crate::owner::act_as_owner;

/// Opens the spool for a command.
pub(crate) fn open(layout: &Layout, settings: &Settings) -> Result<Spool> {
    if !layout.spool().is_dir() {
        bail!("{} is no data directory of bongsu; name it with --data DIR", layout.data().display());
    }
    let clock = Clock::open(settings.testing.clock_file(layout.existing_config().as_deref(), layout.data()).as_deref())?;
    let open = Spool::open(&layout.spool(), Options::of(settings, clock));
    open.context("only the user that the server runs as, or root, may see the queue")
}

/// Shows the queue.
pub(crate) fn run(layout: &Layout, json: bool) -> Result<ExitCode> {
    if let Some(code) = act_as_owner(&layout.spool())? {
        return Ok(code);
    }
    let settings = settings(layout)?;
    let spool = open(layout, &settings)?;
    // Local and relay recipients of one message are two files of one id, and one request.
    let mut messages: BTreeMap<QueueId, Vec<Listing>> = BTreeMap::new();
    for queue in [Queue::Local, Queue::Relay] {
        for listing in spool.list(queue) {
            match listing {
                Ok(listing) => messages.entry(listing.id).or_default().push(listing),
                Err(error) => eprintln!("bongsu: {error}"),
            }
        }
    }
    let corrupt = spool.corrupt()?;
    let mut text = String::new();
    if json {
        messages.values().try_for_each(|listings| write_json(&mut text, listings))?;
    } else {
        // Writing into a String cannot fail.
        let _ = write_classic(&mut text, &layout.spool().display().to_string(), &messages, &settings.time_zone);
    }
    print!("{text}");
    for (queue, id) in corrupt {
        eprintln!("bongsu: {id} ({queue}) is damaged and kept in {}/corrupt", layout.spool().display());
    }
    Ok(ExitCode::SUCCESS)
}

/// A recipient for whom something is left to do, and why it waits.
struct Waiting {
    recipient: String,
    why: String,
}

fn waiting(listing: &Listing) -> Vec<Waiting> {
    let left =
        (0..listing.recipients.len()).filter(|index| listing.recipients.fate(*index).is_some_and(|fate| fate != Fate::Done));
    let waiting = left.map(|index| {
        let recipient = match listing.envelope.recipients.get(index) {
            Some(recipient) => recipient.address.to_string(),
            None => listing.recipients.member(index).map(|member| member.target.clone()).unwrap_or_default(),
        };
        let why = match listing.recipients.last(index) {
            Some(outcome) if outcome.what == What::Deferred => format!("Deferred: {}", outcome.status.text),
            Some(outcome) if outcome.what == What::Failed => format!("Failed: {}", outcome.status.text),
            _ => String::new(),
        };
        Waiting { recipient, why }
    });
    waiting.collect()
}

fn write_classic(text: &mut String, spool: &str, messages: &BTreeMap<QueueId, Vec<Listing>>, zone: &Zone) -> std::fmt::Result {
    if messages.is_empty() {
        writeln!(text, "{spool} is empty")?;
        return writeln!(text, "\t\tTotal requests: 0");
    }
    let (count, plural) = (messages.len(), if messages.len() == 1 { "" } else { "s" });
    writeln!(text, "\t\t{spool} ({count} request{plural})")?;
    writeln!(text, "--------Q-ID-------- --Size-- -----Q-Time----- ------------Sender/Recipient-----------")?;
    for (id, listings) in messages {
        let Some(first) = listings.first() else { continue };
        let time = first.envelope.arrived.mailq(&zone.rules());
        let sender = first.envelope.sender.as_ref().map(ToString::to_string).unwrap_or_default();
        writeln!(text, "{id:<20} {:>8} {time:<16} <{sender}>", first.message_len)?;
        let mut said = String::new();
        if listings.iter().any(|listing| listing.place == Place::Held) {
            writeln!(text, "{:17}(held; let it go with: bongsu queue release {id})", "")?;
        }
        for waiting in listings.iter().flat_map(waiting) {
            if waiting.why != said && !waiting.why.is_empty() {
                writeln!(text, "{:17}({})", "", waiting.why)?;
            }
            said = waiting.why;
            writeln!(text, "{:47}<{}>", "", waiting.recipient)?;
        }
    }
    writeln!(text, "\t\tTotal requests: {count}")
}

fn write_json(text: &mut String, listings: &[Listing]) -> Result<()> {
    let Some(first) = listings.first() else { return Ok(()) };
    let recipients = listings.iter().flat_map(|listing| {
        let (queue, held, due) = (listing.queue.to_string(), listing.place == Place::Held, listing.due.0);
        waiting(listing).into_iter().map(move |waiting| {
            serde_json::json!({
                "address": waiting.recipient, "why": waiting.why, "queue": queue, "held": held, "next_attempt_ms": due,
            })
        })
    });
    let message = serde_json::json!({
        "id": first.id.to_string(),
        "size": first.message_len,
        "arrived_ms": first.envelope.arrived.0,
        "sender": first.envelope.sender.as_ref().map(ToString::to_string).unwrap_or_default(),
        "recipients": recipients.collect::<Vec<_>>(),
    });
    writeln!(text, "{message}")?;
    Ok(())
}
