//! The scenarios that come with the harness, in groups.

pub mod acceptance;
pub mod failover;
pub mod mixed;

use crate::scenario::Scenario;

/// Every group.
pub const ALL: &[&[Scenario]] = &[acceptance::ALL, failover::ALL, mixed::ALL];
