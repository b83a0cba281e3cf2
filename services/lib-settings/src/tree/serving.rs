//! Mailboxes: writing to them, reading them, and the passwords before them.

use std::path::PathBuf;
use std::time::Duration;

use super::Plaintext;
use crate::declare::group;
use crate::{Rate, Reload};

group! {
    /// Delivering to mailboxes.
    pub struct Deliver {
        /// Threads that deliver. Where copies can share their syncs (on ext4), two of them take turns with up to 64 messages each, and others
        /// help only where those are held up; elsewhere each takes one message.
        concurrency: u32 { office: "64", least: "1", most: "1000", reload: Reload::Restart, id: "R4", }
    }
}

group! {
    /// Reading mailboxes.
    pub struct Pop3 {
        /// Whether a password is taken without TLS.
        plaintext_login: Plaintext { office: "loopback", classic: Some("always"), origin: "qpopper, in.pop3d", id: "R5.1", }
        /// The greeting behind +OK; `$host` is the host name.
        greeting: String { office: "$host POP3", id: "R1.6", }
        /// How long a client may be silent. RFC 1939 asks for at least ten minutes. Before the login it is three minutes at most.
        idle_timeout: Duration { office: "10m", least: "1s", most: "2h", origin: "qpopper timeout", id: "R5.3", }
        /// How long a session may last in all.
        session_timeout: Duration { office: "4h", least: "10s", most: "24h", id: "R5.3", }
        /// Sessions at one time. Further clients are refused.
        max_sessions: u32 { office: "1000", classic: Some("100"), least: "1", most: "100000", origin: "xinetd instances", id: "R5.3", }
        /// Sessions at one time from one address (IPv6: one /64); 0 means no limit.
        max_sessions_per_address: u32 { office: "20", most: "100000", origin: "xinetd per_source", id: "R5.3", }
        /// New connections from one address (IPv6: one /64) in a time; a count of 0 means no limit.
        connection_rate_per_address: Rate { office: "200/60s", classic: Some("40/60s"), origin: "inetd 40 in 60 s", id: "R5.3", }
        /// After so many bad commands, or so many failed logins, a session is closed.
        error_limit: u32 { office: "10", least: "1", most: "1000", id: "R5.3", }
    }
}

group! {
    /// Checking passwords.
    pub struct Auth {
        /// Passwords that are checked at one time; each check takes 19 MiB and some 40 ms of a core.
        concurrency: u32 { office: "2", least: "1", most: "64", reload: Reload::Restart, id: "R1.12", }
        /// How long a verified login is remembered (as a keyed hash, never as a password), so that a client that comes every few
        /// seconds costs nothing.
        remember: Duration { office: "1m", least: "0s", most: "1h", id: "R1.12", }
    }
}

group! {
    /// Certificates. Without one, a self-signed certificate for the host name is made at the first start.
    pub struct Tls {
        /// The certificates, each for the names it lists; one without names serves all other names.
        certificates: Vec<Certificate> { office: "", id: "R5.4", }
    }
}

group! {
    /// A certificate with its key.
    pub struct Certificate {
        /// The host names (of TLS SNI) it is offered for. Empty: every name that no other certificate has.
        names: Vec<String> { office: "", example: "mail.example.net", id: "R5.4", }
        /// The file of the chain in PEM, the host's own certificate first.
        chain_file: PathBuf { office: "", example: "mail.crt", origin: "sendmail ServerCertFile", id: "R5.4", }
        /// The file of the private key in PEM.
        key_file: PathBuf { office: "", example: "mail.key", origin: "sendmail ServerKeyFile", id: "R5.4", }
    }
}
