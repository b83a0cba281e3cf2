//! Attempts on real files: who gets what, who is told, what waits.

mod aliases;
mod crash;
mod failures;
mod program;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use lib_account::{Account, Accounts, Maps};
use lib_host::{Clock, Disk};
use lib_mail::{Address, BodyType, Envelope, Peer, Protocol, QueueId, Recipient, Timestamp};
use lib_mailbox::Mailboxes;
use lib_net::Recorder;
use lib_net::wake::Waker;
use lib_policy::{Aliases, LocalDomains};
use lib_settings::{Profile, Settings};
use lib_spool::{Commit, Listing, Options, Queue, Spool};

use crate::backlog::Next;
use crate::batch::Batch;
use crate::events::Journal;
use crate::office::{Office, Rules};

const START: Timestamp = Timestamp(1_795_401_000_000);
const MINJI: &str = "minji@example.kr";
const SORA: &str = "sora@example.kr";
const BODY: &str = "Subject: x\r\n\r\nhello\r\n";
/// Until a message is returned.
const FIVE_DAYS: Duration = Duration::from_secs(5 * 86_400);

/// A node's local half: spool, mailboxes, maps.
struct Yard {
    office: Office,
    clock: Clock,
    dir: Option<tempfile::TempDir>,
}

fn settings() -> Settings {
    let mut settings = Settings::defaults(Profile::Office);
    settings.hostname = "mail.example.kr".parse().unwrap();
    settings
}

fn maps(aliases: &str) -> Maps {
    let accounts: Accounts =
        [MINJI, SORA, "postmaster@example.kr"].map(|address| Account::new(address.parse().unwrap())).into_iter().collect();
    Maps {
        local: LocalDomains::parse("example.kr").unwrap(),
        aliases: Aliases::parse(aliases).unwrap(),
        accounts: Some(Arc::new(accounts)),
        ..Maps::default()
    }
}

/// Opens the stores on a disk; the directories are there.
fn office(disk: &Disk, spool: &Path, mail: &Path, clock: &Clock, aliases: &str) -> Result<Office, String> {
    let options = Options { disk: disk.clone(), ..Options::new(clock.clone(), 1_000_000) };
    Ok(Office {
        spool: Spool::open(spool, options).map_err(|error| error.to_string())?,
        mailboxes: Mailboxes::open_on(disk, mail).map_err(|error| error.to_string())?,
        clock: clock.clone(),
        journal: Journal::new(Recorder::silent(), clock.clone()),
        waker: Waker::new(Path::new("/nonexistent")),
        rules: ArcSwap::from_pointee(Rules::new(&settings())?),
        maps: ArcSwap::from_pointee(maps(aliases)),
        files: Mutex::default(),
        room: RwLock::default(),
    })
}

impl Yard {
    fn new(aliases: &str) -> Yard {
        let dir = tempfile::tempdir().unwrap();
        for name in ["spool", "mail"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let clock = Clock::manual(START);
        let office = office(&Disk::real(), &dir.path().join("spool"), &dir.path().join("mail"), &clock, aliases).unwrap();
        Yard { office, clock, dir: Some(dir) }
    }

    /// As after a restart of the process.
    fn restart(&mut self, aliases: &str) {
        let dir = self.dir.as_ref().unwrap().path();
        self.office = office(&Disk::real(), &dir.join("spool"), &dir.join("mail"), &self.clock, aliases).unwrap();
    }

    fn commit(&self, envelope: Envelope, body: &str) -> QueueId {
        commit(&self.office, envelope, body).unwrap()
    }

    /// Commits a message and attempts it once.
    fn run(&self, envelope: Envelope, body: &str) -> QueueId {
        let id = self.commit(envelope, body);
        attempt(&self.office, id);
        id
    }

    fn mailbox(&self, account: &str) -> Vec<String> {
        let maildrop = self.office.mailboxes.maildrop(account).unwrap();
        (0..maildrop.len())
            .map(|index| {
                let (mut body, mut block, mut whole) = (maildrop.read(index).unwrap(), Vec::new(), Vec::new());
                while body.block(&mut block).unwrap() {
                    whole.extend_from_slice(&block);
                }
                String::from_utf8(whole).unwrap()
            })
            .collect()
    }

    fn queued(&self, queue: Queue) -> Vec<Listing> {
        self.office.spool.list(queue).map(|listing| listing.unwrap()).collect()
    }

    /// The one message in that queue, and its text.
    fn only(&self, queue: Queue) -> (Listing, String) {
        let mut all = self.queued(queue);
        assert_eq!(all.len(), 1, "{queue}: {all:?}");
        let listing = all.remove(0);
        let claim = self.office.spool.claim(queue, &listing.id).unwrap().expect("it can be claimed");
        let text = std::io::read_to_string(claim.body()).unwrap();
        (listing, text)
    }
}

/// Attempts one message.
fn attempt(office: &Office, id: QueueId) -> Next {
    attempt_all(office, &[id])[0].1
}

/// Attempts messages in one batch.
fn attempt_all(office: &Office, ids: &[QueueId]) -> Vec<(QueueId, Next)> {
    let mut batch = Batch::new(office, ids.len());
    ids.iter().for_each(|id| batch.add(*id));
    batch.run()
}

fn commit(office: &Office, envelope: Envelope, body: &str) -> Result<QueueId, lib_spool::Error> {
    let mut incoming = office.spool.begin();
    incoming.append(body.as_bytes())?;
    let commit = Commit { local: Some(envelope), relay: None, held: false, due: office.clock.now() };
    Ok(incoming.commit(commit)?.id())
}

fn envelope(to: &[&str]) -> Envelope {
    Envelope {
        sender: Some("Lee@sender.example".parse().unwrap()),
        recipients: to.iter().map(|to| Recipient::new(to.parse().unwrap())).collect(),
        ret: None,
        envid: None,
        body: BodyType::SevenBit,
        utf8: false,
        arrived: START,
        deadline: START.plus(FIVE_DAYS),
        peer: Some(Peer::direct("192.0.2.9:2525".parse().unwrap())),
        helo: "client.example".into(),
        protocol: Protocol { extended: true, tls: false, auth: false, utf8: false, local: false },
        account: None,
        added: "X-Added: yes\r\n".into(),
        parent: None,
    }
}

#[test]
fn a_copy_is_the_message_with_our_lines_in_front() {
    let yard = Yard::new("");
    let id = yard.run(envelope(&["Minji@Example.KR"]), BODY);
    let received = format!(
        "Received: from client.example ([192.0.2.9])\r\n\tby mail.example.kr with ESMTP id {id}\r\n\tfor <Minji@Example.KR>;\r\n\t\
         Mon, 23 Nov 2026 02:30:00 +0000\r\n"
    );
    let lines = "Return-Path: <Lee@sender.example>\r\nDelivered-To: minji@example.kr\r\n";
    assert_eq!(yard.mailbox(MINJI), [format!("{lines}{received}X-Added: yes\r\n{BODY}")]);
    assert_eq!(yard.office.mailboxes.maildrop(MINJI).unwrap().uid(0), id.as_str());
    assert!(yard.queued(Queue::Local).is_empty() && yard.queued(Queue::Relay).is_empty());
}

#[test]
fn every_recipient_gets_one_copy_however_many_ways_lead_to_it() {
    let yard = Yard::new("info: minji, sora\n");
    yard.run(envelope(&["minji@example.kr", "MINJI@example.kr", "info@example.kr", "sora@example.kr"]), BODY);
    assert_eq!((yard.mailbox(MINJI).len(), yard.mailbox(SORA).len()), (1, 1));
    assert!(yard.queued(Queue::Local).is_empty());
}

#[test]
fn a_copy_that_an_attempt_before_a_restart_left_is_found() {
    let mut yard = Yard::new("");
    let id = yard.commit(envelope(&[MINJI]), BODY);
    let trace = b"Return-Path: <>\r\n";
    let delivery = lib_mailbox::Delivery { id: &id, trace, body: &mut BODY.as_bytes(), repeat: false };
    yard.office.mailboxes.deliver(MINJI, delivery).unwrap();
    yard.restart("");
    attempt(&yard.office, id);
    assert_eq!(yard.mailbox(MINJI).len(), 1);
    assert!(yard.queued(Queue::Local).is_empty());
}

#[test]
fn a_held_or_unknown_message_is_left_alone() {
    let yard = Yard::new("");
    let mut incoming = yard.office.spool.begin();
    incoming.append(BODY.as_bytes()).unwrap();
    let commit = Commit { local: Some(envelope(&[MINJI])), relay: None, held: true, due: START };
    let id = incoming.commit(commit).unwrap().id();
    assert_eq!(attempt(&yard.office, id), Next::None);
    assert_eq!(attempt(&yard.office, QueueId::new(START, 9, 9)), Next::None);
    assert!(yard.mailbox(MINJI).is_empty());
    assert_eq!(yard.queued(Queue::Local).len(), 1);
}

/// What is in a yard, by account and by queue: for the crash test.
type Count = BTreeMap<&'static str, usize>;

fn address(text: &str) -> Address {
    text.parse().unwrap()
}
