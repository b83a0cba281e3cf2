//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

mod queue;
mod watching;

pub(crate) use queue::*;
pub(crate) use watching::*;

/// Shown under `bongsu --help`.
const FIRST_STEPS: &str = "\
First steps:
  bongsu up --data ./mail          a working mail server for trying out, on high ports of this machine
  bongsu init --domain example.net write a configuration for a real one, and print the DNS records to set
  bongsu status                    what runs, where it listens, what keeps the parts apart";

/// A mail server in one binary: SMTP in, queue and relay out, local delivery, POP3.
#[derive(Debug, Parser)]
#[command(name = "bongsu", version, after_help = FIRST_STEPS, subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the node lies. The same for all commands.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Directory of queue, mailboxes and accounts [default: $BONGSU_DATA, else /var/lib/bongsu where it exists, else this directory]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Settings file [default: /etc/bongsu/bongsu.toml for data in /var/lib/bongsu, else DIR/config/bongsu.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server in the foreground
    #[command(
        after_help = "Without a settings file a working node starts on high ports of this machine, with a first account.\n\
        SIGTERM ends it in order, SIGHUP reads the settings again.\n\nExample:\n  bongsu up --data ./mail"
    )]
    Up {
        /// In a container, start even though the data lie on no volume and are lost with the container
        #[arg(long)]
        without_volume: bool,
    },
    /// Write an annotated configuration and a first account; print the DNS records to set
    #[command(
        after_help = "Example:\n  bongsu init --domain example.net --hostname mail.example.net --account kim@example.net"
    )]
    Init(Init),
    /// Read settings, maps and accounts, and say everything that is wrong
    #[command(after_help = "Examples:\n  bongsu check\n  bongsu check --isolation     try what each role can reach")]
    Check {
        /// Restrict a process as each role is restricted, try every directory, and print what came of it
        #[arg(long)]
        isolation: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Put changed settings in force without dropping sessions
    Reload,
    /// Stop the server in order
    Stop,
    /// Show what runs; exit status 0 only when everything that should run does
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
        /// Print nothing
        #[arg(long, short)]
        quiet: bool,
    },
    /// Accounts: mailboxes and the rights of their owners
    #[command(subcommand)]
    Account(Account),
    /// Show the queue: what waits, why, and when it is tried again
    #[command(after_help = MAILQ)]
    Mailq(List),
    /// Look into queued messages, act on them, move them to another node
    #[command(subcommand)]
    Queue(Queue),
    /// A primary and its backup MX: make a pair, and see how it fares
    #[command(subcommand)]
    Pair(Pair),
    /// Tell the life of messages: where they came from, what became of them, here and on other nodes
    #[command(after_help = TRACE)]
    Trace(Trace),
    /// Print the events that the server kept, as its log showed them
    #[command(
        after_help = "Examples:\n  bongsu log --since 2h\n  bongsu log --follow\n  bongsu log --json > backup.jsonl     for: bongsu trace … --with backup.jsonl"
    )]
    Log(Log),
    /// Submit one message as a mail program does, showing the dialogue with -v
    #[command(after_help = "The message is read from standard input, or made from --subject and --body.\n\nExamples:\n  \
        bongsu send -v --to kim@bongsu.test --subject hello --body 'It works.'\n  \
        bongsu send -v --server 127.0.0.1:2587 --user you@bongsu.test --to kim@example.net < message.eml")]
    Send(Send),
    /// Give the directories their owners for the strict set-up (as root, before the first start)
    #[command(hide = true)]
    Owners,
    /// One role; the supervisor starts it
    #[command(hide = true)]
    Role {
        /// The role
        name: lib_net::role::RoleName,
    },
    /// Restrict this process as a role and try every directory
    #[command(hide = true)]
    RoleProbe {
        /// The role
        name: lib_net::role::RoleName,
    },
    /// Print a completion script for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The mail domain: what stands after the @ of your users
    #[arg(long)]
    pub(crate) domain: String,
    /// Full name of this host [default: mail.DOMAIN]
    #[arg(long)]
    pub(crate) hostname: Option<String>,
    // Not as a doc comment: there rustdoc takes the brackets for a link, because of the @.
    #[arg(long, help = "First account [default: postmaster@DOMAIN]")]
    pub(crate) account: Option<String>,
    /// Defaults to build on: office or classic
    #[arg(long, default_value = "office")]
    pub(crate) profile: String,
    /// Address that the DNS records are to name, as seen from outside
    #[arg(long, value_name = "IP")]
    pub(crate) address: Vec<std::net::IpAddr>,
    /// Print the settings instead of writing them, for a configuration directory that is not writable from here (a container)
    #[arg(long)]
    pub(crate) stdout: bool,
    /// Write over a configuration that is there already
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// Add an account
    #[command(
        after_help = "The password is taken from $BONGSU_PASSWORD, or asked for on standard input, or made with --random.\n\n\
        Example:\n  bongsu account add kim@example.net --random"
    )]
    Add {
        /// Full address
        address: String,
        /// Make a password and print it
        #[arg(long)]
        random: bool,
        /// May receive and read, but not send
        #[arg(long)]
        no_send: bool,
        /// May not fetch by POP3
        #[arg(long)]
        no_pop3: bool,
        /// Further sender address that it owns (may be repeated)
        #[arg(long, value_name = "ADDRESS")]
        owns: Vec<String>,
    },
    /// Remove an account; its mailbox stays on disk
    Remove {
        /// Full address
        address: String,
    },
    /// Set a new password
    Passwd {
        /// Full address
        address: String,
        /// Make a password and print it
        #[arg(long)]
        random: bool,
    },
    /// List the accounts
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Pair {
    /// Make keys and settings for all nodes of a pair, and print the DNS records
    #[command(
        after_help = "Example:\n  bongsu pair new --domain example.net --primary mx1.example.net --secondary mx2.example.net --out pair"
    )]
    New(PairNew),
    /// Show for each peer whether it is reached, how old its list of recipients is, and what waits for it
    Status {
        /// Print JSON, one peer a line
        #[arg(long)]
        json: bool,
    },
    /// Fetch the lists of recipients now
    Fetch,
    /// Put a list of recipients in force that was not applied by itself
    Confirm {
        /// The peer's name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct PairNew {
    /// Mail domain whose mailboxes are at the primary (may be repeated)
    #[arg(long, required = true)]
    pub(crate) domain: Vec<String>,
    /// Full name of the host with the mailboxes: MX 10
    #[arg(long, value_name = "HOST")]
    pub(crate) primary: String,
    /// Full name of a host that takes mail while the primary is away: MX 20 (may be repeated)
    #[arg(long, value_name = "HOST", required = true)]
    pub(crate) secondary: Vec<String>,
    /// Where its peers reach a node, if not at its name and port 25 (may be repeated)
    #[arg(long, value_name = "HOST=PLACE[:PORT]")]
    pub(crate) reach: Vec<String>,
    /// Directory to write to: one directory for each node is made in it
    #[arg(long, value_name = "DIR", default_value = "pair")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// Show the dialogue
    #[arg(short, long)]
    pub(crate) verbose: bool,
    /// Submission server [default: this node's own listener]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) server: Option<std::net::SocketAddr>,
    /// Account to log in as; the password comes from $BONGSU_PASSWORD or is asked for
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Sender [default: the account]
    #[arg(long)]
    pub(crate) from: Option<String>,
    /// Recipient (may be repeated)
    #[arg(long, required = true)]
    pub(crate) to: Vec<String>,
    /// Subject of a made message
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// Text of a made message
    #[arg(long)]
    pub(crate) body: Option<String>,
    /// Do not use TLS
    #[arg(long)]
    pub(crate) no_tls: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_a_user_sees_explains_itself() {
        for command in Cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
        }
    }
}
