//! The settings that an attempt goes by. An attempt keeps those it began with; a reload is for the next ones.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::tz::TimeZone;
use lib_mail::{Address, Domain};
use lib_policy::Schedule;
use lib_settings::{Domains, Pair, Relay, RelayTls, Secrets, Settings};
use lib_smtp::client::{Login, TlsMode};
use lib_spool::ReportingMta;

use crate::pair::{Peer, peers};

/// Settings in the form in which they are used.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) hostname: Domain,
    pub(crate) default_domain: Domain,
    pub(crate) zone: TimeZone,
    pub(crate) relay: Relay,
    pub(crate) schedule: Schedule,
    pub(crate) hop_limit: u32,
    /// Who tells senders.
    pub(crate) reporting: ReportingMta,
    pub(crate) domains: Domains,
    pub(crate) pair: Pair,
    pub(crate) peers: Vec<Arc<Peer>>,
    /// Where this node listens, to know itself among MX hosts.
    pub(crate) listeners: Vec<SocketAddr>,
    smart_host_password: Option<String>,
}

impl Terms {
    pub(crate) fn new(settings: &Settings, secrets: &Secrets) -> Terms {
        let queue = &settings.queue;
        Terms {
            hostname: settings.hostname.clone(),
            default_domain: settings.default_domain(),
            zone: settings.time_zone.rules(),
            relay: settings.relay.clone(),
            schedule: Schedule::new(&queue.retry, queue.return_after, queue.warn_after),
            hop_limit: settings.smtp.hop_limit,
            reporting: reporting(settings),
            domains: settings.domains.clone(),
            pair: settings.pair.clone(),
            peers: peers(settings, secrets.pair.as_ref()),
            listeners: settings.listen.iter().map(|listener| SocketAddr::new(listener.address, listener.port)).collect(),
            smart_host_password: secrets.smart_host_password.clone(),
        }
    }

    /// The peer of that name.
    pub(crate) fn peer(&self, name: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.name == name).map(Arc::as_ref)
    }

    /// The login for the smart host, where the settings name a user.
    pub(crate) fn login(&self) -> Option<Login> {
        let smart = &self.relay.smart_host;
        let user = smart.user.clone()?;
        // Where the operator switched TLS off for this host, the password has no other way to go.
        let without_tls = smart.tls == RelayTls::None;
        Some(Login { user, password: self.smart_host_password.clone().unwrap_or_default(), without_tls })
    }
}

/// How a session begins under a setting, and whether the certificate counts.
pub(crate) fn tls_mode(tls: RelayTls) -> TlsMode {
    match tls {
        RelayTls::None => TlsMode::Never,
        RelayTls::Opportunistic => TlsMode::Offered,
        RelayTls::Required => TlsMode::Required,
        RelayTls::Implicit => TlsMode::Implicit,
    }
}

fn reporting(settings: &Settings) -> ReportingMta {
    let default_domain = settings.default_domain();
    ReportingMta {
        host: settings.hostname.clone(),
        from: bounce_from(&settings.queue.bounce_sender, &settings.hostname),
        postmaster: bounce_from("postmaster", &default_domain),
        zone: settings.time_zone.rules(),
    }
}

/// The setting as a mailbox of this host; in quotes where it must be, and as the classic name where it can be none.
fn bounce_from(name: &str, host: &Domain) -> Address {
    let quoted = format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""));
    Address::new(name, host)
        .or_else(|_| Address::new(&quoted, host))
        .or_else(|_| Address::new("MAILER-DAEMON", host))
        .or_else(|_| "MAILER-DAEMON@localhost".parse())
        .expect("because MAILER-DAEMON@localhost is an address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_makes_a_bounce_sender() {
        let host: Domain = "mail.example.net".parse().unwrap();
        for (name, want) in [
            ("MAILER-DAEMON", "MAILER-DAEMON@mail.example.net"),
            ("Mail System", "\"Mail System\"@mail.example.net"),
            ("a\"b\\", "\"a\\\"b\\\\\"@mail.example.net"),
            ("a\r\nb", "MAILER-DAEMON@mail.example.net"),
            ("", "\"\"@mail.example.net"),
        ] {
            assert_eq!(bounce_from(name, &host).as_str(), want, "{name:?}");
        }
    }
}
