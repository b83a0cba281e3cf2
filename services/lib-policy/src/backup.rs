//! Whom a backup takes mail for: what it knows of its primaries' recipients, and how long ago it knew.

use std::time::Duration;

use lib_mail::{Address, Domain, Timestamp};

use crate::recipients::{Known, RecipientList};

/// A primary that this node is backup for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Primary {
    /// Its name in the settings.
    pub name: String,
    /// The domains that it is primary for, each with what is below it.
    pub domains: Vec<Domain>,
    /// How long a list may have gone without being confirmed.
    pub max_age: Duration,
    /// The list in force; `None` where there was never one.
    pub list: Option<RecipientList>,
    /// A list that waits for a person's word.
    pub proposed: Option<RecipientList>,
    /// When the primary last said that the list in force is right, by the queue clock.
    pub confirmed: Option<Timestamp>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Primaries(Vec<Primary>);

/// How a recipient stands with his primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// None of the primaries has his domain: nothing is known of it.
    NoPrimary,
    /// He exists; a message for him may have so many octets.
    Known(u64),
    /// He does not exist, said a primary not long ago.
    Unknown,
    /// Nobody has said for too long, or ever, whether he exists.
    Unsure,
}

impl Primaries {
    /// These.
    pub fn new(primaries: Vec<Primary>) -> Primaries {
        Primaries(primaries)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Primary> {
        self.0.iter()
    }

    /// The primary of a domain: that with the longest of the domains that cover it.
    pub fn of(&self, domain: &Domain) -> Option<&Primary> {
        let fits = |primary: &&Primary| primary.covers(domain);
        self.0.iter().filter(fits).max_by_key(|primary| primary.specific(domain))
    }

    /// How a recipient stands at that moment.
    pub fn standing(&self, address: &Address, now: Timestamp) -> Standing {
        self.of(&address.domain()).map_or(Standing::NoPrimary, |primary| primary.standing(address, now))
    }
}

impl Primary {
    fn covers(&self, domain: &Domain) -> bool {
        self.domains.iter().any(|own| domain.is_within(own))
    }

    fn specific(&self, domain: &Domain) -> usize {
        self.domains.iter().filter(|own| domain.is_within(own)).map(|own| own.key().len()).max().unwrap_or(0)
    }

    /// Whether the list in force was confirmed not long ago. A clock that was set back makes nothing stale.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.list.is_some() && self.confirmed.is_some_and(|confirmed| now.since(confirmed) <= self.max_age)
    }

    /// Who is in the proposed list is known too: a primary that lost half of its accounts may still have gained one.
    fn standing(&self, address: &Address, now: Timestamp) -> Standing {
        let known = |list: &RecipientList| -> Option<u64> {
            let known: Known = list.find(address)?;
            Some(list.limit(known))
        };
        let lists = [&self.list, &self.proposed];
        match lists.into_iter().flatten().find_map(known) {
            Some(limit) => Standing::Known(limit),
            None if self.is_fresh(now) => Standing::Unknown,
            None => Standing::Unsure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn primary(list: Option<&str>, proposed: Option<&str>, confirmed: Option<i64>) -> Primary {
        let parse = |text: &str| RecipientList::parse(text.split(',')).unwrap();
        Primary {
            name: "one".into(),
            domains: vec!["a.example".parse().unwrap()],
            max_age: HOUR,
            list: list.map(parse),
            proposed: proposed.map(parse),
            confirmed: confirmed.map(Timestamp),
        }
    }

    #[test]
    fn known_counts_at_any_age_and_unknown_only_while_the_list_is_fresh() {
        let list = "size 9,domain a.example,mailbox minji@a.example";
        let more = "size 5,domain a.example,mailbox new@a.example";
        let hour = 3_600_000;
        for (list, proposed, confirmed, address, now, want) in [
            (Some(list), None, Some(0), "minji@a.example", 0, Standing::Known(9)),
            (Some(list), None, Some(0), "minji@a.example", 1000 * hour, Standing::Known(9)),
            (Some(list), None, Some(0), "x@a.example", hour, Standing::Unknown),
            (Some(list), None, Some(0), "x@a.example", hour + 1, Standing::Unsure),
            (Some(list), None, Some(hour), "x@a.example", 0, Standing::Unknown),
            (Some(list), None, Some(0), "x@sub.a.example", 0, Standing::Unknown),
            (Some(list), None, Some(0), "x@b.example", 0, Standing::NoPrimary),
            (Some(list), None, None, "x@a.example", 0, Standing::Unsure),
            (Some(list), Some(more), Some(0), "new@a.example", 0, Standing::Known(5)),
            (Some(list), Some(more), Some(0), "minji@a.example", 0, Standing::Known(9)),
            (Some(list), Some(more), Some(0), "x@a.example", 0, Standing::Unknown),
            (None, None, None, "minji@a.example", 0, Standing::Unsure),
            (None, Some(more), Some(0), "x@a.example", 0, Standing::Unsure),
        ] {
            let primaries = Primaries::new(vec![primary(list, proposed, confirmed)]);
            assert_eq!(primaries.standing(&address.parse().unwrap(), Timestamp(now)), want, "{address} at {now}");
        }
    }

    #[test]
    fn the_nearest_primary_has_the_domain() {
        let mut inner = primary(None, None, None);
        inner.name = "two".into();
        inner.domains = vec!["x.a.example".parse().unwrap()];
        let primaries = Primaries::new(vec![primary(None, None, None), inner]);
        let of = |domain: &str| primaries.of(&domain.parse().unwrap()).map(|primary| primary.name.clone());
        assert_eq!(of("a.example").as_deref(), Some("one"));
        assert_eq!(of("y.a.example").as_deref(), Some("one"));
        assert_eq!(of("x.a.example").as_deref(), Some("two"));
        assert_eq!(of("y.x.a.example").as_deref(), Some("two"));
        assert_eq!(of("b.example"), None);
    }
}
