//! Name look-ups for relaying: MX hosts and addresses, through hickory; never through the C library, which in a static binary
//! would load code that the image does not hold.
//!
//! Three outcomes must not be mixed up: the name does not exist (final), the name has no such record (look for another), and nobody
//! knows (wait). What is unclear is [`DnsError::Temporary`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use lib_mail::Domain;

/// MX hosts of a domain and addresses of a host that count; what a zone says beyond them is left out.
pub const MAX_ANSWERS: usize = 50;
/// How long a "no such name" is believed, whatever the zone says: a mended zone must be seen soon.
const NEGATIVE_TTL: Duration = Duration::from_secs(60);
/// How long it is believed that this host has IPv6, or has none.
const V6_KNOWN: Duration = Duration::from_secs(3);
/// How long an address holds that stands for itself.
const LITERAL: Duration = Duration::from_secs(3600);
/// Answers kept.
const CACHE_SIZE: u64 = 4096;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// The name does not exist (NXDOMAIN).
    #[error("the name does not exist")]
    NoSuchName,
    /// The name exists and has no such record.
    #[error("the name has no such record")]
    NoRecord,
    /// The domain says that it takes no mail: a null MX (RFC 7505).
    #[error("the domain takes no mail (null MX)")]
    NullMx,
    /// Nobody could be asked, or the answer is unclear: later.
    #[error("{0}")]
    Temporary(String),
}

/// One MX record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MxHost {
    /// Lower is tried first.
    pub preference: u16,
    /// The host, without a dot at its end, as the zone spells it.
    pub name: String,
}

/// What name servers said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// What they said.
    pub found: T,
    /// Until when it holds, by the shortest TTL. In the past where a part of the answer is missing.
    pub until: Instant,
}

/// Which addresses are of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Families {
    /// A records.
    pub v4: bool,
    /// AAAA records.
    pub v6: bool,
}

/// Asks name servers. Clones share the cache.
#[derive(Clone)]
pub struct Dns {
    resolver: TokioResolver,
    patience: Duration,
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dns")
    }
}

impl Dns {
    /// Asks `servers`, or those of `/etc/resolv.conf` where there are none. One try at one server takes at most `timeout`, a whole
    /// look-up four times as long. To be called in a tokio runtime. Errors are the operator's: no `/etc/resolv.conf`, or nothing in it.
    pub fn new(servers: &[SocketAddr], timeout: Duration) -> Result<Dns, DnsError> {
        let fault = |error: NetError| DnsError::Temporary(format!("no name server to ask: {error}"));
        let mut builder = if servers.is_empty() {
            TokioResolver::builder_tokio().map_err(fault)?
        } else {
            let config = ResolverConfig::from_name_servers(servers.iter().map(name_server).collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = timeout;
        options.attempts = 1;
        options.use_hosts_file = ResolveHosts::Never;
        options.negative_max_ttl = Some(NEGATIVE_TTL);
        options.cache_size = CACHE_SIZE;
        let resolver = builder.build().map_err(fault)?;
        Ok(Dns { resolver, patience: timeout.saturating_mul(4) })
    }

    /// The MX hosts of `domain`, at least one, in no order. A null MX beside others counts as none.
    pub async fn mx(&self, domain: &Domain) -> Result<Answer<Vec<MxHost>>, DnsError> {
        let Answer { found, until } = self.lookup(&domain.key(), RecordType::MX).await?;
        let all: Vec<MxHost> = found
            .iter()
            .filter_map(|data| match data {
                RData::MX(mx) => Some(MxHost { preference: mx.preference, name: without_dot(&mx.exchange) }),
                _ => None,
            })
            .take(MAX_ANSWERS)
            .collect();
        let hosts: Vec<MxHost> = all.iter().filter(|host| !host.name.is_empty()).cloned().collect();
        match (all.is_empty(), hosts.is_empty()) {
            (true, _) => Err(DnsError::NoRecord),
            (false, true) => Err(DnsError::NullMx),
            (false, false) => Ok(Answer { found: hosts, until }),
        }
    }

    /// The addresses of `host` (a name without a dot at its end, or an address literal as `[192.0.2.1]`), at least one, IPv6 first.
    /// Where one family cannot be looked up and the other can, the other's addresses are the answer.
    pub async fn addresses(&self, host: &str, families: Families) -> Result<Answer<Vec<IpAddr>>, DnsError> {
        if let Some(literal) = host.parse::<Domain>().ok().and_then(|domain| domain.literal()) {
            return Ok(Answer { found: vec![literal], until: Instant::now() + LITERAL });
        }
        let v6 = async { if families.v6 { self.lookup(host, RecordType::AAAA).await } else { Err(DnsError::NoRecord) } };
        let v4 = async { if families.v4 { self.lookup(host, RecordType::A).await } else { Err(DnsError::NoRecord) } };
        let (v6, v4) = tokio::join!(v6, v4);
        let there = || [&v6, &v4].into_iter().flatten();
        let found: Vec<IpAddr> =
            there().flat_map(|answer| &answer.found).filter_map(RData::ip_addr).take(MAX_ANSWERS).collect();
        if let Some(until) = there().map(|answer| answer.until).min()
            && !found.is_empty()
        {
            let half = [&v6, &v4].into_iter().any(|answer| matches!(answer, Err(DnsError::Temporary(_))));
            return Ok(Answer { found, until: if half { Instant::now() } else { until } });
        }
        match (v6, v4) {
            (Err(DnsError::Temporary(why)), _) | (_, Err(DnsError::Temporary(why))) => Err(DnsError::Temporary(why)),
            (_, Err(DnsError::NoSuchName)) | (Err(DnsError::NoSuchName), _) => Err(DnsError::NoSuchName),
            _ => Err(DnsError::NoRecord),
        }
    }

    /// What was looked up before counts no more, whatever its TTL: a zone was mended.
    pub fn forget(&self) {
        self.resolver.clear_cache();
    }

    async fn lookup(&self, name: &str, kind: RecordType) -> Result<Answer<Vec<RData>>, DnsError> {
        // A dot at the end keeps the search list of resolv.conf out.
        let name = Name::from_ascii(format!("{name}.")).map_err(|_| DnsError::NoSuchName)?;
        match tokio::time::timeout(self.patience, self.resolver.lookup(name, kind)).await {
            Err(_) => Err(DnsError::Temporary("the name servers do not answer".into())),
            Ok(Ok(answer)) => {
                let found = answer.answers().iter().map(|record| record.data.clone()).collect();
                Ok(Answer { found, until: answer.valid_until() })
            }
            Ok(Err(error)) if error.is_nx_domain() => Err(DnsError::NoSuchName),
            Ok(Err(error)) if is_no_data(&error) => Err(DnsError::NoRecord),
            Ok(Err(error)) => Err(DnsError::Temporary(format!("look-up failed: {error}"))),
        }
    }
}

/// Whether the answer was "there is the name, and no such record". Hickory files SERVFAIL and REFUSED under the same error.
fn is_no_data(error: &NetError) -> bool {
    use hickory_resolver::net::{DnsError as Answer, NoRecords};
    use hickory_resolver::proto::op::ResponseCode;
    matches!(error, NetError::Dns(Answer::NoRecordsFound(NoRecords { response_code: ResponseCode::NoError, .. })))
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::new(address.ip(), true, vec![ConnectionConfig::udp(), ConnectionConfig::tcp()]);
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

fn without_dot(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').map_or_else(|| text.clone(), str::to_owned)
}

/// Whether this host has an IPv6 address that the world can answer to. A connected UDP socket sends nothing, but makes the kernel
/// choose route and source address; without a global one, a peer's AAAA record would only cost a timeout.
///
/// An answer holds for three seconds: messages that leave in a run need not each ask the kernel.
pub fn has_global_ipv6() -> bool {
    static KNOWN: Mutex<Option<(Instant, bool)>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    match *known {
        Some((asked, answer)) if asked.elapsed() < V6_KNOWN => answer,
        _ => known.insert((Instant::now(), ask_for_global_ipv6())).1,
    }
}

fn ask_for_global_ipv6() -> bool {
    // Any address in 2000::/3 will do; this one is for documentation and never reached.
    let anywhere = SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 53));
    let source = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))
        .and_then(|socket| socket.connect(anywhere).map(|()| socket))
        .and_then(|socket| socket.local_addr());
    matches!(source, Ok(SocketAddr::V6(address)) if is_global_v6(address.ip()))
}

/// 2000::/3, the only part of the address space that is routed.
fn is_global_v6(address: &Ipv6Addr) -> bool {
    address.segments()[0] & 0xe000 == 0x2000
}

/// Whether an address can only mean this host, or nobody: loopback and unspecified, IPv4-mapped forms too.
pub fn is_own_loopback(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.octets()[0] == 0 || v4 == Ipv4Addr::BROADCAST,
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests;
