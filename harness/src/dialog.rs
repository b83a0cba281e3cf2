//! Dialogue files: what is said and what must be answered, readable by a person, replayable against any server.
//!
//! The format is described in `tests/dialogs/README.md`.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Context;

use crate::Result;
use crate::tls;

/// Longest wait for an expected line.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest wait that shows that nothing unread is left.
const SILENCE: Duration = Duration::from_millis(100);
/// Longest line that is read.
const LINE: u64 = 64 * 1024;

/// One line of a dialogue.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Send(Vec<u8>),
    Line(String),
    Reply(String),
    Closed,
    Tls,
}

/// A parsed dialogue.
#[derive(Debug, Clone)]
pub struct Dialog {
    /// The listener that it is for.
    pub port: String,
    /// Settings that it needs, as TOML lines.
    pub settings: String,
    /// Each step must be one write: to cut it would be another dialogue.
    unsplit: bool,
    steps: Vec<(usize, Step)>,
}

impl Dialog {
    /// Reads a dialogue; an error names the line.
    pub fn parse(text: &str) -> Result<Dialog> {
        let mut dialog = Dialog { port: "mx".into(), settings: String::new(), unsplit: false, steps: Vec::new() };
        for (number, line) in text.lines().enumerate() {
            if let Some(comment) = line.strip_prefix('#') {
                dialog.note(comment.trim());
            } else if !line.trim().is_empty() {
                let step = step(line).with_context(|| format!("line {}: {line}", number + 1))?;
                dialog.steps.push((number + 1, step));
            }
        }
        Ok(dialog)
    }

    fn note(&mut self, comment: &str) {
        if let Some(setting) = comment.strip_prefix("Setting:") {
            self.settings.push_str(setting.trim());
            self.settings.push('\n');
        } else if let Some(port) = comment.strip_prefix("Port:") {
            self.port = port.trim().to_owned();
        } else if comment.starts_with("Unsplit:") {
            self.unsplit = true;
        }
    }

    /// Plays against a server. `implicit` shakes hands for TLS first. `octet_by_octet` sends every octet in a segment of its own.
    pub fn play(&self, to: SocketAddr, implicit: bool, octet_by_octet: bool) -> Result<()> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut line = Line::Plain(BufReader::new(stream));
        if implicit {
            line = line.secure()?;
        }
        for (number, step) in &self.steps {
            line = line.step(step, octet_by_octet && !self.unsplit).with_context(|| format!("at line {number}"))?;
        }
        line.nothing_left()
    }
}

fn step(line: &str) -> Result<Step> {
    if line.trim_end() == "S." {
        return Ok(Step::Closed);
    }
    if line.trim_end() == "T." {
        return Ok(Step::Tls);
    }
    let (kind, text) = line.split_at_checked(2).context("a step is two characters and a text")?;
    let text = text.strip_prefix(' ').unwrap_or(text);
    Ok(match kind {
        "C:" => Step::Send(format!("{text}\r\n").into_bytes()),
        "C~" => Step::Send(unescape(text)?),
        "C#" => {
            let (times, text) = text.split_once(' ').context("C# has a number and a text")?;
            Step::Send(format!("{text}\r\n").repeat(times.parse()?).into_bytes())
        }
        "S:" => Step::Line(text.to_owned()),
        "S*" => Step::Reply(text.trim().to_owned()),
        other => anyhow::bail!("{other} is no kind of step"),
    })
}

fn unescape(text: &str) -> Result<Vec<u8>> {
    let mut octets = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            octets.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match chars.next().context("a backslash at the end")? {
            'r' => octets.push(b'\r'),
            'n' => octets.push(b'\n'),
            't' => octets.push(b'\t'),
            '0' => octets.push(0),
            '\\' => octets.push(b'\\'),
            'x' => {
                let digits: String = chars.by_ref().take(2).collect();
                octets.push(u8::from_str_radix(&digits, 16).context("\\x has two hexadecimal digits")?);
            }
            other => anyhow::bail!("\\{other} means nothing"),
        }
    }
    Ok(octets)
}

/// Whether `text` is like `pattern`, in which `*` stands for any text.
fn like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

enum Line {
    Plain(BufReader<TcpStream>),
    Secure(Box<BufReader<tls::Client>>),
}

impl Line {
    fn step(mut self, step: &Step, octet_by_octet: bool) -> Result<Line> {
        match step {
            Step::Send(octets) => self.send(octets, octet_by_octet)?,
            Step::Line(pattern) => {
                let line = self.line()?.context("the server closed the connection")?;
                anyhow::ensure!(like(pattern, &line), "expected {pattern:?}, the server said {line:?}");
            }
            Step::Reply(code) => loop {
                let line = self.line()?.context("the server closed the connection")?;
                anyhow::ensure!(line.starts_with(code.as_str()), "expected a reply {code}, the server said {line:?}");
                if line.as_bytes().get(3) != Some(&b'-') {
                    break;
                }
            },
            Step::Closed => {
                let line = self.line()?;
                anyhow::ensure!(line.is_none(), "expected the end of the connection, the server said {line:?}");
            }
            Step::Tls => return self.secure(),
        }
        Ok(self)
    }

    fn secure(self) -> Result<Line> {
        let Line::Plain(reader) = self else { anyhow::bail!("TLS within TLS") };
        anyhow::ensure!(reader.buffer().is_empty(), "the server spoke before the handshake: {:?}", reader.buffer());
        Ok(Line::Secure(Box::new(BufReader::new(tls::handshake(reader.into_inner())?))))
    }

    fn socket(&self) -> &TcpStream {
        match self {
            Line::Plain(reader) => reader.get_ref(),
            Line::Secure(reader) => &reader.get_ref().sock,
        }
    }

    fn send(&mut self, octets: &[u8], octet_by_octet: bool) -> Result<()> {
        let size = if octet_by_octet { 1 } else { octets.len().max(1) };
        for chunk in octets.chunks(size) {
            let sent = match self {
                Line::Plain(reader) => reader.get_mut().write_all(chunk),
                Line::Secure(reader) => reader.get_mut().write_all(chunk).and_then(|()| reader.get_mut().flush()),
            };
            match sent {
                // The server may close while we still talk; what it said before is read all the same.
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => return Ok(()),
                other => other?,
            }
        }
        Ok(())
    }

    fn line(&mut self) -> Result<Option<String>> {
        let mut line = Vec::new();
        let read = match self {
            Line::Plain(reader) => reader.take(LINE).read_until(b'\n', &mut line),
            Line::Secure(reader) => reader.take(LINE).read_until(b'\n', &mut line),
        };
        match read {
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof) => {}
            other => {
                other.context("waiting for the server")?;
            }
        }
        if line.is_empty() {
            return Ok(None);
        }
        anyhow::ensure!(line.ends_with(b"\r\n"), "a line without CRLF: {:?}", String::from_utf8_lossy(&line));
        Ok(Some(String::from_utf8_lossy(&line[..line.len() - 2]).into_owned()))
    }

    fn nothing_left(&mut self) -> Result<()> {
        self.socket().set_read_timeout(Some(SILENCE))?;
        match self.line() {
            Ok(Some(line)) => anyhow::bail!("the server also said {line:?}"),
            // The end of the connection, or silence.
            Ok(None) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("250 ok", "250 ok", true),
            ("250 ok", "250 ok!", false),
            ("250 *", "250 ", true),
            ("250 * as *", "250 queued as x", true),
            ("*bytes max", "552 5.3.4 Message is too large; 10 bytes max", true),
            ("250 *a*b", "250 xaxb", true),
            ("250 *a*b", "250 xbxa", false),
        ] {
            assert_eq!(like(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn steps() {
        assert_eq!(step(r"C~ a\r\n\x41\0\\").unwrap(), Step::Send(b"a\r\nA\0\\".to_vec()));
        assert_eq!(step("C# 2 NOOP").unwrap(), Step::Send(b"NOOP\r\nNOOP\r\n".to_vec()));
        assert_eq!(step("C:").unwrap(), Step::Send(b"\r\n".to_vec()));
        assert!(step("X: a").is_err() && step(r"C~ \q").is_err());
    }
}
