//! Which messages are due, without opening one.
#![allow(clippy::unimplemented, unused_variables, missing_docs, dead_code)]

use lib_mail::{QueueId, Timestamp};

use crate::Error;

/// One of the 32 parts of a queue, as a scan found it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shard {
    /// Due now, the longest due first. Some may be claimed already.
    pub due: Vec<QueueId>,
    /// When the next of the others is due.
    pub next: Option<Timestamp>,
    /// How many messages there are in all.
    pub count: usize,
}

/// A scan, one shard at a step so that the caller can pace it.
#[derive(Debug)]
pub struct Due {}

impl Iterator for Due {
    type Item = Result<Shard, Error>;
    fn next(&mut self) -> Option<Self::Item> {
        unimplemented!()
    }
}
