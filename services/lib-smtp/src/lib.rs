//! SMTP without input or output of its own: the wire (bytes ⇄ values) and the sessions (what may come next).
//!
//! Floor 1. Nothing here opens a socket, reads a clock or decides who may send: octets and answers go in, replies and questions
//! come out, and whoever drives a session owns the connection, the time and the policy. One thing surprises: a server's session keeps no
//! octets. What it could not use yet is passed again by the caller, in front of what came since.

pub mod bdat;
pub mod client;
pub mod command;
pub mod data;
pub mod forward;
#[doc(hidden)]
pub mod fuzzing;
pub mod line;
mod params;
pub mod path;
pub mod reply;
pub mod server;
