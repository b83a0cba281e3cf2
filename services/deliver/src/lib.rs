//! The program that puts mail into local mailboxes.
//!
//! It consumes the queue `local`: claims a message, finds out where each recipient's mail goes now (the answer at RCPT was a courtesy), puts
//! copies into mailboxes, passes on what an alias leads elsewhere, records what became of each recipient, and lets the message go. All
//! work on messages blocks, so it runs in a bounded number of threads, where concurrent syncs share their cost; the runtime's one task only
//! watches sockets and clocks.

mod attempt;
mod backlog;
mod batch;
mod crew;
mod events;
mod expansion;
mod forward;
mod header;
mod office;
mod program;
mod target;

use std::process::ExitCode;

/// Runs the role until it is drained. The exit code is a failure where it could not begin.
pub fn run(role: lib_net::Role) -> ExitCode {
    program::run(role)
}

#[cfg(test)]
mod tests;
