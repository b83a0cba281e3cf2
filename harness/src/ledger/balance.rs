//! The balance: each message and final recipient against every place where it was found.

use std::collections::BTreeMap;

use super::{Entry, Found, Ledger, Place, Told};
use crate::record::{Books, MessageRecord, RecipientRecord};

/// What was found of one recipient of one message.
#[derive(Debug, Default)]
struct Tally {
    delivered: usize,
    handed_over: usize,
    bounced: usize,
    queued: usize,
    places: Vec<String>,
}

impl Ledger {
    /// Balances all lines against all that was found. `finals` gives the mailboxes, or addresses outside, that a recipient leads to
    /// in the end, itself where no alias is involved.
    pub fn balance(&self, found: &[Found], finals: &dyn Fn(&str) -> Vec<String>) -> (Books, Vec<MessageRecord>) {
        let mut by_token: BTreeMap<&str, Vec<&Found>> = BTreeMap::new();
        for one in found {
            by_token.entry(&one.token).or_default().push(one);
        }
        let (mut books, mut messages) = (Books::default(), Vec::new());
        for (token, entry) in self.lines().iter() {
            let found = by_token.remove(token.as_str()).unwrap_or_default();
            messages.push(balance_one(&mut books, token, entry, &found, finals));
        }
        books.unknown = by_token.values().map(Vec::len).sum();
        (books, messages)
    }
}

fn balance_one(
    books: &mut Books,
    token: &str,
    entry: &Entry,
    found: &[&Found],
    finals: &dyn Fn(&str) -> Vec<String>,
) -> MessageRecord {
    let line = &entry.line;
    match line.told {
        Told::Accepted => {}
        Told::Refused => books.refused += 1,
        Told::Nothing => books.in_doubt += 1,
    }
    for one in found {
        let damaged = line.sent.as_ref().zip(one.text.as_ref()).is_some_and(|(sent, text)| !sent.ends(text));
        books.damaged.extend(damaged.then(|| format!("{token} in {}", shown(&one.place))));
    }
    let mut recipients: Vec<RecipientRecord> = Vec::new();
    for (given, told) in &line.recipients {
        for last in finals(given) {
            // Two recipients that lead to one mailbox have one copy there.
            if recipients.iter().any(|recipient| same(&recipient.address, &last)) {
                continue;
            }
            let tally = tally(found, given, &last);
            let accepted = line.told == Told::Accepted && *told == Told::Accepted;
            let possible = (line.told == Told::Nothing && *told != Told::Refused) || line.doubtful > 0;
            let fate = if accepted {
                accepted_fate(books, token, &last, entry, &tally)
            } else if possible {
                doubtful_fate(books, token, &last, entry, &tally)
            } else {
                refused_fate(books, token, &last, &tally)
            };
            recipients.push(RecipientRecord { address: last, fate: fate.into(), places: tally.places });
        }
    }
    MessageRecord {
        token: token.to_owned(),
        told: line.told.word().into(),
        reply: line.reply.clone(),
        at: entry.at,
        recipients,
        hops: Vec::new(),
    }
}

fn accepted_fate(books: &mut Books, token: &str, last: &str, entry: &Entry, tally: &Tally) -> &'static str {
    books.accepted += 1;
    let arrived = tally.delivered + tally.handed_over;
    let lawful = 1 + entry.line.doubtful;
    if arrived > lawful || (arrived > 0 && tally.bounced > 0) {
        books.duplicated.push(format!("{token} for {last}: {}", tally.places.join(", ")));
    }
    if tally.delivered > 0 {
        books.delivered += 1;
        return if arrived > lawful { "duplicated" } else { "delivered" };
    }
    if tally.handed_over > 0 {
        books.handed_over += 1;
        return if arrived > lawful { "duplicated" } else { "handed over" };
    }
    if tally.bounced > 0 {
        books.bounced += 1;
        return "bounced";
    }
    if tally.queued > 0 {
        books.queued += 1;
        return "queued";
    }
    if entry.discarded {
        books.discarded += 1;
        return "discarded";
    }
    books.lost.push(format!("{token} for {last}"));
    "lost"
}

fn doubtful_fate(books: &mut Books, token: &str, last: &str, entry: &Entry, tally: &Tally) -> &'static str {
    let arrived = tally.delivered + tally.handed_over;
    if arrived > 1 + entry.line.doubtful {
        books.duplicated.push(format!("{token} (in doubt) for {last}: {}", tally.places.join(", ")));
        return "duplicated";
    }
    books.in_doubt_found += usize::from(arrived > 0);
    match (arrived, tally.queued, tally.bounced) {
        (1.., ..) => "delivered",
        (_, 1.., _) => "queued",
        (_, _, 1..) => "bounced",
        _ => "nowhere",
    }
}

fn refused_fate(books: &mut Books, token: &str, last: &str, tally: &Tally) -> &'static str {
    if tally.delivered + tally.handed_over > 0 {
        books.refused_but_found.push(format!("{token} for {last}: {}", tally.places.join(", ")));
    }
    "refused"
}

fn tally(found: &[&Found], given: &str, last: &str) -> Tally {
    let mut tally = Tally::default();
    let of_it = |address: &str| same(address, last) || same(address, given);
    for one in found {
        let counted = match &one.place {
            Place::Mailbox { address, .. } => same(address, last).then_some(&mut tally.delivered),
            Place::Outside { recipients, .. } => recipients.iter().any(|to| of_it(to)).then_some(&mut tally.handed_over),
            Place::Bounce { recipients, .. } => recipients.iter().any(|to| of_it(to)).then_some(&mut tally.bounced),
            Place::Queue { recipients, .. } => recipients.iter().any(|to| of_it(to)).then_some(&mut tally.queued),
        };
        if let Some(count) = counted {
            *count += 1;
            tally.places.push(shown(&one.place));
        }
    }
    tally
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

fn shown(place: &Place) -> String {
    match place {
        Place::Mailbox { node, address } => format!("mailbox {address} on {node}"),
        Place::Queue { node, id, .. } => format!("queue of {node} as {id}"),
        Place::Outside { peer, .. } => format!("handed over to {peer}"),
        Place::Bounce { node, .. } => format!("notification on {node}"),
    }
}
