//! The role `auth`: the only process that reads password hashes.
//!
//! It answers [`lib_net::auth`]'s questions on a unix stream socket. A check of a hash takes tens of milliseconds of a core, so it runs
//! beside the event loop, few at a time; a login that was verified a moment ago costs a keyed hash instead; an address that fails too
//! often waits longer and longer. A password is held while its question is open, and nowhere afterwards.

mod judge;
mod program;
mod remembered;
mod server;
mod throttle;

#[cfg(test)]
mod tests;

pub use program::run;
