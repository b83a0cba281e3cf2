//! Ways of breaking a running topology, one file each, each with its undoing. The same faults serve scenarios, drawn sets of faults, and
//! a person at `bongsu-harness fault`.

mod clock;
mod cut;
mod descriptors;
mod disk;
mod disk_error;
pub mod draw;
mod full_queue;
mod kill;
mod limit;
mod link;
mod memory;
mod names;
mod pause;
mod read_only;
mod stop;
mod torn;

use anyhow::Context;

use crate::Result;
use crate::stage::Stage;

pub use clock::CLOCK;
pub use cut::{CUT, ISOLATE};
pub use descriptors::DESCRIPTORS;
pub use disk::{FILL, INODES};
pub use disk_error::DISK_ERROR;
pub use draw::DRAW;
pub use full_queue::FULL_QUEUE;
pub use kill::{KILL, KILL_SERVICE};
pub use link::LINK;
pub use memory::MEMORY;
pub use names::NAMES;
pub use pause::{PAUSE, PAUSE_SERVICE};
pub use read_only::READ_ONLY;
pub use stop::STOP;
pub use torn::TORN;

/// What undoes a fault. It may be asked when the thing that was broken is gone.
pub type Heal = Box<dyn FnOnce(&Stage) -> Result<()> + Send>;

/// A way of breaking something.
pub struct Fault {
    /// Its name on the command line: `kill`.
    pub name: &'static str,
    /// Its arguments: `NODE`.
    pub usage: &'static str,
    /// What it does, one sentence.
    pub about: &'static str,
    /// Breaks it, and says how to undo that.
    pub strike: fn(&Stage, &[&str]) -> Result<Heal>,
}

/// All of them.
pub const ALL: &[&Fault] = &[
    &KILL,
    &KILL_SERVICE,
    &STOP,
    &PAUSE,
    &PAUSE_SERVICE,
    &CUT,
    &ISOLATE,
    &LINK,
    &FILL,
    &INODES,
    &READ_ONLY,
    &DISK_ERROR,
    &TORN,
    &FULL_QUEUE,
    &DESCRIPTORS,
    &MEMORY,
    &NAMES,
    &CLOCK,
    &DRAW,
];

/// A fault by its name.
pub fn find(name: &str) -> Result<&'static Fault> {
    let known = || ALL.iter().map(|fault| fault.name).collect::<Vec<_>>().join(", ");
    ALL.iter().find(|fault| fault.name == name).copied().with_context(|| format!("no fault {name}; there are {}", known()))
}

/// The argument at this place.
fn word<'a>(words: &[&'a str], at: usize, what: &str) -> Result<&'a str> {
    words.get(at).copied().with_context(|| format!("{what} is missing"))
}
