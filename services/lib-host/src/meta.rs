//! What the disk says of its files, and what callers say of their calls.

use std::ffi::OsString;

use lib_mail::Timestamp;

/// What a sync is for. It changes nothing on a real disk; a mutant or a test can leave one kind out to show that it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// A message before its 250.
    SpoolMessage,
    /// A move or removal within the spool that must not be undone by a power cut.
    SpoolDirectory,
    /// History lines before the message is let go.
    Outcome,
    /// A mailbox copy before its outcome.
    MaildirFile,
    /// The directory entry of a mailbox copy before its outcome.
    MaildirDirectory,
    /// A mailbox's usage ledger.
    Ledger,
    /// Accounts, password hashes, keys.
    Account,
    /// Directories made at start.
    Layout,
}

/// How an existing file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing at given places.
    Write,
    /// Reading, and writing only by [`File::append`](crate::File::append). (On Linux even `write_at` would append to such a file.)
    Append,
}

/// What a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A link, socket or anything else: never made by us, never followed.
    Other,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Without any path.
    pub name: OsString,
    /// `Kind::Other` too where the file system does not say.
    pub kind: Kind,
}

/// What the disk knows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Octets.
    pub len: u64,
    /// As last set by [`File::set_mtime`](crate::File::set_mtime) or, after a write, the system's time.
    pub mtime: Timestamp,
    /// Together with `device` the identity of the file.
    pub inode: u64,
    /// See `inode`.
    pub device: u64,
    /// Names the file has; 0 once it is removed.
    pub links: u64,
    /// File, directory or other.
    pub kind: Kind,
}

impl Meta {
    /// Whether both are the same file.
    pub fn same_file(&self, other: &Meta) -> bool {
        (self.inode, self.device) == (other.inode, other.device)
    }
}

/// Room on a file system, for a user without privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Octets that can still be written.
    pub free_bytes: u64,
    /// Size of the file system in octets.
    pub total_bytes: u64,
    /// Files that can still be made; `u64::MAX` where the file system does not count them.
    pub free_inodes: u64,
    /// Files that fit in all.
    pub total_inodes: u64,
}
