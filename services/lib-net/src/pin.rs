//! TLS between peers of a pair: each knows the fingerprint of the other's certificate, and nothing else counts (docs/pair.md).

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use lib_settings::CertificateText;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, DigitallySignedStruct, DistinguishedName, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::tls::{Takes, client_taking, parse_pair};

/// The server name that a peer asks for: no host can have it (RFC 6761), so the usual certificates stay out of the way.
pub const PAIR_NAME: &str = "pair.invalid";

/// The SHA-256 of octets, as 64 hexadecimal digits in lower case.
pub fn sha256(octets: &[u8]) -> String {
    digest(&SHA256, octets).as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The fingerprint of a chain's own certificate, in PEM.
///
/// # Errors
/// What is wrong with chain or key, for the operator.
pub fn fingerprint(identity: &CertificateText) -> Result<String, String> {
    let pair = parse_pair(&identity.chain, &identity.key)?;
    pair.cert.first().map(|own| sha256(own)).ok_or_else(|| "there is no certificate in it".into())
}

/// TLS that shows `identity` and takes the certificate with this fingerprint and no other.
///
/// # Errors
/// What is wrong with the identity, for the operator.
pub fn pinned_client(identity: &CertificateText, fingerprint: &str) -> Result<Arc<ClientConfig>, String> {
    let own = SingleCertAndKey::from(Arc::unwrap_or_clone(parse_pair(&identity.chain, &identity.key)?));
    let mut config = client_taking(Takes::Only(fingerprint.to_owned())).with_client_cert_resolver(Arc::new(own));
    // A session taken up again would show no certificate anew; the few handshakes cost nothing.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// Takes any certificate of a client, or none, but checks that the client holds the key. Whose it is, the service decides by its fingerprint.
#[derive(Debug)]
pub(crate) struct AnyClient(pub(crate) WebPkiSupportedAlgorithms);

impl ClientCertVerifier for AnyClient {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
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
    use rustls::pki_types::ServerName;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::socket::Socket;
    use crate::tls::{Certificates, TlsInfo, opportunistic_client};

    fn made(names: &[&str]) -> CertificateText {
        let made = rcgen::generate_simple_self_signed(vec!["x.example".to_owned()]).unwrap();
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        CertificateText { names, chain: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }

    /// What the server learnt, and whether the client was content.
    async fn shake(certificates: &Certificates, client: Arc<ClientConfig>, name: &str) -> (Result<TlsInfo, String>, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let asking = tokio::spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            TlsConnector::from(client).connect(name, stream).await.is_ok()
        });
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = Socket::Plain(stream);
        let info = socket.secure(certificates).await;
        drop(socket);
        (info, asking.await.unwrap())
    }

    #[tokio::test]
    async fn each_side_learns_who_the_other_is_and_strangers_are_asked_nothing() {
        let (host, server, client, other) = (made(&[]), made(&[PAIR_NAME]), made(&[]), made(&[]));
        let certificates = Certificates::load(&[host.clone(), server.clone()]).unwrap();
        let print = |text: &CertificateText| fingerprint(text).unwrap();
        let pinned = |own: &CertificateText, wanted: &CertificateText| pinned_client(own, &print(wanted)).unwrap();
        for (case, config, name, content, shown) in [
            ("a peer", pinned(&client, &server), PAIR_NAME, true, Some(print(&client))),
            ("a stranger with a key", pinned(&other, &server), PAIR_NAME, true, Some(print(&other))),
            ("the wrong server", pinned(&client, &other), PAIR_NAME, false, None),
            ("the host's certificate is not the pair's", pinned(&client, &server), "x.example", false, None),
            ("nobody is asked under another name", pinned(&client, &host), "x.example", true, None),
            ("without a certificate", opportunistic_client(), PAIR_NAME, true, None),
            ("any other client", opportunistic_client(), "x.example", true, None),
        ] {
            let (info, is_content) = shake(&certificates, config, name).await;
            assert_eq!(info.is_ok(), content, "{case}: {info:?}");
            assert_eq!(info.ok().and_then(|info| info.client), shown, "{case}");
            assert_eq!(is_content, content, "{case}");
        }
    }

    #[test]
    fn a_fingerprint_is_what_openssl_prints() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(fingerprint(&CertificateText { names: vec![], chain: "x".into(), key: "y".into() }).is_err());
    }
}
