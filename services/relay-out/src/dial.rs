//! From an address to a session that is ready for mail.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lib_host::Clock;
use lib_mail::{By, Enhanced, Status};
use lib_net::pin::PAIR_NAME;
use lib_net::tls::{opportunistic_client, verifying_client};
use lib_settings::RelayTls;
use lib_smtp::client::{Client, Closed, Config, Login, TlsMode};
use rustls_pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use crate::connection::{Connection, Patience, TlsTerms, handshake};
use crate::hop::{NextHop, Servers};
use crate::idle::{Idle, Line};
use crate::pair::Peer;
use crate::targets::Target;
use crate::terms::{Terms, tls_mode};

/// How long an address has before one of another family is tried beside it.
const HEAD_START: Duration = Duration::from_millis(500);
/// A server that takes so long and then cannot be used is left alone for a moment, as one that cannot be reached.
const SILENCE: Duration = Duration::from_secs(10);

/// Makes connections; cheap to clone.
#[derive(Clone)]
pub(crate) struct Dialer {
    pub(crate) clock: Clock,
    pub(crate) idle: Arc<Idle>,
    any_certificate: Arc<rustls::ClientConfig>,
    valid_certificate: Arc<rustls::ClientConfig>,
}

/// What connections to a destination are to be like.
pub(crate) struct Manner<'a> {
    terms: &'a Terms,
    tls: RelayTls,
    login: Option<Login>,
    /// Nobody but this peer will do.
    peer: Option<&'a Peer>,
}

impl<'a> Manner<'a> {
    pub(crate) fn of(hop: &NextHop, terms: &'a Terms) -> Manner<'a> {
        let peer = match &hop.servers {
            Servers::Peer { name, .. } => terms.peer(name),
            Servers::Of(_) | Servers::Host(..) => None,
        };
        Manner { terms, tls: hop.tls(terms), login: terms.login(hop), peer }
    }
}

impl Manner<'_> {
    /// What a connection to `target` is kept under.
    pub(crate) fn line(&self, target: &Target) -> Line {
        Line { target: target.clone(), tls: self.tls, user: self.login.as_ref().map(|login| login.user.clone()) }
    }

    /// Whether 8-bit messages may be converted for a server without 8BITMIME.
    pub(crate) fn converts(&self) -> bool {
        self.terms.relay.convert_8bit
    }

    /// Whether messages are handed over to a peer, who is told of their clients.
    pub(crate) fn hands_over(&self) -> bool {
        self.peer.is_some()
    }
}

impl Dialer {
    pub(crate) fn new(clock: Clock) -> Dialer {
        let idle = Arc::new(Idle::default());
        Dialer { clock, idle, any_certificate: opportunistic_client(), valid_certificate: verifying_client(&[]) }
    }

    /// A ready session with the target, or with `other`: an address of another family of the same host, which is tried too where the
    /// first does not answer at once. Where TLS is optional and fails, the second connection of the same attempt does without.
    pub(crate) async fn dial<'t>(
        &self,
        target: &'t Target,
        other: Option<&'t Target>,
        manner: &Manner<'_>,
    ) -> Result<(Connection, &'t Target), Status> {
        let first = match self.connect(target, other, manner, tls_mode(manner.tls)).await {
            Err(closed) if closed.tls_failed && manner.tls == RelayTls::Opportunistic => {
                self.connect(target, other, manner, TlsMode::Never).await
            }
            first => first,
        };
        first.map_err(|closed| closed.status)
    }

    async fn connect<'t>(
        &self,
        target: &'t Target,
        other: Option<&'t Target>,
        manner: &Manner<'_>,
        mode: TlsMode,
    ) -> Result<(Connection, &'t Target), Closed> {
        let relay = &manner.terms.relay;
        let patience = Patience { reply: relay.reply_timeout, block: relay.block_timeout, final_dot: relay.final_dot_timeout };
        let (stream, target) = self.open(target, other, manner.terms).await?;
        let begun = Instant::now();
        let mut stream: Box<dyn crate::connection::Duplex> = Box::new(stream);
        let tls = self.tls(target, manner);
        if mode == TlsMode::Implicit {
            stream = handshake(stream, &tls, patience.reply).await.map_err(|why| self.tls_failed(target, &why))?;
        }
        let config = Config {
            helo: manner.terms.hostname.key(),
            peer: target.peer(),
            tls: mode,
            login: manner.login.clone(),
            external: manner.hands_over(),
        };
        let mut connection = Connection::new(stream, Client::new(config), tls, patience, self.clock.clone());
        if let Err(closed) = connection.until_ready().await {
            if !closed.tls_failed && begun.elapsed() >= SILENCE {
                self.idle.unreachable(target.address, closed.status.clone());
            }
            return Err(closed);
        }
        Ok((connection, target))
    }

    /// A connection to the target, or to the other address where that answers first (RFC 8305 §5).
    async fn open<'t>(
        &self,
        target: &'t Target,
        other: Option<&'t Target>,
        terms: &Terms,
    ) -> Result<(TcpStream, &'t Target), Closed> {
        let Some(other) = other else { return Ok((self.open_one(target, terms).await?, target)) };
        let first = self.open_one(target, terms);
        tokio::pin!(first);
        if let Ok(opened) = timeout(HEAD_START, &mut first).await {
            return Ok((opened?, target));
        }
        let second = self.open_one(other, terms);
        tokio::pin!(second);
        tokio::select! {
            opened = &mut first => match opened {
                Ok(stream) => Ok((stream, target)),
                Err(_) => Ok((second.await?, other)),
            },
            opened = &mut second => match opened {
                Ok(stream) => {
                    let why = format!("No answer from {}", target.peer());
                    self.idle.unreachable(target.address, self.unreachable(target, why));
                    Ok((stream, other))
                }
                Err(_) => Ok((first.await?, target)),
            },
        }
    }

    async fn open_one(&self, target: &Target, terms: &Terms) -> Result<TcpStream, Closed> {
        if let Some(status) = self.idle.why_unreachable(&target.address, self.clock.now()) {
            return Err(Closed { status, tls_failed: false });
        }
        let why = match timeout(terms.relay.connect_timeout, connect_from(terms, target.address)).await {
            Ok(Ok(stream)) => {
                // Commands and the end of a message must not wait for each other's acknowledgement.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => words(&error),
            Err(_) => "Connection timed out".to_owned(),
        };
        let status = self.unreachable(target, format!("{why} with {}", target.peer()));
        self.idle.unreachable(target.address, status.clone());
        Err(Closed { status, tls_failed: false })
    }

    fn unreachable(&self, target: &Target, text: String) -> Status {
        Status::new(421, Enhanced::new(4, 4, 1), By::Remote(target.peer()), text, self.clock.now())
    }

    fn tls(&self, target: &Target, manner: &Manner<'_>) -> TlsTerms {
        if let (Some(peer), Ok(name)) = (manner.peer, ServerName::try_from(PAIR_NAME)) {
            return TlsTerms { config: peer.tls.clone(), name };
        }
        let verified = matches!(manner.tls, RelayTls::Required | RelayTls::Implicit);
        let config = if verified { &self.valid_certificate } else { &self.any_certificate };
        let name = ServerName::try_from(target.name.clone()).unwrap_or(ServerName::IpAddress(target.address.ip().into()));
        TlsTerms { config: config.clone(), name }
    }

    fn tls_failed(&self, target: &Target, why: &str) -> Closed {
        let peer = target.peer();
        let text = format!("TLS with {peer} failed: {why}");
        let status = Status::new(454, Enhanced::new(4, 7, 5), By::Remote(peer), text, self.clock.now());
        Closed { status, tls_failed: true }
    }

    #[cfg(test)]
    pub(crate) fn trusting(mut self, certificate: &rustls_pki_types::CertificateDer<'_>) -> Dialer {
        self.valid_certificate = verifying_client(std::slice::from_ref(certificate));
        self
    }
}

/// Connects from the address that the settings name for the family, or from the one that the system chooses.
async fn connect_from(terms: &Terms, address: SocketAddr) -> std::io::Result<TcpStream> {
    let source = terms.relay.source_addresses.iter().find(|source| source.is_ipv4() == address.is_ipv4());
    let Some(source) = source else { return TcpStream::connect(address).await };
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(*source, 0))?;
    socket.connect(address).await
}

/// The system's words in the form that administrators know.
fn words(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "Connection refused".into(),
        ErrorKind::TimedOut => "Connection timed out".into(),
        ErrorKind::HostUnreachable => "No route to host".into(),
        ErrorKind::NetworkUnreachable => "Network is unreachable".into(),
        ErrorKind::ConnectionReset => "Connection reset".into(),
        ErrorKind::AddrNotAvailable => "No such address here (see relay.source_addresses)".into(),
        _ => format!("Connection failed ({error})"),
    }
}
