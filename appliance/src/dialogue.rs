//! The stream beneath `bongsu send`: TCP, TLS when it is time, and a look at what goes by.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Waiting, Poll};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lettre::transport::smtp::client::AsyncTokioStream;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::commands::send::Tls;

/// How long to wait for the connection.
const CONNECT_TIME: Duration = Duration::from_secs(30);
/// Longest reply before TLS.
const REPLY_MAX: usize = 64 * 1024;
/// Lines of a message that are shown; the dialogue is of interest, not the mail.
const MESSAGE_LINES_SHOWN: usize = 5;

/// Shows a dialogue on standard error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dialogue {
    on: bool,
}

impl Dialogue {
    /// Shows, or keeps silent.
    pub(crate) fn new(on: bool) -> Self {
        Self { on }
    }

    /// A remark of our own.
    pub(crate) fn note(self, text: &str) {
        if self.on {
            eprintln!("--- {text}");
        }
    }

    fn lines(self, mark: &str, octets: &[u8]) {
        if !self.on {
            return;
        }
        let text = String::from_utf8_lossy(octets);
        let lines: Vec<&str> = text.lines().collect();
        let shown = if lines.len() > 3 * MESSAGE_LINES_SHOWN { MESSAGE_LINES_SHOWN } else { lines.len() };
        for line in &lines[..shown] {
            eprintln!("{mark} {}", line.escape_debug());
        }
        if shown < lines.len() {
            eprintln!("{mark} … {} more lines", lines.len() - shown);
        }
    }
}

/// Connects, and speaks up to the point where lettre takes over: the next line it reads is a greeting, or stands for one.
pub(crate) async fn connect(server: SocketAddr, tls: Tls, name: &str, shown: &Dialogue) -> Result<Box<dyn AsyncTokioStream>> {
    let tcp = tokio::time::timeout(CONNECT_TIME, TcpStream::connect(server)).await;
    let tcp = tcp.map_err(io::Error::from).and_then(|tcp| tcp);
    let mut tcp = tcp.with_context(|| format!("cannot connect to {server}; does the server run? (bongsu status)"))?;
    let mut greeting = Vec::new();
    if tls == Tls::Starttls {
        exchange(&mut tcp, b"", shown).await?;
        exchange(&mut tcp, format!("EHLO {name}\r\n").as_bytes(), shown).await?;
        // lettre waits for a greeting, and there is none after STARTTLS; the reply to STARTTLS is shown to it instead.
        greeting = exchange(&mut tcp, b"STARTTLS\r\n", shown).await?;
        if !greeting.starts_with(b"220") {
            bail!("the server does not offer TLS; use --no-tls to send without");
        }
    }
    if tls == Tls::Never {
        return Ok(Box::new(Watched::new(tcp, server, greeting, *shown)));
    }
    // Towards ourselves over loopback any certificate will do, as it may be self-signed; elsewhere it must be valid for the name.
    let config =
        if server.ip().is_loopback() { lib_net::tls::opportunistic_client() } else { lib_net::tls::verifying_client(&[]) };
    let name = ServerName::try_from(name.to_owned())?;
    let stream = TlsConnector::from(Arc::clone(&config)).connect(name, tcp).await.context("TLS could not be agreed")?;
    shown.note(&format!("TLS agreed: {:?}", stream.get_ref().1.protocol_version()));
    Ok(Box::new(Watched::new(stream, server, greeting, *shown)))
}

/// Says one command (or none) and reads one reply.
async fn exchange(tcp: &mut TcpStream, command: &[u8], shown: &Dialogue) -> Result<Vec<u8>> {
    if !command.is_empty() {
        shown.lines(">>>", command);
        tcp.write_all(command).await?;
    }
    let mut reply = Vec::new();
    let last = |reply: &[u8]| {
        let line = reply.strip_suffix(b"\r\n").and_then(|whole| whole.rsplit(|octet| *octet == b'\n').next());
        line.is_some_and(|line| line.get(3) != Some(&b'-'))
    };
    while !last(&reply) {
        if reply.len() > REPLY_MAX || tcp.read_buf(&mut reply).await? == 0 {
            bail!("the server ended the session: {}", String::from_utf8_lossy(&reply).trim());
        }
    }
    shown.lines("<<<", &reply);
    Ok(reply)
}

/// A stream that shows what goes by.
#[derive(Debug)]
struct Watched<S> {
    stream: S,
    peer: SocketAddr,
    /// Octets to be read before the stream's own; they were shown already.
    greeting: Vec<u8>,
    /// Between AUTH and its last reply every line may hold a password.
    secret: bool,
    shown: Dialogue,
}

impl<S> Watched<S> {
    fn new(stream: S, peer: SocketAddr, greeting: Vec<u8>, shown: Dialogue) -> Self {
        Self { stream, peer, greeting, secret: false, shown }
    }

    fn heard(&mut self, octets: &[u8]) {
        self.secret &= octets.starts_with(b"3");
        self.shown.lines("<<<", octets);
    }

    fn said(&mut self, octets: &[u8]) {
        self.secret |= octets.starts_with(b"AUTH ");
        self.shown.lines(">>>", if self.secret { "(login, not shown)".as_bytes() } else { octets });
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> AsyncTokioStream for Watched<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(mut self: Pin<&mut Self>, waiting: &mut Waiting<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.greeting.is_empty() {
            let count = self.greeting.len().min(buffer.remaining());
            buffer.put_slice(&self.greeting.drain(..count).collect::<Vec<u8>>());
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(waiting, buffer);
        if read.is_ready() {
            self.heard(&buffer.filled()[before..]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, waiting: &mut Waiting<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(waiting, octets);
        if let Poll::Ready(Ok(count)) = written {
            self.said(&octets[..count]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, waiting: &mut Waiting<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(waiting)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, waiting: &mut Waiting<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_between_auth_and_its_last_reply_is_shown() {
        let peer = SocketAddr::from(([127, 0, 0, 1], 587));
        let mut watched = Watched::new((), peer, Vec::new(), Dialogue::new(false));
        let steps = [("say", "AUTH LOGIN\r\n", true), ("hear", "334 VXNlcm5hbWU6\r\n", true), ("say", "a2lt\r\n", true)];
        let more = [("hear", "334 UGFzc3dvcmQ6\r\n", true), ("say", "c2VjcmV0\r\n", true), ("hear", "235 2.7.0 ok\r\n", false)];
        for (who, text, secret) in steps.into_iter().chain(more) {
            if who == "say" {
                watched.said(text.as_bytes())
            } else {
                watched.heard(text.as_bytes())
            }
            assert_eq!(watched.secret, secret, "{text}");
        }
    }
}
