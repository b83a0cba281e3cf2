//! A disk in memory that forgets what was not synced, fails on order, and can be cut after any call.
//!
//! The model is harsher than any file system we know, within what all of them promise:
//! - unsynced writes survive a power cut in any combination, torn at any octet, gaps reading as zeros; so do set lengths and mtimes;
//! - `fsync` of a file makes its content durable and the name under which it was created (as ext4, XFS and btrfs do, unless
//!   [`names_need_directory_sync`](SimDisk::names_need_directory_sync)), but neither a later rename nor the names of its directories;
//! - moves and removals survive in any combination until a directory that they touch is synced; a move is one step, never half;
//! - `syncfs` makes everything durable, where it may be relied on at all ([`can_sync_all`](SimDisk::can_sync_all));
//! - a failed `fsync` or `syncfs` loses what was unsynced for good, though reading still shows it;
//! - locks die with their process.

mod calls;
mod crash;
mod world;

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::Purpose;
pub(crate) use calls::{SimDir, SimFile};
use world::World;

/// The disk. Clones are the same disk; a restart makes another one, and what was open on the old one is dead.
#[derive(Debug, Clone)]
pub struct SimDisk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    unlocked: Condvar,
}

impl Default for SimDisk {
    fn default() -> Self {
        SimDisk::new()
    }
}

impl SimDisk {
    /// An empty disk of unlimited room. Every absolute path of directories exists on it, made when first opened.
    pub fn new() -> SimDisk {
        SimDisk::with(World::new())
    }

    fn with(world: World) -> SimDisk {
        SimDisk(Arc::new(Shared { world: Mutex::new(world), unlocked: Condvar::new() }))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls so far: opening, reading and locking included.
    pub fn calls(&self) -> u64 {
        self.world().calls
    }

    /// The calls so far, oldest first, as `create x`.
    pub fn trace(&self) -> Vec<String> {
        self.world().trace.iter().map(|(what, name)| format!("{what} {}", name.display())).collect()
    }

    /// Dies after so many further calls: each call beyond fails and changes nothing.
    pub fn cut_after(&self, calls: u64) {
        let mut world = self.world();
        world.cut = Some(world.calls + calls);
    }

    /// Whether a call was refused because of [`cut_after`](Self::cut_after).
    pub fn was_cut(&self) -> bool {
        self.world().was_cut
    }

    /// The call after so many further ones fails with this error and has no effect, but that a failing sync loses what it was to sync.
    pub fn fail_after(&self, calls: u64, error: io::ErrorKind) {
        let mut world = self.world();
        let nth = world.calls + calls;
        world.failures.insert(nth, error);
    }

    /// The next call of this name, as [`trace`](Self::trace) shows it, fails with this error, as after [`fail_after`](Self::fail_after).
    pub fn fail_next(&self, call: &'static str, error: io::ErrorKind) {
        self.world().next_failure = Some((call, error));
    }

    /// Leaves out all syncs for this purpose from now on, as a mutant would.
    pub fn skip(&self, purpose: Purpose) {
        self.world().skipped.push(purpose);
    }

    /// How many syncs for this purpose were asked for.
    pub fn syncs(&self, purpose: Purpose) -> u64 {
        self.world().syncs.get(&purpose).copied().unwrap_or(0)
    }

    /// From now on a new file's name is durable only after a sync of its directory.
    pub fn names_need_directory_sync(&self) {
        self.world().names_follow = false;
    }

    /// From now on one sync may stand for all.
    pub fn can_sync_all(&self) {
        self.world().syncs_all = true;
    }

    /// Limits the room: octets and files that can be added from now on.
    pub fn set_room(&self, bytes: u64, inodes: u64) {
        let mut world = self.world();
        world.capacity = (world.used_bytes().saturating_add(bytes), world.used_inodes().saturating_add(inodes));
    }

    /// All processes die, the machine lives: everything written is there, no lock is held.
    #[must_use]
    pub fn kill(&self) -> SimDisk {
        SimDisk::with(self.world().after_kill())
    }

    /// The power fails. Seed 0 loses all that was not synced, 1 loses nothing, every other seed something else.
    #[must_use]
    pub fn power_cut(&self, seed: u64) -> SimDisk {
        SimDisk::with(self.world().after_power_cut(seed))
    }

    /// Locks that are held.
    pub fn locks(&self) -> usize {
        self.world().locks.len()
    }

    /// Every file with its content, by path from the root; for a test's checker. Counts as no call.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        self.world().files()
    }

    pub(crate) fn open_root(&self, path: &Path) -> io::Result<SimDir> {
        let inode = self.world().ensure_root(path)?;
        Ok(SimDir::new(self.clone(), inode))
    }
}

#[cfg(test)]
mod tests;
