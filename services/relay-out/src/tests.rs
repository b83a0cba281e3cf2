//! The program without its process: a real spool, real sockets, a server that obeys a script.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use lib_host::{Clock, Disk, SimDisk};
use lib_mail::{BodyType, Envelope, Notify, Peer as Client, Protocol, QueueId, Recipient, Timestamp};
use lib_net::dns::Dns;
use lib_net::recorder::Recorder;
use lib_net::wake::Waker;
use lib_settings::{Profile, RelayTls, Secrets, Settings};
use lib_spool::{Commit, Listing, Options, Queue, Spool};
use tokio::sync::Semaphore;

use crate::attempt::{Next, attempt};
use crate::destinations::{Destinations, Resumed};
use crate::dial::Dialer;
use crate::ending::Endings;
use crate::opening::{Opened, open_some};
use crate::shared::{LocalMap, Shared, UNRECORDED};
use crate::targets::Directory;
use crate::terms::Terms;

mod crowds;
mod messages;
mod notifications;
mod pair;
mod queue;
mod scripted;
mod servers;
mod tls;
mod trouble;

pub(crate) use scripted::Scripted;

pub(crate) const START: Timestamp = Timestamp(1_795_401_000_000);
pub(crate) const MESSAGE: &[u8] = b"From: a@example.net\r\nSubject: hello\r\n\r\n.dot\r\n..\r\nbye\r\n";

/// A relay-out whose servers are at address literals and speak on the port of a scripted one.
pub(crate) struct Node {
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Clock,
    pub(crate) disk: SimDisk,
    pub(crate) resumed: std::sync::Mutex<Option<Resumed>>,
    dir: tempfile::TempDir,
}

pub(crate) fn settings(port: u16) -> Settings {
    let mut settings = Settings::defaults(Profile::Office);
    settings.hostname = "mail.example.net".parse().unwrap();
    settings.relay.port = port;
    settings.relay.allow_loopback = true;
    settings.relay.tls = RelayTls::Opportunistic;
    settings.relay.reply_timeout = Duration::from_secs(5);
    settings.relay.connect_timeout = Duration::from_secs(2);
    settings
}

impl Node {
    pub(crate) fn new(settings: &Settings) -> Node {
        Node::on(SimDisk::new(), settings)
    }

    /// One where a sync of the whole disk stands for those of many files.
    pub(crate) fn that_syncs_all(settings: &Settings) -> Node {
        let disk = SimDisk::new();
        disk.can_sync_all();
        Node::on(disk, settings)
    }

    fn on(disk: SimDisk, settings: &Settings) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let clock = Clock::manual(START);
        let options = Options { disk: Disk::from(&disk), ..Options::new(clock.clone(), 1_000_000) };
        let spool = Spool::open(&dir.path().join("spool"), options).unwrap();
        let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
        let terms = Terms::new(settings, &Secrets::default());
        let (destinations, resumed) = Destinations::new(settings.relay.concurrency);
        let shared = Shared {
            spool,
            clock: clock.clone(),
            recorder: Recorder::silent(),
            waker: Waker::new(dir.path()),
            directory: Directory::new(Dns::new(&[nobody], Duration::from_millis(50)).unwrap()),
            dialer: Dialer::new(clock.clone()),
            local: LocalMap::new(dir.path()),
            board: crate::pair::Board::new(lib_account::Lists::open(dir.path())),
            destinations,
            unrecorded: Arc::new(Semaphore::new(UNRECORDED)),
            endings: Endings::default(),
            terms: ArcSwap::from_pointee(terms),
        };
        Node { shared: Arc::new(shared), clock, disk, resumed: std::sync::Mutex::new(Some(resumed)), dir }
    }

    /// The spool on the simulated disk.
    pub(crate) fn spool_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("spool")
    }

    pub(crate) fn submit(&self, recipients: &[&str], message: &[u8]) -> QueueId {
        self.submit_with(recipients, message, |_| {})
    }

    pub(crate) fn submit_with(&self, recipients: &[&str], message: &[u8], change: impl FnOnce(&mut Envelope)) -> QueueId {
        let mut incoming = self.shared.spool.begin();
        incoming.append(message).unwrap();
        let mut envelope = envelope(recipients);
        change(&mut envelope);
        let commit = Commit { local: None, relay: Some(envelope), held: false, due: self.clock.now() };
        incoming.commit(commit).unwrap().id()
    }

    pub(crate) async fn attempt(&self, id: QueueId) -> Next {
        let shared = self.shared.clone();
        let opened = tokio::task::spawn_blocking(move || open_some(&shared, &[id])).await.unwrap().pop().unwrap();
        match opened {
            (_, Opened::Claimed(claimed)) => attempt(self.shared.clone(), claimed).await,
            (_, Opened::Left(next)) => next,
        }
    }

    /// What lies in a queue.
    pub(crate) fn queue(&self, queue: Queue) -> Vec<Listing> {
        self.shared.spool.list(queue).map(Result::unwrap).collect()
    }

    /// The last words recorded about a message's recipients.
    pub(crate) fn words(&self, id: QueueId) -> Vec<String> {
        let listings = self.shared.spool.show(&id).unwrap();
        let listing = &listings[0];
        (0..listing.recipients.len())
            .map(|index| listing.recipients.last(index).map(|last| last.status.to_string()).unwrap_or_default())
            .collect()
    }

    /// The text of a message in a queue.
    pub(crate) fn text(&self, queue: Queue, id: QueueId) -> String {
        let claim = self.shared.spool.claim(queue, &id).unwrap().unwrap();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut claim.body(), &mut text).unwrap();
        text
    }
}

pub(crate) fn envelope(recipients: &[&str]) -> Envelope {
    Envelope {
        sender: Some("a@example.net".parse().unwrap()),
        recipients: recipients.iter().map(|address| Recipient::new(address.parse().unwrap())).collect(),
        ret: None,
        envid: None,
        body: BodyType::SevenBit,
        utf8: false,
        arrived: START,
        deadline: START.plus(Duration::from_secs(5 * 86_400)),
        peer: Some(Client::direct("192.0.2.7:5000".parse().unwrap())),
        helo: "client.example".into(),
        protocol: Protocol { extended: true, tls: false, auth: false, utf8: false, local: false },
        account: None,
        added: "X-Added: yes\r\n".into(),
        parent: None,
    }
}

pub(crate) fn on_success(envelope: &mut Envelope) {
    for recipient in &mut envelope.recipients {
        recipient.notify = Notify::On { success: true, failure: true, delay: false };
    }
}
