//! Decisions: facts in, a verdict and the trail that led to it out.
//!
//! Floor 1: nothing here opens a file, asks a name server or looks at a clock; every fact is an argument. So a decision can be
//! repeated, explained (`bongsu why`) and tested in microseconds. The roles `smtp-in` and `deliver` ask the same `route`, hours apart
//! perhaps: the answer at RCPT is a courtesy, the answer at delivery counts.

mod admit;
mod aliases;
mod backup;
mod content;
#[cfg(test)]
mod fixture;
pub mod fuzzing;
mod limit;
mod maps;
mod recipients;
mod route;
mod schedule;
mod verdict;

pub use admit::{Admission, Client, Door, admit_recipient, admit_sender, too_large_for_mailbox};
pub use aliases::{Aliases, Summary, Target};
pub use backup::{Primaries, Primary, Standing};
pub use content::{BccFilter, Fixes, HeaderScan, MAX_FIELD, fixes};
pub use limit::{Limiter, Limits, Turned};
pub use maps::{LineProblem, LocalDomains, RelayDomains};
pub use recipients::{Known, RecipientList};
pub use route::{Directory, Expansion, Facts, MAX_MEMBERS, Member, Route, expand, route, route_with_trail};
pub use schedule::{AfterFailure, Failure, Schedule};
pub use verdict::{Step, Trail, Verdict};
