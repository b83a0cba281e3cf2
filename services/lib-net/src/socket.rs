//! One connection, in the clear or under TLS, behind one face.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::ServerConnection;
use rustls::server::Acceptor;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::{Certificates, TlsInfo};

/// A connection to a client.
#[derive(Debug)]
pub(crate) enum Socket {
    Plain(TcpStream),
    /// Boxed: most of a thousand idle connections are plain, and must not pay for the others.
    Tls(Box<TlsStream<TcpStream>>),
    /// The handshake failed and took the connection with it.
    Lost,
}

impl Socket {
    /// Reads what has come, at most once from the kernel.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(match self {
            Socket::Plain(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
            Socket::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, &mut buffer),
            Socket::Lost => Poll::Ready(Ok(())),
        })?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Writes all of `octets` from `*sent` on, and drives TLS until the kernel has it.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>, octets: &[u8], sent: &mut usize) -> Poll<io::Result<()>> {
        while *sent < octets.len() {
            let wrote = ready!(match self {
                Socket::Plain(stream) => Pin::new(stream).poll_write(cx, &octets[*sent..]),
                Socket::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, &octets[*sent..]),
                Socket::Lost => Poll::Ready(Ok(0)),
            })?;
            if wrote == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *sent += wrote;
        }
        match self {
            Socket::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Socket::Plain(_) | Socket::Lost => Poll::Ready(Ok(())),
        }
    }

    /// Says that nothing more will be said.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Socket::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Socket::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Socket::Lost => Poll::Ready(Ok(())),
        }
    }

    /// The plain connection, for a handshake; leaves `Lost`.
    fn take_plain(&mut self) -> Option<TcpStream> {
        match std::mem::replace(self, Socket::Lost) {
            Socket::Plain(stream) => Some(stream),
            Socket::Tls(_) | Socket::Lost => None,
        }
    }

    /// Shakes hands as the server. An error is in words, and leaves the connection lost.
    pub(crate) async fn secure(&mut self, certificates: &Certificates) -> Result<TlsInfo, String> {
        let stream = self.take_plain().ok_or("the connection already speaks TLS")?;
        let hello = LazyConfigAcceptor::new(Acceptor::default(), stream).await.map_err(|error| error.to_string())?;
        let config = certificates.config(hello.client_hello().server_name());
        let stream = hello.into_stream(config).await.map_err(|error| error.to_string())?;
        let connection: &ServerConnection = stream.get_ref().1;
        let info = TlsInfo::of(connection, connection.server_name());
        *self = Socket::Tls(Box::new(stream));
        Ok(info)
    }
}
