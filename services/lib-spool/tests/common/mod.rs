//! What the spool's tests share: a spool on a simulated disk, and messages to put in.
#![allow(dead_code, clippy::unwrap_used, missing_docs, unreachable_pub)]

use std::io::Read;
use std::time::Duration;

use lib_host::{Clock, Disk, SimDisk};
use lib_mail::{BodyType, By, Enhanced, Envelope, Protocol, QueueId, Recipient, Status, Timestamp};
use lib_spool::{Commit, Error, Options, Outcome, Queue, Spool, What};

pub const START: Timestamp = Timestamp(1_795_401_000_000);
pub const LIMIT: u64 = 100_000;

pub fn open_with(disk: &SimDisk, clock: &Clock) -> Result<Spool, Error> {
    let options = Options { disk: Disk::from(disk), ..Options::new(clock.clone(), LIMIT) };
    Spool::open("/spool".as_ref(), options)
}

pub fn open(disk: &SimDisk) -> Spool {
    open_with(disk, &Clock::manual(START)).unwrap()
}

pub fn envelope(recipients: &[&str]) -> Envelope {
    Envelope {
        sender: Some("minji@example.kr".parse().unwrap()),
        recipients: recipients.iter().map(|address| Recipient::new(address.parse().unwrap())).collect(),
        ret: None,
        envid: None,
        body: BodyType::SevenBit,
        utf8: false,
        arrived: START,
        deadline: START.plus(Duration::from_secs(5 * 24 * 3600)),
        peer: None,
        helo: "client.example".into(),
        protocol: Protocol { extended: true, tls: false, auth: false, utf8: false, local: false },
        account: None,
        added: String::new(),
        parent: None,
    }
}

/// A commit into one queue, due at once.
pub fn to(queue: Queue, recipients: &[&str]) -> Commit {
    let envelope = Some(envelope(recipients));
    let (local, relay) = if queue == Queue::Local { (envelope, None) } else { (None, envelope) };
    Commit { local, relay, held: false, due: START }
}

pub fn to_both() -> Commit {
    Commit { local: Some(envelope(&["a@local.example"])), relay: Some(envelope(&["b@far.example"])), held: false, due: START }
}

/// Octets of that length, none like its neighbours.
pub fn message(len: usize) -> Vec<u8> {
    (0..len).map(|place| b"abcdefghijklmnopqrstuvwxyz0123456789\r\n"[(place + place / 38) % 38]).collect()
}

pub fn put(spool: &Spool, octets: &[u8], commit: Commit) -> Result<QueueId, Error> {
    let mut incoming = spool.begin();
    for part in octets.chunks(30_000) {
        incoming.append(part)?;
    }
    incoming.commit(commit).map(|committed| committed.id())
}

pub fn body(claim: &lib_spool::Claim) -> Vec<u8> {
    let mut octets = Vec::new();
    claim.body().read_to_end(&mut octets).unwrap();
    octets
}

pub fn outcome(what: What) -> Outcome {
    let (code, class) = match what {
        What::Deferred => (451, 4),
        What::Failed => (550, 5),
        _ => (250, 2),
    };
    let by = By::Remote("mx1.example.net [192.0.2.1]".into());
    Outcome { what, status: Status::new(code, Enhanced::new(class, 0, 0), by, "so it is", START) }
}

/// Ids of what is due.
pub fn due(spool: &Spool, queue: Queue, now: Timestamp) -> Vec<QueueId> {
    let mut due: Vec<_> = spool.due(queue, now).flat_map(|shard| shard.unwrap().due).collect();
    due.sort();
    due
}

/// Paths of message files, relative to the spool.
pub fn paths(disk: &SimDisk) -> Vec<String> {
    let files = disk.files().into_iter();
    files.filter_map(|(path, _)| path.strip_prefix("/spool/").map(str::to_owned)).filter(|path| path != "ballast").collect()
}
