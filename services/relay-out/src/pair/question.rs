//! What is asked of a peer over a session that is ready.

use lib_account::{Applied, Listed, Lists};
use lib_host::Clock;
use lib_mail::Domain;
use lib_net::pin::sha256;
use lib_policy::RecipientList;
use tokio::task::spawn_blocking;

use crate::connection::Connection;

/// A list that changes while it is read is begun anew so many times.
const BEGINNINGS: usize = 5;
/// Lines of a list that are taken.
const MOST_LINES: usize = 1_000_000;

/// What came of a look at the list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Looked {
    /// It is as it was.
    Same,
    /// There is another.
    Got(Applied),
}

/// Fetches the peer's list, where it is another than ours, and keeps it. An error is in words.
pub(super) async fn fetch(connection: &mut Connection, lists: &Lists, peer: &str, clock: &Clock) -> Result<Looked, String> {
    let (lists, peer, clock) = (lists.clone(), peer.to_owned(), clock.clone());
    let kept = spawn_blocking({
        let (lists, peer) = (lists.clone(), peer.clone());
        move || lists.read(&peer)
    });
    // A file that cannot be understood is fetched anew.
    let kept = kept.await.map_err(|error| error.to_string())?.unwrap_or_default();
    let have = kept.in_force.as_ref().map_or("-", |(listed, _)| listed.digest.as_str()).to_owned();
    let reply = ask(connection, &format!("XLIST {have}")).await?;
    let head = Head::read(&reply)?;
    if head.digest == have {
        let same =
            spawn_blocking(move || lists.unchanged(&peer, &have, clock.now())).await.map_err(|error| error.to_string())?;
        return same.map(|_| Looked::Same).map_err(|error| error.to_string());
    }
    if kept.proposed.is_some_and(|proposed| proposed.digest == head.digest) {
        return Ok(Looked::Same);
    }
    let listed = read(connection, head, reply).await?;
    let applied = spawn_blocking(move || lists.fetched(&peer, listed, clock.now())).await.map_err(|error| error.to_string())?;
    applied.map(Looked::Got).map_err(|error| error.to_string())
}

/// Reads the rest of a list whose first lines stand in `reply`.
async fn read(connection: &mut Connection, mut head: Head, mut reply: Vec<String>) -> Result<Listed, String> {
    let mut lines: Vec<String> = Vec::new();
    let mut beginnings = 1;
    loop {
        let piece = reply.get(1..).unwrap_or_default();
        if piece.is_empty() && lines.len() < head.lines {
            return Err("the list breaks off".into());
        }
        lines.extend_from_slice(piece);
        if lines.len() >= head.lines {
            break;
        }
        reply = ask(connection, &format!("XLIST {} {}", head.digest, lines.len())).await?;
        let now = Head::read(&reply)?;
        if now != head {
            (head, beginnings) = (now, beginnings + 1);
            lines.clear();
            if beginnings > BEGINNINGS {
                return Err("the list changes faster than it can be read".into());
            }
        }
    }
    if sha256(lines.join("\n").as_bytes()) != head.digest {
        return Err("the list is not what its digest says".into());
    }
    let list = RecipientList::parse(lines.iter().map(String::as_str))?;
    Ok(Listed { digest: head.digest, list })
}

/// The first line of a reply to XLIST.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    digest: String,
    lines: usize,
}

impl Head {
    fn read(reply: &[String]) -> Result<Head, String> {
        let head = reply.first().and_then(|line| {
            let (digest, lines) = line.trim_end().split_once(' ')?;
            let fits = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
            let lines = lines.parse().ok().filter(|lines| *lines <= MOST_LINES)?;
            fits.then(|| Head { digest: digest.to_owned(), lines })
        });
        head.ok_or_else(|| "its answer to XLIST is not understood".into())
    }
}

/// Asks the peer to send what it has for these domains; those it has nothing to do with it refuses, which is no error.
pub(super) async fn start_queues(connection: &mut Connection, domains: &[Domain]) -> Result<(), String> {
    for domain in domains {
        connection.ask(&format!("ETRN @{}", domain.key())).await.map_err(|closed| closed.status.text)?;
    }
    Ok(())
}

/// The lines of a reply, which must be a success.
async fn ask(connection: &mut Connection, line: &str) -> Result<Vec<String>, String> {
    let reply = connection.ask(line).await.map_err(|closed| closed.status.text)?;
    if reply.is_success() { Ok(reply.lines) } else { Err(format!("it says {reply}")) }
}
