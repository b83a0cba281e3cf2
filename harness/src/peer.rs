//! A mail server that obeys a script: what it offers, what it answers at which stage, and everything it was given.

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Result;

/// A connection that says nothing for so long is dropped.
const IDLE: Duration = Duration::from_secs(30);

/// What to answer to one kind of command, and how often.
#[derive(Debug, Clone)]
struct Rule {
    /// The command begins so, without regard to case; `.` is the end of the message, `CONNECT` the greeting.
    prefix: String,
    /// Times left; `None` is always.
    times: Option<usize>,
    /// The reply line, or `None`: the connection is closed without one.
    reply: Option<String>,
}

/// A message that the peer took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The MAIL line.
    pub mail: String,
    /// The RCPT lines that got 2yz.
    pub recipients: Vec<String>,
    /// The octets, dot-unstuffed.
    pub message: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    keywords: Vec<String>,
    rules: Vec<Rule>,
    taken: Vec<Taken>,
    commands: Vec<String>,
}

/// A scripted mail server; it ends when dropped.
#[derive(Debug)]
pub struct Peer {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Peer {
    /// Starts on `port` of `address` (0 is any), offering `keywords` in its EHLO reply and accepting everything.
    pub fn start(address: IpAddr, port: u16, keywords: &[&str]) -> Result<Peer> {
        let listener = TcpListener::bind((address, port))?;
        let address = listener.local_addr()?;
        let state = State { keywords: keywords.iter().map(|k| (*k).to_owned()).collect(), ..State::default() };
        let (state, stop) = (Arc::new(Mutex::new(state)), Arc::new(AtomicBool::new(false)));
        let (shared, ended) = (Arc::clone(&state), Arc::clone(&stop));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(std::result::Result::ok) {
                if ended.load(Ordering::Relaxed) {
                    break;
                }
                let shared = Arc::clone(&shared);
                // A client that goes away ends its own session only.
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Ok(Peer { state, address, stop })
    }

    /// Answers commands that begin with `prefix` (`RCPT TO:<bob`, `.` for the end of the message, `CONNECT` for the greeting) with `reply`,
    /// `times` times; `None` is always. An empty reply closes the connection instead. Later rules go first.
    pub fn answer(&self, prefix: &str, times: impl Into<Option<usize>>, reply: &str) {
        let reply = (!reply.is_empty()).then(|| reply.to_owned());
        self.state().rules.insert(0, Rule { prefix: prefix.to_owned(), times: times.into(), reply });
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The messages that it took so far.
    pub fn taken(&self) -> Vec<Taken> {
        self.state().taken.clone()
    }

    /// Every command line so far, of all sessions.
    pub fn commands(&self) -> Vec<String> {
        self.state().commands.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the accept loop, so that it sees the end.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_millis(200));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The scripted reply to `line`, if any: `Some(None)` closes the connection.
fn scripted(state: &Mutex<State>, line: &str) -> Option<Option<String>> {
    let mut state = lock(state);
    let fits = |rule: &&mut Rule| {
        rule.times != Some(0) && line.get(..rule.prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(&rule.prefix))
    };
    let rule = state.rules.iter_mut().find(fits)?;
    rule.times = rule.times.map(|times| times - 1);
    Some(rule.reply.clone())
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> Result<()> {
    stream.set_read_timeout(Some(IDLE))?;
    stream.set_nodelay(true)?;
    let mut out = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let mut say = |text: Option<String>| -> Result<u16> {
        let Some(text) = text else { anyhow::bail!("the script closes the connection") };
        out.write_all(format!("{text}\r\n").as_bytes())?;
        Ok(text.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0))
    };
    say(scripted(state, "CONNECT").unwrap_or(Some("220 peer.example ESMTP".into())))?;
    let (mut mail, mut recipients) = (String::new(), Vec::new());
    loop {
        let Some(line) = line(&mut reader)? else { return Ok(()) };
        lock(state).commands.push(line.clone());
        let verb = line.get(..4).unwrap_or(&line).to_ascii_uppercase();
        let default = match verb.as_str() {
            "EHLO" => ehlo(&lock(state).keywords),
            "DATA" if recipients.is_empty() => "503 5.5.1 no recipients".into(),
            "DATA" => "354 go on".into(),
            "QUIT" => "221 2.0.0 bye".into(),
            _ => "250 2.0.0 ok".into(),
        };
        let code = say(scripted(state, &line).unwrap_or(Some(default)))?;
        match verb.as_str() {
            "MAIL" if code == 250 => mail = line,
            "RCPT" if code / 100 == 2 => recipients.push(line),
            "RSET" | "EHLO" => recipients.clear(),
            "DATA" if code == 354 => {
                let message = message(&mut reader)?;
                lock(state).commands.push(".".into());
                let taken = Taken { mail: mail.clone(), recipients: std::mem::take(&mut recipients), message };
                if say(scripted(state, ".").unwrap_or(Some("250 2.0.0 queued as PEER".into())))? == 250 {
                    lock(state).taken.push(taken);
                }
            }
            "QUIT" => return Ok(()),
            _ => {}
        }
    }
}

fn ehlo(keywords: &[String]) -> String {
    let mut lines = vec!["peer.example".to_owned()];
    lines.extend(keywords.iter().cloned());
    let last = lines.len() - 1;
    let printed: Vec<String> =
        lines.iter().enumerate().map(|(at, line)| format!("250{}{line}", if at == last { ' ' } else { '-' })).collect();
    printed.join("\r\n")
}

fn line(reader: &mut impl BufRead) -> Result<Option<String>> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()))
}

/// The octets up to the line of one dot, unstuffed.
fn message(reader: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut message = Vec::new();
    loop {
        let mut line = Vec::new();
        anyhow::ensure!(reader.read_until(b'\n', &mut line)? > 0, "the connection ended within a message");
        if line == b".\r\n" {
            return Ok(message);
        }
        message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::Smtp;

    #[test]
    fn it_obeys() {
        let peer = Peer::start("127.0.0.1".parse().unwrap(), 0, &["PIPELINING", "SIZE 1000"]).unwrap();
        peer.answer("RCPT TO:<b@", 1, "451 4.7.1 later");
        let mut smtp = Smtp::connect(peer.address(), Duration::from_secs(5)).unwrap();
        assert_eq!(smtp.command("EHLO me").unwrap().lines, ["peer.example", "PIPELINING", "SIZE 1000"]);
        assert!(smtp.transaction("a@a.example", &["b@b.example"], b"x").is_err());
        smtp.command("RSET").unwrap();
        smtp.transaction("a@a.example", &["b@b.example"], b"..x\r\n").unwrap().expect(250).unwrap();
        assert_eq!(peer.taken()[0].message, b"..x\r\n");
        peer.answer("NOOP", None, "");
        assert!(smtp.command("NOOP").is_err());
    }
}
