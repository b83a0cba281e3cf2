//! The commands that build networks and break them.

pub mod bench;
pub mod compose;
pub mod control;
pub mod cut;
pub mod demo;
pub mod run;
pub mod up;
