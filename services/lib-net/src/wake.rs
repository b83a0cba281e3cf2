//! The datagrams by which one program tells another that there is work. A lost one costs a moment: the consumers rescan anyway.
//!
//! The kernel holds only a few datagrams for a socket (ten, as shipped), so a burst of commits would lose most. A thread for each
//! consumer therefore waits for room and puts all ids that have come meanwhile into one datagram; where even its list is full, the
//! consumer is told to look for itself.

use std::fmt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use lib_mail::{Domain, QueueId};

/// Datagrams longer than this are no wake.
const MAX_DATAGRAM: usize = 4096;
/// Ids in one datagram: `new` and a space and 20 characters for each.
const MAX_IDS: usize = 150;
/// Wakes that wait for room; beyond them the consumer is told to look.
const MAX_WAITING: usize = 4096;
/// A consumer that reads nothing for so long is told again.
const PATIENCE: Duration = Duration::from_secs(1);
const STACK: usize = 64 * 1024;

/// What the consumer of a queue is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// A message was committed.
    New(QueueId),
    /// Try what waits for this domain now (`queue flush`).
    Flush(Domain),
    /// Try what waits for this domain and for the names below it now (ETRN).
    Below(Domain),
    /// Look for what is due: there were more wakes than could be told.
    Look,
    /// Try everything now (`queue run`).
    Run,
    /// Fetch the lists of recipients now (`pair fetch`).
    Fetch,
}

impl fmt::Display for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wake::New(id) => write!(f, "new {id}"),
            Wake::Flush(domain) => write!(f, "flush {domain}"),
            Wake::Below(domain) => write!(f, "below {domain}"),
            Wake::Look => f.write_str("look"),
            Wake::Run => f.write_str("run"),
            Wake::Fetch => f.write_str("fetch"),
        }
    }
}

impl Wake {
    /// Reads a datagram; nothing where it is none of ours. `new` may name several ids.
    pub fn parse(datagram: &[u8]) -> Vec<Wake> {
        let Ok(text) = std::str::from_utf8(datagram) else { return Vec::new() };
        let one = match text.split_once(' ') {
            None if text == "run" => Some(Wake::Run),
            None if text == "look" => Some(Wake::Look),
            None if text == "fetch" => Some(Wake::Fetch),
            Some(("new", ids)) => {
                return ids.split(' ').filter_map(|id| id.parse().ok()).map(Wake::New).take(MAX_IDS).collect();
            }
            Some(("flush", domain)) => domain.parse().ok().map(Wake::Flush),
            Some(("below", domain)) => domain.parse().ok().map(Wake::Below),
            _ => None,
        };
        one.into_iter().collect()
    }
}

/// Which consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Consumer {
    /// `deliver`, on queue `local`.
    Local,
    /// `relay-out`, on queue `relay`.
    Relay,
}

impl Consumer {
    /// The name of its socket in the directory `run`.
    pub fn socket_name(self) -> &'static str {
        match self {
            Consumer::Local => "wake-local",
            Consumer::Relay => "wake-relay",
        }
    }
}

/// Sends wakes; cheap to clone, callable from any thread, never blocks.
#[derive(Debug, Clone)]
pub struct Waker {
    local: Mouth,
    relay: Mouth,
}

/// The way to one consumer.
#[derive(Debug, Clone)]
struct Mouth {
    waiting: SyncSender<Wake>,
    overflown: Arc<AtomicBool>,
}

impl Waker {
    /// To the consumers whose sockets lie in `run`. Where no socket or thread can be made, wakes are lost and the consumers' rescans
    /// remain.
    pub fn new(run: &Path) -> Waker {
        let mouth = |consumer: Consumer| Mouth::open(run.join(consumer.socket_name()));
        Waker { local: mouth(Consumer::Local), relay: mouth(Consumer::Relay) }
    }

    /// Sends `wake` to `consumer`, soon; a consumer that is down does not hear it.
    pub fn send(&self, consumer: Consumer, wake: &Wake) {
        let mouth = match consumer {
            Consumer::Local => &self.local,
            Consumer::Relay => &self.relay,
        };
        if mouth.waiting.try_send(wake.clone()).is_err() {
            mouth.overflown.store(true, Ordering::Relaxed);
        }
    }
}

/// Sends one wake before it returns, for a process that ends then. Waits a second where the consumer has no room; what it does not hear it
/// finds by a rescan.
pub fn send_now(run: &Path, consumer: Consumer, wake: &Wake) {
    let path = run.join(consumer.socket_name());
    let _ = mouth().map(|socket| passed(&socket, &path, wake.to_string().as_bytes()));
}

/// A socket to send from.
fn mouth() -> std::io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

impl Mouth {
    fn open(path: PathBuf) -> Mouth {
        let (waiting, wakes) = sync_channel(MAX_WAITING);
        let overflown = Arc::new(AtomicBool::new(false));
        if let Ok(socket) = mouth() {
            let overflown = Arc::clone(&overflown);
            let tell = move || tell(&socket, &path, &wakes, &overflown);
            // Without the thread the receiving end is gone, and sending does nothing.
            let _ = std::thread::Builder::new().name("wake".into()).stack_size(STACK).spawn(tell);
        }
        Mouth { waiting, overflown }
    }
}

/// Passes wakes on until every sender is gone.
fn tell(socket: &UnixDatagram, path: &Path, wakes: &std::sync::mpsc::Receiver<Wake>, overflown: &AtomicBool) {
    let mut behind: Option<Wake> = None;
    while let Some(first) = behind.take().or_else(|| wakes.recv().ok()) {
        let mut text = first.to_string();
        if matches!(first, Wake::New(_)) {
            for _ in 1..MAX_IDS {
                match wakes.try_recv() {
                    Ok(Wake::New(id)) => {
                        text.push(' ');
                        text.push_str(id.as_str());
                    }
                    Ok(other) => {
                        behind = Some(other);
                        break;
                    }
                    Err(_) => break,
                }
            }
        }
        if !passed(socket, path, text.as_bytes()) || overflown.swap(false, Ordering::Relaxed) {
            passed(socket, path, Wake::Look.to_string().as_bytes());
        }
    }
}

/// Whether the datagram lies in the consumer's socket.
fn passed(socket: &UnixDatagram, path: &Path, datagram: &[u8]) -> bool {
    socket.send_to(datagram, path).is_ok()
}

/// The consumer's end, bound by the supervisor and passed to it.
#[derive(Debug)]
pub struct Receiver {
    socket: tokio::net::UnixDatagram,
}

impl Receiver {
    /// Takes over the socket that the supervisor bound; to be called inside the runtime.
    pub fn new(socket: UnixDatagram) -> std::io::Result<Receiver> {
        socket.set_nonblocking(true)?;
        Ok(Receiver { socket: tokio::net::UnixDatagram::from_std(socket)? })
    }

    /// Waits for the next wakes and gives all that have come, at least one, at most `most`. What is no wake of ours is skipped.
    pub async fn receive(&self, most: usize) -> std::io::Result<Vec<Wake>> {
        let mut wakes = Vec::new();
        let mut datagram = [0; MAX_DATAGRAM];
        while wakes.is_empty() {
            let len = self.socket.recv(&mut datagram).await?;
            wakes.extend(Wake::parse(&datagram[..len]));
            while wakes.len() < most {
                let Ok(len) = self.socket.try_recv(&mut datagram) else { break };
                wakes.extend(Wake::parse(&datagram[..len]));
            }
        }
        Ok(wakes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_read_as_written() {
        let id = QueueId::new(lib_mail::Timestamp(5), 1, 2);
        let domain = || "example.net".parse().unwrap();
        for wake in [Wake::New(id), Wake::Flush(domain()), Wake::Below(domain()), Wake::Look, Wake::Run, Wake::Fetch] {
            assert_eq!(Wake::parse(wake.to_string().as_bytes()), [wake]);
        }
        for bad in ["", "run ", "new", "new x", "flush a b", "below", "stop", "new \u{0}"] {
            assert_eq!(Wake::parse(bad.as_bytes()), [], "{bad}");
        }
        assert_eq!(Wake::parse(b"\xff\xfe"), []);
        let other = QueueId::new(lib_mail::Timestamp(5), 1, 3);
        assert_eq!(Wake::parse(format!("new {id} x {other}").as_bytes()), [Wake::New(id), Wake::New(other)]);
    }

    #[tokio::test]
    async fn wakes_arrive_in_order_and_a_missing_consumer_is_ignored() {
        let run = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(run.path().join("wake-local")).unwrap();
        let receiver = Receiver::new(socket).unwrap();
        let waker = Waker::new(run.path());
        waker.send(Consumer::Relay, &Wake::Run);
        waker.send(Consumer::Local, &Wake::Run);
        let id = QueueId::new(lib_mail::Timestamp(5), 1, 2);
        waker.send(Consumer::Local, &Wake::New(id));
        let mut heard = Vec::new();
        while heard.len() < 2 {
            heard.extend(receiver.receive(10).await.unwrap());
        }
        assert_eq!(heard, [Wake::Run, Wake::New(id)]);
    }

    #[test]
    fn the_wake_of_a_process_that_ends_is_in_the_socket_before() {
        let run = tempfile::tempdir().unwrap();
        send_now(run.path(), Consumer::Relay, &Wake::Run);
        let socket = UnixDatagram::bind(run.path().join("wake-relay")).unwrap();
        socket.set_nonblocking(true).unwrap();
        send_now(run.path(), Consumer::Relay, &Wake::Run);
        let mut datagram = [0; MAX_DATAGRAM];
        let len = socket.recv(&mut datagram).unwrap();
        assert_eq!(Wake::parse(&datagram[..len]), [Wake::Run]);
    }

    #[tokio::test]
    async fn a_burst_beyond_what_the_kernel_holds_is_heard_whole() {
        let run = tempfile::tempdir().unwrap();
        let receiver = Receiver::new(UnixDatagram::bind(run.path().join("wake-local")).unwrap()).unwrap();
        let waker = Waker::new(run.path());
        let ids: Vec<QueueId> = (0..3000).map(|serial| QueueId::new(lib_mail::Timestamp(5), 1, serial)).collect();
        ids.iter().for_each(|id| waker.send(Consumer::Local, &Wake::New(*id)));
        let mut heard = Vec::new();
        while heard.len() < ids.len() {
            heard.extend(receiver.receive(100_000).await.unwrap());
        }
        assert_eq!(heard, ids.into_iter().map(Wake::New).collect::<Vec<_>>());
    }
}
