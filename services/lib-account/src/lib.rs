//! Accounts: who has a mailbox here, what each may do, which sender addresses are whose, and the password hashes.
//!
//! Two files, so that only the role `auth` need be able to read a hash: names and rights for all who route
//! (`state/accounts/accounts`), hashes for `auth` (`state/secrets/passwords`). Only this crate touches them. Accounts are
//! named by their full address and found by its key, without regard to case (R4.5). Every call blocks, but those on [`Accounts`].
#![allow(dead_code, clippy::unimplemented)] // while the bodies are being written

use std::path::Path;
use std::sync::Arc;

use lib_mail::Address;
use serde::{Deserialize, Serialize};

/// Why the accounts could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A line of a file is not understood. The operator mends it; the last good state stays in force until then.
    #[error("{file}:{line}: {what}")]
    Line {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it, and what would be right.
        what: String,
    },
    /// The disk refused.
    #[error("cannot {doing} {file}: {source}")]
    Disk {
        /// What was tried.
        doing: &'static str,
        /// The file.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is such an account already.
    #[error("there is an account {0} already")]
    Exists(String),
    /// There is no such account.
    #[error("there is no account {0}")]
    Unknown(String),
    /// The address cannot be an account: its name is too long for a mailbox directory.
    #[error("{0} cannot be an account: the part before the @ may have 64 octets")]
    TooLong(String),
    /// The password is empty, too long, or holds a control character.
    #[error("a password has 1 to 255 octets and no control character")]
    Password,
}

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
#[derive(Debug, Default)]
pub struct Accounts;

impl Accounts {
    /// The account with this key ([`Address::key`]).
    pub fn find(&self, _key: &str) -> Option<&Account> {
        unimplemented!()
    }

    /// The account that a person means by a login: a full address, or a bare name in the default domain, in any case.
    pub fn login(&self, _login: &str, _default_domain: &str) -> Option<&Account> {
        unimplemented!()
    }

    /// All of them, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = &Account> {
        [].iter()
    }
}

/// The file of names and rights, reread when it changes.
pub struct Names;

impl Names {
    /// The names in the directory `state/accounts`. A missing file means no accounts.
    pub fn open(_accounts: &Path) -> Names {
        unimplemented!()
    }

    /// The accounts as the file has them now. One `stat` where nothing changed; call it once per session, not per recipient.
    /// After a bad edit this is the last good state, and [`Names::problem`] tells of it.
    ///
    /// # Errors
    /// There is no good state: the file has been unreadable or wrong ever since the start. Answer temporarily.
    pub fn current(&self) -> Result<Arc<Accounts>, Error> {
        unimplemented!()
    }

    /// What is wrong with the file, told once for each change of it, for the log.
    pub fn problem(&self) -> Option<String> {
        unimplemented!()
    }
}

/// The file of password hashes, for the role `auth` alone; reread when it changes.
pub struct Hashes;

impl Hashes {
    /// The hashes in the directory `state/secrets`.
    pub fn open(_secrets: &Path) -> Hashes {
        unimplemented!()
    }

    /// Whether this is the password of the account with this key. Takes tens of milliseconds of a core and 19 MiB, also for an account that
    /// does not exist, so that the time tells nobody who does.
    ///
    /// # Errors
    /// As [`Names::current`]: answer temporarily.
    pub fn verify(&self, _key: &str, _password: &[u8]) -> Result<bool, Error> {
        unimplemented!()
    }

    /// A number that changes whenever the file does, so that whoever remembers a verified login can tell that it is stale. One `stat`.
    ///
    /// # Errors
    /// As [`Names::current`].
    pub fn version(&self) -> Result<u64, Error> {
        unimplemented!()
    }
}

/// How much work a password hash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// KiB of memory.
    pub memory: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for Cost {
    /// argon2id with 19 MiB and two passes, OWASP's first choice.
    fn default() -> Self {
        Cost { memory: 19 * 1024, passes: 2 }
    }
}

/// Changes both files. Each change is durable when the call returns; changes at the same time wait for each other.
pub struct Register;

impl Register {
    /// The files below the directory `state`; they and their directories are made with the first account.
    pub fn open(_state: &Path) -> Register {
        unimplemented!()
    }

    /// Hashes made from now on cost this much. Tests and load runs lower it.
    #[must_use]
    pub fn with_cost(self, _cost: Cost) -> Register {
        unimplemented!()
    }

    /// Adds an account.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::TooLong`], [`Error::Password`], and those of the files.
    pub fn add(&self, _account: Account, _password: &str) -> Result<(), Error> {
        unimplemented!()
    }

    /// Removes an account and its hash, not its mailbox.
    pub fn remove(&self, _key: &str) -> Result<(), Error> {
        unimplemented!()
    }

    /// Sets a new password.
    pub fn passwd(&self, _key: &str, _password: &str) -> Result<(), Error> {
        unimplemented!()
    }

    /// Sets the rights and owned addresses of an existing account.
    pub fn change(&self, _account: Account) -> Result<(), Error> {
        unimplemented!()
    }

    /// All accounts, sorted by key.
    pub fn list(&self) -> Result<Vec<Account>, Error> {
        unimplemented!()
    }
}

/// A password for a first account: 20 random characters in four groups (100 bits), easy to read out.
pub fn random_password() -> String {
    unimplemented!()
}
