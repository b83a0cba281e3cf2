//! Changes of the accounts: each one durable when the call returns.
//!
//! The two files cannot change as one. So an account gets its hash first and its name second, and loses them in the other
//! order: a crash in between leaves a hash that belongs to nobody, never an account without a password.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use lib_host::{Access, Dir, Disk, File, Purpose};

use crate::file::{Line, MAX_LEN, Secret, parse, print};
use crate::hash::hash;
use crate::{Account, Cost, Error};

const LOCK: &str = "lock";
/// Octets of a mailbox name (RFC 5321 §4.5.3.1.1); also what fits into a directory name in any case.
const MAX_NAME: usize = 64;

/// Changes both files. Each change is durable when the call returns; changes at the same time wait for each other.
#[derive(Debug)]
pub struct Register {
    disk: Disk,
    state: PathBuf,
    cost: Cost,
}

/// Both directories, and the lock that keeps other changes out.
struct Open {
    accounts: Dir,
    secrets: Dir,
    _lock: File,
}

impl Register {
    /// The files below the directory `state`; they and their directories are made with the first account.
    pub fn open(state: &Path) -> Register {
        Register::open_on(&Disk::real(), state)
    }

    /// As [`Register::open`], on any disk.
    pub fn open_on(disk: &Disk, state: &Path) -> Register {
        Register { disk: disk.clone(), state: state.to_owned(), cost: Cost::default() }
    }

    /// Hashes made from now on cost this much. Tests and load runs lower it.
    #[must_use]
    pub fn with_cost(self, cost: Cost) -> Register {
        Register { cost, ..self }
    }

    /// Adds an account.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::TooLong`], [`Error::Password`], and those of the files.
    pub fn add(&self, account: Account, password: &str) -> Result<(), Error> {
        if account.address.mailbox().len() > MAX_NAME {
            return Err(Error::TooLong(account.address.to_string()));
        }
        let hash = hash(password, self.cost)?;
        let open = self.locked()?;
        let (mut accounts, mut secrets) = (self.read::<Account>(&open.accounts)?, self.read::<Secret>(&open.secrets)?);
        let key = account.key();
        if accounts.insert(key.clone(), account).is_some() {
            return Err(Error::Exists(key));
        }
        secrets.insert(key.clone(), Secret { account: key, hash });
        self.write(&open.secrets, &secrets)?;
        self.write(&open.accounts, &accounts)
    }

    /// Removes an account and its hash, not its mailbox.
    ///
    /// # Errors
    /// [`Error::Unknown`], and those of the files.
    pub fn remove(&self, key: &str) -> Result<(), Error> {
        let open = self.locked()?;
        let (mut accounts, mut secrets) = (self.read::<Account>(&open.accounts)?, self.read::<Secret>(&open.secrets)?);
        accounts.remove(key).ok_or_else(|| Error::Unknown(key.to_owned()))?;
        self.write(&open.accounts, &accounts)?;
        secrets.remove(key);
        self.write(&open.secrets, &secrets)
    }

    /// Sets a new password.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Password`], and those of the files.
    pub fn passwd(&self, key: &str, password: &str) -> Result<(), Error> {
        let hash = hash(password, self.cost)?;
        let open = self.locked()?;
        if !self.read::<Account>(&open.accounts)?.contains_key(key) {
            return Err(Error::Unknown(key.to_owned()));
        }
        let mut secrets = self.read::<Secret>(&open.secrets)?;
        secrets.insert(key.to_owned(), Secret { account: key.to_owned(), hash });
        self.write(&open.secrets, &secrets)
    }

    /// Sets the rights and owned addresses of an existing account.
    ///
    /// # Errors
    /// [`Error::Unknown`], and those of the files.
    pub fn change(&self, account: Account) -> Result<(), Error> {
        let open = self.locked()?;
        let mut accounts = self.read::<Account>(&open.accounts)?;
        let key = account.key();
        match accounts.get_mut(&key) {
            Some(old) => *old = account,
            None => return Err(Error::Unknown(key)),
        }
        self.write(&open.accounts, &accounts)
    }

    /// All accounts, sorted by key.
    ///
    /// # Errors
    /// Those of the file.
    pub fn list(&self) -> Result<Vec<Account>, Error> {
        let dir = match self.disk.dir(self.state.join(Account::FILE)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened.map_err(|error| self.error::<Account>("open the directory of", error))?,
        };
        Ok(self.read::<Account>(&dir)?.into_values().collect())
    }

    /// Both directories, made where they are missing, and the lock.
    fn locked(&self) -> Result<Open, Error> {
        let opened = || -> io::Result<Open> {
            let state = self.disk.dir(&self.state)?;
            let (accounts, secrets) = (state.dir_or_make(directory::<Account>())?, state.dir_or_make(directory::<Secret>())?);
            state.sync(Purpose::Account)?;
            let lock = accounts.open_or_create(LOCK)?;
            lock.lock()?;
            Ok(Open { accounts, secrets, _lock: lock })
        };
        opened().map_err(|error| self.error::<Account>("lock the directory of", error))
    }

    fn read<T: Line>(&self, dir: &Dir) -> Result<BTreeMap<String, T>, Error> {
        let text = match dir.open(T::FILE, Access::Read).and_then(|file| file.read_from(0, MAX_LEN)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
            read => read.map_err(|error| self.error::<T>("read", error))?,
        };
        parse(&text).map_err(|wrong| Error::Line { file: self.path::<T>(), line: wrong.line, what: wrong.what })
    }

    fn write<T: Line>(&self, dir: &Dir, all: &BTreeMap<String, T>) -> Result<(), Error> {
        let text = print(all).map_err(|error| self.error::<T>("write", error.into()))?;
        dir.replace(T::FILE, text.as_bytes(), T::MODE, Purpose::Account).map_err(|error| self.error::<T>("write", error))?;
        self.hand_over::<T>();
        Ok(())
    }

    /// Gives the new file to the owner of its directory: where the roles have uids of their own, it is root that changes accounts.
    /// Where that fails, who is to read it says so.
    fn hand_over<T: Line>(&self) {
        let dir = self.state.join(directory::<T>());
        let file = dir.join(T::FILE);
        if let (Ok(dir), Ok(made)) = (std::fs::metadata(&dir), std::fs::metadata(&file))
            && dir.uid() != made.uid()
        {
            let _ = std::os::unix::fs::chown(&file, Some(dir.uid()), Some(dir.gid()));
        }
    }

    fn path<T: Line>(&self) -> String {
        self.state.join(directory::<T>()).join(T::FILE).display().to_string()
    }

    fn error<T: Line>(&self, doing: &'static str, source: io::Error) -> Error {
        Error::Disk { doing, file: self.path::<T>(), source }
    }
}

/// The directory of a file, below `state`.
fn directory<T: Line>() -> &'static str {
    if T::MODE == Secret::MODE { "secrets" } else { "accounts" }
}
