//! What a run left behind: moments, nodes, messages and their ways, dialogues, books. Reports are drawn from it and from nothing else.
//!
//! Times are offsets from the start of the scenario. Everything here is plain data that serialises, so a report can carry it along.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// All scenarios of one call of `bongsu-harness run`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Run {
    /// When it began, seconds since 1970.
    pub started: u64,
    /// How long it took.
    pub took: Duration,
    /// What was tested: the version or path of the binary, the machine's cores.
    pub about: Vec<(String, String)>,
    /// One for each scenario, driver and system.
    pub results: Vec<Played>,
}

/// A scenario that was played, or why it was not.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Played {
    /// The scenario's name: `primary_killed_and_the_secondaries_take_over`.
    pub name: String,
    /// What it shows, one sentence.
    pub shows: String,
    /// Rows of the requirement book.
    pub rows: Vec<String>,
    /// `processes` or `containers`.
    pub driver: String,
    /// The system under test: `bongsu`, `postfix`.
    pub system: String,
    /// How it ended.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
    /// What happened.
    pub record: Record,
}

/// How a scenario ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It holds, and the books balance.
    Passed,
    /// What did not hold, in its first line; then everything that helps to find out why.
    Failed(String),
    /// It does not hold, as is known of this system: why, and from the next line on what did not hold.
    Differs(String),
    /// Why it can't run here.
    Skipped(String),
}

/// What happened in one scenario.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Record {
    /// The servers, in the topology's order.
    pub nodes: Vec<NodeRecord>,
    /// What was done and seen, in order of time.
    pub moments: Vec<Moment>,
    /// When a node was in another state than up.
    pub spans: Vec<Span>,
    /// Counts over time, taken several times a second.
    pub samples: Vec<Sample>,
    /// Every message of the ledger.
    pub messages: Vec<MessageRecord>,
    /// Dialogues that the gates wrote down, oldest first; capped.
    pub dialogues: Vec<DialogueRecord>,
    /// The balance.
    pub books: Books,
    /// How long messages of a load took to be accepted, from the first try on, sorted.
    #[serde(default)]
    pub latencies: Vec<Duration>,
}

/// A server of the topology.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its name in the topology: `primary`.
    pub name: String,
    /// What runs on it: `bongsu`, `postfix`.
    pub system: String,
    /// What it is there: `primary MX of office.example, preference 10`.
    pub part: String,
    /// Its address.
    pub address: String,
}

/// Something that was done or seen.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: Duration,
    /// What sort.
    pub kind: MomentKind,
    /// The node that it is about.
    pub node: Option<String>,
    /// In plain words: `primary is killed (SIGKILL)`.
    pub text: String,
}

/// What sort of moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MomentKind {
    /// Something was broken.
    Fault,
    /// It was mended.
    Heal,
    /// A step of the scenario.
    Step,
    /// Something was checked and held.
    Check,
}

/// A node in a state, from one moment to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The node.
    pub node: String,
    /// From.
    pub from: Duration,
    /// Until; `None` is the end of the run.
    pub until: Option<Duration>,
    /// The state, one word: `down`, `paused`, `cut`, `full`, `slow`.
    pub state: String,
}

/// Counts at one moment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sample {
    /// When.
    pub at: Duration,
    /// Messages that got 250 from the first server so far.
    pub accepted: usize,
    /// Refused so far.
    pub refused: usize,
    /// Without a final reply so far.
    pub in_doubt: usize,
    /// Messages queued, for each node in the topology's order; `None` where a node could not say.
    pub queued: Vec<Option<usize>>,
    /// Copies in mailboxes, for each node likewise.
    pub delivered: Vec<Option<usize>>,
}

/// A message of the ledger.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MessageRecord {
    /// Its token.
    pub token: String,
    /// What the client was told: `accepted`, `refused`, `nothing`.
    pub told: String,
    /// The reply, as the client saw it.
    pub reply: String,
    /// When it was sent.
    pub at: Duration,
    /// Each final recipient, and what became of it.
    pub recipients: Vec<RecipientRecord>,
    /// Its way over the nodes, in order of time.
    pub hops: Vec<Hop>,
}

/// What became of a recipient.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RecipientRecord {
    /// The address.
    pub address: String,
    /// `delivered`, `handed over`, `bounced`, `queued`, `discarded`, `lost`, `duplicated`, `refused`, `nowhere`.
    pub fate: String,
    /// Where each copy is: node and mailbox, or node and queue.
    pub places: Vec<String>,
}

/// A step of a message on a node.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Hop {
    /// When.
    pub at: Duration,
    /// The node.
    pub node: String,
    /// The node's own id for it.
    pub id: String,
    /// `accepted`, `relayed`, `delivered`, `deferred`, `failed`.
    pub what: String,
    /// To whom, over which host, with which reply.
    pub detail: String,
}

/// A dialogue over one connection.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DialogueRecord {
    /// The side that connected: a node's name, or `client`.
    pub from: String,
    /// The side that was connected to.
    pub to: String,
    /// When it began.
    pub at: Duration,
    /// The lines: when, `C` or `S`, text. A message's body is one line that gives its size.
    pub lines: Vec<(Duration, char, String)>,
    /// How it ended: `closed`, `reset by the gate after the final dot`.
    pub end: String,
}

/// The balance over all messages and final recipients, counted in copies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    /// Copies that were accepted: each recipient of each message that got 250.
    pub accepted: usize,
    /// Accepted copies that lie in a mailbox.
    pub delivered: usize,
    /// Accepted copies that a server outside the topology took with its 250.
    pub handed_over: usize,
    /// Accepted copies whose sender was told that they failed.
    pub bounced: usize,
    /// Accepted copies that still wait.
    pub queued: usize,
    /// Accepted copies that a rule dropped.
    pub discarded: usize,
    /// Tokens and recipients found nowhere.
    pub lost: Vec<String>,
    /// Tokens and recipients found more often than once.
    pub duplicated: Vec<String>,
    /// Duplicates that the fault allows, and why; 0 and empty where it allows none.
    pub allowed_duplicates: (usize, String),
    /// Copies that differ from what was sent.
    pub damaged: Vec<String>,
    /// Refused, and found all the same.
    pub refused_but_found: Vec<String>,
    /// Messages refused at the door.
    pub refused: usize,
    /// Messages without a final reply.
    pub in_doubt: usize,
    /// Copies of those that were found, lawfully.
    pub in_doubt_found: usize,
    /// Found, and never sent by this ledger.
    pub unknown: usize,
}
