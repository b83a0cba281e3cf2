//! The peers of a pair (docs/pair.md): who they are, what is asked of them, and when.
//!
//! A task for each peer fetches its list of recipients, finds out whether it is back while mail waits for it, and asks it once, at the start, for
//! what it has for us. The mail itself goes the way of all mail, but to the peer's host and under its key.

mod care;
mod question;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use lib_account::Lists;
use lib_mail::{Domain, Envelope, QueueId};
use lib_net::pin::pinned_client;
use lib_settings::{CertificateText, Settings};
use lib_smtp::forward::Forward;
use tokio::sync::Notify;

pub(crate) use care::attend;

/// A peer as the settings name it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) name: String,
    /// `None`: the MX hosts of its domains.
    pub(crate) host: Option<Domain>,
    pub(crate) port: u16,
    /// The domains that it is primary for.
    pub(crate) domains: Vec<Domain>,
    pub(crate) fingerprint: String,
    /// TLS that shows our key and takes the peer's alone.
    pub(crate) tls: Arc<rustls::ClientConfig>,
}

/// All peers. Those whose keys cannot be used are left out: the appliance refuses such settings.
pub(crate) fn peers(settings: &Settings, identity: Option<&CertificateText>) -> Vec<Arc<Peer>> {
    let made = settings.pair.peers.iter().filter_map(|peer| {
        let fingerprint = peer.pinned()?;
        Some(Arc::new(Peer {
            name: peer.name.clone(),
            host: peer.host.clone(),
            port: peer.port,
            domains: peer.domains.clone(),
            tls: pinned_client(identity?, &fingerprint).ok()?,
            fingerprint,
        }))
    });
    made.collect()
}

/// The peer that is primary for a domain: that with the longest of the domains that cover it.
pub(crate) fn primary<'a>(peers: &'a [Arc<Peer>], domain: &Domain) -> Option<&'a Arc<Peer>> {
    let nearest = |peer: &Peer| peer.domains.iter().filter(|own| domain.is_within(own)).map(|own| own.key().len()).max();
    peers.iter().filter(|peer| nearest(peer).is_some()).max_by_key(|peer| nearest(peer))
}

/// What a peer is told of the client that a message came from.
pub(crate) fn forward(envelope: &Envelope, id: &QueueId) -> Forward {
    let address = envelope.peer.map(|peer| peer.address());
    Forward {
        name: None,
        address: address.map(|address| address.ip().to_canonical()),
        port: address.map(|address| address.port()),
        proto: address.map(|_| envelope.protocol.name().to_owned()),
        helo: Some(envelope.helo.clone()).filter(|helo| !helo.is_empty()),
        ident: Some(id.to_string()),
        source: Some(if address.is_some() { "REMOTE" } else { "LOCAL" }.into()),
    }
}

/// What the tasks of the peers share with the rest of the program.
pub(crate) struct Board {
    pub(crate) lists: Lists,
    calls: Mutex<HashMap<String, Arc<Call>>>,
    /// Other settings are in force.
    changed: Notify,
}

/// What is wanted of a peer's task.
#[derive(Debug, Default)]
struct Call {
    /// Mail waits for the peer.
    waiting: AtomicBool,
    /// The list is wanted now.
    fetch: AtomicBool,
    notify: Notify,
}

impl Board {
    pub(crate) fn new(lists: Lists) -> Board {
        Board { lists, calls: Mutex::default(), changed: Notify::new() }
    }

    /// A hand-over to that peer was put off.
    pub(crate) fn waits(&self, peer: &str) {
        let call = self.call(peer);
        if !call.waiting.swap(true, Ordering::Relaxed) {
            call.notify.notify_one();
        }
    }

    /// Somebody wants the lists now.
    pub(crate) fn fetch(&self) {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        for call in calls.values() {
            call.fetch.store(true, Ordering::Relaxed);
            call.notify.notify_one();
        }
    }

    /// Other settings are in force.
    pub(crate) fn reload(&self) {
        self.changed.notify_one();
    }

    fn call(&self, peer: &str) -> Arc<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).entry(peer.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use lib_mail::Trust;

    use super::*;

    #[test]
    fn what_is_told_of_a_client() {
        let mut envelope = crate::tests::envelope(&["b@x.example"]);
        let id = QueueId::new(envelope.arrived, 1, 2);
        let said = |envelope: &Envelope| forward(envelope, &id).to_string();
        assert_eq!(
            said(&envelope),
            format!("ADDR=192.0.2.7 PORT=5000 PROTO=ESMTP HELO=client.example IDENT={id} SOURCE=REMOTE")
        );
        // Who stood behind a gateway is the client, through two hand-overs as well.
        if let Some(peer) = &mut envelope.peer {
            (peer.asserted, peer.trust) = (Some("[2001:db8::1]:7".parse().unwrap()), Trust::Asserted);
        }
        assert!(said(&envelope).starts_with("ADDR=IPV6:2001:db8::1 PORT=7 "), "{}", said(&envelope));
        (envelope.peer, envelope.helo) = (None, String::new());
        assert_eq!(said(&envelope), format!("IDENT={id} SOURCE=LOCAL"));
    }
}
