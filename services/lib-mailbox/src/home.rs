//! The home of an account: its directories, made so that they last, and the look-up of a message by its base name in all of them.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use lib_host::{Dir, Entry, Kind, Purpose};
use lib_mail::Timestamp;

use crate::ledger::Ledger;
use crate::{Usage, name};

/// The Maildir below a home.
pub(crate) const MAILDIR: &str = "Maildir";
/// The file whose lock a POP3 session holds.
pub(crate) const LOCK: &str = "lock";
/// Where delivered copies lie until another tool moves them.
pub(crate) const NEW: &str = "Maildir/new";
/// Where other tools put messages that somebody has seen.
pub(crate) const CUR: &str = "Maildir/cur";
/// Where copies are written.
pub(crate) const TMP: &str = "Maildir/tmp";
/// A file in `tmp/` that is older belongs to no delivery (the Maildir convention).
const TMP_AGE: Duration = Duration::from_secs(36 * 3600);

/// The directory names of an account's home, below `mail`.
#[derive(Debug, Clone)]
pub(crate) struct HomeName {
    domain: String,
    user: String,
}

/// When what is made must be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// On return.
    Now,
    /// The caller syncs everything before it relies on it.
    Later,
}

/// A message file that was found.
pub(crate) struct Found {
    /// Its directory, relative to the home.
    pub(crate) dir: String,
    /// Its name there.
    pub(crate) name: OsString,
}

impl HomeName {
    /// `None` where no directory can have the account's name.
    pub(crate) fn of(account: &str) -> Option<HomeName> {
        name::home(account).map(|(domain, user)| HomeName { domain, user })
    }

    /// Opens the home; `NotFound` where there is none.
    pub(crate) fn open(&self, mail: &Dir) -> io::Result<Dir> {
        mail.dir(format!("{}/{}", self.domain, self.user))
    }

    /// Opens the home and makes what is missing of it. Nothing is synced: what only a session needs may be lost.
    pub(crate) fn open_or_make(&self, mail: &Dir) -> io::Result<Dir> {
        match self.open(mail) {
            Err(error) if error.kind() == ErrorKind::NotFound => mail.dir_or_make(&self.domain)?.dir_or_make(&self.user),
            opened => opened,
        }
    }

    /// Opens the home and makes what is missing of it and of its Maildir, and syncs each directory that holds one of them, whoever made
    /// it: another process may have done so a moment ago without having synced it yet.
    pub(crate) fn make(&self, mail: &Dir, lasting: Lasting) -> io::Result<Dir> {
        let domain = mail.dir_or_make(&self.domain)?;
        let home = domain.dir_or_make(&self.user)?;
        let maildir = home.dir_or_make(MAILDIR)?;
        for part in ["tmp", "new", "cur"] {
            maildir.dir_or_make(part)?;
        }
        // Made here so that a session can lock, and delete, when the disk has no room for a file any more.
        home.open_or_create(LOCK)?;
        if lasting == Lasting::Now {
            for holder in [&maildir, &home, &domain, mail] {
                holder.sync(Purpose::MaildirDirectory)?;
            }
        }
        Ok(home)
    }
}

/// The Maildir and its folders, relative to the home. Each holds `new` and `cur`.
fn folders(home: &Dir) -> io::Result<Vec<String>> {
    let mut found = vec![MAILDIR.to_owned()];
    for entry in home.dir(MAILDIR)?.list()? {
        // Where the file system does not tell what an entry is, listing it will.
        if let Some(name) = entry.name.to_str().filter(|name| name.starts_with('.') && entry.kind != Kind::File) {
            found.push(format!("{MAILDIR}/{name}"));
        }
    }
    Ok(found)
}

/// The messages in a directory; none where it does not exist or is no directory (a link to one is not followed).
pub(crate) fn messages(home: &Dir, dir: &str) -> io::Result<Vec<Entry>> {
    match home.dir(dir).and_then(|dir| dir.list()) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(Vec::new()),
        listed => Ok(listed?.into_iter().filter(|entry| entry.kind != Kind::Dir && !is_hidden(&entry.name)).collect()),
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().first().is_none_or(|first| *first == b'.')
}

/// Looks for a message in these directories by its base.
pub(crate) fn find_in(home: &Dir, dirs: &[&str], base: &str) -> io::Result<Option<Found>> {
    for dir in dirs {
        for entry in messages(home, dir)? {
            if name::parse(&entry.name.to_string_lossy()).is_some_and(|parsed| parsed.base == base) {
                return Ok(Some(Found { dir: (*dir).to_owned(), name: entry.name }));
            }
        }
    }
    Ok(None)
}

/// Looks for a message in the whole mailbox, folders included.
pub(crate) fn find(home: &Dir, base: &str) -> io::Result<Option<Found>> {
    for folder in folders(home)? {
        let (new, cur) = (format!("{folder}/new"), format!("{folder}/cur"));
        if let Some(found) = find_in(home, &[&new, &cur], base)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Counts the mailbox and writes its ledger.
pub(crate) fn recount(home: &Dir, lasting: Lasting) -> io::Result<Usage> {
    let ledger = Ledger::lock(home)?;
    let usage = count(home)?;
    ledger.set(usage, lasting)?;
    Ok(usage)
}

/// What the mailbox holds, by its names; a file whose name tells no size is asked.
fn count(home: &Dir) -> io::Result<Usage> {
    let mut usage = Usage::default();
    for folder in folders(home)? {
        // A file that is moved from new to cur while both are listed shows twice.
        let mut seen = HashSet::new();
        for part in ["new", "cur"] {
            let dir = format!("{folder}/{part}");
            for entry in messages(home, &dir)? {
                let text = entry.name.to_string_lossy();
                let Some(parsed) = name::parse(&text) else { continue };
                if seen.insert(parsed.base.to_owned()) {
                    usage.bytes = usage.bytes.saturating_add(disk_size(home, &dir, &entry.name, parsed.disk)?);
                    usage.messages += 1;
                }
            }
        }
    }
    Ok(usage)
}

/// The octets of a message file on disk: as its name says, else as the disk does; none where it has just gone.
pub(crate) fn disk_size(home: &Dir, dir: &str, name: &OsStr, named: Option<u64>) -> io::Result<u64> {
    match named {
        Some(size) => Ok(size),
        None => Ok(home.stat(Path::new(dir).join(name))?.map_or(0, |meta| meta.len)),
    }
}

/// Removes what deliveries of long ago left in `tmp/`. Failing to is no harm.
pub(crate) fn sweep(home: &Dir, now: Timestamp) {
    for entry in messages(home, TMP).unwrap_or_default() {
        let Some(path) = entry.name.to_str().map(|name| format!("{TMP}/{name}")) else { continue };
        if home.stat(&path).ok().flatten().is_some_and(|meta| now.since(meta.mtime) > TMP_AGE) {
            let _ = home.unlink(&path);
        }
    }
}

/// The keys of all accounts that have a home.
pub(crate) fn accounts(mail: &Dir) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for domain in mail.list()?.into_iter().filter(|entry| entry.kind != Kind::File) {
        let users = match mail.dir(&domain.name).and_then(|dir| dir.list()) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => continue,
            // lost+found of a volume's root belongs to root.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => continue,
            listed => listed?,
        };
        for user in users.into_iter().filter(|entry| entry.kind != Kind::File) {
            if let (Some(domain), Some(user)) = (domain.name.to_str(), user.name.to_str()) {
                found.extend(name::account(domain, user));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}
