//! Where a recipient's mail goes next: its domain's servers, or a host that the settings name.

use lib_mail::{Domain, Recipient};
use lib_settings::RelayTls;

use crate::pair::primary;
use crate::terms::Terms;

/// A destination. Recipients of one destination share transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NextHop {
    pub(crate) servers: Servers,
    pub(crate) by: By,
}

/// Whose servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Servers {
    /// The MX hosts of a mail domain, or the host of an address literal.
    Of(Domain),
    /// One server, without MX.
    Host(Domain, u16),
    /// A peer of ours that is primary for the recipient's domain.
    Peer {
        /// Its name in the settings.
        name: String,
        /// The domain, where only its MX hosts lead to the peer.
        domain: Option<Domain>,
    },
}

/// Which of the settings led there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Default,
    SmartHost,
    /// `pair.peers`.
    Peer,
    /// `relay.routes`, by index.
    Route(usize),
}

impl NextHop {
    /// The destination of a recipient.
    pub(crate) fn of(recipient: &Recipient, terms: &Terms) -> NextHop {
        let (relay, domain) = (&terms.relay, recipient.address.domain());
        if let Some(peer) = primary(&terms.peers, &domain) {
            return NextHop::peer(&peer.name, peer.host.is_none().then_some(domain));
        }
        if let Some((index, route)) = terms.route(&domain) {
            let servers = match &route.host {
                Some(host) => Servers::Host(host.clone(), route.port.unwrap_or(relay.port)),
                None => Servers::Of(domain),
            };
            return NextHop { servers, by: By::Route(index) };
        }
        match &relay.smart_host.host {
            Some(host) => NextHop { servers: Servers::Host(host.clone(), relay.smart_host.port), by: By::SmartHost },
            None => NextHop { servers: Servers::Of(domain), by: By::Default },
        }
    }

    /// A peer; `domain` where only its MX hosts lead there.
    pub(crate) fn peer(name: &str, domain: Option<Domain>) -> NextHop {
        NextHop { servers: Servers::Peer { name: name.to_owned(), domain }, by: By::Peer }
    }

    /// What connections and limits are counted by, and what people read.
    pub(crate) fn key(&self) -> String {
        match &self.servers {
            Servers::Of(domain) => domain.key(),
            Servers::Host(host, port) => format!("{} port {port}", host.key()),
            Servers::Peer { name, .. } => format!("peer {name}"),
        }
    }

    pub(crate) fn tls(&self, terms: &Terms) -> RelayTls {
        match self.by {
            By::Default => terms.relay.tls,
            By::SmartHost => terms.relay.smart_host.tls,
            By::Peer => RelayTls::Required,
            By::Route(index) => terms.relay.routes.get(index).map_or(terms.relay.tls, |route| route.tls),
        }
    }
}

/// A destination, and the indexes of its recipients.
pub(crate) type Group = (NextHop, Vec<usize>);

/// The recipients with these indexes by destination, in the order of their first.
pub(crate) fn groups(recipients: &[Recipient], indexes: &[usize], terms: &Terms) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for index in indexes {
        let Some(recipient) = recipients.get(*index) else { continue };
        let hop = NextHop::of(recipient, terms);
        match groups.iter_mut().find(|(found, _)| *found == hop) {
            Some((_, members)) => members.push(*index),
            None => groups.push((hop, vec![*index])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use lib_mail::Notify;
    use lib_settings::{Secrets, Settings, Sources};

    use super::*;

    fn terms(toml: &str) -> Terms {
        let toml = format!("hostname = \"mail.example.net\"\n{toml}");
        let sources = Sources { file: Some(("bongsu.toml".into(), toml)), ..Sources::default() };
        let (settings, _) = Settings::load(&sources).unwrap();
        let secrets = Secrets { route_passwords: vec![None, Some("hunter2".into())], ..Secrets::default() };
        Terms::new(&settings, &secrets)
    }

    fn recipient(address: &str) -> Recipient {
        Recipient { address: address.parse().unwrap(), notify: Notify::Default, orcpt: None }
    }

    #[test]
    fn the_most_exact_route_decides() {
        let terms = terms(
            r#"
            [relay.smart_host]
            host = "smart.example.net"
            tls = "none"
            [[relay.routes]]
            domains = ["example.org", "direct.example"]
            tls = "required"
            [[relay.routes]]
            domains = ["lists.example.org"]
            host = "lists.example.com"
            port = 587
            tls = "implicit"
            user = "office"
            password_file = "p"
            connections = 1
            rate = "60/60s"
            "#,
        );
        for (address, key, tls, connections, user) in [
            ("a@example.com", "smart.example.net port 587", RelayTls::None, 10, None),
            ("a@example.org", "example.org", RelayTls::Required, 10, None),
            ("a@www.Example.ORG", "www.example.org", RelayTls::Required, 10, None),
            ("a@notexample.org", "smart.example.net port 587", RelayTls::None, 10, None),
            ("a@lists.example.org", "lists.example.com port 587", RelayTls::Implicit, 1, Some("office")),
            ("a@x.lists.example.org", "lists.example.com port 587", RelayTls::Implicit, 1, Some("office")),
        ] {
            let hop = NextHop::of(&recipient(address), &terms);
            assert_eq!((hop.key().as_str(), hop.tls(&terms)), (key, tls), "{address}");
            assert_eq!(terms.bounds(&hop).connections, connections, "{address}");
            assert_eq!(terms.login(&hop).map(|login| login.user).as_deref(), user, "{address}");
        }
        let hop = NextHop::of(&recipient("a@lists.example.org"), &terms);
        assert_eq!(terms.bounds(&hop).gap, std::time::Duration::from_secs(1));
        assert_eq!(terms.login(&hop).unwrap().password, "hunter2");
        let recipients = ["a@lists.example.org", "b@example.org", "c@y.lists.example.org"].map(recipient);
        let groups = groups(&recipients, &[0, 1, 2], &terms);
        assert_eq!(groups.into_iter().map(|(_, members)| members).collect::<Vec<_>>(), [vec![0, 2], vec![1]]);
    }
}
