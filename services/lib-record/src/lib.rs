//! What happened, as one value, and the ways it is written: a maillog line, a JSON line, counters.
//!
//! Floor 1: no file, clock or thread. Time and zone are arguments; `lib-net` has the writer. What a peer sent is neutralised when
//! it is written, not when it is recorded: an event keeps the truth, and a line is always one line (R6.3).

mod counters;
mod event;
mod json;
mod maillog;
mod sentence;
mod threads;

pub use counters::{Count, Counters};
pub use event::{Event, Outcome, RoleName, Service, What};
pub use json::{from_json, json_line};
pub use maillog::maillog_line;
pub use sentence::sentence;
pub use threads::{Threads, next_id, remote_id};
