//! Room for mail.

use std::fmt;
use std::io;
use std::time::Duration;

use crate::layout::{Shared, locked};

/// How old the figures may be.
const FRESH: Duration = Duration::from_secs(1);
/// Octets that a disk gives at a time.
const BLOCK: u64 = 4096;

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

/// What this process has written since the figures were looked up counts, too: in a second a fast disk takes more than the reserve.
pub(crate) fn took(shared: &Shared, octets: usize, inodes: u64) {
    if let Some((_, space)) = &mut *locked(&shared.room) {
        space.free_bytes = space.free_bytes.saturating_sub((octets as u64).next_multiple_of(BLOCK));
        space.free_inodes = space.free_inodes.saturating_sub(inodes);
    }
}

/// The figures, looked up anew where the last ones are too old.
pub(crate) fn space(shared: &Shared) -> io::Result<Space> {
    let ticks = shared.options.clock.ticks();
    let mut room = locked(&shared.room);
    if let Some((at, space)) = &*room
        && ticks.saturating_sub(*at) < FRESH
    {
        return Ok(space.clone());
    }
    let found = shared.root.space()?;
    let limits = shared.limits();
    let share = |total: u64| if total == u64::MAX { 0 } else { total / 100 * u64::from(limits.reserve_percent) };
    let space = Space {
        mount: shared.mount.clone(),
        free_bytes: found.free_bytes,
        needed_bytes: share(found.total_bytes).max(limits.size.saturating_add(limits.size / 2)),
        free_inodes: found.free_inodes,
        needed_inodes: share(found.total_inodes),
    };
    *room = Some((ticks, space.clone()));
    Ok(space)
}
