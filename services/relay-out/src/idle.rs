//! Connections kept a few seconds for the next message to the same server, and servers that just could not be reached.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lib_mail::{Status, Timestamp};
use lib_settings::RelayTls;

use crate::connection::Connection;
use crate::targets::Target;

/// How long a connection may lie idle.
const KEEP: Duration = Duration::from_secs(5);
/// Connections kept in all, and for one server.
const MOST: usize = 64;
const MOST_EACH: usize = 4;
/// Messages over one connection; some servers refuse more.
pub(crate) const MESSAGES_EACH: u32 = 100;
/// How long a server that could not be reached is left alone. Short: it only keeps a burst of messages from waiting for the same
/// time-out one after another.
const UNREACHABLE: Duration = Duration::from_secs(5);
/// The same by the queue clock: where that runs fast, a retry must not fall into what is left of the last attempt's.
const UNREACHABLE_BY_QUEUE_CLOCK: Duration = Duration::from_secs(60);
/// Servers remembered so; beyond them all are forgotten, which costs time-outs only.
const MOST_UNREACHABLE: usize = 1000;

/// What a connection may be used again for: the same host, address and key, and no other TLS or login, for a route may ask more of a
/// server than another one did.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Line {
    pub(crate) target: Target,
    pub(crate) tls: RelayTls,
    pub(crate) user: Option<String>,
}

/// What is kept.
#[derive(Default)]
pub(crate) struct Idle {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    connections: HashMap<Line, Vec<(Connection, Instant)>>,
    unreachable: HashMap<SocketAddr, (Status, Instant)>,
}

impl Idle {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that was used last.
    pub(crate) fn take(&self, line: &Line) -> Option<Connection> {
        let mut kept = self.lock();
        let connections = kept.connections.get_mut(line)?;
        let taken = connections.pop().map(|(connection, _)| connection);
        if connections.is_empty() {
            kept.connections.remove(line);
        }
        taken
    }

    /// Keeps a ready connection, or gives it back where there is no room or it has carried enough.
    pub(crate) fn keep(&self, line: Line, connection: Connection) -> Option<Connection> {
        let mut kept = self.lock();
        let count: usize = kept.connections.values().map(Vec::len).sum();
        let each = kept.connections.get(&line).map_or(0, Vec::len);
        if count >= MOST || each >= MOST_EACH || connection.messages >= MESSAGES_EACH {
            return Some(connection);
        }
        kept.connections.entry(line).or_default().push((connection, Instant::now()));
        None
    }

    /// Takes out what has lain long enough, or all of it.
    pub(crate) fn expired(&self, all: bool) -> Vec<Connection> {
        let mut kept = self.lock();
        let mut out = Vec::new();
        for connections in kept.connections.values_mut() {
            let old = connections.extract_if(.., |(_, since)| all || since.elapsed() >= KEEP);
            out.extend(old.map(|(connection, _)| connection));
        }
        kept.connections.retain(|_, connections| !connections.is_empty());
        out
    }

    /// Remembers that a server could not be reached.
    pub(crate) fn unreachable(&self, address: SocketAddr, status: Status) {
        let mut kept = self.lock();
        if kept.unreachable.len() >= MOST_UNREACHABLE {
            kept.unreachable.clear();
        }
        kept.unreachable.insert(address, (status, Instant::now()));
    }

    /// Why a server need not be tried just now.
    pub(crate) fn why_unreachable(&self, address: &SocketAddr, now: Timestamp) -> Option<Status> {
        let mut kept = self.lock();
        let (status, since) = kept.unreachable.get(address)?;
        if since.elapsed() < UNREACHABLE && now.since(status.at) < UNREACHABLE_BY_QUEUE_CLOCK {
            return Some(status.clone());
        }
        kept.unreachable.remove(address);
        None
    }

    /// This server is to be tried whatever is known of it.
    pub(crate) fn forget(&self, address: &SocketAddr) {
        self.lock().unreachable.remove(address);
    }

    /// A person asked to try now: nothing is known to be unreachable.
    pub(crate) fn forget_unreachable(&self) {
        self.lock().unreachable.clear();
    }
}
