//! The accept loop: lets clients in as far as the limits go, and drives each one's session as a task of its own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use lib_mail::Peer;
use rustix::net::SendFlags;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::conversation::{Arrival, Refusal, Service};
use crate::drain::Drain;
use crate::drive::{Surroundings, drive};
use crate::gate::{Gate, Place};
use crate::listen::{Listener, Port, TlsMode};
use crate::socket::Socket;
use crate::tls::Certificates;

/// Waits after an accept that failed for want of descriptors or memory: doubled each time up to the last, so that the loop neither spins
/// nor gives up (R8).
const BACKOFF_FIRST: Duration = Duration::from_millis(10);
const BACKOFF_LAST: Duration = Duration::from_secs(1);

/// What sessions may last beyond the grace of a drain, for their last words.
const GRACE_MARGIN: Duration = Duration::from_secs(2);

/// Serves `listeners` until `drain` begins and the sessions have ended, or have used up their grace.
///
/// # Errors
/// A listener that the runtime cannot take over.
pub async fn serve<S: Service>(
    service: Arc<S>,
    listeners: Vec<Listener>,
    certificates: Certificates,
    drain: Drain,
    gate: Arc<Gate>,
) -> io::Result<()> {
    let mut doors = JoinSet::new();
    for listener in listeners {
        let socket = prepare(listener.socket)?;
        let door = Door {
            service: service.clone(),
            port: listener.port,
            certificates: certificates.clone(),
            drain: drain.clone(),
            gate: gate.clone(),
        };
        doors.spawn(door.stand_open(socket));
    }
    while doors.join_next().await.is_some() {}
    drain.begun().await;
    let _ = timeout(service.bounds().grace + GRACE_MARGIN, gate.emptied()).await;
    Ok(())
}

/// Replies must not wait for acknowledgements of earlier ones (Nagle), and accepted sockets inherit that from the listener.
fn prepare(socket: std::net::TcpListener) -> io::Result<TcpListener> {
    rustix::net::sockopt::set_tcp_nodelay(&socket, true)?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

/// One listener and what its sessions need.
struct Door<S> {
    service: Arc<S>,
    port: Arc<Port>,
    certificates: Certificates,
    drain: Drain,
    gate: Arc<Gate>,
}

impl<S: Service> Door<S> {
    async fn stand_open(self, listener: TcpListener) {
        let door = Arc::new(self);
        let mut backoff = BACKOFF_FIRST;
        loop {
            let accepted = tokio::select! {
                biased;
                () = door.drain.begun() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    backoff = BACKOFF_FIRST;
                    door.clone().receive(stream, Peer::direct(address));
                }
                Err(error) if is_clients_fault(&error) => {}
                Err(_) => {
                    sleep(backoff).await;
                    backoff = BACKOFF_LAST.min(backoff * 2);
                }
            }
        }
    }

    fn receive(self: Arc<Self>, stream: TcpStream, peer: Peer) {
        let bounds = self.service.bounds();
        match self.gate.enter(peer.address().ip()) {
            Ok(place) => {
                let around = Surroundings { certificates: self.certificates.clone(), bounds, drain: self.drain.clone() };
                tokio::spawn(self.converse(stream, peer, around, place));
            }
            Err(why) => self.turn_away(&stream, peer, why),
        }
    }

    /// A refused client is told in what the kernel's buffer takes at once; nothing is waited for.
    fn turn_away(&self, stream: &TcpStream, peer: Peer, why: Refusal) {
        if self.port.tls != TlsMode::Implicit {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let _ = rustix::net::send(stream, self.service.refusal(why).as_bytes(), flags);
        }
        if let Some(times) = self.gate.report(peer.address().ip(), why) {
            self.service.refused(peer, why, times);
        }
    }

    /// The place is given back when the session has ended, or is dropped.
    async fn converse(self: Arc<Self>, stream: TcpStream, peer: Peer, around: Surroundings, place: Place) {
        let mut socket = Socket::Plain(stream);
        let mut tls = None;
        if self.port.tls == TlsMode::Implicit {
            let handshake = Box::pin(timeout(around.bounds.handshake, socket.secure(&around.certificates)));
            // A client that fails here has said nothing that could be answered or is worth a line: port scans do it all day.
            let Ok(Ok(info)) = handshake.await else { return };
            tls = Some(info);
        }
        let conversation = self.service.open(Arrival { peer, port: self.port.clone(), tls });
        drop(self);
        drive(socket, conversation, around).await;
        drop(place);
    }
}

/// The client went away between its SYN and our accept, or its network failed: no reason to wait (accept(2), *Error handling*).
fn is_clients_fault(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, HostUnreachable, Interrupted, NetworkDown};
    let kind = error.kind();
    matches!(kind, ConnectionAborted | ConnectionRefused | ConnectionReset | HostUnreachable | Interrupted | NetworkDown)
}
