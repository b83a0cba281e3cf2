//! A mail server that obeys a script: what it offers, what it does at which command, and everything it was given.
//!
//! It takes whatever it is not told to refuse. It lies, stalls, drips and breaks off where the product cannot be made to.

mod command;
mod script;
mod session;
mod tls;

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;

pub use command::Command;
pub use script::Deed;
pub use tls::{Certificate, TlsUse};

use crate::Result;
use script::Script;

/// A message that the peer took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The MAIL line.
    pub mail: String,
    /// The RCPT lines that got 2yz.
    pub recipients: Vec<String>,
    /// The octets, dot-unstuffed.
    pub message: Vec<u8>,
    /// The TLS that it came under.
    pub tls: Option<TlsUse>,
    /// The number of the connection that it came over, counted from 0.
    pub connection: usize,
}

#[derive(Debug, Default)]
struct State {
    keywords: Vec<String>,
    tls: Option<Arc<ServerConfig>>,
    script: Script,
    taken: Vec<Taken>,
    unfinished: Vec<Taken>,
    commands: Vec<String>,
    connections: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    ended: AtomicBool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// A scripted mail server; it ends when dropped.
#[derive(Debug)]
pub struct Peer {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Peer {
    /// Starts on `port` of `address` (0 is any), offering `keywords` in its EHLO reply and accepting everything.
    pub fn start(address: IpAddr, port: u16, keywords: &[&str]) -> Result<Peer> {
        let listener = TcpListener::bind((address, port))?;
        let address = listener.local_addr()?;
        let state = State { keywords: keywords.iter().map(|k| (*k).to_owned()).collect(), ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), ended: AtomicBool::new(false) });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(std::result::Result::ok) {
                if serving.has_ended() {
                    break;
                }
                let shared = Arc::clone(&serving);
                let connection = {
                    let mut state = shared.state();
                    state.connections += 1;
                    state.connections - 1
                };
                // A client that goes away ends its own session only.
                std::thread::spawn(move || session::serve(stream, connection, &shared));
            }
        });
        Ok(Peer { shared, address })
    }

    /// Answers commands that begin with `prefix` (`RCPT TO:<bob`, `.` for the end of the message, `CONNECT` for the greeting) with `reply`,
    /// `times` times; `None` is always. An empty reply closes the connection instead. Later rules go first.
    pub fn answer(&self, prefix: &str, times: impl Into<Option<usize>>, reply: &str) {
        self.script(prefix, times, if reply.is_empty() { Deed::Close } else { Deed::Reply(reply.to_owned()) });
    }

    /// As [`Peer::answer`], with anything that a peer can do. An empty prefix is every command, the greeting and the end of a message too.
    pub fn script(&self, prefix: &str, times: impl Into<Option<usize>>, deed: Deed) {
        self.shared.state().script.add(prefix, times.into(), deed);
    }

    /// Offers STARTTLS from now on, with a certificate that it makes.
    pub fn offer_tls(&self, certificate: Certificate) -> Result<()> {
        let config = tls::config(certificate)?;
        self.shared.state().tls = Some(config);
        Ok(())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The messages that it took so far.
    pub fn taken(&self) -> Vec<Taken> {
        self.shared.state().taken.clone()
    }

    /// The messages so far whose connection ended before their final dot, by the client or by the script, as far as they came.
    pub fn unfinished(&self) -> Vec<Taken> {
        self.shared.state().unfinished.clone()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.state().connections
    }

    /// Every command line so far, of all sessions.
    pub fn commands(&self) -> Vec<String> {
        self.shared.state().commands.clone()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the accept loop, so that it sees the end.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_millis(200));
    }
}

#[cfg(test)]
mod tests;
