//! A plain POP3 client: enough to empty or count a mailbox through the port.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context;

use crate::Result;
use crate::tls;

/// Octets of a read.
const READ: usize = 64 * 1024;

/// What a session goes over: a connection, or TLS on it.
trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A connection to a POP3 server.
pub struct Pop {
    reader: BufReader<Box<dyn Stream>>,
    /// The connection below.
    socket: TcpStream,
}

impl std::fmt::Debug for Pop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pop").field("socket", &self.socket).finish_non_exhaustive()
    }
}

impl Pop {
    /// Connects, reads the greeting and logs in.
    pub fn login(to: SocketAddr, user: &str, password: &str, timeout: Duration) -> Result<Pop> {
        Pop::connect(to, timeout)?.enter(user, password)
    }

    /// Logs in.
    pub fn enter(mut self, user: &str, password: &str) -> Result<Pop> {
        self.ok(&format!("USER {user}"))?;
        self.ok(&format!("PASS {password}"))?;
        Ok(self)
    }

    /// Connects and reads the greeting.
    pub fn connect(to: SocketAddr, timeout: Duration) -> Result<Pop> {
        let socket = dial(to, timeout)?;
        Pop::over(Box::new(socket.try_clone()?), socket)
    }

    /// The same with TLS from the first octet; any certificate will do.
    pub fn connect_tls(to: SocketAddr, timeout: Duration) -> Result<Pop> {
        let socket = dial(to, timeout)?;
        let below = socket.try_clone()?;
        Pop::over(Box::new(tls::handshake(socket)?), below)
    }

    fn over(stream: Box<dyn Stream>, socket: TcpStream) -> Result<Pop> {
        let mut pop = Pop { reader: BufReader::with_capacity(READ, stream), socket };
        let greeting = pop.line()?;
        anyhow::ensure!(greeting.starts_with("+OK"), "greeted with {greeting}");
        Ok(pop)
    }

    /// Sends a command and gives the text after `+OK`; `-ERR` is an error.
    pub fn ok(&mut self, command: &str) -> Result<String> {
        let answer = self.say(command)?;
        answer.strip_prefix("+OK").map(|text| text.trim().to_owned()).with_context(|| format!("{command}: {answer}"))
    }

    /// Sends a command and gives the first line of the answer.
    pub fn say(&mut self, command: &str) -> Result<String> {
        self.reader.get_mut().write_all(format!("{command}\r\n").as_bytes())?;
        self.line().with_context(|| format!("after {}", command.split(' ').next().unwrap_or_default()))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        anyhow::ensure!(line.ends_with(b"\r\n"), "the connection ended");
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Messages and octets, as STAT says.
    pub fn stat(&mut self) -> Result<(usize, u64)> {
        let answer = self.ok("STAT")?;
        let mut numbers = answer.split(' ');
        let mut next = || numbers.next().and_then(|n| n.parse::<u64>().ok()).with_context(|| format!("STAT: {answer}"));
        Ok((next()? as usize, next()?))
    }

    /// The octets of each message, in order, as LIST says.
    pub fn list(&mut self) -> Result<Vec<u64>> {
        self.ok("LIST")?;
        let listing = String::from_utf8_lossy(&self.multiline()?).into_owned();
        let size = |line: &str| line.split(' ').nth(1)?.parse().ok();
        listing.lines().map(|line| size(line).with_context(|| format!("LIST: {line}"))).collect()
    }

    /// The message `number` (from 1), dot-unstuffed, with CRLF line ends.
    pub fn retr(&mut self, number: usize) -> Result<Vec<u8>> {
        self.ok(&format!("RETR {number}"))?;
        self.multiline()
    }

    /// The unique ids, in order.
    pub fn uidl(&mut self) -> Result<Vec<String>> {
        self.ok("UIDL")?;
        let listing = String::from_utf8_lossy(&self.multiline()?).into_owned();
        Ok(listing.lines().filter_map(|line| line.split(' ').nth(1)).map(str::to_owned).collect())
    }

    fn multiline(&mut self) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        loop {
            let start = text.len();
            let read = self.reader.read_until(b'\n', &mut text)?;
            anyhow::ensure!(read > 1 && text.ends_with(b"\r\n"), "the connection ended within an answer");
            if &text[start..] == b".\r\n" {
                text.truncate(start);
                return Ok(text);
            }
            if text[start] == b'.' {
                text.remove(start);
            }
        }
    }

    /// The connection itself, for faults.
    pub fn stream(&self) -> &TcpStream {
        &self.socket
    }

    /// QUIT, which is when deletions happen.
    pub fn quit(mut self) -> Result<()> {
        self.ok("QUIT")?;
        Ok(())
    }
}

fn dial(to: SocketAddr, timeout: Duration) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&to, timeout).with_context(|| format!("connecting to {to}"))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(timeout))?;
    Ok(stream)
}
