//! The settings that an attempt goes by. An attempt keeps those it began with; a reload is for the next ones.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::tz::TimeZone;
use lib_mail::{Address, Domain};
use lib_policy::Schedule;
use lib_settings::{Domains, Pair, Relay, RelayTls, Route, Secrets, Settings};
use lib_smtp::client::{Login, TlsMode};
use lib_spool::{ReportingMta, schedule_of};

use crate::destinations::Bounds;
use crate::hop::{By, NextHop};

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
    route_passwords: Vec<Option<String>>,
}

impl Terms {
    pub(crate) fn new(settings: &Settings, secrets: &Secrets) -> Terms {
        let queue = &settings.queue;
        Terms {
            hostname: settings.hostname.clone(),
            default_domain: settings.default_domain(),
            zone: settings.time_zone.rules(),
            relay: settings.relay.clone(),
            schedule: schedule_of(queue),
            hop_limit: settings.smtp.hop_limit,
            reporting: reporting(settings),
            domains: settings.domains.clone(),
            pair: settings.pair.clone(),
            peers: peers(settings, secrets.pair.as_ref()),
            listeners: settings.listen.iter().map(|listener| SocketAddr::new(listener.address, listener.port)).collect(),
            smart_host_password: secrets.smart_host_password.clone(),
            route_passwords: secrets.route_passwords.clone(),
        }
    }

    /// The peer of that name.
    pub(crate) fn peer(&self, name: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.name == name).map(Arc::as_ref)
    }

    /// The route of a domain: the one that names it most exactly.
    pub(crate) fn route(&self, domain: &Domain) -> Option<(usize, &Route)> {
        let routes = self.relay.routes.iter().enumerate();
        let named = routes.flat_map(|(index, route)| route.domains.iter().map(move |above| (above, index, route)));
        let covering = named.filter(|(above, ..)| domain.is_within(above));
        covering.max_by_key(|(above, ..)| above.key().len()).map(|(_, index, route)| (index, route))
    }

    /// How many connections a destination may have, and how fast messages may follow each other.
    pub(crate) fn bounds(&self, hop: &NextHop) -> Bounds {
        let route = match hop.by {
            By::Route(index) => self.relay.routes.get(index),
            By::Default | By::SmartHost | By::Peer => None,
        };
        let rate = route.and_then(|route| route.rate).unwrap_or(self.relay.rate_per_destination);
        Bounds {
            connections: route.and_then(|route| route.connections).unwrap_or(self.relay.per_destination),
            gap: rate.per.checked_div(rate.count).unwrap_or_default(),
        }
    }

    /// The login for a destination, where the settings name a user.
    pub(crate) fn login(&self, hop: &NextHop) -> Option<Login> {
        let smart = &self.relay.smart_host;
        let (user, password, tls) = match hop.by {
            By::Default | By::Peer => return None,
            By::SmartHost => (&smart.user, &self.smart_host_password, smart.tls),
            By::Route(index) => {
                let route = self.relay.routes.get(index)?;
                (&route.user, self.route_passwords.get(index)?, route.tls)
            }
        };
        // Where the operator switched TLS off for this host, the password has no other way to go.
        let without_tls = tls == RelayTls::None;
        Some(Login { user: user.clone()?, password: password.clone().unwrap_or_default(), without_tls })
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
