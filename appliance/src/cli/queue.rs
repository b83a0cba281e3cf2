//! The commands that show the queue and act on it.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use lib_settings::Scalar;

use crate::commands::select::Who;

/// Shown under `mailq --help`.
pub(super) const MAILQ: &str = "\
WHO is an address, a domain (kebi.net or @kebi.net), or <> for notifications. DURATION is a number and its unit: 30s, 5m, 4h, 2d.
A * behind a queue id marks a message that is being delivered now.

Examples:
  bongsu mailq --summary                       how much waits for which domain, and since when
  bongsu mailq --summary reason                … and why
  bongsu mailq --to kebi.net --older 4h
  bongsu queue delete --sender spammer@example.net --dry-run";

/// Which messages.
#[derive(Debug, Args, Clone, Default)]
#[command(next_help_heading = "Which messages")]
pub(crate) struct Filter {
    /// From this sender
    #[arg(long, value_name = "WHO")]
    pub(crate) sender: Option<Who>,
    /// Waiting for this recipient
    #[arg(long, visible_alias = "recipient", value_name = "WHO")]
    pub(crate) to: Option<Who>,
    /// In the queue for longer than this
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) older: Option<Duration>,
    /// In the queue for less than this
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) younger: Option<Duration>,
    /// Whose last reason to wait holds this text, in any case of letters
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// On hold
    #[arg(long)]
    pub(crate) held: bool,
    /// In this queue
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: Option<QueueName>,
}

impl Filter {
    /// Whether it leaves everything in.
    pub(crate) fn is_open(&self) -> bool {
        !self.picks() && !self.held && self.queue.is_none()
    }

    /// Whether it leaves out some messages of a place.
    pub(crate) fn picks(&self) -> bool {
        let Filter { sender, to, older, younger, reason, .. } = self;
        sender.is_some() || to.is_some() || older.is_some() || younger.is_some() || reason.is_some()
    }
}

/// A queue by its consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum QueueName {
    /// For mailboxes here
    Local,
    /// For other servers
    Relay,
}

/// What a summary counts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    /// The recipients' domains
    Domain,
    /// The reasons to wait
    Reason,
    /// The senders
    Sender,
}

/// Showing the queue.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Count instead of listing: by domain, reason or sender
    #[arg(long, value_name = "BY", num_args = 0..=1, default_missing_value = "domain")]
    pub(crate) summary: Option<By>,
    /// Print JSON, one message (or group of a summary) a line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// List the queue, as mailq does
    #[command(after_help = MAILQ)]
    List(List),
    /// Show all that is known of a message: recipients, history, next attempt, header
    Show(Show),
    /// Try everything that waits now
    Run,
    /// Try now what waits for a domain
    Flush {
        /// The domain
        domain: String,
    },
    /// Try messages now
    Retry(Order),
    /// Leave messages alone until they are released
    Hold(Order),
    /// Put held messages back into the queue
    Release(Order),
    /// Give messages a fresh start: routed and counted anew, with the whole time until their return before them
    Requeue(Order),
    /// Remove messages without telling their senders
    Delete(Order),
    /// Return messages to their senders now
    Bounce(Order),
    /// Write messages to an archive, for the queue of another node
    #[command(after_help = "Without --remove it is a copy: importing it sends the mail a second time.\n\n\
        Examples:\n  bongsu queue export --to example.net --remove moved.tar\n  bongsu queue export --all - | gzip > copy.tar.gz")]
    Export(Export),
    /// Take the messages of an archive into the queue
    Import(Import),
}

/// Orders to messages.
#[derive(Debug, Args)]
pub(crate) struct Order {
    /// Queue ids, as mailq shows them
    #[arg(value_name = "QUEUE-ID")]
    pub(crate) ids: Vec<String>,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// All messages
    #[arg(long)]
    pub(crate) all: bool,
    /// Say how many it would be, and do nothing
    #[arg(long, short = 'n')]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The queue id
    #[arg(value_name = "QUEUE-ID")]
    pub(crate) id: String,
    /// Print the message as it was received, and nothing else
    #[arg(long, conflicts_with = "json")]
    pub(crate) message: bool,
    /// Print JSON, one line for each of the message's files
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The archive, a file that does not exist yet; - for standard output
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// All messages
    #[arg(long)]
    pub(crate) all: bool,
    /// Remove from here what is safe in the archive
    #[arg(long)]
    pub(crate) remove: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The archive; - for standard input
    pub(crate) file: PathBuf,
}

/// A duration of the command line, written as in the settings.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    Duration::from_text(text)
}
