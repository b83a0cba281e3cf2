//! The program that receives mail: role `smtp-in` with the listeners for other servers, role `submission` with those for our users.
//!
//! A session is in four pieces. `lib-smtp` has the wire and the session, `lib-policy` and `answers` decide, `lib-net` drives; here the
//! session's questions meet the machine: maps, accounts, the spool, the role `auth`.

mod answers;
mod dialogue;
mod etrn;
mod handover;
mod message;
mod program;
mod rules;
mod service;
mod shared;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

/// Serves until the supervisor orders a drain or is gone.
pub fn run(role: lib_net::Role) -> ExitCode {
    program::run(role)
}
