//! The door of a gate: a listener that can be as if it were not there, in two ways.
//!
//! *Refused* is a socket that is bound and does not listen, so the port stays ours. *Unanswered* is a listener whose backlog of none is full of
//! connections of our own: the kernel drops every further SYN. Both are left again by `listen` on the same socket.

use std::net::{Shutdown, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use super::connection;
use super::{Shared, Standing};
use crate::Result;
use crate::gate::Mood;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;
/// A connection that does not stand within this has met a full backlog.
const UNANSWERED: Duration = Duration::from_millis(100);
/// Most connections of our own that fill a backlog of none.
const FILLERS: usize = 8;
/// After an accept that failed, for want of descriptors for instance.
const BREATH: Duration = Duration::from_millis(10);
/// Tries to find a port that is free.
const TRIES: usize = 20;

/// Listens on `address`; a port of 0 is replaced by a free one, and stays ours from then on.
pub(super) fn bind(address: SocketAddr) -> Result<Socket> {
    let mut last = None;
    for _ in 0..TRIES {
        // The kernel gives a port that it chose away as soon as the socket does not listen, so it is asked for by number.
        let chosen = match address.port() {
            0 => std::net::TcpListener::bind(address)?.local_addr()?,
            _ => address,
        };
        let socket = Socket::new(Domain::for_address(chosen), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        match socket.bind(&chosen.into()).and_then(|()| socket.listen(BACKLOG)) {
            Ok(()) => return Ok(socket),
            Err(error) if address.port() == 0 => last = Some(error),
            Err(error) => return Err(error).with_context(|| format!("listening on {address}")),
        }
    }
    Err(last.map_or_else(|| anyhow::anyhow!("no port is free"), Into::into)).with_context(|| format!("listening on {address}"))
}

/// Accepts until the gate ends.
pub(super) async fn accept(socket: Socket, shared: Arc<Shared>, mut standing: watch::Receiver<Standing>) {
    let outcome = doors(socket, &shared, &mut standing).await;
    if let Err(error) = outcome {
        shared.fail(&format!("the gate's listener: {error}"));
    }
}

async fn doors(socket: Socket, shared: &Arc<Shared>, standing: &mut watch::Receiver<Standing>) -> std::io::Result<()> {
    let mut listener = TcpListener::from_std(socket.into())?;
    loop {
        let now = *standing.borrow_and_update();
        if now.ended {
            drop(listener);
            shared.apply(now.turn);
            return Ok(());
        }
        if now.mood == Mood::Refuse {
            listener = refused(listener, shared, standing).await?;
        } else if now.mood.swallows_syns() {
            unanswered(&listener, shared, standing).await?;
        } else {
            shared.apply(now.turn);
            tokio::select! {
                _ = standing.changed() => {}
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => enter(stream, peer, shared, standing),
                    Err(_) => tokio::time::sleep(BREATH).await,
                }
            }
        }
    }
}

/// Does not listen until the mood is another.
async fn refused(
    listener: TcpListener,
    shared: &Shared,
    standing: &mut watch::Receiver<Standing>,
) -> std::io::Result<TcpListener> {
    // Out of the runtime: it remembers a hang-up for as long as it knows a socket.
    let socket = Socket::from(listener.into_std()?);
    socket.shutdown(Shutdown::Both)?;
    // Those of ours that still waited are gone with the backlog.
    shared.unfill();
    hold(shared, standing, |now| now.mood == Mood::Refuse).await;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Leaves SYNs unanswered until the mood is another.
async fn unanswered(listener: &TcpListener, shared: &Shared, standing: &mut watch::Receiver<Standing>) -> std::io::Result<()> {
    SockRef::from(listener).listen(0)?;
    let address = listener.local_addr()?;
    let mut fillers: Vec<TcpStream> = Vec::new();
    while fillers.len() < FILLERS {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        match tokio::time::timeout(UNANSWERED, socket.connect(address)).await {
            Ok(filler) => fillers.push(filler?),
            Err(_) => break,
        }
    }
    shared.fill(fillers.iter().filter_map(|filler| filler.local_addr().ok()));
    hold(shared, standing, |now| now.mood.swallows_syns()).await;
    SockRef::from(listener).listen(BACKLOG)
}

async fn hold(shared: &Shared, standing: &mut watch::Receiver<Standing>, stays: impl Fn(&Standing) -> bool) {
    loop {
        let now = *standing.borrow_and_update();
        if now.ended || !stays(&now) {
            return;
        }
        shared.apply(now.turn);
        // The sender lives in `shared`.
        let _ = standing.changed().await;
    }
}

fn enter(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>, standing: &watch::Receiver<Standing>) {
    if !shared.is_filler(peer) {
        tokio::spawn(connection::run(stream, Arc::clone(shared), standing.clone()));
    }
}
