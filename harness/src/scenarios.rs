//! The scenarios that come with the harness, in groups.

pub mod acceptance;
pub mod disk;
pub mod failover;
mod networks;
pub mod storage;

use crate::scenario::Scenario;

/// Every group.
pub const ALL: &[&[Scenario]] = &[acceptance::ALL, failover::ALL, disk::ALL, storage::ALL];
