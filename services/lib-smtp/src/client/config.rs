//! What a connection is to be like: names, TLS, login.

/// What a connection is to be like.
#[derive(Debug, Clone)]
pub struct Config {
    /// Our name for EHLO: a host name, or an address literal.
    pub helo: String,
    /// The peer as [`lib_mail::By::Remote`] names it: `mx1.example.net [192.0.2.1]`.
    pub peer: String,
    /// When to use TLS.
    pub tls: TlsMode,
    /// The login for a smart host.
    pub login: Option<Login>,
    /// Whether to prove who we are by our certificate (AUTH EXTERNAL). A peer that does not know it gets no mail.
    pub external: bool,
}

/// When a connection uses TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Never, even where it is offered.
    Never,
    /// Where the peer offers STARTTLS.
    Offered,
    /// Always by STARTTLS; a peer that does not offer it gets no mail.
    Required,
    /// TLS was up before the banner (port 465).
    Implicit,
}

/// Name and password for AUTH.
#[derive(Clone)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
    /// Whether the password may go out without TLS.
    pub without_tls: bool,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({})", self.user)
    }
}
