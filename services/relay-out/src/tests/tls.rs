use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::dial::{Dialer, Manner};
use crate::hop::{By, NextHop, Servers};
use crate::targets::Target;

fn acceptor() -> (TlsAcceptor, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec!["mx0.example".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), certificate)
}

const OFFER: &str = "250-mx\n250 STARTTLS";

#[tokio::test]
async fn how_tls_ends_under_each_setting() {
    let (acceptor, certificate) = acceptor();
    // Setting, the name we know the server by, whether its certificate's issuer is trusted, its offer, its answer to STARTTLS; is the
    // session ready, is it under TLS, connections made.
    for (setting, name, trusted, offer, answer, want) in [
        (RelayTls::Opportunistic, "mx0.example", false, OFFER, "220 go", Some((true, 1))),
        (RelayTls::Opportunistic, "other.example", false, OFFER, "220 go", Some((true, 1))),
        (RelayTls::Opportunistic, "mx0.example", false, "250 mx", "", Some((false, 1))),
        (RelayTls::Opportunistic, "mx0.example", false, OFFER, "454 no", Some((false, 1))),
        (RelayTls::Opportunistic, "mx0.example", false, OFFER, "220 go\n250 injected", Some((false, 2))),
        (RelayTls::Required, "mx0.example", true, OFFER, "220 go", Some((true, 1))),
        (RelayTls::Required, "other.example", true, OFFER, "220 go", None),
        (RelayTls::Required, "mx0.example", false, OFFER, "220 go", None),
        (RelayTls::Required, "mx0.example", true, "250 mx", "", None),
        (RelayTls::Required, "mx0.example", true, OFFER, "454 no", None),
        (RelayTls::None, "mx0.example", false, OFFER, "220 go", Some((false, 1))),
        (RelayTls::Implicit, "mx0.example", true, OFFER, "220 go", None),
    ] {
        let server = Scripted::start_with("127.0.0.1:0", Some(acceptor.clone())).await;
        server.answer("EHLO", None, offer).answer("STARTTLS", None, answer);
        let mut settings = settings(25);
        settings.relay.tls = setting;
        let terms = Terms::new(&settings, &Secrets::default());
        let mut dialer = Dialer::new(Clock::manual(START));
        if trusted {
            dialer = dialer.trusting(&certificate);
        }
        let target = Target { name: name.into(), address: server.address, key: None };
        let hop = NextHop { servers: Servers::Of("x.example".parse().unwrap()), by: By::Default };
        let got = dialer.dial(&target, None, &Manner::of(&hop, &terms)).await;
        let got = got.map(|(connection, _)| (connection.client().secure(), server.connections()));
        assert_eq!(got.as_ref().ok(), want.as_ref(), "{setting:?} {name} {trusted} {answer}: {got:?}");
    }
}

#[tokio::test]
async fn a_server_that_breaks_the_handshake_gets_the_message_in_the_clear_in_the_same_attempt() {
    let server = Scripted::start("127.0.0.1:0").await;
    server.answer("EHLO", None, "250-mx\n250 STARTTLS").answer("STARTTLS", None, "220 go");
    let node = Node::new(&settings(server.address.port()));
    let id = node.submit(&["b@[127.0.0.1]"], MESSAGE);
    assert_eq!(node.attempt(id).await, Next::Gone);
    assert_eq!((server.messages().len(), server.connections()), (1, 2));
}

/// R3.7: a route may ask more of a server than the mail before it did.
#[tokio::test]
async fn a_connection_is_used_again_only_for_what_it_was_made_for() {
    let server = Scripted::start("127.0.0.1:0").await;
    let text = settings(server.address.port());
    let target = Target { name: "mx.example.org".into(), address: server.address, key: None };
    let hop = NextHop { servers: Servers::Of("x.example".parse().unwrap()), by: By::Default };
    let dialer = Dialer::new(Clock::manual(START));
    let terms = |tls| {
        let mut settings = text.clone();
        settings.relay.tls = tls;
        Terms::new(&settings, &Secrets::default())
    };
    let (plain, required) = (terms(RelayTls::None), terms(RelayTls::Required));
    let (plain, required) = (Manner::of(&hop, &plain), Manner::of(&hop, &required));
    let (connection, _) = dialer.dial(&target, None, &plain).await.unwrap();
    assert!(dialer.idle.keep(plain.line(&target), connection).is_none());
    assert!(dialer.idle.take(&required.line(&target)).is_none(), "in the clear, and unverified");
    assert!(dialer.idle.take(&plain.line(&target)).is_some());
}
