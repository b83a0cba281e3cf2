//! The whole program on a supervisor's line: what lies there, what is told by datagram, what is due later, the end.

use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::Instant;

use lib_account::{Cost, Register};
use lib_net::Role;
use lib_net::line::{FrameReader, FromRole, NewSettings, Start, ToRole, send_frame};
use lib_net::role::{RoleName, SocketName};
use lib_net::wake::{Consumer, Wake};
use lib_settings::Secrets;

use super::*;

/// How long something may take that should happen at once.
const SOON: Duration = Duration::from_secs(20);

struct Node {
    dir: tempfile::TempDir,
    clock_file: std::path::PathBuf,
    spool: Spool,
    mailboxes: Mailboxes,
    supervisor: UnixStream,
    wakes: UnixDatagram,
    program: JoinHandle<ExitCode>,
}

fn write_clock(file: &Path, at: Timestamp) {
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, format!("0 {} 0\n", at.0)).unwrap();
    std::fs::rename(fresh, file).unwrap();
}

impl Node {
    fn start(before: impl FnOnce(&Path, &Spool)) -> Node {
        let dir = tempfile::tempdir().unwrap();
        for name in ["spool", "mail", "state", "run", "config"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let clock_file = dir.path().join("config/clock");
        write_clock(&clock_file, START);
        let register = Register::open(&dir.path().join("state")).with_cost(Cost { memory: 64, passes: 1 });
        [MINJI, SORA].into_iter().for_each(|to| register.add(Account::new(address(to)), "secret").unwrap());
        let spool = Spool::open(&dir.path().join("spool"), Options::new(Clock::manual(START), 1_000_000)).unwrap();
        before(dir.path(), &spool);
        let (supervisor, line) = UnixStream::pair().unwrap();
        // Its end would end this process.
        std::mem::forget(supervisor.try_clone().unwrap());
        let wakes = UnixDatagram::unbound().unwrap();
        let socket = dir.path().join("run").join(Consumer::Local.socket_name());
        let receiver = UnixDatagram::bind(&socket).unwrap();
        wakes.connect(&socket).unwrap();
        let start = Start {
            role: RoleName::Deliver,
            generation: 1,
            data: dir.path().to_owned(),
            config: Some(dir.path().join("config")),
            settings: Node::settings(),
            secrets: Secrets::default(),
            sockets: vec![SocketName::Wake(Consumer::Local)],
        };
        send_frame(&supervisor, &ToRole::Start(Box::new(start)), &[receiver.as_fd()]).unwrap();
        let role = Role::receive(line, |_| Ok(())).unwrap();
        let program = std::thread::spawn(|| crate::run(role));
        let mailboxes = Mailboxes::open(&dir.path().join("mail")).unwrap();
        Node { dir, clock_file, spool, mailboxes, supervisor, wakes, program }
    }

    fn settings() -> Settings {
        let mut settings = settings();
        settings.testing.clock = Some("clock".into());
        settings
    }

    fn count(&self, account: &str) -> usize {
        self.mailboxes.maildrop(account).map_or(0, |maildrop| maildrop.len())
    }

    fn tell(&self, to: &str) {
        let id = queue(&self.spool, to);
        self.wakes.send(Wake::New(id).to_string().as_bytes()).unwrap();
    }

    fn wait_for(&self, messages: usize) {
        let begun = Instant::now();
        let count = || self.count(MINJI);
        while count() != messages || self.spool.list(Queue::Local).next().is_some() {
            assert!(begun.elapsed() < SOON, "{} of {messages} messages", count());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Orders a look, and waits until it was taken.
    fn look(&self) {
        send_frame(&self.supervisor, &ToRole::Look(7), &[]).unwrap();
        self.supervisor.set_read_timeout(Some(SOON)).unwrap();
        let mut reader = FrameReader::default();
        while reader.read::<FromRole>(&self.supervisor).unwrap().unwrap() != FromRole::Looked(7) {}
    }

    fn drain(self) {
        send_frame(&self.supervisor, &ToRole::Drain, &[]).unwrap();
        assert_eq!(format!("{:?}", self.program.join().unwrap()), format!("{:?}", ExitCode::SUCCESS));
    }
}

fn queue(spool: &Spool, to: &str) -> QueueId {
    let mut incoming = spool.begin();
    incoming.append(BODY.as_bytes()).unwrap();
    let commit = Commit { local: Some(envelope(&[to])), relay: None, held: false, due: START };
    incoming.commit(commit).unwrap().id()
}

#[test]
fn what_lies_there_and_what_is_told_arrives_and_a_drain_ends_it() {
    let node = Node::start(|_, spool| drop((0..20).map(|_| queue(spool, MINJI)).collect::<Vec<_>>()));
    node.wait_for(20);
    (0..30).for_each(|_| node.tell(MINJI));
    node.wait_for(50);
    node.drain();
}

/// More batches than take turns are stuck in one mailbox, and another's mail arrives all the same.
#[test]
fn a_mailbox_that_is_held_up_holds_up_no_other() {
    let node = Node::start(|_, spool| {
        queue(spool, MINJI);
    });
    node.wait_for(1);
    let ledger = std::fs::File::open(node.dir.path().join("mail/example.kr/minji/usage")).unwrap();
    ledger.lock().unwrap();
    for _ in 0..3 {
        node.tell(MINJI);
        std::thread::sleep(Duration::from_millis(700));
    }
    node.tell(SORA);
    let begun = Instant::now();
    while node.count(SORA) == 0 {
        assert!(begun.elapsed() < SOON);
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(node.count(MINJI), 1);
    drop(ledger);
    node.wait_for(4);
    node.drain();
}

#[test]
fn a_lost_wake_is_found_by_a_run_and_a_changed_map_counts() {
    let node = Node::start(|_, _| {});
    std::fs::write(node.dir.path().join("config/aliases"), "info: minji\n").unwrap();
    node.look();
    queue(&node.spool, "info@example.kr");
    node.wakes.send(Wake::Run.to_string().as_bytes()).unwrap();
    node.wait_for(1);
    let new = NewSettings { generation: 2, settings: Node::settings(), secrets: Secrets::default() };
    send_frame(&node.supervisor, &ToRole::Reload(Box::new(new)), &[]).unwrap();
    queue(&node.spool, "info@example.kr");
    node.wakes.send(b"run").unwrap();
    node.wait_for(2);
    node.drain();
}

#[test]
fn mail_for_an_account_that_is_younger_than_our_last_look_is_not_returned() {
    let node = Node::start(|_, _| {});
    for number in 0..10 {
        node.look();
        let name = format!("new{number}@example.kr");
        let register = Register::open(&node.dir.path().join("state")).with_cost(Cost { memory: 64, passes: 1 });
        register.add(Account::new(address(&name)), "secret").unwrap();
        let id = queue(&node.spool, &name);
        node.wakes.send(Wake::New(id).to_string().as_bytes()).unwrap();
        let begun = Instant::now();
        while node.mailboxes.maildrop(&name).map_or(0, |maildrop| maildrop.len()) == 0 {
            assert!(begun.elapsed() < SOON && node.spool.list(Queue::Relay).next().is_none(), "{name} got nothing");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    node.drain();
}

/// A message that could not be delivered and is due in five minutes; what was in the way is gone.
fn deferred() -> Node {
    let node = Node::start(|dir, spool| {
        std::fs::write(dir.join("mail/example.kr"), "in the way").unwrap();
        queue(spool, MINJI);
    });
    let deferred = || node.spool.list(Queue::Local).filter_map(Result::ok).any(|listing| listing.recipients.deferrals(0) == 1);
    let begun = Instant::now();
    while !deferred() {
        assert!(begun.elapsed() < SOON, "it is not deferred");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::fs::remove_file(node.dir.path().join("mail/example.kr")).unwrap();
    node
}

#[test]
fn what_waits_arrives_when_the_queue_clock_says_so() {
    let node = deferred();
    write_clock(&node.clock_file, START.plus(Duration::from_secs(301)));
    node.wait_for(1);
    node.drain();
}

#[test]
fn what_waits_is_tried_before_its_time_when_the_queue_is_run() {
    let node = deferred();
    node.wakes.send(b"run").unwrap();
    node.wait_for(1);
    node.drain();
}
