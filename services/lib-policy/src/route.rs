//! Where a recipient's mail goes.
//!
//! The local part is matched whole: nothing in it (`%`, `!`, a quoted `@`) ever names another host, so the old tricks of open
//! relays end at an unknown mailbox (R1.11). `route` makes one step; `expand` follows aliases to their ends.

use std::collections::HashSet;

use lib_mail::{Address, Domain};

use crate::{Aliases, LocalDomains, Primaries, RelayDomains, Target, Trail};

/// Most members of an expansion, all levels together.
pub const MAX_MEMBERS: usize = 10_000;
/// Aliases that lead to aliases; sendmail's MAXALIASRECURSION is 10.
const MAX_DEPTH: usize = 10;

/// What is known of accounts. All keys are in the form of `Address::key`.
pub trait Directory {
    /// The account whose mailbox takes mail for the address, as its key; `None` where there is none.
    fn mailbox(&self, address: &str) -> Option<String>;

    /// Whether the account's owner listed the address as one it may send from, beside its own.
    fn owns(&self, account: &str, address: &str) -> bool;

    /// Whether the account may send at all (R1.12).
    fn may_send(&self, account: &str) -> bool;
}

/// What a route depends on.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Domains whose mailboxes are here.
    pub local_domains: &'a LocalDomains,
    /// Domains that anybody may send to through us.
    pub relay_domains: &'a RelayDomains,
    /// What is known of those that we are backup for.
    pub primaries: &'a Primaries,
    /// The aliases.
    pub aliases: &'a Aliases,
    /// The accounts.
    pub accounts: &'a dyn Directory,
    /// What a name without domain means. It counts as local.
    pub default_domain: &'a Domain,
}

/// One step of a recipient's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// Into the mailbox of the account with this key.
    Mailbox(String),
    /// To the targets of an alias; never empty.
    Forward(Vec<Target>),
    /// To the addresses in a file (`:include:`); not supported yet.
    List(String),
    /// Appended to a file; not supported yet.
    File(String),
    /// Into a program; not supported yet.
    Pipe(String),
    /// To another server; only for clients that may relay.
    Relay,
    /// Our domain, and nobody has this name.
    Unknown,
    /// To another server that we are backup MX for, from anybody. Whether the recipient exists there is asked when he is admitted.
    Unsure,
}

/// An end of an expansion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The address it is for; for lists, files and programs that of the alias.
    pub address: Address,
    /// Where it goes: never `Forward`.
    pub route: Route,
}

/// What a recipient became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expansion {
    /// The ends, each once, in the order of the file. One alone with the address asked for means: no alias was involved.
    Members(Vec<Member>),
    /// Every way leads back to where it came from, or through over ten aliases; the addresses on the way.
    Loop(Vec<Address>),
    /// Over 10,000 members.
    TooMany,
}

/// Where mail for `address` goes.
pub fn route(address: &Address, facts: &Facts<'_>) -> Route {
    route_with_trail(address, facts, &mut Trail::off())
}

/// The same, with the checks made.
pub fn route_with_trail(address: &Address, facts: &Facts<'_>, trail: &mut Trail) -> Route {
    let domain = address.domain();
    let local = facts.local_domains.has(&domain) || domain == *facts.default_domain;
    trail.note("local-host-names", || format!("{domain} is {}", if local { "ours" } else { "not ours" }));
    if !local {
        let covering = facts.relay_domains.covering(&domain);
        trail.note("relay-domains", || match covering {
            Some(entry) => format!("{entry} covers {domain}: accepted from anybody and relayed"),
            None => format!("nothing covers {domain}"),
        });
        return if covering.is_some() { Route::Unsure } else { Route::Relay };
    }
    if let Some((line, targets)) = alias(address, facts) {
        trail.note("aliases", || format!("line {line} has {} target(s) for {address}", targets.len()));
        return of_alias(targets);
    }
    trail.note("aliases", || format!("none for {address}"));
    let found = mailbox(address, facts);
    trail.note("accounts", || match &found {
        Some(account) => format!("the mailbox of {account}"),
        None => format!("no account has {address}"),
    });
    found.map_or(Route::Unknown, Route::Mailbox)
}

/// A full address in the file wins over a local part.
fn alias<'a>(address: &Address, facts: &Facts<'a>) -> Option<(usize, &'a [Target])> {
    let aliases = facts.aliases;
    aliases.of(&address.key()).or_else(|| {
        let name = address.mailbox().to_lowercase();
        // A quoted name such as "a@b" must not find the alias of the full address a@b.
        if name.contains('@') { None } else { aliases.of(&name) }
    })
}

fn of_alias(targets: &[Target]) -> Route {
    match targets {
        [Target::List(file)] => Route::List(file.clone()),
        [Target::Pipe(command)] => Route::Pipe(command.clone()),
        [Target::File(file)] => Route::File(file.clone()),
        _ => Route::Forward(targets.to_vec()),
    }
}

fn mailbox(address: &Address, facts: &Facts<'_>) -> Option<String> {
    let accounts = facts.accounts;
    accounts.mailbox(&address.key()).or_else(|| {
        // RFC 5321 §4.5.1: postmaster exists in every domain. One account serves all.
        let name = address.mailbox().to_lowercase();
        let shared = name == "postmaster" && address.domain() != *facts.default_domain;
        shared.then(|| accounts.mailbox(&format!("{name}@{}", facts.default_domain.key()))).flatten()
    })
}

/// Follows aliases from `address` to their ends.
pub fn expand(address: &Address, facts: &Facts<'_>) -> Expansion {
    let mut walk = Walk { facts, members: Vec::new(), seen: HashSet::new(), looped: Vec::new(), full: false };
    walk.visit(address, &mut Vec::new());
    if walk.full {
        Expansion::TooMany
    } else if walk.members.is_empty() {
        Expansion::Loop(walk.looped)
    } else {
        Expansion::Members(walk.members)
    }
}

struct Walk<'a> {
    facts: &'a Facts<'a>,
    members: Vec<Member>,
    seen: HashSet<String>,
    looped: Vec<Address>,
    full: bool,
}

impl Walk<'_> {
    /// `way` holds the keys of the aliases that led here.
    fn visit(&mut self, address: &Address, way: &mut Vec<String>) {
        if self.full {
            return;
        }
        match route(address, self.facts) {
            Route::Forward(targets) => self.forward(address, &targets, way),
            route => self.end(address.clone(), route),
        }
    }

    fn forward(&mut self, address: &Address, targets: &[Target], way: &mut Vec<String>) {
        let key = address.key();
        if way.last() == Some(&key) {
            // `minji: minji, other@…` keeps a copy: a name that its own alias names is the mailbox.
            if let Some(account) = mailbox(address, self.facts) {
                return self.end(address.clone(), Route::Mailbox(account));
            }
        }
        if way.contains(&key) || way.len() >= MAX_DEPTH {
            self.looped.push(address.clone());
            return;
        }
        // Each alias is followed once, however many ways lead to it; else a few lines could ask for millions of steps.
        if !self.seen.insert(key.clone()) {
            return;
        }
        way.push(key);
        for target in targets {
            match (target, target.address(self.facts.default_domain)) {
                (_, Some(next)) => self.visit(&next, way),
                (Target::List(file), _) => self.end(address.clone(), Route::List(file.clone())),
                (Target::Pipe(command), _) => self.end(address.clone(), Route::Pipe(command.clone())),
                (Target::File(file), _) => self.end(address.clone(), Route::File(file.clone())),
                // A name that is no local part does not pass the file's parser.
                (Target::Name(_) | Target::Address(_), None) => {}
            }
        }
        way.pop();
    }

    fn end(&mut self, address: Address, route: Route) {
        let name = match &route {
            Route::Mailbox(account) => format!("mailbox {account}"),
            Route::List(file) | Route::File(file) => format!("file {file}"),
            Route::Pipe(command) => format!("pipe {command}"),
            Route::Relay | Route::Unknown | Route::Unsure | Route::Forward(_) => format!("address {}", address.key()),
        };
        if self.members.len() >= MAX_MEMBERS {
            self.full = true;
        } else if self.seen.insert(name) {
            self.members.push(Member { address, route });
        }
    }
}

#[cfg(test)]
mod tests;
