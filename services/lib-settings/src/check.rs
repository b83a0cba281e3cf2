//! What no single declaration can say: settings that do not fit each other, and what follows from several of them.

use figment::value::Value;
use lib_mail::Domain;

use crate::document::declarations;
use crate::read::Reader;
use crate::{Declaration, Extension, ListenerRole, ListenerTls, Reload, Settings, Shape};

impl Settings {
    /// The domain of a name that is written without one.
    pub fn default_domain(&self) -> Domain {
        let parent = || {
            let (_, parent) = self.hostname.as_str().split_once('.')?;
            parent.parse::<Domain>().ok().filter(|domain| domain.as_str().contains('.'))
        };
        self.default_domain.clone().or_else(parent).unwrap_or_else(|| self.hostname.clone())
    }

    /// The largest message that any listener takes.
    pub fn largest_message(&self) -> u64 {
        self.smtp.message_size_limit.0.max(self.smtp.submission_size_limit.0)
    }

    /// The settings that differ in `new` and count only after a restart, by their names: `bongsu reload` tells them.
    pub fn restart_needed(&self, new: &Settings) -> Vec<String> {
        let values = |settings: &Settings| Value::serialize(settings).ok();
        let (Some(old), Some(new)) = (values(self), values(new)) else { return Vec::new() };
        let restart = |field: &Declaration| field.reload == Reload::Restart && !matches!(field.shape, Shape::Group(_));
        let settings = declarations().into_iter().filter(|(key, field)| !key.contains('[') && restart(field));
        settings.map(|(key, _)| key).filter(|key| old.find_ref(key) != new.find_ref(key)).collect()
    }

    pub(crate) fn check(&self, reader: &mut Reader<'_>) {
        self.check_hostname(reader);
        self.check_listeners(reader);
        self.check_pair(reader);
        let smart_host = &self.relay.smart_host;
        if smart_host.user.is_some() != smart_host.password_file.is_some() {
            refuse(reader, "relay.smart_host.user", "and password_file belong together: give both or none");
        }
        for (index, route) in self.relay.routes.iter().enumerate() {
            let at = format!("relay.routes[{index}]");
            if route.domains.is_empty() {
                refuse(reader, &at, "names no domains; it needs a list, such as domains = [\"example.com\"]");
            }
            if route.user.is_some() != route.password_file.is_some() {
                refuse(reader, &at, "has user or password_file; they belong together: give both or none");
            }
            if route.user.is_some() && route.host.is_none() {
                refuse(reader, &at, "has a user but no host: a password goes to one named server only");
            }
            if route.port.is_some() && route.host.is_none() {
                refuse(reader, &at, "has a port but no host; the servers of a domain are reached by relay.port");
            }
        }
        if self.queue.warn_after >= self.queue.return_after {
            refuse(reader, "queue.warn_after", "is not before queue.return_after: nobody would be warned");
        }
        if self.smtp.offers(Extension::Smtputf8) && !self.smtp.offers(Extension::EightBitMime) {
            refuse(reader, "smtp.extensions", "has smtputf8 without 8bitmime, which belongs to it (RFC 6531 §3.1)");
        }
        if self.queue.retry.is_empty() {
            refuse(reader, "queue.retry", "is empty; it needs at least one duration, such as 30m");
        }
        if self.queue.bounce_sender.is_empty()
            || !self.queue.bounce_sender.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        {
            refuse(reader, "queue.bounce_sender", "is a mailbox name of letters, digits and hyphens, such as MAILER-DAEMON");
        }
        for (index, certificate) in self.tls.certificates.iter().enumerate() {
            if certificate.chain_file.as_os_str().is_empty() || certificate.key_file.as_os_str().is_empty() {
                refuse(reader, &format!("tls.certificates[{index}]"), "needs both chain_file and key_file");
            }
        }
    }

    /// `localhost` or a container's id in EHLO makes other servers refuse our mail, so neither is taken.
    fn check_hostname(&self, reader: &mut Reader<'_>) {
        let name = self.hostname.as_str();
        let what = if self.hostname.literal().is_some() {
            "is a name, not an address".to_owned()
        } else if !name.is_ascii() {
            // RFC 6531 §3.7.1: greetings and EHLO come before anybody can say that it knows other letters.
            format!("goes to hosts that know no such letters; write {}", self.hostname.key())
        } else if !name.contains('.') || name.to_ascii_lowercase().starts_with("localhost.") {
            "is not the full name of this host, such as mail.example.net".to_owned()
        } else {
            return;
        };
        refuse(reader, "hostname", &format!("= {name} {what}"));
    }

    fn check_pair(&self, reader: &mut Reader<'_>) {
        let pair = &self.pair;
        if pair.certificate_file.is_some() != pair.key_file.is_some() {
            refuse(reader, "pair.certificate_file", "and key_file belong together: give both or none");
        }
        if !pair.peers.is_empty() && pair.key_file.is_none() {
            refuse(reader, "pair.peers", "need pair.certificate_file and pair.key_file; `bongsu pair new` makes them");
        }
        for (index, peer) in pair.peers.iter().enumerate() {
            let at = format!("pair.peers[{index}]");
            let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
            if peer.name.is_empty() || peer.name.len() > 200 || peer.name.starts_with('.') || !peer.name.chars().all(fits) {
                refuse(
                    reader,
                    &format!("{at}.name"),
                    &format!("= {:?} is no name of letters, digits, hyphens and dots", peer.name),
                );
            }
            if pair.peers[..index].iter().any(|earlier| earlier.name == peer.name) {
                refuse(reader, &format!("{at}.name"), &format!("= {}: another peer has this name", peer.name));
            }
            if peer.pinned().is_none() {
                refuse(reader, &format!("{at}.fingerprint"), "is not 64 hexadecimal digits, as `bongsu pair new` prints them");
            } else if pair.peers[..index].iter().any(|earlier| earlier.pinned() == peer.pinned()) {
                refuse(reader, &format!("{at}.fingerprint"), "is that of another peer; each node has a key of its own");
            }
            let ours = |domain: &&Domain| self.domains.local.contains(domain) || self.default_domain() == **domain;
            if let Some(domain) = peer.domains.iter().find(ours) {
                let what =
                    format!("has {domain}, which is this node's own by domains.local or default_domain; a backup has another");
                refuse(reader, &format!("{at}.domains"), &what);
            }
            if peer.host.is_none() && peer.domains.is_empty() {
                refuse(reader, &at, "needs a host, or domains whose MX hosts lead to it");
            }
        }
    }

    fn check_listeners(&self, reader: &mut Reader<'_>) {
        for (index, listener) in self.listen.iter().enumerate() {
            let at = format!("listen[{index}]");
            if listener.name.is_empty() {
                refuse(reader, &at, "has no name");
            }
            for earlier in &self.listen[..index] {
                if earlier.name == listener.name {
                    refuse(reader, &format!("{at}.name"), &format!("= {}: another listener has this name", listener.name));
                }
                if (earlier.address, earlier.port) == (listener.address, listener.port) {
                    refuse(
                        reader,
                        &format!("{at}.port"),
                        &format!("= {}: listener {} has this address and port", listener.port, earlier.name),
                    );
                }
            }
            let implicit = matches!(listener.role, ListenerRole::Submissions | ListenerRole::Pop3s);
            if implicit != (listener.tls == ListenerTls::Implicit) {
                let wanted = if implicit { "implicit" } else { "starttls or none" };
                refuse(
                    reader,
                    &format!("{at}.tls"),
                    &format!("= {} does not fit role {}; it needs {wanted}", listener.tls, listener.role),
                );
            }
        }
    }
}

fn refuse(reader: &mut Reader<'_>, key: &str, what: &str) {
    let _: Option<()> = reader.refuse(key, None, what.to_owned());
}
