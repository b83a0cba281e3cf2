//! The program that hands mailboxes to their owners over POP3.
//!
//! `lib-pop3` knows the protocol, `lib-net` waits for clients, `lib-mailbox` has the messages, `auth` the passwords; here they meet.
//! The maildrop's lock lives as long as the conversation that took it, and dies with the process (R5.2). Everything that touches the
//! disk runs beside the event loop.

mod conversation;
mod program;
mod reading;
mod service;

#[cfg(test)]
mod tests;

pub use program::run;
