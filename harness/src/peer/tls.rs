//! A peer's TLS: a certificate of its own making, and a connection that may be under TLS or not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, date_time_ymd};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::Result;

/// The name that the peer greets with, and that its certificate says.
pub(super) const HOST: &str = "peer.example";

/// A certificate that the peer makes for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// For `peer.example`, signed by its own key.
    SelfSigned,
    /// As that, and expired in 2020.
    Expired,
    /// As the first, for `other.example`.
    WrongName,
}

impl FromStr for Certificate {
    type Err = anyhow::Error;

    /// `self-signed`, `expired` or `wrong-name`.
    fn from_str(text: &str) -> Result<Certificate> {
        Ok(match text {
            "self-signed" => Certificate::SelfSigned,
            "expired" => Certificate::Expired,
            "wrong-name" => Certificate::WrongName,
            other => anyhow::bail!("{other} is no certificate: self-signed, expired, wrong-name"),
        })
    }
}

/// How a message came, where it came under TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsUse {
    /// The protocol: `TLSv1_3`.
    pub version: String,
    /// The cipher suite: `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The name that the client asked for.
    pub server_name: Option<String>,
}

/// What a server needs to shake hands with this certificate.
pub(super) fn config(certificate: Certificate) -> Result<Arc<ServerConfig>> {
    let host = if certificate == Certificate::WrongName { "other.example" } else { HOST };
    let mut params = CertificateParams::new(vec![host.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, host);
    if certificate == Certificate::Expired {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    }
    let key = KeyPair::generate()?;
    let signed = params.self_signed(&key)?;
    let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![signed.der().clone()], private)?;
    Ok(Arc::new(config))
}

/// A connection, under TLS or not.
pub(super) enum Wire {
    Plain(TcpStream),
    Secure(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    /// Shakes hands as a server.
    pub(super) fn secure(self, config: Arc<ServerConfig>) -> Result<Wire> {
        let Wire::Plain(mut stream) = self else { anyhow::bail!("TLS within TLS") };
        let mut connection = ServerConnection::new(config)?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).context("the handshake")?;
        }
        Ok(Wire::Secure(Box::new(StreamOwned::new(connection, stream))))
    }

    /// How it is secured, where it is.
    pub(super) fn tls(&self) -> Option<TlsUse> {
        let Wire::Secure(stream) = self else { return None };
        let connection = &stream.conn;
        Some(TlsUse {
            version: connection.protocol_version().map(|version| format!("{version:?}")).unwrap_or_default(),
            cipher: connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default(),
            server_name: connection.server_name().map(str::to_owned),
        })
    }

    /// The socket below.
    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Wire::Plain(stream) => stream,
            Wire::Secure(stream) => &stream.sock,
        }
    }
}

impl Read for Wire {
    fn read(&mut self, octets: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(octets),
            Wire::Secure(stream) => stream.read(octets),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.write(octets),
            Wire::Secure(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.flush(),
            Wire::Secure(stream) => stream.flush(),
        }
    }
}
