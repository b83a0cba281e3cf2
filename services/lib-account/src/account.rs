//! An account, and all of them at one moment.

use std::collections::BTreeMap;

use lib_mail::{Address, Domain};
use lib_policy::Directory;
use serde::{Deserialize, Serialize};

/// An account: a mailbox and the rights of its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The full address, as given when the account was made.
    pub address: Address,
    /// May submit mail (R1.12).
    pub may_send: bool,
    /// May fetch mail by POP3.
    pub pop3: bool,
    /// Sender addresses it may use besides its own. An `@domain` is not meant: each address is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owns: Vec<Address>,
}

impl Account {
    /// An account with all rights and no further address.
    pub fn new(address: Address) -> Account {
        Account { address, may_send: true, pop3: true, owns: Vec::new() }
    }

    /// The name under which it is found, and that of its mailbox.
    pub fn key(&self) -> String {
        self.address.key()
    }

    /// Whether mail may be sent under this address by this account.
    pub fn owns(&self, sender: &Address) -> bool {
        self.address == *sender || self.owns.contains(sender)
    }
}

/// All accounts at one moment. Lookups are in memory.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Accounts(pub(crate) BTreeMap<String, Account>);

impl Accounts {
    /// The account with this key ([`Address::key`]).
    pub fn find(&self, key: &str) -> Option<&Account> {
        self.0.get(key)
    }

    /// The account that a person means by a login: a full address, or a bare name in the default domain, in any case.
    pub fn login(&self, login: &str, default_domain: &str) -> Option<&Account> {
        let key = match login.parse::<Address>() {
            Ok(address) => address.key(),
            // A bare name; or a mailbox name that would need quotes in an address, with its domain or without.
            Err(_) => match login.rsplit_once('@') {
                Some((name, domain)) => format!("{}@{}", name.to_lowercase(), domain_key(domain)),
                None => format!("{}@{}", login.to_lowercase(), domain_key(default_domain)),
            },
        };
        self.find(&key)
    }

    /// All of them, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        self.0.values()
    }
}

impl FromIterator<Account> for Accounts {
    fn from_iter<T: IntoIterator<Item = Account>>(accounts: T) -> Self {
        Accounts(accounts.into_iter().map(|account| (account.key(), account)).collect())
    }
}

fn domain_key(domain: &str) -> String {
    domain.parse::<Domain>().map_or_else(|_| domain.to_lowercase(), |domain| domain.key())
}

/// What routing asks.
impl Directory for Accounts {
    fn mailbox(&self, address: &str) -> Option<String> {
        self.0.get_key_value(address).map(|(key, _)| key.clone())
    }

    fn owns(&self, account: &str, address: &str) -> bool {
        self.find(account).is_some_and(|account| account.owns.iter().any(|owned| owned.key() == address))
    }

    fn may_send(&self, account: &str) -> bool {
        self.find(account).is_some_and(|account| account.may_send)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts(addresses: &[&str]) -> Accounts {
        addresses.iter().map(|address| Account::new(address.parse().unwrap())).collect()
    }

    #[test]
    fn logins() {
        let accounts = accounts(&["Minji@Example.KR", "\"a b\"@example.kr", "minji@other.example", "민지@메일.example"]);
        for (login, found) in [
            ("minji", Some("minji@example.kr")),
            ("MINJI", Some("minji@example.kr")),
            ("minji@EXAMPLE.kr", Some("minji@example.kr")),
            ("minji@other.example", Some("minji@other.example")),
            ("a b", Some("a b@example.kr")),
            ("a b@example.kr", Some("a b@example.kr")),
            ("\"a b\"@example.kr", Some("a b@example.kr")),
            ("민지@메일.example", Some("민지@xn--h32bq4v.example")),
            ("민지", None),
            ("minji@", None),
            ("@example.kr", None),
            ("", None),
            ("minji@example.kr\0", None),
        ] {
            assert_eq!(accounts.login(login, "example.kr").map(Account::key).as_deref(), found, "{login:?}");
        }
    }

    #[test]
    fn senders_that_an_account_owns() {
        let mut account = Account::new("minji@example.kr".parse().unwrap());
        account.owns.push("Sales@example.kr".parse().unwrap());
        for (sender, owned) in [("MINJI@example.kr", true), ("sales@Example.kr", true), ("other@example.kr", false)] {
            assert_eq!(account.owns(&sender.parse().unwrap()), owned, "{sender}");
        }
        let all = Accounts([(account.key(), account)].into());
        assert!(Directory::owns(&all, "minji@example.kr", "sales@example.kr"));
        assert!(!Directory::owns(&all, "nobody@example.kr", "sales@example.kr"));
        assert_eq!(all.mailbox("sales@example.kr"), None);
        assert_eq!(all.mailbox("minji@example.kr").as_deref(), Some("minji@example.kr"));
    }
}
