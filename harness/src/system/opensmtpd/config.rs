//! The configuration of an OpenSMTPD node.

use std::net::IpAddr;
use std::path::Path;

use super::super::settings::Own;
use crate::node::port;

/// The tables that it reads from files of the same names, which may change.
pub(super) const TABLES: [&str; 4] = ["domains", "relayed", "recipients", "accounts"];

/// Where all that leaves goes.
pub(super) const SMART_HOST: &str = "smart_host";

/// As shipped, but for the tables and the door.
pub(super) fn smtpd_conf(dir: &Path, host: &str, address: IpAddr, settings: &Own) -> String {
    let (dir, mx) = (dir.display(), port::MX);
    let mut text = String::new();
    for (name, value) in settings.iter().filter(|(name, _)| !["ttl", SMART_HOST].contains(&name.as_str())) {
        text.push_str(&format!("{name} {value}\n"));
    }
    let ttl = settings.iter().find(|(name, _)| name == "ttl").map_or_else(String::new, |(_, value)| format!(" ttl {value}"));
    let smart_host = settings.iter().find(|(name, _)| name == SMART_HOST).map(|(_, host)| format!(" host smtp://{host}"));
    let backup = smart_host.clone().unwrap_or_else(|| format!(" backup mx {host}"));
    let others = smart_host.unwrap_or_default();
    for table in TABLES {
        text.push_str(&format!("table {table} file:{dir}/etc/{table}\n"));
    }
    text.push_str(&format!(
        "listen on {address} port {mx} hostname {host}\n\
         action \"local\" maildir \"%{{user.directory}}/Maildir\" virtual <recipients> userbase <accounts>{ttl}\n\
         action \"backup\" relay{backup} src {address} helo {host}{ttl}\n\
         action \"others\" relay{others} src {address} helo {host}{ttl}\n\
         match from any for domain <domains> action \"local\"\n\
         match from any for domain <relayed> action \"backup\"\n\
         match from local for any action \"others\"\n"
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::settings::named;

    #[test]
    fn settings_come_first_and_the_deadline_goes_to_each_action() {
        let mut settings = named(&["ttl"], "30m");
        settings.extend(named(&["smtp max-message-size"], "1000"));
        let text = smtpd_conf(Path::new("/n"), "b.office.example", "127.1.2.10".parse().unwrap(), &settings);
        assert!(text.starts_with("smtp max-message-size 1000\ntable domains file:/n/etc/domains\n"), "{text}");
        assert_eq!(text.matches(" ttl 30m\n").count(), 3);
        assert!(
            text.contains("\"backup\" relay backup mx b.office.example src") && text.contains("\"others\" relay src"),
            "{text}"
        );
        settings.extend(named(&[SMART_HOST], "192.0.2.1"));
        let away = smtpd_conf(Path::new("/n"), "b.office.example", "127.1.2.10".parse().unwrap(), &settings);
        assert_eq!(away.matches(" relay host smtp://192.0.2.1 src 127.1.2.10 ").count(), 2, "{away}");
        assert!(text.contains("\nlisten on 127.1.2.10 port 2525 hostname b.office.example\n"), "{text}");
        assert!(text.contains("maildir \"%{user.directory}/Maildir\" virtual <recipients> userbase <accounts> ttl"), "{text}");
    }
}
