//! The datagrams by which one program tells another that there is work. A lost one costs a moment: the consumers rescan anyway, so
//! errors of the sender are ignored.

use std::fmt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lib_mail::{Domain, QueueId};

/// Datagrams longer than this are no wake: `below ` and the longest domain.
const MAX_DATAGRAM: usize = 512;

/// What the consumer of a queue is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// A message was committed.
    New(QueueId),
    /// Try what waits for this domain now (`queue flush`).
    Flush(Domain),
    /// Try what waits for this domain and for the names below it now (ETRN).
    Below(Domain),
    /// Try everything now (`queue run`).
    Run,
}

impl fmt::Display for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wake::New(id) => write!(f, "new {id}"),
            Wake::Flush(domain) => write!(f, "flush {domain}"),
            Wake::Below(domain) => write!(f, "below {domain}"),
            Wake::Run => f.write_str("run"),
        }
    }
}

impl Wake {
    /// Reads a datagram; `None` where it is none of ours.
    pub fn parse(datagram: &[u8]) -> Option<Wake> {
        let text = std::str::from_utf8(datagram).ok()?;
        match text.split_once(' ') {
            None => (text == "run").then_some(Wake::Run),
            Some(("new", id)) => id.parse().ok().map(Wake::New),
            Some(("flush", domain)) => domain.parse().ok().map(Wake::Flush),
            Some(("below", domain)) => domain.parse().ok().map(Wake::Below),
            Some(_) => None,
        }
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
    socket: Option<Arc<UnixDatagram>>,
    local: PathBuf,
    relay: PathBuf,
}

impl Waker {
    /// To the consumers whose sockets lie in `run`. Where no socket can be made, wakes are lost and the consumers' rescans remain.
    pub fn new(run: &Path) -> Waker {
        let socket = UnixDatagram::unbound().and_then(|socket| socket.set_nonblocking(true).map(|()| socket)).ok();
        let path = |consumer: Consumer| run.join(consumer.socket_name());
        Waker { socket: socket.map(Arc::new), local: path(Consumer::Local), relay: path(Consumer::Relay) }
    }

    /// Sends `wake` to `consumer`; a consumer that is down or slow does not hear it.
    pub fn send(&self, consumer: Consumer, wake: &Wake) {
        let path = match consumer {
            Consumer::Local => &self.local,
            Consumer::Relay => &self.relay,
        };
        if let Some(socket) = &self.socket {
            let _ = socket.send_to(wake.to_string().as_bytes(), path);
        }
    }
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
        for wake in [Wake::New(id), Wake::Flush(domain()), Wake::Below(domain()), Wake::Run] {
            assert_eq!(Wake::parse(wake.to_string().as_bytes()), Some(wake));
        }
        for bad in ["", "run ", "new", "new x", "flush a b", "below", "stop", "new \u{0}"] {
            assert_eq!(Wake::parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(Wake::parse(b"\xff\xfe"), None);
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
        assert_eq!(receiver.receive(10).await.unwrap(), [Wake::Run, Wake::New(id)]);
    }
}
