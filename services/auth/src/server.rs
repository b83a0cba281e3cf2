//! The socket: who may ask, and how many questions of one connection are open at a time.

use std::sync::Arc;

use lib_net::auth::{MAX_LINE, Request, Response, Verdict, read_line};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::judge::Judge;

/// Connections at one time. There is one for each role that asks; more are a fault.
const CONNECTIONS: usize = 32;
/// Questions of one connection that are open at a time; further ones stay unread.
const OPEN: usize = 1024;
/// Responses written with one call.
const BATCH: usize = 64;

/// The users whose processes may ask, beside this one's own and root.
pub(crate) type Users = Arc<[u32]>;

/// Answers on the socket until it is dropped. `count` learns how many connections there are.
pub(crate) async fn serve(listener: UnixListener, judge: Arc<Judge>, users: Users, count: impl Fn(usize)) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) if may_ask(&stream, &users) => {
                    connections.spawn(converse(stream, judge.clone()));
                }
                Ok(_) => {}
                // Out of descriptors; whoever comes waits in the socket's queue.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(100)).await,
            },
            Some(_) = connections.join_next() => {}
        }
        count(connections.len());
    }
}

/// A process of another user gets no answer, or it could guess passwords where no listener's limits count.
fn may_ask(stream: &UnixStream, users: &Users) -> bool {
    let own = rustix::process::geteuid().as_raw();
    stream.peer_cred().is_ok_and(|peer| is_ours(peer.uid(), own, users))
}

fn is_ours(peer: u32, own: u32, users: &[u32]) -> bool {
    peer == own || peer == 0 || users.contains(&peer)
}

async fn converse(stream: UnixStream, judge: Arc<Judge>) {
    let (read, write) = stream.into_split();
    let (responses, to_write) = mpsc::channel(OPEN);
    // Whichever ends first ends the other: a client that is gone, or one that sends what is no question.
    tokio::select! {
        () = ask(read, judge, responses) => {}
        () = answer(write, to_write) => {}
    }
}

async fn ask(stream: OwnedReadHalf, judge: Arc<Judge>, responses: mpsc::Sender<Response>) {
    let mut stream = BufReader::with_capacity(MAX_LINE, stream);
    let open = Arc::new(Semaphore::new(OPEN));
    let mut line = Vec::new();
    while read_line(&mut stream, &mut line).await {
        let Ok(request) = serde_json::from_slice::<Request>(&line) else { return };
        if let Some(verdict) = judge.at_once(&request) {
            let _ = responses.send(Response::new(request.id, verdict)).await;
            continue;
        }
        let Ok(place) = open.clone().acquire_owned().await else { return };
        let (judge, responses) = (judge.clone(), responses.clone());
        tokio::spawn(async move {
            let (id, verdict): (u64, Verdict) = (request.id, judge.judge(request).await);
            let _ = responses.send(Response::new(id, verdict)).await;
            drop(place);
        });
    }
}

async fn answer(mut stream: OwnedWriteHalf, mut responses: mpsc::Receiver<Response>) {
    let (mut batch, mut octets) = (Vec::new(), Vec::new());
    while responses.recv_many(&mut batch, BATCH).await > 0 {
        octets.clear();
        for response in batch.drain(..) {
            if serde_json::to_writer(&mut octets, &response).is_ok() {
                octets.push(b'\n');
            }
        }
        if stream.write_all(&octets).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_users_may_ask() {
        for (peer, ours) in [(2503, true), (2501, true), (0, true), (2500, false), (1000, false), (u32::MAX, false)] {
            assert_eq!(is_ours(peer, 2503, &[2501, 2502]), ours, "{peer}");
        }
    }

    #[tokio::test]
    async fn the_kernel_says_who_asks() {
        let (asking, asked) = UnixStream::pair().unwrap();
        let nobody_else: Users = Arc::new([]);
        assert!(may_ask(&asked, &nobody_else));
        assert_eq!(asked.peer_cred().unwrap().uid(), rustix::process::geteuid().as_raw());
        drop(asking);
    }
}
