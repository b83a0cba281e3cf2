//! The shared queue directory: every message between its 250 and its last outcome.
//!
//! docs/spool.md specifies what lies on disk and what each call may do there; this crate is the only code that touches it. All calls
//! block: run them in a pool of threads, where concurrent syncs share their cost. Nothing here decides about mail; a caller
//! sees no path, file or descriptor, but for the directory it opens.
//!
//! ```no_run
//! # fn main() -> Result<(), lib_spool::Error> {
//! # let envelope: lib_mail::Envelope = unimplemented!();
//! use lib_host::Clock;
//! use lib_spool::{Commit, Options, Queue, Spool};
//! let clock = Clock::system();
//! let spool = Spool::open("spool".as_ref(), Options::new(clock.clone(), 50_000_000))?;
//! let mut incoming = spool.begin();
//! incoming.append(b"Subject: hello\r\n\r\nhello\r\n")?;
//! let committed = incoming.commit(Commit { local: Some(envelope), relay: None, held: false, due: clock.now() })?;
//! if let Some(claim) = spool.claim(Queue::Local, &committed.id())? {
//!     claim.defer(clock.now())?;
//! }
//! # Ok(()) }
//! ```

mod ballast;
mod body;
mod claim;
mod command;
mod envelope;
mod error;
mod examine;
mod family;
mod first_line;
pub mod fuzzing;
mod history;
mod incoming;
mod layout;
mod listing;
mod lock;
mod notify;
mod place;
mod removals;
mod scan;
mod settle;
mod space;
mod spool;
mod stored;
mod sweep;
mod tail;
mod text;
mod thrift;
mod transfer;
mod trouble;

pub use body::BodyReader;
pub use claim::{Claim, Ended};
pub use command::{Command, Done, Effect};
pub use error::{Corruption, Error, Fault};
pub use examine::{Contents, Examined};
pub use history::{Fate, Line, Member, Outcome, Recipients, What};
pub use incoming::{Child, Commit, Committed, Incoming};
pub use listing::{InWork, Listing, Listings};
pub use notify::{ReportingMta, Told};
pub use place::{Place, Queue};
pub use removals::Removals;
pub use scan::{Due, Shard};
pub use settle::{Settled, Settling, schedule_of};
pub use space::Space;
pub use spool::{Limits, Options, Spool};
pub use sweep::Swept;
pub use transfer::{Arrival, Arrived, Departing, Departure};
