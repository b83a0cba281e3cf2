//! The proving grounds of this crate's parsers, for their fuzz targets and for the replay of the corpora in the normal test run.

use lib_mail::Address;

use crate::{Aliases, BccFilter, HeaderScan, LineProblem, LocalDomains, RecipientList, RelayDomains};

/// Reads arbitrary octets as a file of aliases. Panics where it is neither read nor refused with the lines that are bad.
pub fn aliases(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    match Aliases::parse(&text) {
        Ok(aliases) => {
            assert_eq!(aliases.summary().aliases, aliases.iter().count());
            assert!(aliases.iter().all(|(_, targets)| !targets.is_empty()), "an alias leads nowhere");
        }
        Err(problems) => told(&problems, &text),
    }
}

/// The same for the lists of domains.
pub fn domains(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    match (LocalDomains::parse(&text), RelayDomains::parse(&text)) {
        (Ok(local), Ok(relay)) => assert_eq!(local.iter().count(), relay.iter().count()),
        (Err(local), Err(relay)) => {
            assert_eq!(local, relay);
            told(&local, &text);
        }
        _ => unreachable!("both read the same format"),
    }
}

fn told(problems: &[LineProblem], text: &str) {
    assert!(!problems.is_empty());
    let lines = text.lines().count();
    assert!(problems.iter().all(|problem| (1..=lines).contains(&problem.line) && !problem.what.is_empty()));
}

/// Reads arbitrary octets as a message: the first is the length of the chunks it comes in. Panics where a split changes what
/// `HeaderScan` finds or what `BccFilter` passes, or where a Bcc field passes.
pub fn message(octets: &[u8]) {
    let Some((length, message)) = octets.split_first() else { return };
    let chunk = usize::from(*length).max(1);
    let whole = filtered(message.chunks(message.len().max(1)));
    assert_eq!(filtered(message.chunks(chunk)), whole, "the filter depends on the split");
    let (scan, split) = (scanned(message.chunks(message.len().max(1))), scanned(message.chunks(chunk)));
    let found = |scan: &HeaderScan| (scan.octets(), scan.hops(), scan.has_date(), scan.has_bcc(), scan.message_id());
    assert_eq!(found(&scan), found(&split), "the scan depends on the split");
    assert!(!scanned(whole.chunks(whole.len().max(1))).has_bcc(), "a Bcc field passed");
    assert_eq!(scan.has_bcc(), whole.len() < message.len());
}

fn filtered<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut filter, mut out) = (BccFilter::new(), Vec::new());
    chunks.for_each(|chunk| filter.feed(chunk, &mut out));
    filter.finish(&mut out);
    out
}

fn scanned<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> HeaderScan {
    let mut scan = HeaderScan::new();
    chunks.for_each(|chunk| scan.feed(chunk));
    scan.finish();
    scan
}

/// Reads arbitrary octets as the recipients of a primary. Panics where what is read does not print as what is read the same, or where an
/// address is found that no line names.
pub fn recipients(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    match RecipientList::parse(text.lines()) {
        Ok(list) => {
            let lines = list.lines();
            assert_eq!(RecipientList::parse(lines.iter().map(String::as_str)).as_ref(), Ok(&list));
            for address in list.mailboxes.iter().filter_map(|text| text.parse::<Address>().ok()) {
                let here = list.domains.contains(&address.domain().key());
                assert!(here || list.find(&address).is_none(), "{address} is found in a domain that is not the primary's");
            }
        }
        Err(why) => assert!(!why.is_empty()),
    }
}
