//! What the node does on its machine: disk, log, users, and the hooks of tests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::declare::{choice, group};
use crate::{Bytes, Reload};

choice! {
    /// What a line of the log looks like.
    pub enum LogFormat {
        /// As sendmail's maillog.
        Maillog = "maillog",
        /// A JSON object.
        Json = "json",
    }
}

group! {
    /// The directory where messages wait.
    pub struct Spool {
        /// The part of the disk, in percent of its bytes and of its inodes, that mail leaves free; at least one and a half times the
        /// largest message. Below that, MAIL is answered 452 4.3.1 until there is room again.
        reserve_percent: u32 { office: "5", most: "50", origin: "sendmail MinFreeBlocks", id: "R1.5", }
        /// Whether a file as large as the largest message and 1 MiB is kept, to be given up when the disk is full to the last byte,
        /// so that what is queued can still be delivered and removed.
        ballast: bool { office: "true", reload: Reload::Restart, id: "R1.5", }
        /// Threads that write and sync messages; concurrent syncs share one write of the disk's journal.
        sync_threads: u32 { office: "48", least: "1", most: "256", reload: Reload::Restart, id: "R8", }
    }
}

group! {
    /// What is written down.
    pub struct Log {
        /// What a line on standard output looks like. The kept events are always JSON.
        format: LogFormat { office: "maillog", id: "R6.3", }
        /// How much of the events is kept.
        keep_size: Bytes { office: "200 MB", least: "1 MB", most: "100 GB", origin: "logrotate size", id: "R6.3", }
        /// How long events are kept.
        keep_time: Duration { office: "30d", least: "1h", most: "3650d", origin: "logrotate rotate", id: "R6.3", }
    }
}

group! {
    /// Which user each role runs as, where the supervisor is root. All as numbers: a container has no user names.
    pub struct Users {
        /// Of `smtp-in`, `submission`, `deliver`, `relay-out` and the queue commands, which share the spool.
        queue: Option<u32> { office: "", least: "1", example: "2501", reload: Reload::Restart, id: "R8", }
        /// Of `pop3`.
        pop3: Option<u32> { office: "", least: "1", example: "2502", reload: Reload::Restart, id: "R8", }
        /// Of `auth`, the only reader of password hashes.
        auth: Option<u32> { office: "", least: "1", example: "2503", reload: Reload::Restart, id: "R8", }
        /// The group of all of them, which owns the mailboxes.
        group: Option<u32> { office: "", least: "1", example: "2500", reload: Reload::Restart, id: "R8", }
    }
}

group! {
    /// For tests, demonstrations and lessons only.
    pub struct Testing {
        /// A file with one line, `REAL_MS VIRTUAL_MS RATE`, that sets the queue clock. With it, five days can pass in seconds.
        clock: Option<PathBuf> { office: "", example: "clock", reload: Reload::Restart, id: "R7", }
    }
}

impl Testing {
    /// The clock's file; one that is not absolute lies in the directory of the configuration, or where there is none, of the data.
    pub fn clock_file(&self, config: Option<&Path>, data: &Path) -> Option<PathBuf> {
        self.clock.as_ref().map(|file| config.unwrap_or(data).join(file))
    }

    /// The test settings in force, to be said loudly at start; empty on a real node.
    pub fn in_force(&self) -> Vec<String> {
        self.clock.iter().map(|path| format!("testing.clock = {}", path.display())).collect()
    }
}
