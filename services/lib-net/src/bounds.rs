//! The numbers that bound a service's sessions.

use std::time::Duration;

use ipnet::IpNet;

/// Limits of one service in one process. Each is a setting of the program that fills it in.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Sessions at once, in all.
    pub sessions: usize,
    /// Sessions at once of one address (IPv6: of one /64). 0: no limit.
    pub sessions_per_address: u32,
    /// New connections of one address within `rate_period`. 0: no limit.
    pub connections_per_address: u32,
    /// The period over which `connections_per_address` counts.
    pub rate_period: Duration,
    /// Addresses to which no limit per address applies.
    pub exempt: Vec<IpNet>,
    /// How long a session may last in all.
    pub total: Duration,
    /// How long a client may leave a reply unread before it is given up.
    pub write: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a transaction may go on once a drain has begun.
    pub grace: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            sessions: 1000,
            sessions_per_address: 50,
            connections_per_address: 200,
            rate_period: Duration::from_secs(60),
            exempt: Vec::new(),
            total: Duration::from_secs(3600),
            write: Duration::from_secs(60),
            handshake: Duration::from_secs(30),
            grace: Duration::from_secs(20),
        }
    }
}

impl Bounds {
    /// Whether no limit per address applies to `address`.
    pub fn is_exempt(&self, address: std::net::IpAddr) -> bool {
        let address = address.to_canonical();
        self.exempt.iter().any(|net| net.contains(&address))
    }
}
