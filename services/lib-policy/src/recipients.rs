//! The recipients of a primary as its backup knows them, as lines ⇄ value.
//!
//! ```text
//! size 26214400              octets of a message
//! mailbox-size 26214400      octets of a message for a mailbox
//! domain example.net         mailboxes of this domain are there
//! mailbox minji@example.net
//! alias sales@example.net    leads elsewhere, so the limit of a mailbox does not count
//! name team                  an alias in every domain
//! ```

use std::collections::BTreeSet;

use lib_mail::Address;

/// Lines of a list. A longer one is no list.
const MAX_LINES: usize = 1_000_000;

/// Who has mail at a primary. Addresses are in the form of `Address::key`, domains in that of `Domain::key`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecipientList {
    /// Octets of a message that the primary takes.
    pub size_limit: u64,
    /// Octets of a message that a mailbox takes.
    pub mailbox_limit: u64,
    /// The domains whose mailboxes are at the primary.
    pub domains: BTreeSet<String>,
    /// Full addresses that are mailboxes.
    pub mailboxes: BTreeSet<String>,
    /// Full addresses that are aliases. An address in both is an alias.
    pub aliases: BTreeSet<String>,
    /// Local parts in lower case that are aliases in each of the domains.
    pub names: BTreeSet<String>,
}

/// How a list knows an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// As a mailbox.
    Mailbox,
    /// As an alias.
    Alias,
}

impl RecipientList {
    /// The recipients in it.
    pub fn len(&self) -> usize {
        self.mailboxes.len() + self.aliases.len() + self.names.len()
    }

    /// Whether it knows nobody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the address is in the list.
    pub fn find(&self, address: &Address) -> Option<Known> {
        let domain = address.domain().key();
        if !self.domains.contains(&domain) {
            return None;
        }
        let (key, name) = (address.key(), address.mailbox().to_lowercase());
        // As the primary does: a name with an @ in it, which must have stood in quotes, is no local part of an alias.
        if self.aliases.contains(&key) || (!name.contains('@') && self.names.contains(&name)) {
            Some(Known::Alias)
        } else {
            // RFC 5321 §4.5.1: every domain has a postmaster; the account of one may serve all.
            let is_postmaster = name == "postmaster" && self.mailboxes.iter().any(|other| other.starts_with("postmaster@"));
            (self.mailboxes.contains(&key) || is_postmaster).then_some(Known::Mailbox)
        }
    }

    /// Octets that a message for this recipient may have.
    pub fn limit(&self, known: Known) -> u64 {
        match known {
            Known::Mailbox => self.size_limit.min(self.mailbox_limit),
            Known::Alias => self.size_limit,
        }
    }

    /// Why this list, where it is to follow `old`, is not to be believed without a person's word: it is empty, or a third smaller.
    pub fn doubt(&self, old: Option<&RecipientList>) -> Option<String> {
        let (new, before) = (self.len(), old.map_or(0, RecipientList::len));
        if new == 0 {
            Some("it is empty".into())
        } else if new * 3 <= before * 2 {
            Some(format!("it has {new} recipients, the one in force {before}"))
        } else {
            None
        }
    }

    /// Its lines, always in the same order.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!("size {}", self.size_limit), format!("mailbox-size {}", self.mailbox_limit)];
        for (word, values) in
            [("domain", &self.domains), ("mailbox", &self.mailboxes), ("alias", &self.aliases), ("name", &self.names)]
        {
            lines.extend(values.iter().map(|value| format!("{word} {value}")));
        }
        lines
    }

    /// The list that the lines are of. Words that are not known are skipped: a newer primary may say more.
    ///
    /// # Errors
    /// What is wrong with the first bad line.
    pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<RecipientList, String> {
        let mut list = RecipientList { size_limit: u64::MAX, mailbox_limit: u64::MAX, ..RecipientList::default() };
        for (index, line) in lines.into_iter().enumerate() {
            if index >= MAX_LINES {
                return Err(format!("the list has over {MAX_LINES} lines"));
            }
            let Some((word, value)) = line.split_once(' ').filter(|(_, value)| !value.is_empty()) else {
                return Err(format!("line {} of the list is not understood", index + 1));
            };
            let number = || value.parse().map_err(|_| format!("line {} of the list has no number of octets", index + 1));
            let place = match word {
                "size" => {
                    list.size_limit = number()?;
                    continue;
                }
                "mailbox-size" => {
                    list.mailbox_limit = number()?;
                    continue;
                }
                "domain" => &mut list.domains,
                "mailbox" => &mut list.mailboxes,
                "alias" => &mut list.aliases,
                "name" => &mut list.names,
                _ => continue,
            };
            place.insert(value.to_owned());
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(lines: &[&str]) -> RecipientList {
        RecipientList::parse(lines.iter().copied()).unwrap()
    }

    fn of(count: usize) -> RecipientList {
        let mailboxes = (0..count).map(|n| format!("u{n}@a.example")).collect();
        RecipientList { mailboxes, domains: ["a.example".to_owned()].into(), ..RecipientList::default() }
    }

    #[test]
    fn who_is_known() {
        let list = list(&[
            "size 1000",
            "mailbox-size 700",
            "domain a.example",
            "domain b.example",
            "mailbox minji@a.example",
            "mailbox postmaster@a.example",
            "mailbox a b@a.example",
            "mailbox elsewhere@c.example",
            "alias sales@b.example",
            "alias minji@b.example",
            "name team",
            "later something",
        ]);
        for (address, want) in [
            ("minji@a.example", Some((Known::Mailbox, 700))),
            ("MinJi@A.Example", Some((Known::Mailbox, 700))),
            ("\"a b\"@a.example", Some((Known::Mailbox, 700))),
            ("minji@b.example", Some((Known::Alias, 1000))),
            ("sales@b.example", Some((Known::Alias, 1000))),
            ("sales@a.example", None),
            ("Team@b.example", Some((Known::Alias, 1000))),
            ("\"team@b.example\"@b.example", None),
            ("postmaster@b.example", Some((Known::Mailbox, 700))),
            ("nobody@a.example", None),
            ("minji@x.a.example", None),
            ("elsewhere@c.example", None),
        ] {
            let known = list.find(&address.parse().unwrap());
            assert_eq!(known.map(|known| (known, list.limit(known))), want, "{address}");
        }
        assert!(RecipientList::default().find(&"postmaster@a.example".parse().unwrap()).is_none());
    }

    #[test]
    fn lines_come_back() {
        let text = ["size 5", "mailbox-size 6", "domain a.example", "mailbox 민지@a.example", "alias b@a.example", "name c"];
        assert_eq!(list(&text).lines(), text);
        for bad in [&["size much"][..], &["domain"], &["mailbox "], &[""], &["size 1", "x"]] {
            assert!(RecipientList::parse(bad.iter().copied()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_a_third_smaller_or_empty_is_doubted() {
        for (before, new, doubted) in [
            (None, 0, true),
            (None, 1, false),
            (Some(0), 1, false),
            (Some(1), 1, false),
            (Some(2), 1, true),
            (Some(3), 2, true),
            (Some(4), 3, false),
            (Some(100), 67, false),
            (Some(100), 66, true),
            (Some(100), 0, true),
            (Some(100), 300, false),
        ] {
            assert_eq!(of(new).doubt(before.map(of).as_ref()).is_some(), doubted, "{before:?} {new}");
        }
    }
}
