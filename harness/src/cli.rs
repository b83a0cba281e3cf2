//! The commands that build networks and break them.

pub mod cut;
pub mod run;
