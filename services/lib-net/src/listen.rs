//! A listening socket with what the settings say of it.

use std::net::TcpListener;
use std::sync::Arc;

/// When TLS begins on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// Never.
    None,
    /// When the client asks for it (STARTTLS, STLS).
    StartTls,
    /// With the first octet.
    Implicit,
}

/// What a listener is called and how it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The listener's name in the settings.
    pub name: String,
    /// When TLS begins.
    pub tls: TlsMode,
    /// `mx`, `submission`, `submissions`, `pop3` or `pop3s`, as the settings spell it.
    pub role: String,
}

/// A listening socket, opened by the supervisor.
#[derive(Debug)]
pub struct Listener {
    /// What it is.
    pub port: Arc<Port>,
    /// The socket; the driver makes it non-blocking.
    pub socket: TcpListener,
}
