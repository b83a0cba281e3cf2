//! The program that passes mail on to other servers.
//!
//! A message's way through it: [`scheduler`] finds that it is due, [`opening`] claims it and groups its recipients by next hop
//! ([`hop`]), [`attempt`] sends it, [`targets`] orders the servers of each, [`destinations`] gives it a place or lets it wait, [`walk`] goes from one to the next, [`dial`] and [`connection`] carry the sans-IO session
//! of `lib-smtp`, and [`ending`] has `lib-spool` settle what came of it. Nothing here decides by itself that a message is lost: that is the spool's
//! history, the schedule of `lib-policy` and the other server's words.
#![allow(rustdoc::private_intra_doc_links, reason = "the map above is for readers of the code")]

mod attempt;
mod connection;
mod content;
mod convert;
mod destinations;
mod dial;
mod ending;
mod events;
mod hop;
mod idle;
mod message;
mod opening;
mod pair;
mod program;
mod reroute;
mod scheduler;
mod shared;
mod targets;
mod terms;
#[cfg(test)]
mod tests;
mod walk;

pub use program::run;
