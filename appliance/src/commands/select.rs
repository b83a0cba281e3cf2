//! Choosing messages of the queue: by sender, recipient, age, reason, place.

use std::str::FromStr;

use lib_mail::{Address, BlockList, Domain, QueueId, ReversePath, Timestamp};
use lib_spool::{Error, Fate, Listing, Place, Queue, Spool, What};

use crate::cli::{Filter, QueueName};

/// A sender or recipient as one names it on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    /// `<>`
    Nobody,
    /// One address, by its key.
    Address(String),
    /// All addresses of a domain, by its key.
    Domain(String),
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Who, String> {
        let bare = text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(text);
        if bare.is_empty() && text == "<>" {
            return Ok(Who::Nobody);
        }
        let domain = bare.strip_prefix('@').unwrap_or(bare);
        if let Ok(address) = bare.parse::<Address>() {
            return Ok(Who::Address(address.key()));
        }
        let domain: Result<Domain, _> = domain.parse();
        domain
            .map(|domain| Who::Domain(domain.key()))
            .map_err(|_| format!("{text:?} is no address such as kim@example.net, no domain such as @example.net, and not <>"))
    }
}

impl Who {
    /// Whether the address is meant.
    pub(crate) fn is(&self, address: &Address) -> bool {
        match self {
            Who::Nobody => false,
            Who::Address(key) => address.key() == *key,
            Who::Domain(key) => address.domain().key() == *key,
        }
    }

    /// Whether the sender is meant.
    pub(crate) fn is_sender(&self, sender: &ReversePath) -> bool {
        sender.as_ref().map_or(*self == Who::Nobody, |sender| self.is(sender))
    }
}

/// A place and the ids in it, sorted.
pub(crate) struct Group {
    pub(crate) queue: Queue,
    pub(crate) place: Place,
    pub(crate) ids: Vec<QueueId>,
}

/// The places that a filter leaves, each with all its ids; the queued ones first. Nothing is opened.
pub(crate) fn groups(spool: &Spool, filter: &Filter) -> Result<Vec<Group>, Error> {
    let places = [Place::Queued, Place::Held].into_iter().flat_map(|place| Queue::ALL.map(|queue| (queue, place)));
    let wanted = places.filter(|(queue, place)| {
        let named = match filter.queue {
            None => true,
            Some(QueueName::Local) => *queue == Queue::Local,
            Some(QueueName::Relay) => *queue == Queue::Relay,
        };
        named && (!filter.held || *place == Place::Held)
    });
    wanted.map(|(queue, place)| Ok(Group { queue, place, ids: spool.ids(queue, place)? })).collect()
}

/// Whether the filter lets the message through. A recipient counts as long as something is left to do for him.
pub(crate) fn matches(filter: &Filter, listing: &Listing, now: Timestamp) -> bool {
    let Filter { sender, to, older, younger, reason, held, queue: _ } = filter;
    let age = now.since(listing.envelope.arrived);
    if sender.as_ref().is_some_and(|who| !who.is_sender(&listing.envelope.sender))
        || older.is_some_and(|older| age <= older)
        || younger.is_some_and(|younger| age >= younger)
        || (*held && listing.place != Place::Held)
    {
        return false;
    }
    let (to, reason) = (to.as_ref(), reason.as_ref().map(|reason| reason.to_lowercase()));
    if to.is_none() && reason.is_none() {
        return true;
    }
    let wanted = |waiting: &Waiting<'_>| {
        let meant = to.is_none_or(|who| waiting.address().is_some_and(|address| who.is(&address)));
        meant && reason.as_ref().is_none_or(|reason| waiting.why().to_lowercase().contains(reason))
    };
    waiting(listing).any(|waiting| wanted(&waiting))
}

/// A recipient for whom something is left to do.
pub(crate) struct Waiting<'a> {
    listing: &'a Listing,
    pub(crate) index: usize,
}

/// Those for whom something is left to do.
pub(crate) fn waiting(listing: &Listing) -> impl Iterator<Item = Waiting<'_>> {
    let left = (0..listing.recipients.len()).filter(|index| listing.recipients.fate(*index) != Some(Fate::Done));
    left.map(move |index| Waiting { listing, index })
}

impl Waiting<'_> {
    /// The address, or for the member of an alias what the delivery wrote down, as `mailbox minji@example.kr`.
    pub(crate) fn name(&self) -> String {
        name(self.listing, self.index)
    }

    /// The address, where it is one.
    pub(crate) fn address(&self) -> Option<Address> {
        match self.listing.envelope.recipients.get(self.index) {
            Some(recipient) => Some(recipient.address.clone()),
            None => self.listing.recipients.member(self.index)?.target.split_whitespace().last()?.parse().ok(),
        }
    }

    /// Why it waits: `Deferred: …`, `Failed: …`, or nothing where it was not attempted yet.
    pub(crate) fn why(&self) -> String {
        match self.listing.recipients.last(self.index) {
            Some(outcome) if outcome.what == What::Deferred => format!("Deferred: {}", outcome.status.text),
            Some(outcome) if outcome.what == What::Failed => format!("Failed: {}", outcome.status.text),
            _ => String::new(),
        }
    }

    /// Whether it was refused since a block list names this server (R2.5).
    pub(crate) fn block_list(&self) -> Option<BlockList<'_>> {
        lib_mail::block_list(&self.listing.recipients.last(self.index)?.status)
    }

    /// ` (a block list names this server: Spamhaus)`, or nothing.
    pub(crate) fn block_list_hint(&self) -> String {
        match self.block_list() {
            Some(BlockList { name: Some(name), .. }) => format!(" (a block list names this server: {name})"),
            Some(_) => " (a block list names this server)".to_owned(),
            None => String::new(),
        }
    }

    /// Attempts that failed since the last fresh start.
    pub(crate) fn attempts(&self) -> usize {
        self.listing.recipients.deferrals(self.index)
    }
}

/// A recipient or member by its index.
pub(crate) fn name(listing: &Listing, index: usize) -> String {
    match listing.envelope.recipients.get(index) {
        Some(recipient) => recipient.address.to_string(),
        None => listing.recipients.member(index).map(|member| member.target.clone()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_meant() {
        for (text, address, meant) in [
            ("kim@Example.net", "KIM@example.net", true),
            ("<kim@example.net>", "kim@example.net", true),
            ("@kebi.net", "x@kebi.net", true),
            ("kebi.net", "x@KEBI.net", true),
            ("kebi.net", "x@mail.kebi.net", false),
            ("kebi.net", "x@kebi.com", false),
            ("<>", "x@kebi.com", false),
        ] {
            assert_eq!(text.parse::<Who>().unwrap().is(&address.parse().unwrap()), meant, "{text} {address}");
        }
        assert!("<>".parse::<Who>().unwrap().is_sender(&None));
        assert!(!"kebi.net".parse::<Who>().unwrap().is_sender(&None));
        for text in ["", "two words", "a@", "@"] {
            assert!(text.parse::<Who>().is_err(), "{text}");
        }
    }
}
