//! The commands that look back: log and trace.

use std::time::Duration;

use clap::Args;

use super::queue::duration;

/// Shown under `trace --help`.
pub(super) const TRACE: &str = "\
WHAT is a queue id, a Message-ID, an address (of sender or recipient), or a domain (@example.net).
Other nodes are joined by the id that they gave when they took the message (\"queued as ID\").

Examples:
  bongsu trace kim@example.net --since 1d
  bongsu trace '<20261123.1@client.example>' --with backup=/mnt/backup/bongsu
  ssh backup bongsu log --json > backup.jsonl; bongsu trace 1h8... --with backup.jsonl";

#[derive(Debug, Args)]
pub(crate) struct Log {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Only what happened in this time
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) since: Option<Duration>,
    /// Go on with what happens from now
    #[arg(long, short)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Trace {
    /// Queue id, Message-ID, address or @domain
    #[arg(value_name = "WHAT")]
    pub(crate) what: String,
    /// Only messages of this time
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) since: Option<Duration>,
    /// Events of another node: its data directory, or a file that `bongsu log --json` wrote there (may be repeated)
    #[arg(long, value_name = "[NAME=]PATH")]
    pub(crate) with: Vec<String>,
    /// Print JSON, one message a line
    #[arg(long)]
    pub(crate) json: bool,
}
