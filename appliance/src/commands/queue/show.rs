//! `queue show`: all that is known of one message.

use std::io::{self, BufRead, BufReader, Write};
use std::process::ExitCode;

use anyhow::{Result, bail};
use jiff::tz::TimeZone;
use lib_mail::{By, Status, Timestamp};
use lib_spool::{Command, Contents, Examined, Fate, Listing, Outcome, Place, What};
use serde_json::{Value, json};

use super::{id, mailq};
use crate::cli::Show;
use crate::commands::mailq::Meant;
use crate::commands::select::{Waiting, name, waiting};
use crate::commands::settings;
use crate::commands::text::{self, plain, shortened, span, times};
use crate::layout::Layout;

/// Octets of a header block that are shown, and of one line of it.
const HEADER_MAX: u64 = 64 * 1024;

struct Page<'a> {
    now: Timestamp,
    zone: TimeZone,
    meant: &'a Meant,
}

pub(super) fn run(layout: &Layout, show: &Show) -> Result<ExitCode> {
    let settings = settings(layout)?;
    let spool = mailq::open(layout, &settings)?;
    let id = id(&show.id)?;
    let found = spool.examine(&id)?;
    let Some(first) = found.first() else {
        bail!("there is no message {id} in the queue; what became of it: bongsu trace {id}");
    };
    let meant = Meant::of(layout, &settings);
    let page = Page { now: mailq::clock(layout, &settings)?.now(), zone: settings.time_zone.rules(), meant: &meant };
    text::print(|out| {
        if show.message {
            io::copy(&mut first.body(), out)?;
            return Ok(ExitCode::SUCCESS);
        }
        for (at, file) in found.iter().enumerate() {
            if show.json {
                writeln!(out, "{}", page.json(&show.id, file))?;
                continue;
            }
            writeln!(out, "{}{id} {}", if at > 0 { "\n" } else { "" }, state(file))?;
            if let Some(listing) = file.listing() {
                page.envelope(out, listing)?;
                page.recipients(out, listing)?;
                page.orders(out, file)?;
            }
            // Both files of an id hold the same message.
            if at + 1 == found.len() {
                header(out, file)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn state(file: &Examined) -> String {
    let work = if file.in_work { ", in work now" } else { "" };
    let what = match &file.contents {
        Contents::Good(_) => String::new(),
        Contents::Damaged(fault, _) => format!(", damaged: {fault}"),
        Contents::Newer => ", of a newer format than this version knows".into(),
        Contents::Unfinished => ", being received, or left by a crash before it was accepted".into(),
    };
    format!("({} queue, {}{work}{what})", file.queue, file.place)
}

impl Page<'_> {
    fn moment(&self, at: Timestamp) -> String {
        let distance = if at > self.now {
            format!("in {}", span(at.since(self.now)))
        } else {
            format!("{} ago", span(self.now.since(at)))
        };
        format!("{} ({distance})", at.rfc5322(&self.zone))
    }

    fn envelope(&self, out: &mut dyn Write, listing: &Listing) -> io::Result<()> {
        let envelope = &listing.envelope;
        let sender = envelope.sender.as_ref().map_or("", |sender| sender.as_str());
        writeln!(out, "  sender    <{}>", plain(sender))?;
        writeln!(out, "  size      {} octets", listing.message_len)?;
        write!(out, "  arrived   {}", self.moment(envelope.arrived))?;
        if let Some(peer) = &envelope.peer {
            write!(out, ", from {} [{}] by {}", plain(&envelope.helo), peer.address().ip(), envelope.protocol.name())?;
        }
        if let Some(account) = &envelope.account {
            write!(out, ", account {}", plain(account))?;
        }
        writeln!(out)?;
        if let Some(parent) = &envelope.parent {
            writeln!(out, "  parent    {parent}, which caused it")?;
        }
        let attempts = waiting(listing).map(|waiting| waiting.attempts()).max().unwrap_or(0);
        match listing.place {
            Place::Held => {
                writeln!(out, "  next try  none while it is held; let it go with: bongsu queue release {}", listing.id)?
            }
            Place::Corrupt => {
                writeln!(out, "  next try  none; it is kept for you to look at: bongsu queue delete {} ends that", listing.id)?
            }
            Place::Queued if listing.due <= self.now => writeln!(out, "  next try  now; failed attempts so far: {attempts}")?,
            Place::Queued => writeln!(out, "  next try  {}; failed attempts so far: {attempts}", self.moment(listing.due))?,
        }
        writeln!(out, "  returned  after the first failed attempt past {}", self.moment(envelope.deadline))
    }

    fn recipients(&self, out: &mut dyn Write, listing: &Listing) -> io::Result<()> {
        let recipients = &listing.recipients;
        let waiting: Vec<Waiting<'_>> = waiting(listing).collect();
        for index in 0..recipients.len() {
            let hint = waiting.iter().find(|one| one.index == index && !one.why().is_empty());
            let hint = hint.map(|one| self.meant.hint(one.address().as_ref()) + &one.block_list_hint()).unwrap_or_default();
            let member = recipients
                .member(index)
                .map(|member| format!(", for <{}>", plain(&name(listing, member.of))))
                .unwrap_or_default();
            let fate = fate(recipients.fate(index), recipients.last(index));
            writeln!(out, "\n  <{}>{member}: {fate}{hint}", plain(&name(listing, index)))?;
            let lines = recipients.lines().iter().filter(|line| line.recipients.binary_search(&index).is_ok());
            let outcomes: Vec<&Outcome> = lines.map(|line| &line.outcome).collect();
            let keys: Vec<_> = outcomes.iter().map(|of| (of.what == What::Deferred).then_some(&of.status.text)).collect();
            for (Outcome { what, status }, shown) in outcomes.iter().zip(shortened(&keys)) {
                let Some(count) = shown else { continue };
                let at = status.at.maillog(&self.zone);
                writeln!(out, "    {at}  {}{}{}", word(what), said(what, status), times(count))?;
            }
        }
        Ok(())
    }

    fn orders(&self, out: &mut dyn Write, file: &Examined) -> io::Result<()> {
        if !file.orders.is_empty() {
            writeln!(out, "\n  orders of an administrator")?;
        }
        file.orders.iter().try_for_each(|(at, command)| writeln!(out, "    {}  {}", at.maillog(&self.zone), order(*command)))
    }

    fn json(&self, id: &str, file: &Examined) -> Value {
        let mut value = json!({
            "id": id.trim_end_matches('*'), "queue": file.queue.name(), "place": file.place.name(), "in_work": file.in_work,
        });
        match &file.contents {
            Contents::Good(_) => {}
            Contents::Damaged(fault, _) => value["damaged"] = json!(fault.to_string()),
            Contents::Newer => value["damaged"] = json!("of a newer format than this version knows"),
            Contents::Unfinished => value["unfinished"] = json!(true),
        }
        let Some(listing) = file.listing() else { return value };
        let recipients = &listing.recipients;
        let left: Vec<Waiting<'_>> = waiting(listing).collect();
        let of = |index: usize| {
            let lines = recipients.lines().iter().filter(|line| line.recipients.binary_search(&index).is_ok());
            let history = lines.map(|line| json!({ "what": word(&line.outcome.what), "status": line.outcome.status }));
            let mut recipient = json!({
                "address": name(listing, index),
                "of": recipients.member(index).map(|member| name(listing, member.of)),
                "fate": fate(recipients.fate(index), recipients.last(index)),
                "attempts": recipients.deferrals(index),
                "history": history.collect::<Vec<_>>(),
            });
            if let Some(waiting) = left.iter().find(|one| one.index == index) {
                self.meant.tell(waiting, &mut recipient);
            }
            recipient
        };
        value["size"] = json!(listing.message_len);
        value["next_attempt_ms"] = json!(listing.due.0);
        value["envelope"] = json!(listing.envelope);
        value["recipients"] = (0..recipients.len()).map(of).collect();
        value["orders"] = file.orders.iter().map(|(at, command)| json!({ "at": at.0, "order": order(*command) })).collect();
        value
    }
}

fn fate(fate: Option<Fate>, last: Option<&Outcome>) -> &'static str {
    match (fate, last) {
        (Some(Fate::Pending), None) => "waits; not attempted yet",
        (Some(Fate::Pending), _) => "waits",
        (Some(Fate::Failed), _) => "failed; the sender is still to be told",
        (_, Some(last)) => word(&last.what),
        (_, None) => "done",
    }
}

fn word(what: &What) -> &'static str {
    match what {
        What::Delivered => "delivered",
        What::Relayed => "relayed",
        What::Forwarded(_) => "passed on",
        What::Expanded(_) => "expanded",
        What::Discarded => "discarded",
        What::Deferred => "deferred",
        What::Failed => "failed",
        What::Notified(Some(_)) => "sender told",
        What::Notified(None) => "sender need not be told",
    }
}

fn said(what: &What, status: &Status) -> String {
    match what {
        What::Forwarded(child) => format!(" as {child}"),
        What::Notified(Some(child)) => format!(" by {child}"),
        What::Notified(None) => String::new(),
        What::Expanded(members) => format!(" to {}", plain(&members.join(", "))),
        _ => match &status.by {
            By::Remote(host) => format!(": {} (said by {})", plain(&status.to_string()), plain(host)),
            By::Local => format!(": {}", plain(&status.to_string())),
        },
    }
}

fn order(command: Command) -> &'static str {
    match command {
        Command::Delete => "delete",
        Command::Bounce => "return to the sender",
        Command::Hold => "hold",
        Command::Release => "release",
        Command::Retry => "try now",
        Command::Requeue(_) => "fresh start",
    }
}

/// The lines that were added here, and the header as it was received.
fn header(out: &mut dyn Write, file: &Examined) -> Result<()> {
    let added = file.listing().map(|listing| listing.envelope.added.clone()).unwrap_or_default();
    writeln!(out, "\n  header")?;
    for line in added.lines() {
        writeln!(out, "    {} (added here)", plain(line.trim_end()))?;
    }
    let mut body = BufReader::new(io::Read::take(file.body(), HEADER_MAX));
    let mut line = Vec::new();
    while body.read_until(b'\n', &mut line).unwrap_or(0) > 0 {
        let shown = String::from_utf8_lossy(&line);
        let shown = shown.trim_end();
        if shown.is_empty() {
            break;
        }
        writeln!(out, "    {}", plain(shown))?;
        line.clear();
    }
    Ok(())
}
