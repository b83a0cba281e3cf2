//! The MX walk's order: which addresses to try for a destination, and whether one of them is this host (R3.1).

mod known;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Instant;

use futures_util::future::join_all;
use lib_mail::{Domain, Enhanced, Status, Timestamp};
use lib_net::dns::{Answer, Dns, DnsError, Families, MxHost, has_global_ipv6, is_own_loopback};
use lib_settings::Ipv6;

use crate::hop::{NextHop, Servers};
use crate::pair::Peer;
use crate::terms::Terms;
use known::Known;

/// MX hosts whose addresses are looked up in one attempt.
const MAX_HOSTS: usize = 50;
/// Addresses tried in one attempt.
const MAX_TARGETS: usize = 100;

/// One address of one host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Target {
    /// The host as its MX record names it, or an address literal.
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// The fingerprint of the certificate that it must have: nobody else's connection may be used in its place.
    pub(crate) key: Option<String>,
}

impl Target {
    /// Whether it is the same host by the other of IPv4 and IPv6.
    pub(crate) fn is_other_family_of(&self, first: &Target) -> bool {
        self.name == first.name && self.address.is_ipv4() != first.address.is_ipv4()
    }

    /// As logs and notifications name it: `mx1.example.net [192.0.2.1]`.
    pub(crate) fn peer(&self) -> String {
        if self.name.starts_with('[') {
            self.name.clone()
        } else {
            format!("{} [{}]", self.name, self.address.ip().to_canonical())
        }
    }
}

/// What this host is known by.
pub(crate) struct Own<'a> {
    terms: &'a Terms,
    port: u16,
    /// Whether an address belongs to an interface of this host.
    is_local: fn(IpAddr) -> bool,
}

impl<'a> Own<'a> {
    fn new(terms: &'a Terms) -> Own<'a> {
        Own { terms, port: terms.relay.port, is_local }
    }

    fn is_name(&self, host: &str) -> bool {
        host.eq_ignore_ascii_case(&self.terms.hostname.key())
    }

    /// Whether a connection to that address would come back to this host. A loopback address does wherever it is not said to be a
    /// neighbour (tests, lessons).
    fn is_address(&self, address: IpAddr) -> bool {
        let relay = &self.terms.relay;
        let listens = self.terms.listeners.iter().any(|listener| {
            listener.port() == self.port
                && (listener.ip() == address || listener.ip().is_unspecified() && (self.is_local)(address))
        });
        listens || relay.public_addresses.contains(&address) || (is_own_loopback(address) && !relay.allow_loopback)
    }
}

/// To an address of its own the kernel goes from that address. Nothing is sent. (Binding it would tell less: on some hosts any
/// address can be bound.)
fn is_local(address: IpAddr) -> bool {
    let unspecified: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let source = UdpSocket::bind((unspecified, 0)).and_then(|socket| {
        socket.connect((address, 9))?;
        socket.local_addr()
    });
    address.is_loopback() || source.is_ok_and(|source| source.ip() == address)
}

/// Where servers are looked up.
pub(crate) struct Directory {
    dns: Dns,
    known: Known,
}

impl Directory {
    pub(crate) fn new(dns: Dns) -> Directory {
        Directory { dns, known: Known::default() }
    }

    /// What was looked up counts no more, whatever its TTL.
    pub(crate) fn forget(&self) {
        self.dns.forget();
        self.known.forget();
    }

    /// The addresses to try, in order; at least one. An error is the fate of all recipients there.
    pub(crate) async fn targets(&self, terms: &Terms, hop: &NextHop, now: Timestamp) -> Result<Vec<Target>, Status> {
        let (dns, families) = (&self.dns, families(terms));
        match &hop.servers {
            Servers::Host(host, port) => {
                let found = self.known.or(hop.key(), families, host_alone(dns, host, families, terms, now)).await?;
                let addresses = found.iter().flat_map(|(_, addresses)| addresses).flatten();
                Ok(with_port(host.as_str(), &addresses.copied().collect::<Vec<_>>(), *port))
            }
            Servers::Peer { name, domain } => {
                let peer = terms.peer(name).ok_or_else(|| peer_unknown(name, "the settings do not name it", now))?;
                let found = peer_targets(dns, terms, peer, domain.as_ref(), now).await;
                // Whatever a name server says, it is no reason to return mail that a peer is to have.
                let found = found.map_err(|status| peer_unknown(name, &status.text, now))?;
                Ok(found.into_iter().map(|target| Target { key: Some(peer.fingerprint.clone()), ..target }).collect())
            }
            Servers::Of(domain) => {
                let found = self.known.or(hop.key(), families, hosts(dns, terms, domain, families, now)).await?;
                in_order(&found, &Own::new(terms), lib_host::random_bytes).map_err(|fault| fault.status(domain, now))
            }
        }
    }
}

async fn host_alone(dns: &Dns, host: &Domain, families: Families, terms: &Terms, now: Timestamp) -> Result<Found, Status> {
    let Answer { found, until } =
        addresses(dns, host.as_str(), families, terms).await.map_err(|error| host_unknown(host, &error, now))?;
    Ok(Found { hosts: vec![(MxHost { preference: 0, name: host.as_str().to_owned() }, Ok(found))], until: Some(until) })
}

/// The peer's host, or where none is named the MX hosts of the domain.
async fn peer_targets(
    dns: &Dns,
    terms: &Terms,
    peer: &Peer,
    domain: Option<&Domain>,
    now: Timestamp,
) -> Result<Vec<Target>, Status> {
    let families = families(terms);
    let (hosts, domain) = match (&peer.host, domain) {
        (Some(host), _) => {
            let found = match host.literal() {
                Some(literal) => Ok(vec![literal]),
                None => addresses(dns, &host.key(), families, terms).await.map(|answer| answer.found),
            };
            let found = found.map_err(|error| peer_unknown(&peer.name, &error.to_string(), now))?;
            return Ok(with_port(host.as_str(), &found, peer.port));
        }
        (None, Some(domain)) => (hosts(dns, terms, domain, families, now).await?.hosts, domain),
        (None, None) => return Err(peer_unknown(&peer.name, "it has neither host nor domains", now)),
    };
    let found = in_order(&hosts, &Own::new(terms), lib_host::random_bytes).map_err(|fault| fault.status(domain, now))?;
    Ok(found.into_iter().map(|target| Target { address: SocketAddr::new(target.address.ip(), peer.port), ..target }).collect())
}

fn families(terms: &Terms) -> Families {
    let v6 = match terms.relay.ipv6 {
        Ipv6::On => true,
        Ipv6::Off => false,
        Ipv6::Auto => has_global_ipv6(),
    };
    // A loopback neighbour needs no global address.
    Families { v4: true, v6: v6 || (terms.relay.allow_loopback && terms.relay.ipv6 == Ipv6::Auto) }
}

async fn addresses(dns: &Dns, host: &str, families: Families, terms: &Terms) -> Result<Answer<Vec<IpAddr>>, DnsError> {
    let mut answer = dns.addresses(host, families).await?;
    let global = terms.relay.ipv6 != Ipv6::Auto || has_global_ipv6();
    answer.found.retain(|address| address.is_ipv4() || address.is_loopback() || global);
    if answer.found.is_empty() { Err(DnsError::NoRecord) } else { Ok(answer) }
}

type Resolved = Vec<(MxHost, Result<Vec<IpAddr>, DnsError>)>;

/// Hosts that were looked up.
struct Found {
    hosts: Resolved,
    /// Until when all that is said of them holds; `None` where something could not be found out.
    until: Option<Instant>,
}

/// The mail hosts of a domain with what is known of their addresses.
async fn hosts(dns: &Dns, terms: &Terms, domain: &Domain, families: Families, now: Timestamp) -> Result<Found, Status> {
    let own = |host: &str| MxHost { preference: 0, name: host.to_owned() };
    let own_addresses = async || addresses(dns, &domain.key(), families, terms).await;
    if let Some(literal) = domain.literal() {
        return Ok(Found { hosts: vec![(own(domain.as_str()), Ok(vec![literal]))], until: None });
    }
    match dns.mx(domain).await {
        Ok(Answer { found: mut hosts, until }) => {
            hosts.sort_by_key(|host| host.preference);
            hosts.truncate(MAX_HOSTS);
            let each = hosts.into_iter().map(async |host| {
                let found = addresses(dns, &host.name, families, terms).await;
                (host, found)
            });
            let found = join_all(each).await;
            let whole = found.iter().all(|(_, addresses)| addresses.is_ok());
            let until = found.iter().flat_map(|(_, addresses)| addresses).map(|answer| answer.until).fold(until, Instant::min);
            let hosts = found.into_iter().map(|(host, addresses)| (host, addresses.map(|answer| answer.found))).collect();
            Ok(Found { hosts, until: whole.then_some(until) })
        }
        // RFC 5321 §5.1: without an MX the domain is its own host.
        Err(DnsError::NoRecord) => match own_addresses().await {
            Ok(Answer { found, until }) => Ok(Found { hosts: vec![(own(&domain.key()), Ok(found))], until: Some(until) }),
            Err(error) => Err(domain_unknown(domain, &error, now)),
        },
        Err(error) => Err(domain_unknown(domain, &error, now)),
    }
}

/// Why no host of a domain can be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NoTarget {
    /// This host is the best MX there is.
    Loop,
    /// No host has an address that can be used now.
    NoAddress(String),
}

impl NoTarget {
    fn status(&self, domain: &Domain, now: Timestamp) -> Status {
        match self {
            NoTarget::Loop => {
                let text = format!("The mail servers of {domain} lead back to this server, which does not have its mailboxes");
                Status::local(554, Enhanced::new(5, 4, 6), text, now)
            }
            // A misspelt host in a zone is mended sooner or later; the deadline watches.
            NoTarget::NoAddress(why) => {
                let text = format!("No mail server of {domain} can be reached: {why}");
                Status::local(451, Enhanced::new(4, 4, 4), text, now)
            }
        }
    }
}

/// Lowest preference first, equal ones at random, all addresses of each; never a host with our own preference or a worse one.
fn in_order(hosts: &Resolved, own: &Own<'_>, random: fn() -> [u8; 8]) -> Result<Vec<Target>, NoTarget> {
    let is_own = |(host, addresses): &(MxHost, Result<Vec<IpAddr>, DnsError>)| {
        own.is_name(&host.name) || addresses.iter().flatten().any(|address| own.is_address(*address))
    };
    let ours = hosts.iter().filter(|host| is_own(host)).map(|(host, _)| host.preference).min();
    let mut better: Vec<_> = hosts.iter().filter(|(host, _)| ours.is_none_or(|ours| host.preference < ours)).collect();
    if better.is_empty() {
        return Err(NoTarget::Loop);
    }
    better.sort_by_cached_key(|(host, _)| (host.preference, random()));
    let mut targets = Vec::new();
    let mut why = String::from("it has no address");
    for (host, addresses) in better {
        match addresses {
            Ok(addresses) => targets.extend(with_port(&host.name, addresses, own.port)),
            Err(error) => why = format!("{}: {error}", host.name),
        }
    }
    targets.truncate(MAX_TARGETS);
    if targets.is_empty() { Err(NoTarget::NoAddress(why)) } else { Ok(targets) }
}

/// The families by turns, IPv6 first: so each address has one of the other family to be tried beside it (RFC 8305 §4).
fn with_port(name: &str, addresses: &[IpAddr], port: u16) -> Vec<Target> {
    let (v4, v6): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(IpAddr::is_ipv4);
    let turns = (0..addresses.len()).flat_map(|turn| [v6.get(turn), v4.get(turn)]).flatten();
    turns.map(|ip| Target { name: name.to_owned(), address: SocketAddr::new(*ip, port), key: None }).collect()
}

fn domain_unknown(domain: &Domain, error: &DnsError, now: Timestamp) -> Status {
    match error {
        DnsError::NoSuchName => {
            Status::local(550, Enhanced::new(5, 1, 2), format!("The mail domain {domain} does not exist"), now)
        }
        DnsError::NullMx => Status::local(556, Enhanced::new(5, 1, 10), format!("The domain {domain} takes no mail"), now),
        DnsError::NoRecord => {
            Status::local(550, Enhanced::new(5, 4, 4), format!("The domain {domain} has no mail server"), now)
        }
        DnsError::Temporary(why) => {
            Status::local(451, Enhanced::new(4, 4, 3), format!("Cannot look up the mail servers of {domain}: {why}"), now)
        }
    }
}

/// Always temporary: a peer comes back, and settings are mended.
fn peer_unknown(name: &str, why: &str, now: Timestamp) -> Status {
    Status::local(451, Enhanced::new(4, 4, 3), format!("Cannot find the peer {name}: {why}"), now)
}

/// Always temporary: the fault is in our settings.
fn host_unknown(host: &Domain, error: &DnsError, now: Timestamp) -> Status {
    Status::local(451, Enhanced::new(4, 4, 3), format!("Cannot look up {host}, which the settings name: {error}"), now)
}

#[cfg(test)]
mod tests;
