//! What a scenario may do with one mail server of a running topology, whatever program it is and wherever it runs.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::Result;
use crate::client::Ran;
use crate::ledger::Found;
use crate::topology::{NodePlan, SystemKind};

/// A door of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Port {
    /// Mail from other servers.
    Mx,
    /// Mail from users, STARTTLS.
    Submission,
    /// Mail from users, TLS from the first octet.
    Submissions,
    /// Mailboxes.
    Pop3,
    /// Mailboxes, TLS from the first octet.
    Pop3s,
}

/// How many messages lie where; `None` where the server could not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// In its queue.
    pub queued: Option<usize>,
    /// Copies in its mailboxes.
    pub delivered: Option<usize>,
}

/// A copy in a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The mailbox, as an address.
    pub address: String,
    /// The message with the server's own lines in front; line ends are LF or CRLF.
    pub text: Vec<u8>,
}

/// A step of a message's life that the server wrote down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, milliseconds since 1970 by the server's clock.
    pub at: i64,
    /// The server's own id of the message.
    pub id: String,
    /// The Message-ID, where the event tells it (it does when the message is accepted).
    pub message_id: Option<String>,
    /// `accepted`, `relayed`, `delivered`, `deferred`, `failed`, `bounced`.
    pub what: String,
    /// To whom, through which host, with which words.
    pub detail: String,
}

/// A mail server of a running topology. It is ended when dropped.
pub trait Server: Send + Sync {
    /// Its part of the topology.
    fn plan(&self) -> &NodePlan;

    /// Its host name.
    fn host(&self) -> &str;

    /// Where a client reaches this door.
    fn at(&self, port: Port) -> SocketAddr;

    /// Starts it and waits until its doors answer.
    fn start(&self) -> Result<()>;

    /// Asks it to end in order, and waits. Its exit code.
    fn stop(&self) -> Result<i32>;

    /// SIGKILL to all of it, and waits until it is gone.
    fn kill(&self) -> Result<()>;

    /// Freezes all of it: the kernel goes on to accept connections, and nobody answers.
    fn pause(&self) -> Result<()>;

    /// Lets it go on.
    fn resume(&self) -> Result<()>;

    /// Whether it was started and not ended since.
    fn runs(&self) -> bool;

    /// The services that can be killed one by one.
    fn services(&self) -> &'static [&'static str];

    /// SIGKILL to one service, once it runs; it does not wait for the service to come back.
    fn kill_service(&self, service: &str) -> Result<()>;

    /// Freezes one service.
    fn pause_service(&self, service: &str) -> Result<()>;

    /// Lets it go on.
    fn resume_service(&self, service: &str) -> Result<()>;

    /// The process of one service, once it runs, where the harness can reach it.
    fn service_process(&self, service: &str) -> Result<u32> {
        let name = &self.plan().name;
        anyhow::bail!("{}the process of {service} on {name} is out of reach here", crate::scenario::SKIPPED)
    }

    /// Runs the operator's command (`bongsu ARGS` for bongsu) with `input`.
    fn command(&self, args: &[&str], input: &[u8]) -> Result<Ran>;

    /// Tries all that waits, now.
    fn run_queue(&self) -> Result<()>;

    /// Before the start: from then on what would leave for other servers stays in the queue. Once it runs, `false` lets all of it go.
    fn hold(&self, _held: bool) -> Result<()> {
        let system = self.system().name();
        anyhow::bail!("{}what {system} would send can't be held here", crate::scenario::SKIPPED)
    }

    /// The queue's listing, as an operator asks for it: what it printed.
    fn list_queue(&self) -> Result<Ran> {
        let system = self.system().name();
        anyhow::bail!("{}the queue of {system} can't be listed here", crate::scenario::SKIPPED)
    }

    /// The name of the program and its version, of all programs that it is made of.
    fn version(&self) -> String {
        self.system().name().to_owned()
    }

    /// All messages that wait, held ones too.
    fn queued(&self) -> Result<Vec<Found>>;

    /// Every copy in every mailbox.
    fn copies(&self) -> Result<Vec<Copy>>;

    /// How many messages lie where; cheap enough for several times a second.
    fn counts(&self) -> Counts;

    /// What it wrote down of its messages.
    fn events(&self) -> Result<Vec<Event>>;

    /// Writes a file of its configuration (`aliases`, `bongsu.toml`), as an editor would.
    fn configure(&self, file: &str, text: &str) -> Result<()>;

    /// Puts a changed configuration in force.
    fn reload(&self) -> Result<()>;

    /// Sets its queue clock `ahead` of (or with a negative number of milliseconds behind) the real one, running `rate` times as fast from there.
    fn set_clock(&self, ahead_ms: i64, rate: f64) -> Result<()>;

    /// Where its data lies as the harness sees it, where it can.
    fn data(&self) -> Option<PathBuf>;

    /// The processes that it is made of, where the harness can see them.
    fn processes(&self) -> Vec<u32>;

    /// Whether a line that holds `text` was logged.
    fn logged(&self, text: &str) -> bool;

    /// The last lines of its log.
    fn log_tail(&self, lines: usize) -> String;

    /// The name of the program.
    fn system(&self) -> SystemKind {
        self.plan().system
    }

    /// Waits until nothing is queued; the queue is run whenever nothing moves.
    fn wait_empty(&self, patience: Duration) -> Result<()> {
        let mut last = (usize::MAX, std::time::Instant::now());
        let empty = crate::wait::wait_for(&format!("an empty queue on {}", self.plan().name), patience, || {
            let left = self.queued()?.len();
            if left != last.0 {
                last = (left, std::time::Instant::now());
            } else if left > 0 && last.1.elapsed() > Duration::from_secs(1) {
                self.run_queue()?;
                last.1 = std::time::Instant::now();
            }
            Ok((left == 0).then_some(()))
        });
        empty.map_err(|error| error.context(self.log_tail(30)))
    }
}
