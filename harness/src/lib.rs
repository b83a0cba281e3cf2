//! Networks of mail servers, started, loaded, broken and audited.
//!
//! The harness knows no crate of the product: it sees ports, files and the command line, so that the same scenario can judge another
//! mail system. Everything it starts it ends, and it waits on conditions with deadlines, never for a fixed time.

pub mod bench;
pub mod cli;
pub mod client;
pub mod compose;
pub mod corpus;
pub mod cut;
pub mod dialog;
pub mod dns;
pub mod driver;
pub mod faults;
pub mod gate;
pub mod journal;
pub mod ledger;
pub mod load;
pub mod maildir;
pub mod node;
pub mod pair;
pub mod peer;
pub mod pop;
pub mod postfix;
pub mod power;
pub mod record;
pub mod report;
pub mod scenario;
pub mod scenarios;
pub mod server;
pub mod small_disk;
pub mod smtp;
pub mod stage;
pub mod sweep;
pub mod system;
pub mod tls;
pub mod topology;
pub mod volume;
pub mod wait;

/// Errors here end a scenario and are read by a person: a text with its causes is enough.
pub type Result<T> = anyhow::Result<T>;
