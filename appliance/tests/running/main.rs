//! The binary as its operator meets it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod commands;
mod node;
mod queue;
mod supervisor;
