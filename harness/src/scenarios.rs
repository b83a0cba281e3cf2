//! The scenarios that come with the harness, in groups.

pub mod acceptance;
pub mod disk;
pub mod drawn;
pub mod exchange;
pub mod failover;
pub mod kills;
pub mod loops;
pub mod mailbox;
pub mod mixed;
pub mod moved;
pub mod names;
mod networks;
pub mod pair;
pub mod pressure;
pub mod replies;
pub mod smart_host;
pub mod storage;
pub mod time;

use crate::scenario::Scenario;

/// Every group.
pub const ALL: &[&[Scenario]] = &[
    acceptance::ALL,
    failover::ALL,
    mixed::ALL,
    pair::ALL,
    kills::ALL,
    exchange::ALL,
    replies::ALL,
    moved::ALL,
    names::ALL,
    loops::ALL,
    smart_host::ALL,
    mailbox::ALL,
    disk::ALL,
    storage::ALL,
    pressure::ALL,
    time::ALL,
    drawn::ALL,
];
