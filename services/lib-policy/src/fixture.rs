//! A node for tests: domains, aliases and accounts in memory.

use lib_mail::Domain;

use crate::{Aliases, Directory, Facts, LocalDomains, Primaries, RelayDomains};

/// What a node knows. `example.net`, `example.org` and `example.com` are ours, and we relay for `behind.example`.
pub(crate) struct Node {
    pub(crate) local: LocalDomains,
    pub(crate) relay: RelayDomains,
    pub(crate) primaries: Primaries,
    pub(crate) aliases: Aliases,
    pub(crate) accounts: Accounts,
    pub(crate) default_domain: Domain,
}

/// Accounts as their keys, who also owns what, and who may not send.
pub(crate) struct Accounts {
    pub(crate) names: Vec<String>,
    pub(crate) owned: Vec<(String, String)>,
    pub(crate) silent: Vec<String>,
}

impl Directory for Accounts {
    fn mailbox(&self, address: &str) -> Option<String> {
        self.names.iter().find(|name| *name == address).cloned()
    }

    fn owns(&self, account: &str, address: &str) -> bool {
        self.owned.iter().any(|(owner, owned)| owner == account && owned == address)
    }

    fn may_send(&self, account: &str) -> bool {
        !self.silent.iter().any(|name| name == account)
    }
}

impl Node {
    pub(crate) fn new(aliases: &str, accounts: &[&str]) -> Node {
        Node {
            local: LocalDomains::parse("example.net\nexample.org\nexample.com\n").unwrap(),
            relay: RelayDomains::parse("behind.example\n").unwrap(),
            primaries: Primaries::default(),
            aliases: Aliases::parse(aliases).unwrap(),
            accounts: Accounts {
                names: accounts.iter().map(|name| name.to_string()).collect(),
                owned: Vec::new(),
                silent: Vec::new(),
            },
            default_domain: "example.net".parse().unwrap(),
        }
    }

    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts {
            local_domains: &self.local,
            relay_domains: &self.relay,
            primaries: &self.primaries,
            aliases: &self.aliases,
            accounts: &self.accounts,
            default_domain: &self.default_domain,
        }
    }
}
