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
/// Connections kept in all, and for one server: with fewer than work for one server at one time, most would be made for one message only.
const MOST: usize = 256;
const MOST_EACH: usize = 20;
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
pub(crate) struct Idle {
    kept: Mutex<Kept>,
    most: usize,
}

impl Default for Idle {
    fn default() -> Idle {
        Idle::with_room(MOST)
    }
}

#[derive(Default)]
struct Kept {
    connections: HashMap<Line, Vec<(Connection, Instant)>>,
    unreachable: HashMap<SocketAddr, (Status, Instant)>,
}

impl Kept {
    /// The connection that has lain longest. Those of a line lie in the order of their time.
    fn take_oldest(&mut self) -> Option<Connection> {
        let firsts = self.connections.iter().filter_map(|(line, lying)| Some((lying.first()?.1, line)));
        let line = firsts.min_by_key(|(since, _)| *since)?.1.clone();
        let lying = self.connections.get_mut(&line)?;
        let (connection, _) = lying.remove(0);
        if lying.is_empty() {
            self.connections.remove(&line);
        }
        Some(connection)
    }
}

impl Idle {
    /// That keeps so many connections.
    pub(crate) fn with_room(most: usize) -> Idle {
        Idle { kept: Mutex::default(), most }
    }

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

    /// Keeps a ready connection. What comes back is to be closed: this one where it has carried enough or its server has its share, or
    /// where there is no room the one that has lain longest.
    pub(crate) fn keep(&self, line: Line, connection: Connection) -> Option<Connection> {
        let mut kept = self.lock();
        let each = kept.connections.get(&line).map_or(0, Vec::len);
        if each >= MOST_EACH || connection.messages >= MESSAGES_EACH {
            return Some(connection);
        }
        let count: usize = kept.connections.values().map(Vec::len).sum();
        let oldest = if count >= self.most { kept.take_oldest() } else { None };
        kept.connections.entry(line).or_default().push((connection, Instant::now()));
        oldest
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
