//! The queue summed up: how much waits for which domain, for which reason, from whom, and since when.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use lib_mail::Timestamp;
use lib_spool::Listing;
use serde_json::json;

use super::Look;
use crate::cli::By;
use crate::commands::abreast::abreast;
use crate::commands::select::{Group, waiting};
use crate::commands::text::{plain, span};

#[derive(Default)]
struct Sum {
    messages: usize,
    recipients: usize,
    /// The earliest arrival.
    oldest: Option<Timestamp>,
    meant: String,
}

impl Sum {
    fn add(&mut self, recipients: usize, arrived: Timestamp) {
        self.messages += 1;
        self.recipients += recipients;
        self.oldest = Some(self.oldest.map_or(arrived, |oldest| oldest.min(arrived)));
    }
}

/// Counts all that the filter leaves, and prints the largest groups first.
pub(super) fn write(out: &mut dyn Write, look: &Look<'_>, groups: Vec<Group>, by: By, as_json: bool) -> io::Result<()> {
    let mut sums: HashMap<String, Sum> = HashMap::new();
    let mut total = Sum::default();
    for group in &groups {
        abreast(
            &group.ids,
            |id| look.at(group, id),
            |listing| -> io::Result<()> {
                listing.iter().for_each(|listing| count(look, listing, by, &mut sums, &mut total));
                Ok(())
            },
        )?;
    }
    let mut sums: Vec<(String, Sum)> = sums.into_iter().collect();
    sums.sort_by(|(one, a), (other, b)| b.messages.cmp(&a.messages).then_with(|| one.cmp(other)));
    let name = match by {
        By::Domain => "domain",
        By::Reason => "reason",
        By::Sender => "sender",
    };
    if as_json {
        for (key, sum) in sums {
            let oldest = sum.oldest.map(|oldest| oldest.0);
            writeln!(
                out,
                "{}",
                json!({ name: key, "messages": sum.messages, "recipients": sum.recipients, "oldest_ms": oldest })
            )?;
        }
        return Ok(());
    }
    writeln!(out, "Requests  Recipients  Oldest  {}{}", name[..1].to_uppercase(), &name[1..])?;
    for (key, sum) in &sums {
        row(out, look, sum, &format!("{}{}", plain(key), sum.meant))?;
    }
    row(out, look, &total, "(all)")
}

fn row(out: &mut dyn Write, look: &Look<'_>, sum: &Sum, name: &str) -> io::Result<()> {
    let oldest = sum.oldest.map_or_else(|| "-".into(), |oldest| span(look.now.since(oldest)));
    writeln!(out, "{:>8}  {:>10}  {oldest:>6}  {name}", sum.messages, sum.recipients)
}

/// A message counts once in each group that one of its recipients is in.
fn count(look: &Look<'_>, listing: &Listing, by: By, sums: &mut HashMap<String, Sum>, total: &mut Sum) {
    let arrived = listing.envelope.arrived;
    let (mut keys, mut recipients): (BTreeMap<String, (usize, String)>, usize) = (BTreeMap::new(), 0);
    for waiting in waiting(listing) {
        let (key, meant) = match by {
            By::Sender => {
                let sender = listing.envelope.sender.as_ref();
                (sender.map_or_else(|| "<>".into(), |sender| sender.key()), String::new())
            }
            By::Reason => {
                let why = waiting.why();
                (if why.is_empty() { "Not tried yet".into() } else { why }, String::new())
            }
            By::Domain => match waiting.address() {
                Some(address) => (address.domain().key(), look.meant.hint(Some(&address))),
                None => (waiting.name(), String::new()),
            },
        };
        keys.entry(key).or_insert((0, meant)).0 += 1;
        recipients += 1;
    }
    total.add(recipients, arrived);
    for (key, (recipients, meant)) in keys {
        let sum = sums.entry(key).or_default();
        sum.add(recipients, arrived);
        sum.meant = meant;
    }
}
