//! TLS: certificates that can be replaced while sessions run, and the client configurations of outgoing mail.
//!
//! Every configuration names its cryptography (aws-lc-rs) explicitly, so nothing depends on a process-wide default.

use std::sync::Arc;

use arc_swap::ArcSwap;
use lib_settings::CertificateText;
use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::server::{ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert, WantsServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme, WantsVerifier};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use crate::pin::{AnyClient, PAIR_NAME, sha256};

/// What was agreed in a handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite's name, as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The server name that the client asked for.
    pub name: Option<String>,
    /// The fingerprint ([`crate::pin::sha256`]) of the certificate whose key the client proved to have; only who asks for
    /// [`crate::pin::PAIR_NAME`] is asked for one.
    pub client: Option<String>,
}

impl TlsInfo {
    /// What a finished handshake agreed.
    pub fn of(connection: &rustls::CommonState, name: Option<&str>) -> TlsInfo {
        let version = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
            _ => "TLSv1.2",
        };
        let cipher = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default();
        let client = connection.peer_certificates().and_then(|chain| chain.first()).map(|own| sha256(own));
        TlsInfo { version, cipher, name: name.map(str::to_owned), client }
    }
}

/// A certificate and key that cannot be used. The operator must mend the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("certificate {number} (names: {names}): {why}")]
pub struct CertificateError {
    /// Its place among the certificates, counted from 1.
    pub number: usize,
    /// The names it is listed for, or `any`.
    pub names: String,
    /// What is wrong, in words.
    pub why: String,
}

/// A chain and its key in PEM as a usable pair; else in words why it is none: unreadable, empty, or a key that is not the certificate's.
///
/// # Errors
/// What is wrong, for the operator.
pub fn parse_pair(chain: &str, key: &str) -> Result<Arc<CertifiedKey>, String> {
    let chain = CertificateDer::pem_slice_iter(chain.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let own = chain.first().ok_or("there is no certificate in it")?;
    ParsedCertificate::try_from(own).map_err(|error| format!("the certificate cannot be read: {error}"))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| format!("the key cannot be read: {error}"))?;
    let key =
        CertifiedKey::from_der(chain, key, &provider()).map_err(|error| format!("key and certificate do not fit: {error}"))?;
    Ok(Arc::new(key))
}

/// The certificates in force: by the name that the client asks for, else the first. Clones share them.
#[derive(Debug, Clone)]
pub struct Certificates {
    keys: Arc<Keys>,
    config: Arc<ServerConfig>,
    /// For peers of a pair, who are asked for a certificate.
    asking: Arc<ServerConfig>,
}

#[derive(Debug, Default)]
struct Keys(ArcSwap<Vec<Named>>);

/// A key, and in lower case the names it is listed for; none: for all that no other is listed for.
#[derive(Debug)]
struct Named {
    names: Vec<String>,
    key: Arc<CertifiedKey>,
}

impl Named {
    fn new(text: &CertificateText) -> Result<Named, String> {
        let names = text.names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Ok(Named { names, key: parse_pair(&text.chain, &text.key)? })
    }

    /// Listed for `name`, which is in lower case; `*.example` is listed for each name one label longer.
    fn is_listed_for(&self, name: &str) -> bool {
        let parent = name.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|listed| listed == name || listed.strip_prefix("*.").is_some_and(|rest| Some(rest) == parent))
    }

    fn is_valid_for(&self, name: &ServerName<'_>) -> bool {
        let parsed = self.key.cert.first().and_then(|own| ParsedCertificate::try_from(own).ok());
        parsed.is_some_and(|parsed| verify_server_name(&parsed, name).is_ok())
    }
}

impl Certificates {
    /// Without a certificate yet: handshakes fail until [`Certificates::replace`] gives one.
    pub fn none() -> Certificates {
        let keys = Arc::new(Keys::default());
        let algorithms = provider().signature_verification_algorithms;
        let any = Arc::new(AnyClient(algorithms));
        let config = server_config(server_builder().with_no_client_auth(), &keys);
        let asking = server_config(server_builder().with_client_cert_verifier(any), &keys);
        Certificates { keys, config, asking }
    }

    /// These certificates.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn load(texts: &[CertificateText]) -> Result<Certificates, CertificateError> {
        let certificates = Certificates::none();
        certificates.replace(texts)?;
        Ok(certificates)
    }

    /// Puts these in force for handshakes from now on, in all clones.
    ///
    /// # Errors
    /// The first that cannot be used; then nothing changes.
    pub fn replace(&self, texts: &[CertificateText]) -> Result<(), CertificateError> {
        let named = |(index, text): (usize, &CertificateText)| {
            let names = if text.names.is_empty() { "any".into() } else { text.names.join(", ") };
            Named::new(text).map_err(|why| CertificateError { number: index + 1, names, why })
        };
        let keys = texts.iter().enumerate().map(named).collect::<Result<Vec<_>, _>>()?;
        self.keys.0.store(Arc::new(keys));
        Ok(())
    }

    /// Whether there is none, so that STARTTLS must not be offered.
    pub fn is_empty(&self) -> bool {
        self.keys.0.load().is_empty()
    }

    /// The configuration of the server's side for a client that asks for this name.
    pub fn config(&self, name: Option<&str>) -> Arc<ServerConfig> {
        if name.is_some_and(|name| name.eq_ignore_ascii_case(PAIR_NAME)) { self.asking.clone() } else { self.config.clone() }
    }
}

fn server_builder() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("because aws-lc-rs supports TLS 1.2 and 1.3")
}

fn server_config(builder: ConfigBuilder<ServerConfig, WantsServerCert>, keys: &Arc<Keys>) -> Arc<ServerConfig> {
    let mut config = builder.with_cert_resolver(keys.clone());
    // Mail clients seldom resume; tickets would cost keys to rotate and memory for each session.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}

impl Keys {
    /// Listed for the name; else valid for it and listed for none; else the first that is listed for none; else the first.
    fn choose(&self, asked: Option<&str>) -> Option<Arc<CertifiedKey>> {
        let keys = self.0.load();
        let asked = asked.map(str::to_ascii_lowercase);
        let listed = asked.as_deref().and_then(|name| keys.iter().find(|key| key.is_listed_for(name)));
        let name = asked.as_deref().and_then(|name| ServerName::try_from(name).ok());
        let mut general = keys.iter().filter(|key| key.names.is_empty());
        let chosen = listed.or_else(|| name.and_then(|name| general.clone().find(|key| key.is_valid_for(&name))));
        chosen.or_else(|| general.next()).or_else(|| keys.first()).map(|named| named.key.clone())
    }
}

impl ResolvesServerCert for Keys {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name())
    }
}

/// TLS where it is to be had, against listeners only: any certificate will do, because without TLS the message would go in the clear.
pub fn opportunistic_client() -> Arc<ClientConfig> {
    Arc::new(client_taking(Takes::Any).with_no_client_auth())
}

/// TLS with a certificate that must be valid for the name, under the roots that browsers trust and `extra` ones (DER).
pub fn verifying_client(extra: &[CertificateDer<'_>]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    roots.add_parsable_certificates(extra.iter().cloned().map(CertificateDer::into_owned));
    Arc::new(client_builder(provider()).with_root_certificates(roots).with_no_client_auth())
}

fn client_builder(provider: Arc<CryptoProvider>) -> ConfigBuilder<ClientConfig, WantsVerifier> {
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("because aws-lc-rs supports TLS 1.2 and 1.3")
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Which certificate of a server is taken, where no authority vouches for it.
#[derive(Debug)]
pub(crate) enum Takes {
    Any,
    /// The one with this fingerprint ([`sha256`]).
    Only(String),
}

/// A client that takes what `takes` says, and still checks that the server holds the key.
pub(crate) fn client_taking(takes: Takes) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let provider = provider();
    let verifier = ByItself { takes, algorithms: provider.signature_verification_algorithms };
    client_builder(provider).dangerous().with_custom_certificate_verifier(Arc::new(verifier))
}

/// Judges a certificate by itself alone.
#[derive(Debug)]
struct ByItself {
    takes: Takes,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for ByItself {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match &self.takes {
            Takes::Only(fingerprint) if sha256(own) != *fingerprint => {
                Err(rustls::Error::General(format!("it has the certificate {}, not the peer's", sha256(own))))
            }
            Takes::Any | Takes::Only(_) => Ok(ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(listed: &[&str], names: &[&str]) -> CertificateText {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let made = rcgen::generate_simple_self_signed(own(names)).unwrap();
        CertificateText { names: own(listed), chain: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    #[test]
    fn bad_pairs_are_named() {
        let (good, other) = (made(&[], &["a.example"]), made(&[], &["a.example"]));
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for (chain, key, want) in [
            ("", good.key.as_str(), "no certificate"),
            (good.chain.as_str(), "", "key cannot be read"),
            (good.chain.as_str(), other.key.as_str(), "do not fit"),
            (broken, good.key.as_str(), "cannot be read"),
        ] {
            let text = CertificateText { names: vec!["a.example".into()], chain: chain.into(), key: key.into() };
            let error = Certificates::load(&[good.clone(), text]).unwrap_err().to_string();
            assert!(error.starts_with("certificate 2 (names: a.example): ") && error.contains(want), "{error}");
        }
    }

    #[test]
    fn a_bad_replacement_changes_nothing() {
        let good = made(&[], &["a.example"]);
        let bad = CertificateText { names: Vec::new(), chain: String::new(), key: String::new() };
        let certificates = Certificates::none();
        assert!(certificates.is_empty());
        certificates.clone().replace(std::slice::from_ref(&good)).unwrap();
        assert!(!certificates.is_empty());
        assert!(certificates.replace(&[good, bad]).is_err());
        assert!(!certificates.is_empty());
    }

    #[test]
    fn a_certificate_is_chosen_by_name() {
        let texts = [
            made(&["a.example", "*.b.example"], &["a.example"]),
            made(&[], &["c.example"]),
            made(&[], &["d.example", "a.example"]),
        ];
        let certificates = Certificates::load(&texts).unwrap();
        for (asked, want) in [
            (Some("a.example"), 0),
            (Some("A.Example"), 0),
            (Some("x.b.example"), 0),
            (Some("x.y.b.example"), 1),
            (Some("c.example"), 1),
            (Some("d.example"), 2),
            (Some("e.example"), 1),
            (None, 1),
        ] {
            let chosen = certificates.keys.choose(asked).unwrap();
            let wanted = parse_pair(&texts[want].chain, &texts[want].key).unwrap();
            assert_eq!(chosen.cert, wanted.cert, "{asked:?}");
        }
    }
}
