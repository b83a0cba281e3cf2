//! From an address to a session that is ready for mail.

use std::sync::Arc;

use lib_host::Clock;
use lib_mail::{By, Enhanced, Status};
use lib_net::pin::PAIR_NAME;
use lib_net::tls::{opportunistic_client, verifying_client};
use lib_settings::RelayTls;
use lib_smtp::client::{Client, Closed, Config, Login, TlsMode};
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::connection::{Connection, Patience, TlsTerms, handshake};
use crate::hop::NextHop;
use crate::idle::Idle;
use crate::pair::Peer;
use crate::targets::Target;
use crate::terms::{Terms, tls_mode};

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
        match hop {
            NextHop::Domain(_) => Manner { terms, tls: terms.relay.tls, login: None, peer: None },
            NextHop::Peer { name, .. } => Manner { terms, tls: RelayTls::Required, login: None, peer: terms.peer(name) },
            NextHop::SmartHost(_) => Manner { terms, tls: terms.relay.smart_host.tls, login: terms.login(), peer: None },
        }
    }
}

impl Manner<'_> {
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

    /// A ready session with the target. Where TLS is optional and fails, the second connection of the same attempt does without.
    pub(crate) async fn dial(&self, target: &Target, manner: &Manner<'_>) -> Result<Connection, Status> {
        let first = match self.connect(target, manner, tls_mode(manner.tls)).await {
            Err(closed) if closed.tls_failed && manner.tls == RelayTls::Opportunistic => {
                self.connect(target, manner, TlsMode::Never).await
            }
            first => first,
        };
        first.map_err(|closed| closed.status)
    }

    async fn connect(&self, target: &Target, manner: &Manner<'_>, mode: TlsMode) -> Result<Connection, Closed> {
        let relay = &manner.terms.relay;
        let patience = Patience { reply: relay.reply_timeout, final_dot: relay.final_dot_timeout };
        let tls = self.tls(target, manner);
        let mut stream: Box<dyn crate::connection::Duplex> = Box::new(self.open(target, manner.terms).await?);
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
        connection.until_ready().await?;
        Ok(connection)
    }

    async fn open(&self, target: &Target, terms: &Terms) -> Result<TcpStream, Closed> {
        if let Some(status) = self.idle.why_unreachable(&target.address) {
            return Err(Closed { status, tls_failed: false });
        }
        let why = match timeout(terms.relay.connect_timeout, TcpStream::connect(target.address)).await {
            Ok(Ok(stream)) => {
                // Commands and the end of a message must not wait for each other's acknowledgement.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => words(&error),
            Err(_) => "Connection timed out".to_owned(),
        };
        let peer = target.peer();
        let text = format!("{why} with {peer}");
        let status = Status::new(421, Enhanced::new(4, 4, 1), By::Remote(peer), text, self.clock.now());
        self.idle.unreachable(target.address, status.clone());
        Err(Closed { status, tls_failed: false })
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

/// The system's words in the form that administrators know.
fn words(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "Connection refused".into(),
        ErrorKind::TimedOut => "Connection timed out".into(),
        ErrorKind::HostUnreachable => "No route to host".into(),
        ErrorKind::NetworkUnreachable => "Network is unreachable".into(),
        ErrorKind::ConnectionReset => "Connection reset".into(),
        _ => format!("Connection failed ({error})"),
    }
}
