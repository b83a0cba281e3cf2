//! The files of a Postfix node: everything below one directory, nothing from the machine's own.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::Path;

use anyhow::Context;

use super::DAEMONS;
use super::maps::MAIL_OWNER;
use crate::Result;
use crate::node::port;
use crate::topology::NodePlan;

/// What makes a node this one and no other.
pub(super) struct Own<'a> {
    pub(super) dir: &'a Path,
    pub(super) host: &'a str,
    pub(super) address: IpAddr,
    pub(super) nameserver: IpAddr,
    /// Whether it is eager to try again, or as shipped.
    pub(super) shipped: bool,
}

/// The services of Postfix that a node needs: name, type, private, unprivileged, chroot, wake-up, most processes, command. As shipped, but for the
/// chroot, which would need copies of system files.
const SERVICES: &str = "\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";

/// The user that Postfix runs as, by number.
pub(super) fn owner_of_postfix() -> Result<u32> {
    let users = std::fs::read_to_string("/etc/passwd")?;
    let line = users.lines().find(|line| line.starts_with("postfix:")).context("SKIPPED: no user postfix")?;
    line.split(':').nth(2).and_then(|number| number.parse().ok()).with_context(|| format!("/etc/passwd has {line}"))
}

/// So that a failed attempt is followed by another within a second or two.
const EAGER: [(&str, &str); 6] = [
    ("queue_run_delay", "1s"),
    ("minimal_backoff_time", "1s"),
    ("maximal_backoff_time", "2s"),
    ("transport_retry_time", "1s"),
    ("service_throttle_time", "1s"),
    ("smtp_connect_timeout", "3s"),
];

/// `settings` come over what every node has: no limits for a client, since all come from a few addresses.
pub(super) fn main_cf(own: &Own<'_>, settings: &[(String, String)]) -> String {
    let Own { dir, host, address, .. } = own;
    let dir = dir.display();
    let every = [
        ("compatibility_level", "3.6".to_owned()),
        ("queue_directory", format!("{dir}/data/queue")),
        ("data_directory", format!("{dir}/lib")),
        ("daemon_directory", DAEMONS.into()),
        ("maillog_file", format!("{dir}/maillog")),
        ("maillog_file_prefixes", dir.to_string()),
        ("myhostname", (*host).into()),
        ("myorigin", (*host).into()),
        // It must be an address of an interface; where the node listens is in master.cf, and who it is, for loops of MX, the next two say.
        ("inet_interfaces", "127.0.0.1".into()),
        ("proxy_interfaces", address.to_string()),
        ("smtp_bind_address", address.to_string()),
        ("inet_protocols", "all".into()),
        ("mydestination", String::new()),
        ("mynetworks", String::new()),
        ("alias_maps", String::new()),
        ("alias_database", String::new()),
        ("smtpd_relay_restrictions", "reject_unauth_destination".into()),
        ("relay_domains", format!("{dir}/etc/relay-domains")),
        ("virtual_mailbox_domains", format!("{dir}/etc/local-host-names")),
        ("virtual_mailbox_base", format!("{dir}/data/mail")),
        ("virtual_mailbox_maps", format!("texthash:{dir}/etc/mailboxes")),
        ("virtual_alias_maps", format!("texthash:{dir}/etc/virtual")),
        ("virtual_uid_maps", format!("static:{MAIL_OWNER}")),
        ("virtual_gid_maps", format!("static:{MAIL_OWNER}")),
        ("virtual_mailbox_limit", "0".into()),
        ("message_size_limit", "50000000".into()),
        ("enable_long_queue_ids", "yes".into()),
        ("smtpd_client_connection_count_limit", "0".into()),
        ("smtpd_tls_security_level", "none".into()),
        ("smtp_tls_security_level", "none".into()),
    ];
    let eager = EAGER.map(|(name, value)| (name, value.to_owned()));
    let eager = if own.shipped { &[] } else { &eager[..] };
    let mut text = String::new();
    let overridden = |name: &str| settings.iter().any(|(known, _)| known == name);
    for (name, value) in every.iter().chain(eager).filter(|(name, _)| !overridden(name)) {
        let _ = writeln!(text, "{name} = {value}");
    }
    for (name, value) in settings {
        let _ = writeln!(text, "{name} = {value}");
    }
    text
}

/// Services and the door.
pub(super) fn master_cf(own: &Own<'_>) -> String {
    format!("{}:{} inet n - n - - smtpd\n{SERVICES}", own.address, port::MX)
}

/// The node's view of the name server, on port 53, as there is no other for the resolver library.
pub(super) fn resolv_conf(own: &Own<'_>) -> String {
    format!("nameserver {}\noptions timeout:1 attempts:2\n", own.nameserver)
}

/// Address and Maildir of each account.
pub(super) fn mailboxes(plan: &NodePlan) -> String {
    let domain = &plan.domain;
    plan.accounts.iter().map(|user| format!("{user}@{domain} {domain}/{user}/Maildir/\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_wins() {
        let own = Own {
            dir: Path::new("/tmp/x"),
            host: "a.office.example",
            address: "127.1.2.10".parse().unwrap(),
            nameserver: "127.1.2.200".parse().unwrap(),
            shipped: false,
        };
        let text = main_cf(&own, &[("message_size_limit".into(), "1000".into())]);
        assert_eq!(text.matches("message_size_limit").count(), 1);
        assert!(text.contains("\nmessage_size_limit = 1000\n") && text.contains("proxy_interfaces = 127.1.2.10\n"), "{text}");
        assert!(
            text.contains("queue_run_delay = 1s\n") && !main_cf(&Own { shipped: true, ..own }, &[]).contains("queue_run_delay")
        );
    }
}
