//! A plain SMTP client, as strict as a scenario needs it: it says what it is told and shows every reply.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context;

use crate::Result;

/// Longest reply line that is read.
const REPLY_LINE: u64 = 8192;
/// Most lines of one reply.
const REPLY_LINES: usize = 128;

/// One reply: its code and the texts of its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// Each line without code and separator.
    pub lines: Vec<String>,
}

impl Reply {
    /// All lines, joined by a space.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// The reply itself where its code is `code`, else an error that shows it.
    pub fn expect(self, code: u16) -> Result<Reply> {
        anyhow::ensure!(self.code == code, "expected {code}, was told {} {}", self.code, self.text());
        Ok(self)
    }
}

/// A connection to a mail server.
#[derive(Debug)]
pub struct Smtp {
    reader: BufReader<TcpStream>,
}

impl Smtp {
    /// Connects and reads the greeting.
    pub fn connect(to: SocketAddr, timeout: Duration) -> Result<Smtp> {
        let (smtp, greeting) = Smtp::connect_raw(to, timeout)?;
        greeting.expect(220)?;
        Ok(smtp)
    }

    /// Connects and gives the greeting, whatever its code.
    pub fn connect_raw(to: SocketAddr, timeout: Duration) -> Result<(Smtp, Reply)> {
        let stream = TcpStream::connect_timeout(&to, timeout).with_context(|| format!("connecting to {to}"))?;
        Smtp::over(stream, timeout)
    }

    /// Speaks over a connection that stands already.
    pub fn over(stream: TcpStream, timeout: Duration) -> Result<(Smtp, Reply)> {
        stream.set_nodelay(true)?;
        let mut smtp = Smtp { reader: BufReader::new(stream) };
        smtp.wait_at_most(timeout)?;
        let greeting = smtp.reply()?;
        Ok((smtp, greeting))
    }

    /// From now on nothing is waited for longer.
    pub fn wait_at_most(&mut self, timeout: Duration) -> Result<()> {
        let stream = self.reader.get_mut();
        stream.set_read_timeout(Some(timeout))?;
        Ok(stream.set_write_timeout(Some(timeout))?)
    }

    /// Sends octets as they are.
    pub fn send(&mut self, octets: &[u8]) -> Result<()> {
        self.reader.get_mut().write_all(octets).context("sending")
    }

    /// Sends a command line and reads the reply.
    pub fn command(&mut self, line: &str) -> Result<Reply> {
        self.send(format!("{line}\r\n").as_bytes())?;
        self.reply().with_context(|| format!("after {line}"))
    }

    /// Reads one reply, all lines of it.
    pub fn reply(&mut self) -> Result<Reply> {
        let mut lines = Vec::new();
        loop {
            let (code, last, text) = self.reply_line()?;
            lines.push(text);
            if last {
                return Ok(Reply { code, lines });
            }
            anyhow::ensure!(lines.len() < REPLY_LINES, "a reply of over {REPLY_LINES} lines");
        }
    }

    fn reply_line(&mut self) -> Result<(u16, bool, String)> {
        let mut line = Vec::new();
        (&mut self.reader).take(REPLY_LINE).read_until(b'\n', &mut line).context("reading a reply")?;
        let text = String::from_utf8_lossy(&line).into_owned();
        anyhow::ensure!(text.ends_with("\r\n"), "the connection ended within a reply: {text:?}");
        let text = text.trim_end_matches(['\r', '\n']);
        let code = text.get(..3).and_then(|digits| digits.parse().ok()).with_context(|| format!("no reply: {text:?}"))?;
        Ok((code, text.as_bytes().get(3) != Some(&b'-'), text.get(4..).unwrap_or_default().to_owned()))
    }

    /// One whole transaction with every command in lockstep; the reply to the final dot. `message` has CRLF line ends and is
    /// dot-stuffed here; a final CRLF is added where it lacks one.
    pub fn transaction(&mut self, from: &str, to: &[&str], message: &[u8]) -> Result<Reply> {
        self.command(&format!("MAIL FROM:<{from}>"))?.expect(250)?;
        for recipient in to {
            self.command(&format!("RCPT TO:<{recipient}>"))?.expect(250)?;
        }
        self.command("DATA")?.expect(354)?;
        self.send(&stuffed(message))?;
        self.reply().context("after the final dot")
    }

    /// QUIT, and the end of the connection.
    pub fn quit(mut self) -> Result<()> {
        self.command("QUIT")?.expect(221)?;
        Ok(())
    }

    /// The connection itself, for faults.
    pub fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }
}

/// The message as it goes over the wire after DATA: leading dots doubled, ended by CRLF.CRLF.
pub fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(message.len() + message.len() / 32 + 8);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
    }
    if !message.is_empty() && !message.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_doubled_at_line_starts_only() {
        for (message, wire) in
            [("", ".\r\n"), (".", "..\r\n.\r\n"), ("a.b\r\n.c\r\n", "a.b\r\n..c\r\n.\r\n"), ("..\r\n", "...\r\n.\r\n")]
        {
            assert_eq!(stuffed(message.as_bytes()), wire.as_bytes(), "{message:?}");
        }
    }
}
