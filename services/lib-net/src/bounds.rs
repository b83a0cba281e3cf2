//! The times that bound a service's sessions.

use std::time::Duration;

/// Time limits of a session; each is a setting or a named constant of the program that fills it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How long a session may last in all.
    pub total: Duration,
    /// How long a client may leave replies unread before it is given up.
    pub write: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long a transaction may go on once a drain has begun.
    pub grace: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            total: Duration::from_secs(3600),
            write: Duration::from_secs(60),
            handshake: Duration::from_secs(30),
            grace: Duration::from_secs(20),
        }
    }
}
