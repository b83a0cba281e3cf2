//! Accounts: who has a mailbox here, what each may do, which sender addresses are whose, and the password hashes.
//!
//! Two files for accounts, so that only the role `auth` need be able to read a hash: names and rights for all who route
//! (`state/accounts/accounts`), hashes for `auth` (`state/secrets/passwords`). Only this crate touches them. Accounts are
//! named by their full address and found by its key, without regard to case (R4.5). Every call blocks, but those on [`Accounts`].

mod account;
mod file;
mod hash;
mod maps;
mod primaries;
mod register;
mod watch;

use std::path::Path;
use std::sync::Arc;

pub use account::{Account, Accounts};
pub use hash::{Cost, random_password};
pub use maps::{MapFiles, Maps, Trouble};
pub use primaries::{Applied, Contact, DIRECTORY as PAIRS, Kept, Listed, Lists};
pub use register::Register;

use file::Secret;
use watch::Watch;

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
    /// The hash of the account cannot be made or checked. The operator sets the password anew.
    #[error("the password hash cannot be used: {0}; set the password anew")]
    Hash(String),
}

/// The file of names and rights, reread when it changes.
pub struct Names {
    watch: Watch<Account>,
    /// The accounts of the last version that was asked for.
    latest: std::sync::Mutex<(u64, Arc<Accounts>)>,
}

impl Names {
    /// The names in the directory `state/accounts`. A missing file means no accounts.
    pub fn open(accounts: &Path) -> Names {
        Names { watch: Watch::new(accounts), latest: std::sync::Mutex::default() }
    }

    /// The accounts as the file has them now. One `stat` where nothing changed; call it once per session, not per recipient.
    /// After a bad edit this is the last good state, and [`Names::problem`] tells of it.
    ///
    /// # Errors
    /// There is no good state: the file has been unreadable or wrong ever since the start. Answer temporarily.
    pub fn current(&self) -> Result<Arc<Accounts>, Error> {
        let (lines, version) = self.watch.current()?;
        let mut latest = self.latest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if latest.0 != version {
            *latest = (version, Arc::new(Accounts((*lines).clone())));
        }
        Ok(Arc::clone(&latest.1))
    }

    /// What is wrong with the file, told once for each change of it, for the log.
    pub fn problem(&self) -> Option<String> {
        self.watch.problem()
    }
}

/// The file of password hashes, for the role `auth` alone; reread when it changes.
pub struct Hashes(Watch<Secret>);

impl Hashes {
    /// The hashes in the directory `state/secrets`.
    pub fn open(secrets: &Path) -> Hashes {
        Hashes(Watch::new(secrets))
    }

    /// A number that changes with the file: what was verified under another one may not hold any more.
    ///
    /// # Errors
    /// As [`Hashes::verify`].
    pub fn version(&self) -> Result<u64, Error> {
        self.0.current().map(|(_, version)| version)
    }

    /// What is wrong with the file, told once for each change of it, for the log.
    pub fn problem(&self) -> Option<String> {
        self.0.problem()
    }

    /// Whether this is the password of the account with this key. Takes tens of milliseconds of a core and 19 MiB, also for an account that
    /// does not exist, so that the time tells nobody who does.
    ///
    /// # Errors
    /// As [`Names::current`], and [`Error::Hash`]: answer temporarily.
    pub fn verify(&self, key: &str, password: &[u8]) -> Result<bool, Error> {
        let (secrets, _) = self.0.current()?;
        match secrets.get(key) {
            Some(secret) => hash::matches(password, &secret.hash),
            None => {
                // Another account's hash costs what this one's would; what comes of it is nobody's business.
                let _ = secrets.values().next().map(|other| hash::matches(password, &other.hash));
                Ok(false)
            }
        }
    }
}

#[cfg(test)]
mod tests;
