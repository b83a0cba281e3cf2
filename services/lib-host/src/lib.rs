//! The machine under the services: disk calls, queue clock, random bytes.
//!
//! Floor 2. Everything that must survive a power cut is written through [`Disk`], which is either the real one or [`SimDisk`],
//! a disk in memory that can be cut after any call and forgets what was not synced. Nothing here knows what a message is.

mod clock;
mod disk;
mod locks;
mod meta;
mod mutant;
mod random;
mod real;
mod sim;
mod together;
mod watched;

pub use clock::Clock;
pub use disk::{Dir, Disk, File, SyncAll};
pub use locks::Locked;
pub use meta::{Access, Entry, Kind, Meta, Purpose, Space};
pub use mutant::is_mutant;
pub use random::random_bytes;
pub use real::mount_point;
pub use sim::SimDisk;
pub use together::Together;
pub use watched::{Change, Watched};
