//! The shape of sendmail's mailq: a head for each queue group, a request in two or more lines, the total.

use std::io::{self, Write};

use lib_mail::QueueId;
use lib_spool::{Listing, Place, Queue};

use super::Look;
use crate::commands::abreast::abreast;
use crate::commands::select::{Group, Waiting, waiting};
use crate::commands::text::plain;

/// Octets that most requests need.
const REQUEST: usize = 512;
/// What stands before a reason, and before a recipient.
const REASON: &str = "                 ";
const RECIPIENT: &str = "                                               ";

/// Prints request by request; only ids are kept.
pub(super) fn write(out: &mut dyn Write, look: &Look<'_>, groups: Vec<Group>) -> io::Result<()> {
    let all: usize = groups.iter().map(|group| group.ids.len()).sum();
    if all == 0 {
        writeln!(out, "{} is empty", look.dir)?;
        return writeln!(out, "\t\tTotal requests: 0");
    }
    let several = groups.iter().filter(|group| !group.ids.is_empty()).count() > 1;
    let mut shown = 0;
    for group in &groups {
        let mut headed = false;
        let written = |id: &QueueId| {
            let listing = look.at(group, id)?;
            let mut text = Vec::with_capacity(REQUEST);
            Some(request(&mut text, look, &listing).map(|()| text))
        };
        abreast(&group.ids, written, |text| {
            let Some(text) = text else { return Ok(()) };
            if !std::mem::replace(&mut headed, true) {
                head(out, look, group, several)?;
            }
            shown += 1;
            out.write_all(&text?)
        })?;
    }
    let of = if look.filter.picks() { format!(" of {all}") } else { String::new() };
    writeln!(out, "\t\tTotal requests: {shown}{of}")
}

/// The name of a queue group, below the spool's directory as it lies on disk.
fn place(group: &Group) -> &'static str {
    match (group.place, group.queue) {
        (Place::Held, Queue::Local) => "/hold/local",
        (Place::Held, Queue::Relay) => "/hold/relay",
        (_, Queue::Local) => "/local",
        (_, Queue::Relay) => "/relay",
    }
}

fn head(out: &mut dyn Write, look: &Look<'_>, group: &Group, several: bool) -> io::Result<()> {
    let place = if several { place(group) } else { "" };
    let (count, plural) = (group.ids.len(), if group.ids.len() == 1 { "" } else { "s" });
    let of = if look.filter.picks() { "of " } else { "" };
    writeln!(out, "\t\t{}{place} ({of}{count} request{plural})", look.dir)?;
    writeln!(out, "--------Q-ID-------- --Size-- -----Q-Time----- ------------Sender/Recipient-----------")
}

fn request(out: &mut dyn Write, look: &Look<'_>, listing: &Listing) -> io::Result<()> {
    let (id, envelope) = (listing.id, &listing.envelope);
    let mark = if look.in_work.has(listing) { '*' } else { ' ' };
    let sender = envelope.sender.as_ref().map_or("", |sender| sender.as_str());
    let time = look.times.of(envelope.arrived);
    writeln!(out, "{id}{mark}{:>8} {time:<16} <{}>", listing.message_len, plain(sender))?;
    if listing.place == Place::Held {
        writeln!(out, "{REASON}(held; let it go with: bongsu queue release {id})")?;
    }
    let waiting: Vec<Waiting<'_>> = waiting(listing).collect();
    let attempts = waiting.iter().map(Waiting::attempts).max().unwrap_or(0);
    if listing.place == Place::Queued && (attempts > 0 || listing.due > look.now) {
        let tried = match attempts {
            0 => "not tried yet".to_owned(),
            1 => "tried once".to_owned(),
            2 => "tried twice".to_owned(),
            _ => format!("tried {attempts} times"),
        };
        let next = if listing.due <= look.now { "due now".to_owned() } else { format!("next {}", look.times.of(listing.due)) };
        writeln!(out, "{REASON}({tried}, {next})")?;
    }
    let mut said = String::new();
    for waiting in waiting {
        let why = waiting.why();
        if why != said && !why.is_empty() {
            writeln!(out, "{REASON}({}){}", plain(&why), waiting.block_list_hint())?;
        }
        let hint = if why.is_empty() { String::new() } else { look.meant.hint(waiting.address().as_ref()) };
        said = why;
        writeln!(out, "{RECIPIENT}<{}>{hint}", plain(&waiting.name()))?;
    }
    Ok(())
}
