//! One connection to another server: the socket under a client session, and the only place here that waits for a peer.
//!
//! While a message goes out, the peer is heard too: one that says `552` in the middle of it, or goes away, is noticed at once.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lib_host::Clock;
use lib_mail::{Enhanced, Status};
use lib_smtp::client::{Client, Closed, Done, Input, Output, Stage, Transaction, Wait};
use lib_smtp::reply::Reply;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::content::PIECE;
use crate::message::Source;

/// How long a peer's last words are awaited after it stopped reading.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// What a message may grow by as it is encoded, without its being copied for that.
const SPARE: usize = 512;
/// How long to wait for the reply to QUIT.
const QUIT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long to wait for replies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) reply: Duration,
    /// For a piece of what we send to be taken.
    pub(crate) block: Duration,
    pub(crate) final_dot: Duration,
}

impl Patience {
    fn of(self, stage: Stage) -> Duration {
        match stage {
            Stage::FinalDot => self.final_dot,
            Stage::Quit => QUIT_TIMEOUT,
            _ => self.reply,
        }
    }
}

/// A socket, or TLS over one.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// What TLS needs, should it come to that.
#[derive(Clone)]
pub(crate) struct TlsTerms {
    pub(crate) config: Arc<rustls::ClientConfig>,
    pub(crate) name: ServerName<'static>,
}

/// Where a session has come to.
#[derive(Debug)]
pub(crate) enum Event {
    /// It can take a message.
    Ready,
    /// The message is settled.
    Done(Done),
    /// The reply to a question.
    Said(Reply),
    /// It is of no more use.
    Closed(Closed),
}

/// A connection and its session.
pub(crate) struct Connection {
    /// `None` only while TLS takes it over, and after that failed.
    stream: Option<Box<dyn Duplex>>,
    client: Client,
    tls: TlsTerms,
    patience: Patience,
    clock: Clock,
    /// Messages begun on it.
    pub(crate) messages: u32,
    /// When the reply that is awaited must have come.
    awaited: Option<(Wait, Instant)>,
}

impl Connection {
    pub(crate) fn new(stream: Box<dyn Duplex>, client: Client, tls: TlsTerms, patience: Patience, clock: Clock) -> Connection {
        Connection { stream: Some(stream), client, tls, patience, clock, messages: 0, awaited: None }
    }

    /// The session, to ask what the peer offered.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Asks something on a ready session; the reply.
    pub(crate) async fn ask(&mut self, line: &str) -> Result<Reply, Closed> {
        self.client.handle(Input::Ask(line), self.clock.now());
        loop {
            match self.go_on(&mut None).await {
                Event::Said(reply) => return Ok(reply),
                Event::Closed(closed) => return Err(closed),
                Event::Ready => return Err(self.misunderstood()),
                Event::Done(_) => {}
            }
        }
    }

    /// A line that is none is not sent.
    fn misunderstood(&self) -> Closed {
        let status = Status::local(451, Enhanced::new(4, 5, 0), "The question cannot be asked", self.clock.now());
        Closed { status, tls_failed: false }
    }

    /// Goes on until the session is ready or over.
    pub(crate) async fn until_ready(&mut self) -> Result<(), Closed> {
        loop {
            match self.go_on(&mut None).await {
                Event::Ready => return Ok(()),
                Event::Closed(closed) => return Err(closed),
                Event::Done(_) | Event::Said(_) => {}
            }
        }
    }

    /// Sends one message. The session is ready before; afterwards it may be ready, resetting or closed.
    pub(crate) async fn send(&mut self, transaction: Transaction, source: Source) -> Done {
        self.messages += 1;
        let spare = self.spare(transaction.recipients.len());
        self.client.handle(Input::Begin(transaction), self.clock.now());
        let mut source = Some(source);
        match self.go_on(&mut source).await {
            Event::Done(done) => done,
            // A session settles what it began before anything else; this stands in for what cannot be.
            Event::Ready | Event::Closed(_) | Event::Said(_) => spare,
        }
    }

    /// Takes leave as RFC 5321 §4.1.1.10 asks; errors do not matter any more.
    pub(crate) async fn quit(mut self) {
        self.client.handle(Input::Quit, self.clock.now());
        let _ = timeout(QUIT_TIMEOUT, self.go_on(&mut None)).await;
    }

    /// Whether the peer closed an idle connection, or spoke unasked, which comes to the same.
    pub(crate) async fn is_stale(&mut self) -> bool {
        let Some(stream) = &mut self.stream else { return true };
        let mut octet = [0];
        let mut buffer = ReadBuf::new(&mut octet);
        poll_fn(|cx| Poll::Ready(Pin::new(&mut *stream).poll_read(cx, &mut buffer).is_ready())).await
    }

    fn spare(&self, recipients: usize) -> Done {
        let text = "The session ended without an answer";
        let status = Status::local(451, Enhanced::new(4, 5, 0), text, self.clock.now());
        Done { fates: vec![status; recipients], unheard: false }
    }

    async fn go_on(&mut self, source: &mut Option<Source>) -> Event {
        loop {
            match self.client.poll() {
                Output::Send(octets) => self.write(&octets).await,
                Output::Await(wait) => self.await_reply(wait).await,
                Output::StartTls => self.start_tls().await,
                Output::Body => self.body(source.take()).await,
                Output::Ready => return Event::Ready,
                Output::Said(reply) => return Event::Said(reply),
                Output::Done(done) => return Event::Done(done),
                Output::Closed(closed) => return Event::Closed(closed),
            }
        }
    }

    fn lost(&mut self, why: &str) {
        self.client.handle(Input::Lost(why), self.clock.now());
    }

    async fn write(&mut self, octets: &[u8]) {
        let Some(stream) = &mut self.stream else { return self.lost("Connection lost") };
        let write = async {
            stream.write_all(octets).await?;
            stream.flush().await
        };
        match timeout(self.patience.block, write).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => self.last_words("Connection lost").await,
            Err(_) => self.lost("Connection timed out"),
        }
    }

    async fn await_reply(&mut self, wait: Wait) {
        let deadline = match self.awaited {
            Some((awaited, deadline)) if awaited == wait => deadline,
            _ => Instant::now() + self.patience.of(wait.stage),
        };
        self.awaited = Some((wait, deadline));
        self.read(deadline).await;
    }

    async fn read(&mut self, deadline: Instant) {
        let Some(stream) = &mut self.stream else { return self.lost("Connection lost") };
        let mut octets = [0; 2048];
        match timeout_at(deadline, stream.read(&mut octets)).await {
            Ok(Ok(count)) if count > 0 => self.client.handle(Input::Octets(&octets[..count]), self.clock.now()),
            Ok(_) => self.lost("Connection lost"),
            Err(_) => self.lost("Connection timed out"),
        }
    }

    /// A peer that stopped reading may have said why before.
    async fn last_words(&mut self, why: &str) {
        let stage = self.client.stage();
        self.read(Instant::now() + LAST_WORDS).await;
        if self.client.stage() == stage {
            self.lost(why);
        }
    }

    async fn start_tls(&mut self) {
        let Some(stream) = self.stream.take() else { return self.lost("Connection lost") };
        match handshake(stream, &self.tls, self.patience.reply).await {
            Ok(stream) => {
                self.stream = Some(stream);
                self.client.handle(Input::TlsUp, self.clock.now());
            }
            Err(why) => self.client.handle(Input::TlsFailed(&why), self.clock.now()),
        }
    }

    async fn body(&mut self, source: Option<Source>) {
        let Some(mut source) = source else { return self.lost("The message was sent already") };
        // Most messages have few lines that begin with a dot, and their line ends already.
        let mut out = Vec::with_capacity(source.portion() + SPARE);
        loop {
            match source.piece().await {
                Ok(Some(piece)) => self.client.encode_body(&piece, &mut out),
                Ok(None) => break,
                // Without the final dot the peer has no message.
                Err(error) => return self.lost(&format!("Cannot read the message ({error}); broke off")),
            }
            if out.len() >= PIECE {
                if !self.write_body(&out).await {
                    return;
                }
                out.clear();
            }
        }
        self.client.end_body(&mut out);
        if self.write_body(&out).await {
            self.client.handle(Input::BodySent, self.clock.now());
        }
    }

    /// Whether all went out and the session is still in the middle of the message.
    async fn write_body(&mut self, octets: &[u8]) -> bool {
        let mut at = 0;
        while at < octets.len() {
            let Some(stream) = &mut self.stream else { return false };
            let mut heard = [0; 1024];
            let mut buffer = ReadBuf::new(&mut heard);
            let step = poll_fn(|cx| poll_duplex(cx, stream.as_mut(), octets, &mut at, &mut buffer));
            match timeout(self.patience.block, step).await {
                Ok(Ok(false)) => {}
                Ok(Ok(true)) if buffer.filled().is_empty() => self.lost("Connection lost"),
                Ok(Ok(true)) => self.client.handle(Input::Octets(buffer.filled()), self.clock.now()),
                Ok(Err(_)) => self.last_words("Connection lost").await,
                Err(_) => self.lost("Connection timed out"),
            }
            if self.client.stage() != Stage::Body {
                return false;
            }
        }
        true
    }
}

/// Writes until all is out (`false`) or the peer spoke or went (`true`).
fn poll_duplex(
    cx: &mut Context<'_>,
    stream: &mut dyn Duplex,
    octets: &[u8],
    at: &mut usize,
    heard: &mut ReadBuf<'_>,
) -> Poll<io::Result<bool>> {
    let mut stream = Pin::new(stream);
    while *at < octets.len() {
        match stream.as_mut().poll_write(cx, &octets[*at..]) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(count)) => *at += count,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return stream.as_mut().poll_read(cx, heard).map_ok(|()| true),
        }
    }
    ready!(stream.as_mut().poll_flush(cx))?;
    Poll::Ready(Ok(false))
}

/// Puts TLS over a stream; the error says why not.
pub(crate) async fn handshake(stream: Box<dyn Duplex>, tls: &TlsTerms, patience: Duration) -> Result<Box<dyn Duplex>, String> {
    let connector = TlsConnector::from(tls.config.clone());
    match timeout(patience, connector.connect(tls.name.clone(), stream)).await {
        Ok(Ok(stream)) => Ok(Box::new(stream)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it took too long".into()),
    }
}
