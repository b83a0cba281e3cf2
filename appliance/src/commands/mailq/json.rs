//! One JSON object a message: its files in both queues together.

use std::io::{self, Write};

use lib_mail::QueueId;
use lib_spool::{Listing, Place};
use serde_json::{Value, json};

use super::Look;
use crate::commands::abreast::abreast;
use crate::commands::select::{Group, waiting};

/// Prints message by message, in the order of arrival; only ids are kept.
pub(super) fn write(out: &mut dyn Write, look: &Look<'_>, groups: Vec<Group>) -> io::Result<()> {
    let ids = groups.iter().enumerate().flat_map(|(at, group)| group.ids.iter().map(move |id| (*id, at)));
    let mut ids: Vec<(QueueId, usize)> = ids.collect();
    ids.sort_unstable();
    let files: Vec<&[(QueueId, usize)]> = ids.chunk_by(|(one, _), (other, _)| one == other).collect();
    let written = |files: &&[(QueueId, usize)]| {
        let listings: Vec<Listing> = files.iter().filter_map(|(id, at)| look.at(groups.get(*at)?, id)).collect();
        listings.first().map(|first| message(look, first, &listings).to_string())
    };
    abreast(&files, written, |text| text.map_or(Ok(()), |text| writeln!(out, "{text}")))
}

fn message(look: &Look<'_>, first: &Listing, listings: &[Listing]) -> Value {
    let recipients = listings.iter().flat_map(|listing| {
        let (queue, held, due) = (listing.queue.to_string(), listing.place == Place::Held, listing.due.0);
        let in_work = look.in_work.has(listing);
        waiting(listing).map(move |waiting| {
            let mut recipient = json!({
                "address": waiting.name(), "why": waiting.why(), "attempts": waiting.attempts(), "queue": queue, "held": held,
                "in_work": in_work, "next_attempt_ms": due,
            });
            look.meant.tell(&waiting, &mut recipient);
            recipient
        })
    });
    json!({
        "id": first.id.to_string(),
        "size": first.message_len,
        "arrived_ms": first.envelope.arrived.0,
        "deadline_ms": first.envelope.deadline.0,
        "sender": first.envelope.sender.as_ref().map(ToString::to_string).unwrap_or_default(),
        "recipients": recipients.collect::<Vec<_>>(),
    })
}
