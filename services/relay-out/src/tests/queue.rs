use std::os::unix::net::{UnixDatagram, UnixStream};

use lib_net::Role;
use lib_net::line::{FrameReader, FromRole, Start, ToRole, send_frame};
use lib_net::role::RoleName;
use lib_net::wake::{Receiver, Wake};
use tokio::time::{Instant, sleep};

use super::*;
use crate::scheduler::Scheduler;

/// How long something may take that should happen at once.
const SOON: Duration = Duration::from_secs(10);

pub(crate) struct Running {
    supervisor: UnixStream,
    wakes: UnixDatagram,
    scheduler: tokio::task::JoinHandle<()>,
}

/// Runs the scheduler of a node as the program does.
pub(crate) fn run(node: &Node, settings: Settings) -> Running {
    let (supervisor, line) = UnixStream::pair().unwrap();
    let start = Start {
        role: RoleName::RelayOut,
        generation: 1,
        data: "/nowhere".into(),
        config: None,
        settings,
        secrets: Secrets::default(),
        sockets: Vec::new(),
    };
    send_frame(&supervisor, &ToRole::Start(Box::new(start)), &[]).unwrap();
    // The end of the line ends the process, here that of all tests, and with success: it must never come.
    std::mem::forget(supervisor.try_clone().unwrap());
    let mut role = Role::receive(line, |_| Ok(())).unwrap();
    let (wakes, receiver) = UnixDatagram::pair().unwrap();
    let receiver = Receiver::new(receiver).unwrap();
    let shared = node.shared.clone();
    let resumed = node.resumed.lock().unwrap().take().expect("because a node runs once");
    let scheduler = tokio::spawn(async move { Scheduler::new(shared, resumed).run(receiver, &mut role.line).await });
    Running { supervisor, wakes, scheduler }
}

impl Running {
    pub(crate) fn wake(&self, wake: &Wake) {
        self.wakes.send(wake.to_string().as_bytes()).unwrap();
    }

    /// Ends it in the middle of its work.
    pub(crate) fn drain_at_once(self) {
        self.scheduler.abort();
    }

    /// The order to drain is obeyed, and the process would end.
    pub(crate) async fn drain(self) {
        send_frame(&self.supervisor, &ToRole::Drain, &[]).unwrap();
        tokio::time::timeout(SOON, self.scheduler).await.unwrap().unwrap();
    }
}

pub(crate) async fn wait_until(what: &str, true_now: impl Fn() -> bool) {
    let begun = Instant::now();
    while !true_now() {
        assert!(begun.elapsed() < SOON, "{what} did not happen");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_in_the_queue_at_the_start_goes_out_and_so_does_what_is_told_by_datagram() {
    let server = Scripted::start("127.0.0.1:0").await;
    let settings = settings(server.address.port());
    let node = Node::new(&settings);
    node.submit(&["b@[127.0.0.1]"], MESSAGE);
    let running = run(&node, settings);
    wait_until("the first", || server.messages().len() == 1).await;
    let id = node.submit(&["b@[127.0.0.1]"], MESSAGE);
    running.wake(&Wake::New(id));
    wait_until("the second", || server.messages().len() == 2).await;
    wait_until("an empty queue", || node.queue(Queue::Relay).is_empty()).await;
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_goes_out_when_it_is_due_or_somebody_says_so() {
    let server = Scripted::start("127.0.0.1:0").await;
    server.answer("MAIL", 4, "451 4.3.0 later");
    let settings = settings(server.address.port());
    let node = Node::new(&settings);
    let id = node.submit(&["b@[127.0.0.1]"], MESSAGE);
    let running = run(&node, settings);
    let tried = |times: usize| server.commands().iter().filter(|command| command.starts_with("MAIL")).count() == times;
    let waits = || !node.words(id).concat().is_empty();
    wait_until("the first attempt", || tried(1) && waits()).await;
    running.wake(&Wake::Flush("other.example".parse().unwrap()));
    running.wake(&Wake::Below("other.example".parse().unwrap()));
    running.wake(&Wake::Flush("[127.0.0.1]".parse().unwrap()));
    wait_until("the attempt after a flush", || tried(2)).await;
    sleep(Duration::from_millis(300)).await;
    running.wake(&Wake::Below("[127.0.0.1]".parse().unwrap()));
    wait_until("the attempt after ETRN", || tried(3)).await;
    sleep(Duration::from_millis(300)).await;
    running.wake(&Wake::Run);
    wait_until("the attempt after a run", || tried(4)).await;
    node.clock.advance(Duration::from_secs(3600));
    wait_until("the attempt in time", || server.messages().len() == 1).await;
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_while_the_switch_is_off() {
    let server = Scripted::start("127.0.0.1:0").await;
    let mut settings = settings(server.address.port());
    settings.relay.enabled = false;
    let node = Node::new(&settings);
    let id = node.submit(&["b@[127.0.0.1]"], MESSAGE);
    let running = run(&node, settings.clone());
    running.wake(&Wake::New(id));
    sleep(Duration::from_millis(500)).await;
    assert_eq!(server.connections(), 0);
    settings.relay.enabled = true;
    let new = lib_net::line::NewSettings { generation: 2, settings, secrets: Secrets::default() };
    send_frame(&running.supervisor, &ToRole::Reload(Box::new(new)), &[]).unwrap();
    wait_until("the message", || server.messages().len() == 1).await;
    let mut frames = FrameReader::default();
    let in_force = std::iter::from_fn(|| frames.read::<FromRole>(&running.supervisor).unwrap())
        .any(|frame| frame == FromRole::InForce { generation: 2 });
    assert!(in_force);
    running.drain().await;
}
