//! What a session is told when it begins.

use lib_mail::{Domain, Enhanced};

/// The rules of a listener, shared by all its sessions.
#[derive(Debug, Clone)]
pub struct Config {
    /// This node's name, as EHLO's reply gives it.
    pub hostname: String,
    /// What stands behind `220 `: one line, `$host` already put in. RFC 5321 wants it to begin with the host name.
    pub greeting: String,
    /// The domain that `<postmaster>` means (RFC 5321 §4.5.1).
    pub postmaster_domain: Domain,
    /// What the listener is for.
    pub role: Role,
    /// TLS.
    pub tls: Tls,
    /// AUTH.
    pub auth: AuthConfig,
    /// Octets of a message on the wire, dot-stuffing not counted (R1.1); `None` for no limit.
    pub size_limit: Option<u64>,
    /// The enhanced code of a message that turns out too large while it is read: 5.3.4, in profile classic 5.2.3 (R1.1).
    pub oversize: Enhanced,
    /// Recipients of a message (R1.3).
    pub max_recipients: usize,
    /// Bad commands after which the session ends (R1.14).
    pub max_errors: u32,
    /// Senders, recipients and users refused for good (5yz) after which the session ends (R1.14).
    pub max_refusals: u32,
    /// ESMTP extensions.
    pub extensions: Extensions,
    /// Privacy options (R1.7).
    pub privacy: Privacy,
    /// Whether ETRN is offered.
    pub etrn: bool,
}

/// What a listener is for (R1.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Mail from other servers.
    Mx,
    /// Mail from our users: MAIL needs AUTH.
    Submission,
}

/// How a listener stands to TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// Not to be had.
    Off,
    /// STARTTLS is offered.
    Offered,
    /// The connection began with TLS.
    Active,
}

/// AUTH of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthConfig {
    /// In the order of their offer; empty where AUTH is off.
    pub mechanisms: Vec<Mechanism>,
    /// Whether passwords may come in clear.
    pub without_tls: bool,
}

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// draft-murchison-sasl-login.
    Login,
}

/// ESMTP extensions that can be switched; STARTTLS, AUTH and ETRN follow their own settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extensions {
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 6531.
    pub smtp_utf8: bool,
    /// RFC 3030, BDAT.
    pub chunking: bool,
    /// RFC 3461.
    pub dsn: bool,
}

impl Default for Extensions {
    fn default() -> Self {
        Extensions { pipelining: true, eight_bit_mime: true, smtp_utf8: true, chunking: true, dsn: true }
    }
}

/// What strangers may not ask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Privacy {
    /// VRFY tells nothing: 252.
    pub novrfy: bool,
    /// EXPN is refused: 502 5.7.0.
    pub noexpn: bool,
}

impl Privacy {
    /// All of them.
    pub const GOAWAY: Privacy = Privacy { novrfy: true, noexpn: true };
}
