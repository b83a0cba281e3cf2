//! Room for mail.

use std::fmt;

/// Room on the spool's file system against the reserve that must stay free (R1.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Space {
    /// The file system, as the log names it.
    pub mount: String,
    /// Octets free for us.
    pub free_bytes: u64,
    /// Octets that must stay free for mail to be accepted.
    pub needed_bytes: u64,
    /// Files that can still be made.
    pub free_inodes: u64,
    /// Files that must stay possible.
    pub needed_inodes: u64,
}

impl Space {
    /// Whether a message of this declared size (0 where none was declared) may be accepted; else 452 4.3.1.
    pub fn admits(&self, size: u64) -> bool {
        self.free_bytes >= self.needed_bytes.saturating_add(size) && self.free_inodes >= self.needed_inodes
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} bytes free, {} needed; {} inodes free, {} needed",
            self.mount, self.free_bytes, self.needed_bytes, self.free_inodes, self.needed_inodes
        )
    }
}
