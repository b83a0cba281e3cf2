//! TLS: certificates that can be replaced while sessions run, and the client configurations of outgoing mail.
//!
//! Every configuration names its cryptography (aws-lc-rs) explicitly, so nothing depends on a process-wide default.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::server::{ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// What was agreed in a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite's name, as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The server name that the client asked for.
    pub name: Option<String>,
}

impl TlsInfo {
    /// What a finished handshake agreed.
    pub fn of(connection: &rustls::CommonState, name: Option<&str>) -> TlsInfo {
        let version = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLSv1.2",
        };
        let cipher = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default();
        TlsInfo { version, cipher, name: name.map(str::to_owned) }
    }
}

/// A certificate and key that cannot be used. The operator must mend the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {why}")]
pub struct CertificateError {
    /// Which certificate: the path or setting it was read from.
    pub origin: String,
    /// What is wrong, in words.
    pub why: String,
}

/// A certificate chain and its key as PEM text.
#[derive(Clone, Copy)]
pub struct CertificatePem<'a> {
    /// Where it was read from, for messages.
    pub origin: &'a str,
    /// The chain, the server's own certificate first.
    pub chain: &'a [u8],
    /// The private key.
    pub key: &'a [u8],
}

impl CertificatePem<'_> {
    /// The usable pair, or why it is none: unreadable, empty, or a key that is not the certificate's.
    pub fn parse(&self) -> Result<Arc<CertifiedKey>, CertificateError> {
        let fault = |why: String| CertificateError { origin: self.origin.to_owned(), why };
        let chain = CertificateDer::pem_slice_iter(self.chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| fault(format!("the certificate cannot be read: {error}")))?;
        let own = chain.first().ok_or_else(|| fault("there is no certificate in it".into()))?;
        ParsedCertificate::try_from(own).map_err(|error| fault(format!("the certificate cannot be read: {error}")))?;
        let key = PrivateKeyDer::from_pem_slice(self.key).map_err(|error| fault(format!("the key cannot be read: {error}")))?;
        let key = CertifiedKey::from_der(chain, key, &provider())
            .map_err(|error| fault(format!("key and certificate do not fit: {error}")))?;
        Ok(Arc::new(key))
    }
}

/// The certificates in force: by the name that the client asks for, else the first. Clones share them.
#[derive(Debug, Clone)]
pub struct Certificates {
    keys: Arc<Keys>,
    config: Arc<ServerConfig>,
}

#[derive(Debug, Default)]
struct Keys(ArcSwap<Vec<Arc<CertifiedKey>>>);

impl Certificates {
    /// Without a certificate yet: handshakes fail until [`Certificates::replace`] gives one.
    pub fn none() -> Certificates {
        let keys = Arc::new(Keys::default());
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("because aws-lc-rs supports TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(keys.clone());
        // Mail clients seldom resume; tickets would cost keys to rotate and memory for each session.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Certificates { keys, config: Arc::new(config) }
    }

    /// The certificates of `pems`, the default first.
    pub fn load(pems: &[CertificatePem<'_>]) -> Result<Certificates, CertificateError> {
        let certificates = Certificates::none();
        certificates.replace(pems)?;
        Ok(certificates)
    }

    /// Puts `pems` in force for handshakes from now on, in all clones. Where one of them is bad, nothing changes.
    pub fn replace(&self, pems: &[CertificatePem<'_>]) -> Result<(), CertificateError> {
        let keys = pems.iter().map(CertificatePem::parse).collect::<Result<Vec<_>, _>>()?;
        self.keys.0.store(Arc::new(keys));
        Ok(())
    }

    /// Whether there is none, so that STARTTLS must not be offered.
    pub fn is_empty(&self) -> bool {
        self.keys.0.load().is_empty()
    }

    /// The configuration of the server's side.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

impl ResolvesServerCert for Keys {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = self.0.load();
        let asked = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let named = asked.and_then(|name| keys.iter().find(|key| key_is_for(key, &name)));
        named.or_else(|| keys.first()).cloned()
    }
}

fn key_is_for(key: &CertifiedKey, name: &ServerName<'_>) -> bool {
    let parsed = key.cert.first().and_then(|own| ParsedCertificate::try_from(own).ok());
    parsed.is_some_and(|parsed| verify_server_name(&parsed, name).is_ok())
}

/// TLS where it is to be had, against listeners only: any certificate will do, because without TLS the message would go in the clear.
pub fn opportunistic_client() -> Arc<ClientConfig> {
    let provider = provider();
    let unverified = Unverified(provider.signature_verification_algorithms);
    let config = client_builder(provider).dangerous().with_custom_certificate_verifier(Arc::new(unverified));
    Arc::new(config.with_no_client_auth())
}

/// TLS with a certificate that must be valid for the name, under the roots that browsers trust and `extra` ones (DER).
pub fn verifying_client(extra: &[CertificateDer<'_>]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    roots.add_parsable_certificates(extra.iter().cloned().map(CertificateDer::into_owned));
    Arc::new(client_builder(provider()).with_root_certificates(roots).with_no_client_auth())
}

fn client_builder(provider: Arc<CryptoProvider>) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("because aws-lc-rs supports TLS 1.2 and 1.3")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Takes any certificate, but still checks that the server holds its key.
#[derive(Debug)]
struct Unverified(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(names: &[&str]) -> (String, String) {
        let made = rcgen::generate_simple_self_signed(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn bad_pairs_are_named() {
        let (chain, key) = made(&["a.example"]);
        let (_, other) = made(&["a.example"]);
        for (chain, key, want) in [
            ("", key.as_str(), "no certificate"),
            (chain.as_str(), "", "key cannot be read"),
            (chain.as_str(), other.as_str(), "do not fit"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", key.as_str(), "cannot be read"),
        ] {
            let pem = CertificatePem { origin: "/etc/x.pem", chain: chain.as_bytes(), key: key.as_bytes() };
            let error = pem.parse().unwrap_err().to_string();
            assert!(error.starts_with("/etc/x.pem: ") && error.contains(want), "{error}");
        }
    }

    #[test]
    fn a_bad_replacement_changes_nothing() {
        let (chain, key) = made(&["a.example"]);
        let good = CertificatePem { origin: "a", chain: chain.as_bytes(), key: key.as_bytes() };
        let bad = CertificatePem { origin: "b", chain: b"", key: b"" };
        let certificates = Certificates::none();
        assert!(certificates.is_empty());
        certificates.clone().replace(&[good]).unwrap();
        assert!(!certificates.is_empty());
        assert!(certificates.replace(&[good, bad]).is_err());
        assert!(!certificates.is_empty());
    }

    #[test]
    fn a_key_is_found_by_name() {
        let (chain, key) = made(&["a.example", "*.b.example"]);
        let key = CertificatePem { origin: "a", chain: chain.as_bytes(), key: key.as_bytes() }.parse().unwrap();
        for (name, want) in [("a.example", true), ("x.b.example", true), ("b.example", false), ("c.example", false)] {
            assert_eq!(key_is_for(&key, &ServerName::try_from(name).unwrap()), want, "{name}");
        }
    }
}
