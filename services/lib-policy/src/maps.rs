//! The two lists of domains, in their classic formats: one domain a line, `#` begins a comment.
//!
//! `local-host-names` names exactly the domains whose mailboxes are here: `example.net` does not cover `www.example.net`, as in
//! sendmail's class w. `relay-domains` covers each domain and everything below it, as in sendmail's class R; what sendmail also does,
//! letting *hosts* of that domain relay, we never do (R1.11).

use std::collections::HashSet;

use lib_mail::Domain;

/// A bad line of a map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {what}")]
pub struct LineProblem {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong and what is allowed.
    pub what: String,
}

/// The domains whose mailboxes are here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LocalDomains(HashSet<String>);

impl LocalDomains {
    /// Those of the text of `local-host-names`; or every bad line.
    pub fn parse(text: &str) -> Result<LocalDomains, Vec<LineProblem>> {
        domains(text).map(LocalDomains)
    }

    /// Adds domains, as those of `domains.local`.
    #[must_use]
    pub fn with<'a>(mut self, more: impl IntoIterator<Item = &'a Domain>) -> LocalDomains {
        self.0.extend(more.into_iter().map(Domain::key));
        self
    }

    /// Whether mailboxes of `domain` are here.
    pub fn has(&self, domain: &Domain) -> bool {
        self.0.contains(&domain.key())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The domains as keys (A-labels in lower case), in no order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// The domains that anybody may send to through us.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RelayDomains(HashSet<String>);

impl RelayDomains {
    /// Those of the text of `relay-domains`; or every bad line.
    pub fn parse(text: &str) -> Result<RelayDomains, Vec<LineProblem>> {
        domains(text).map(RelayDomains)
    }

    /// Adds domains, as those of `domains.relay`.
    #[must_use]
    pub fn with<'a>(mut self, more: impl IntoIterator<Item = &'a Domain>) -> RelayDomains {
        self.0.extend(more.into_iter().map(Domain::key));
        self
    }

    /// The entry that covers `domain`: itself, or a domain above it.
    pub fn covering(&self, domain: &Domain) -> Option<&str> {
        let key = domain.key();
        let mut rest = Some(key.as_str());
        while let Some(name) = rest {
            if let Some(entry) = self.0.get(name) {
                return Some(entry);
            }
            rest = name.split_once('.').map(|(_, above)| above);
        }
        None
    }

    /// Whether anybody may send to `domain` through us.
    pub fn has(&self, domain: &Domain) -> bool {
        self.covering(domain).is_some()
    }

    /// The entries as keys, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

fn domains(text: &str) -> Result<HashSet<String>, Vec<LineProblem>> {
    let (mut keys, mut problems) = (HashSet::new(), Vec::new());
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let name = line.split('#').next().unwrap_or_default().trim();
        if name.is_empty() {
            continue;
        }
        match name.parse::<Domain>() {
            Ok(domain) => {
                keys.insert(domain.key());
            }
            Err(_) => problems.push(LineProblem { line: index + 1, what: refused_domain(name) }),
        }
    }
    if problems.is_empty() { Ok(keys) } else { Err(problems) }
}

/// What is wrong with a line that is no domain, with the slips of people who know other servers' files.
fn refused_domain(name: &str) -> String {
    let hint = match name {
        _ if name.contains(char::is_whitespace) => "; write one domain a line",
        _ if name.starts_with('.') => "; leave out the leading dot: in relay-domains an entry covers what is below it",
        _ if name.starts_with('@') || name.contains('@') => "; leave out the @ and what is before it",
        _ if name.ends_with('.') => "; leave out the dot at the end",
        _ => "",
    };
    let shown: String = name.chars().take(100).collect();
    format!("`{}` is no domain{hint}", shown.escape_debug())
}

#[cfg(test)]
mod tests;
