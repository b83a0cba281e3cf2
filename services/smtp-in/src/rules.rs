//! What a session is bound by: made from the settings once per generation, shared by the sessions that began under it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use lib_mail::{Domain, Enhanced};
use lib_net::bounds::Bounds;
use lib_net::listen::{Port, TlsMode};
use lib_policy::{Door, Limits};
use lib_settings::{Extension, Profile, Settings};
use lib_smtp::server::{AuthConfig, Config, Extensions, Mechanism, Privacy, Role, Tls};

/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// How long a transaction may go on once a drain has begun; the supervisor allows more.
const GRACE: Duration = Duration::from_secs(10);

/// The settings as sessions use them.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) settings: Settings,
    pub(crate) host: String,
    pub(crate) default_domain: Domain,
    pub(crate) zone: TimeZone,
    /// One for each kind of listener and client; see [`place`].
    configs: Vec<Arc<Config>>,
}

const ROLES: [Role; 2] = [Role::Mx, Role::Submission];
const TLS: [Tls; 3] = [Tls::Off, Tls::Offered, Tls::Active];

impl Rules {
    /// The rules that follow from `settings`.
    pub(crate) fn new(settings: Settings) -> Rules {
        let mut configs = Vec::new();
        for role in ROLES {
            for tls in TLS {
                for without_tls in [false, true] {
                    configs.push(Arc::new(config(&settings, role, tls, without_tls)));
                }
            }
        }
        Rules {
            host: settings.hostname.to_string(),
            default_domain: settings.default_domain(),
            zone: settings.time_zone.rules(),
            settings,
            configs,
        }
    }

    /// What a client at `address` is offered on `port`. `certified`: there is a certificate to offer.
    pub(crate) fn config(&self, port: &Port, address: IpAddr, certified: bool) -> Arc<Config> {
        let role = if door(port) == Door::Mx { Role::Mx } else { Role::Submission };
        let tls = match port.tls {
            TlsMode::Implicit => Tls::Active,
            TlsMode::StartTls if certified => Tls::Offered,
            TlsMode::StartTls | TlsMode::None => Tls::Off,
        };
        let without_tls = self.settings.smtp.plaintext_login.allows(address);
        self.configs[place(role, tls, without_tls)].clone()
    }

    /// The time limits of a session.
    pub(crate) fn bounds(&self) -> Bounds {
        let smtp = &self.settings.smtp;
        Bounds { total: smtp.session_timeout, write: smtp.idle_timeout, handshake: HANDSHAKE, grace: GRACE }
    }

    /// How many sessions there may be.
    pub(crate) fn limits(&self) -> Limits {
        let smtp = &self.settings.smtp;
        Limits {
            sessions: smtp.max_sessions,
            sessions_per_address: smtp.max_sessions_per_address,
            connections: smtp.connection_rate_per_address.count,
            window: smtp.connection_rate_per_address.per,
            exempt: self.settings.exempt_networks.clone(),
        }
    }
}

/// What a listener is for, as far as rights go.
pub(crate) fn door(port: &Port) -> Door {
    if port.role == "mx" { Door::Mx } else { Door::Submission }
}

fn place(role: Role, tls: Tls, without_tls: bool) -> usize {
    let role = ROLES.iter().position(|known| *known == role).unwrap_or(0);
    let tls = TLS.iter().position(|known| *known == tls).unwrap_or(0);
    (role * TLS.len() + tls) * 2 + usize::from(without_tls)
}

fn config(settings: &Settings, role: Role, tls: Tls, without_tls: bool) -> Config {
    let smtp = &settings.smtp;
    let host = settings.hostname.to_string();
    let (size_limit, mechanisms) = match role {
        // Rights of our users are had at the submission ports alone; here a password would only be something to guess.
        Role::Mx => (smtp.message_size_limit, Vec::new()),
        Role::Submission => (smtp.submission_size_limit, vec![Mechanism::Plain, Mechanism::Login]),
    };
    let oversize = if settings.profile == Profile::Classic { Enhanced::new(5, 2, 3) } else { Enhanced::new(5, 3, 4) };
    Config {
        greeting: smtp.greeting_for(&host),
        hostname: host,
        postmaster_domain: settings.default_domain(),
        role,
        tls,
        auth: AuthConfig { mechanisms, without_tls },
        size_limit: Some(size_limit.0),
        oversize,
        max_recipients: usize::try_from(smtp.recipients_limit).unwrap_or(usize::MAX),
        max_errors: smtp.error_limit,
        max_refusals: smtp.refusal_limit,
        extensions: Extensions {
            pipelining: smtp.offers(Extension::Pipelining),
            eight_bit_mime: smtp.offers(Extension::EightBitMime),
            smtp_utf8: smtp.offers(Extension::Smtputf8),
            chunking: smtp.offers(Extension::Chunking),
            dsn: smtp.offers(Extension::Dsn),
        },
        privacy: Privacy { novrfy: smtp.refuses_vrfy(), noexpn: smtp.refuses_expn() },
        etrn: role == Role::Mx && smtp.offers(Extension::Etrn),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(profile: Profile) -> Rules {
        Rules::new(Settings::defaults(profile))
    }

    #[test]
    fn a_listener_and_a_client_choose_the_configuration() {
        let mut settings = Settings::defaults(Profile::Office);
        settings.smtp.plaintext_login = lib_settings::Plaintext::Loopback;
        settings.smtp.submission_size_limit = lib_settings::Bytes(70_000);
        let rules = Rules::new(settings);
        let port = |role: &str, tls| Port { name: role.into(), tls, role: role.into() };
        for (role, tls, address, certified, want) in [
            ("mx", TlsMode::StartTls, "192.0.2.1", true, (Role::Mx, Tls::Offered, 0, false)),
            ("mx", TlsMode::StartTls, "192.0.2.1", false, (Role::Mx, Tls::Off, 0, false)),
            ("mx", TlsMode::None, "127.0.0.1", true, (Role::Mx, Tls::Off, 0, true)),
            ("submission", TlsMode::StartTls, "::1", true, (Role::Submission, Tls::Offered, 2, true)),
            ("submissions", TlsMode::Implicit, "192.0.2.1", true, (Role::Submission, Tls::Active, 2, false)),
        ] {
            let config = rules.config(&port(role, tls), address.parse().unwrap(), certified);
            let got = (config.role, config.tls, config.auth.mechanisms.len(), config.auth.without_tls);
            assert_eq!(got, want, "{role} {tls:?}");
            assert_eq!(config.etrn, role == "mx");
            assert_eq!(config.size_limit == Some(70_000), role != "mx");
        }
    }

    #[test]
    fn the_classic_profile_has_its_own_code_for_what_is_too_large() {
        let port = Port { name: "mx".into(), tls: TlsMode::None, role: "mx".into() };
        let code = |profile| rules(profile).config(&port, "192.0.2.1".parse().unwrap(), false).oversize.to_string();
        assert_eq!((code(Profile::Office), code(Profile::Classic)), ("5.3.4".into(), "5.2.3".into()));
    }
}
