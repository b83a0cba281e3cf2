//! What the node is to do, read and validated as a whole: settings, maps, accounts, secrets. Either all of it is good and
//! there is a plan, or there is a list of everything that is wrong.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use lib_net::listen::TlsMode;
use lib_net::pin::PAIR_NAME;
use lib_net::role::{RoleName, SocketName};
use lib_settings::{CertificateText, Listener, ListenerRole, ListenerTls, Origins, Secrets, Settings, Sources};

use crate::certificate;
use crate::layout::{Layout, SYSTEM_DATA};

/// Host name of a node that nobody configured; `.test` never exists in the DNS (RFC 6761).
pub(crate) const TRIAL_HOSTNAME: &str = "mail.bongsu.test";
/// Its listeners: high ports, this machine only.
const TRIAL_LISTENERS: &str = r#"[{ name = "mx", address = "127.0.0.1", port = 2525, role = "mx" },
 { name = "submission", address = "127.0.0.1", port = 2587, role = "submission" },
 { name = "submissions", address = "127.0.0.1", port = 2465, role = "submissions", tls = "implicit" },
 { name = "pop3", address = "127.0.0.1", port = 2110, role = "pop3" },
 { name = "pop3s", address = "127.0.0.1", port = 2995, role = "pop3s", tls = "implicit" }]"#;
/// Longest settings, map or certificate file.
const FILE_MAX: u64 = 16 << 20;

/// Validated, and complete but for the sockets.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The settings.
    pub(crate) settings: Settings,
    /// Where each came from.
    pub(crate) origins: Origins,
    /// What belongs to them and must not be printed.
    pub(crate) secrets: Secrets,
    /// The node runs without a settings file.
    pub(crate) unconfigured: bool,
}

impl Plan {
    /// Reads and validates everything.
    ///
    /// # Errors
    /// Every problem, one line each, with file and line where they are known.
    pub(crate) fn load(layout: &Layout) -> Result<Self, Vec<String>> {
        let (settings, origins) = load_settings(layout)?;
        let mut problems = crate::maps::problems(layout, &settings);
        let secrets = load_secrets(layout, &settings).map_err(|problem| problems.push(problem));
        match secrets {
            Ok(secrets) if problems.is_empty() => {
                Ok(Self { settings, origins, secrets, unconfigured: layout.settings_file().is_none() })
            }
            _ => Err(problems),
        }
    }

    /// The roles that these settings need. The queue's consumers always run: a message may wait there from before.
    pub(crate) fn roles(&self) -> Vec<RoleName> {
        let serves = |role: RoleName| self.settings.listen.iter().any(|listener| role_of(listener.role) == role);
        let needed = |role: &RoleName| match role {
            RoleName::Deliver | RoleName::RelayOut => true,
            RoleName::Auth => serves(RoleName::Submission) || serves(RoleName::Pop3),
            role => serves(*role),
        };
        RoleName::ALL.into_iter().filter(needed).collect()
    }

    /// The part of the secrets that a role needs.
    pub(crate) fn secrets_of(&self, role: RoleName) -> Secrets {
        let mut secrets = Secrets::default();
        match role {
            RoleName::SmtpIn | RoleName::Submission | RoleName::Pop3 => {
                secrets.certificates = self.secrets.certificates.clone();
                // A peer asks for it by a name of its own, so that no other client meets it.
                let pair = self.secrets.pair.clone().filter(|_| role == RoleName::SmtpIn);
                let named = |pair| CertificateText { names: vec![PAIR_NAME.into()], ..pair };
                secrets.certificates.extend(pair.map(named));
            }
            RoleName::RelayOut => {
                secrets.smart_host_password = self.secrets.smart_host_password.clone();
                secrets.route_passwords = self.secrets.route_passwords.clone();
                secrets.pair = self.secrets.pair.clone();
            }
            RoleName::Deliver | RoleName::Auth => {}
        }
        secrets
    }

    /// Where the setting of a listener stands, for messages.
    pub(crate) fn listener_origin(&self, index: usize) -> String {
        match self.origins.of(&format!("listen[{index}].port")) {
            lib_settings::Origin::Default => match self.origins.of("listen") {
                lib_settings::Origin::Default | lib_settings::Origin::Assumed => "[[listen]] of bongsu.toml".into(),
                origin => format!("listen at {origin}"),
            },
            lib_settings::Origin::Assumed => "[[listen]] of bongsu.toml".into(),
            origin => format!("listen[{index}].port at {origin}"),
        }
    }
}

/// The role that serves a listener.
pub(crate) fn role_of(listener: ListenerRole) -> RoleName {
    match listener {
        ListenerRole::Mx => RoleName::SmtpIn,
        ListenerRole::Submission | ListenerRole::Submissions => RoleName::Submission,
        ListenerRole::Pop3 | ListenerRole::Pop3s => RoleName::Pop3,
    }
}

/// A listener's name on the line.
pub(crate) fn socket_name(listener: &Listener) -> SocketName {
    let tls = match listener.tls {
        ListenerTls::None => TlsMode::None,
        ListenerTls::Starttls => TlsMode::StartTls,
        ListenerTls::Implicit => TlsMode::Implicit,
    };
    SocketName::Listener { name: listener.name.clone(), role: listener.role, tls }
}

/// The addresses to bind: `::` means all of both families, which are two sockets.
pub(crate) fn addresses(listener: &Listener, ipv6: bool) -> Vec<SocketAddr> {
    if listener.address != IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        return vec![SocketAddr::new(listener.address, listener.port)];
    }
    let four = SocketAddr::from((Ipv4Addr::UNSPECIFIED, listener.port));
    let six = ipv6.then_some(SocketAddr::new(listener.address, listener.port));
    std::iter::once(four).chain(six).collect()
}

/// The settings alone, without what they refer to.
pub(crate) fn load_settings(layout: &Layout) -> Result<(Settings, Origins), Vec<String>> {
    let file = match layout.settings_file() {
        Some(path) => Some((path.display().to_string(), read(path).map_err(|problem| vec![problem])?)),
        None => None,
    };
    let assumed = if file.is_some() { Vec::new() } else { assumed(layout) };
    let environment =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let sources = Sources { assumed, file, environment: environment.collect() };
    let unnamed = sources.file.is_none() && !sources.assumed.iter().any(|(key, _)| key == "hostname");
    Settings::load(&sources).map_err(|problems| {
        let mut lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        if unnamed {
            lines.push("without a settings file the host name is this machine's own, and that has no domain; give BONGSU_HOSTNAME=mail.example.net, or a container `hostname: mail.example.net`".into());
        }
        lines
    })
}

/// What a node without settings assumes. One at the system's place (a container) serves the usual ports under the machine's name; any
/// other is somebody's first try, on this machine only.
fn assumed(layout: &Layout) -> Vec<(String, String)> {
    let said = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    if layout.data() != Path::new(SYSTEM_DATA) {
        return vec![said("hostname", TRIAL_HOSTNAME), said("listen", TRIAL_LISTENERS)];
    }
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name.contains('.') { vec![said("hostname", &name)] } else { Vec::new() }
}

fn load_secrets(layout: &Layout, settings: &Settings) -> Result<Secrets, String> {
    let at = |path: &Path| layout.config().join(path);
    let password = |file: &Option<PathBuf>| match file {
        Some(path) => Ok::<_, String>(Some(read(&at(path))?.lines().next().unwrap_or_default().to_owned())),
        None => Ok(None),
    };
    let smart_host_password = password(&settings.relay.smart_host.password_file)?;
    let routes = settings.relay.routes.iter();
    let route_passwords = routes.map(|route| password(&route.password_file)).collect::<Result<_, _>>()?;
    let mut certificates = Vec::new();
    for certificate in &settings.tls.certificates {
        let (chain_file, key_file) = (at(&certificate.chain_file), at(&certificate.key_file));
        let (chain, key) = (read(&chain_file)?, read(&key_file)?);
        lib_net::tls::parse_pair(&chain, &key)
            .map_err(|what| format!("{} with {}: {what}", chain_file.display(), key_file.display()))?;
        certificates.push(CertificateText { names: certificate.names.clone(), chain, key });
    }
    if certificates.is_empty() {
        certificates.extend(certificate::self_signed(&layout.secrets(), settings)?);
    }
    Ok(Secrets { smart_host_password, route_passwords, certificates, pair: load_pair(layout, settings)? })
}

/// This node's certificate for its peers.
fn load_pair(layout: &Layout, settings: &Settings) -> Result<Option<CertificateText>, String> {
    let (Some(chain_file), Some(key_file)) = (&settings.pair.certificate_file, &settings.pair.key_file) else {
        return Ok(None);
    };
    let (chain_file, key_file) = (layout.config().join(chain_file), layout.config().join(key_file));
    let pair = CertificateText { names: Vec::new(), chain: read(&chain_file)?, key: read(&key_file)? };
    let own = lib_net::pin::fingerprint(&pair).map_err(|why| {
        format!("{}, {}: {why}; see pair.certificate_file and pair.key_file", chain_file.display(), key_file.display())
    })?;
    let same = settings.pair.peers.iter().find(|peer| peer.pinned().as_deref() == Some(&own));
    match same {
        Some(peer) => {
            Err(format!("pair.peers: {} has the fingerprint of this node itself; each node has a key of its own", peer.name))
        }
        None => Ok(Some(pair)),
    }
}

/// A text file, or why not in one line.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    let problem = |error: std::io::Error| {
        let advice = match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                let us = rustix::process::geteuid().as_raw();
                format!("; let user {us} read it: chown {us} {0} && chmod u+r {0}", path.display())
            }
            std::io::ErrorKind::NotFound => "; make it, or correct the setting that names it".into(),
            _ => String::new(),
        };
        format!("{}: cannot be read: {error}{advice}", path.display())
    };
    let size = std::fs::metadata(path).map_err(problem)?.len();
    if size > FILE_MAX {
        return Err(format!("{}: is larger than {FILE_MAX} octets, which no such file is", path.display()));
    }
    std::fs::read_to_string(path).map_err(problem)
}

/// Files outside the usual directories that roles read: the hooks of tests, and maps that settings put elsewhere.
pub(crate) fn files_elsewhere(settings: &Settings, config: Option<&Path>, data: &Path) -> Vec<PathBuf> {
    let domains = &settings.domains;
    let maps = [&domains.local_file, &domains.relay_file, &domains.aliases_file].into_iter().filter(|path| path.is_absolute());
    // The clock's file is replaced by rename, so the directory is granted and not the file.
    let clock = settings.testing.clock_file(config, data).into_iter();
    let clock = clock.map(|path| path.parent().map(Path::to_path_buf).unwrap_or_default());
    maps.cloned().chain(clock).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(role: ListenerRole, address: &str) -> Listener {
        Listener { name: role.to_string(), address: address.parse().unwrap(), port: 25, role, tls: ListenerTls::Starttls }
    }

    fn plan(roles: &[ListenerRole]) -> Plan {
        let mut settings = Settings::defaults(lib_settings::Profile::Office);
        settings.listen = roles.iter().map(|role| listener(*role, "::")).collect();
        let (_, origins) = Settings::load(&Sources {
            assumed: vec![("hostname".into(), TRIAL_HOSTNAME.into()), ("listen".into(), TRIAL_LISTENERS.into())],
            ..Sources::default()
        })
        .unwrap();
        Plan { settings, origins, secrets: Secrets::default(), unconfigured: true }
    }

    #[test]
    fn only_the_roles_that_listeners_need_run_and_the_queue_always_does() {
        use RoleName::*;
        let cases: [(&[ListenerRole], &[RoleName]); 4] = [
            (&[], &[Deliver, RelayOut]),
            (&[ListenerRole::Mx], &[Deliver, RelayOut, SmtpIn]),
            (&[ListenerRole::Pop3s], &[Auth, Deliver, RelayOut, Pop3]),
            (&[ListenerRole::Submissions], &[Auth, Deliver, RelayOut, Submission]),
        ];
        for (listeners, roles) in cases {
            assert_eq!(plan(listeners).roles(), roles);
        }
    }

    #[test]
    fn all_addresses_means_both_families_and_one_address_itself() {
        let every = listener(ListenerRole::Mx, "::");
        assert_eq!(addresses(&every, true).len(), 2);
        assert_eq!(addresses(&every, false), ["0.0.0.0:25".parse().unwrap()]);
        assert_eq!(addresses(&listener(ListenerRole::Mx, "::1"), false), ["[::1]:25".parse().unwrap()]);
    }

    #[test]
    fn a_role_gets_the_secrets_that_it_uses_and_no_other() {
        let mut plan = plan(&[]);
        plan.secrets.smart_host_password = Some("hunter2".into());
        let text = CertificateText { names: vec![], chain: "c".into(), key: "k".into() };
        plan.secrets.certificates = vec![text.clone()];
        plan.secrets.pair = Some(text);
        for role in RoleName::ALL {
            let secrets = plan.secrets_of(role);
            assert_eq!(secrets.smart_host_password.is_some(), role == RoleName::RelayOut);
            assert_eq!(secrets.pair.is_some(), role == RoleName::RelayOut);
            let shows = secrets.certificates.iter().any(|text| text.names == [PAIR_NAME]);
            assert_eq!(shows, role == RoleName::SmtpIn);
            assert_eq!(
                secrets.certificates.is_empty(),
                matches!(role, RoleName::RelayOut | RoleName::Deliver | RoleName::Auth)
            );
        }
    }
}
