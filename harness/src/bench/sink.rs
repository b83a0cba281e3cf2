//! Servers outside, to which a measured server relays: they take every message at once, and note when and for whom. Many addresses, one thread.
//!
//! A scripted peer ([`crate::peer`]) keeps whole dialogues and a thread for each connection, and would be the limit of what is measured.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;

use crate::Result;
use crate::driver::processes::Addresses;
use crate::ledger::{Found, Place, token};
use crate::wait::wait_until;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// The first of the last octets of sinks.
const FIRST: u8 = 20;
/// Octets of a message that are searched for its token.
const HEAD: usize = 4096;
/// Octets of a read.
const READ: usize = 64 * 1024;
/// What a sink says to EHLO.
const KEYWORDS: &[u8] = b"250-sink.example\r\n250-PIPELINING\r\n250-SIZE 100000000\r\n250 8BITMIME\r\n";

/// A message that was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    /// Its token.
    pub token: String,
    /// The recipients at RCPT.
    pub recipients: Vec<String>,
    /// When its 250 was sent.
    pub at: Instant,
}

#[derive(Debug, Default)]
struct Seen {
    taken: Vec<Taken>,
    connections: usize,
}

/// Sinks on addresses of their own. They end when dropped.
#[derive(Debug)]
pub struct Sinks {
    seen: Arc<Mutex<Seen>>,
    addresses: Vec<IpAddr>,
    end: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
    _network: Addresses,
}

/// What a sink does with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// It takes what comes.
    Takes,
    /// It accepts, and never greets.
    Tarpit,
}

impl Sinks {
    /// So many sinks (at most 220) on this port, each on an address of its own; the last `dead` of them are tarpits, which accept and never greet.
    pub fn start(count: usize, dead: usize, port: u16) -> Result<Sinks> {
        anyhow::ensure!(count <= 220 && dead <= count, "a network has room for 220 sinks");
        let network = Addresses::draw()?;
        let addresses: Vec<IpAddr> = (0..count).map(|number| network.at(FIRST + number as u8)).collect();
        let (seen, end) = (Arc::new(Mutex::new(Seen::default())), Arc::new(Notify::new()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listeners = {
            let _entered = runtime.enter();
            addresses.iter().map(|address| listen(SocketAddr::new(*address, port))).collect::<Result<Vec<_>>>()?
        };
        for (number, listener) in listeners.into_iter().enumerate() {
            let mood = if number < count - dead { Mood::Takes } else { Mood::Tarpit };
            runtime.spawn(accept(listener, mood, Arc::clone(&seen)));
        }
        let ended = Arc::clone(&end);
        let thread = std::thread::spawn(move || runtime.block_on(ended.notified()));
        Ok(Sinks { seen, addresses, end, thread: Some(thread), _network: network })
    }

    /// Their addresses.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Messages taken so far.
    pub fn count(&self) -> usize {
        lock(&self.seen).taken.len()
    }

    /// Connections so far.
    pub fn connections(&self) -> usize {
        lock(&self.seen).connections
    }

    /// Waits until this many were taken; an error says how many were.
    pub fn wait(&self, count: usize, patience: Duration) -> Result<()> {
        let waited = wait_until(&format!("{count} messages at the sinks"), patience, || self.count() >= count);
        waited.with_context(|| format!("{} of {count} arrived", self.count()))
    }

    /// When the first and the last was taken; `None` where none was.
    pub fn span(&self) -> Option<(Instant, Instant)> {
        let seen = lock(&self.seen);
        let times = || seen.taken.iter().map(|taken| taken.at);
        Some((times().min()?, times().max()?))
    }

    /// All of them, for the books.
    pub fn found(&self) -> Vec<Found> {
        let one = |taken: &Taken| {
            let place = Place::Outside { peer: "sink".into(), recipients: taken.recipients.clone() };
            Found { token: taken.token.clone(), place, text: None }
        };
        lock(&self.seen).taken.iter().map(one).collect()
    }
}

impl Drop for Sinks {
    fn drop(&mut self) {
        self.end.notify_one();
        if let Some(thread) = self.thread.take() {
            // One that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(address: SocketAddr) -> Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address).with_context(|| format!("a sink at {address}"))?;
    Ok(socket.listen(BACKLOG)?)
}

async fn accept(listener: TcpListener, mood: Mood, seen: Arc<Mutex<Seen>>) {
    let mut held = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        lock(&seen).connections += 1;
        match mood {
            Mood::Tarpit => held.push(stream),
            Mood::Takes => {
                let seen = Arc::clone(&seen);
                // A client that goes away has what it was told.
                tokio::spawn(async move { serve(stream, &seen).await.unwrap_or_default() });
            }
        }
    }
}

/// One session: replies to all that was read are sent together.
async fn serve(mut stream: TcpStream, seen: &Mutex<Seen>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(b"220 sink.example ESMTP\r\n").await?;
    let (mut session, mut input, mut replies) = (Session::default(), Vec::with_capacity(READ), Vec::new());
    while !session.over && stream.read_buf(&mut input).await? > 0 {
        let used = session.take(&input, &mut replies, seen);
        input.drain(..used);
        if !replies.is_empty() {
            stream.write_all(&replies).await?;
            replies.clear();
        }
    }
    Ok(())
}

/// What a session has heard.
#[derive(Debug, Default)]
struct Session {
    recipients: Vec<String>,
    /// The beginning of the message that is being read.
    message: Option<Vec<u8>>,
    over: bool,
}

impl Session {
    /// Takes what is whole of the input; how many octets that was.
    fn take(&mut self, input: &[u8], replies: &mut Vec<u8>, seen: &Mutex<Seen>) -> usize {
        let mut used = 0;
        while !self.over {
            let rest = &input[used..];
            let step = if self.message.is_some() { self.data(rest, replies, seen) } else { self.command(rest, replies) };
            match step {
                0 => break,
                step => used += step,
            }
        }
        used
    }

    fn command(&mut self, input: &[u8], replies: &mut Vec<u8>) -> usize {
        let Some(end) = input.iter().position(|octet| *octet == b'\n') else { return 0 };
        let line = String::from_utf8_lossy(&input[..end]);
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => replies.extend_from_slice(KEYWORDS),
            "MAIL" | "RSET" => {
                self.recipients.clear();
                replies.extend_from_slice(b"250 2.0.0 OK\r\n");
            }
            "RCPT" => {
                let address = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
                self.recipients.extend(address.map(|(address, _)| address.to_owned()));
                replies.extend_from_slice(b"250 2.1.5 OK\r\n");
            }
            "DATA" => {
                self.message = Some(Vec::new());
                replies.extend_from_slice(b"354 go ahead\r\n");
            }
            "QUIT" => {
                self.over = true;
                replies.extend_from_slice(b"221 2.0.0 bye\r\n");
            }
            _ => replies.extend_from_slice(b"250 2.0.0 OK\r\n"),
        }
        end + 1
    }

    /// Takes whole lines up to the final dot.
    fn data(&mut self, input: &[u8], replies: &mut Vec<u8>, seen: &Mutex<Seen>) -> usize {
        let mut used = 0;
        while let Some(end) = input[used..].iter().position(|octet| *octet == b'\n') {
            let line = &input[used..=used + end];
            used += line.len();
            if line == b".\r\n" {
                let message = self.message.take().unwrap_or_default();
                let token = token(&message).unwrap_or_default();
                lock(seen).taken.push(Taken { token, recipients: std::mem::take(&mut self.recipients), at: Instant::now() });
                replies.extend_from_slice(b"250 2.0.0 OK\r\n");
                return used;
            }
            if let Some(head) = self.message.as_mut().filter(|head| head.len() < HEAD) {
                head.extend_from_slice(line);
            }
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::message;
    use crate::smtp::{Smtp, stuffed};

    const REPLY: Duration = Duration::from_secs(10);

    #[test]
    fn what_is_pipelined_in_any_pieces_is_taken() {
        let mut input = b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<x@d1.example>\r\nRCPT TO:<y@d1.example>\r\nDATA\r\n".to_vec();
        input.extend(stuffed(&message("t-1", 9000)));
        input.extend_from_slice(b"MAIL FROM:<a@b>\r\nRCPT TO:<z@d1.example>\r\nDATA\r\n");
        input.extend(stuffed(&message("t-2", 300)));
        input.extend_from_slice(b"QUIT\r\n");
        for piece in [1, 2, 7, 1000, input.len()] {
            let (mut session, seen, mut replies, mut kept) = (Session::default(), Mutex::default(), Vec::new(), Vec::new());
            for part in input.chunks(piece) {
                kept.extend_from_slice(part);
                let used = session.take(&kept, &mut replies, &seen);
                kept.drain(..used);
            }
            assert!(session.over && kept.is_empty());
            let taken = lock(&seen).taken.clone();
            let all: Vec<_> = taken.iter().map(|one| (one.token.as_str(), one.recipients.join(" "))).collect();
            assert_eq!(all, [("t-1", "x@d1.example y@d1.example".to_owned()), ("t-2", "z@d1.example".to_owned())]);
            let text = String::from_utf8(replies).unwrap();
            assert_eq!((text.matches("354").count(), text.matches("\r\n").count()), (2, 14));
        }
    }

    #[test]
    fn sinks_take_and_tarpits_hold() {
        let sinks = Sinks::start(2, 1, 2525).unwrap();
        let [alive, dead] = [0, 1].map(|at| SocketAddr::new(sinks.addresses()[at], 2525));
        let mut smtp = Smtp::connect(alive, REPLY).unwrap();
        smtp.command("EHLO me.example").unwrap().expect(250).unwrap();
        smtp.transaction("a@b.example", &["x@d.example"], &message("t-3", 2000)).unwrap().expect(250).unwrap();
        smtp.quit().unwrap();
        sinks.wait(1, REPLY).unwrap();
        assert_eq!(sinks.found()[0].token, "t-3");
        assert!(Smtp::connect(dead, Duration::from_millis(200)).is_err());
        assert_eq!((sinks.connections(), sinks.count()), (2, 1));
        assert!(sinks.wait(2, Duration::from_millis(20)).is_err());
    }
}
