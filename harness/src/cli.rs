//! The commands that build networks and break them.

pub mod compose;
pub mod run;
