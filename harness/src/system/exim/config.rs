//! The configuration of an Exim node.

use std::net::IpAddr;
use std::path::Path;

use super::super::maps::MAIL_OWNER;
use super::super::settings::Own;
use crate::node::port;

/// Where all that leaves goes.
pub(super) const SMART_HOST: &str = "smart_host";

/// Options of a kind that `settings` do not name otherwise, as lines.
fn options(settings: &Own, of: &str, usual: &[(&str, &str)]) -> String {
    let own = |name: &str| settings.iter().find(|(known, _)| known.strip_prefix(of) == Some(name));
    let mut text = String::new();
    for (name, value) in usual.iter().filter(|(name, _)| own(name).is_none()) {
        text.push_str(&format!("{name} = {value}\n"));
    }
    for (name, value) in settings.iter().filter_map(|(name, value)| Some((name.strip_prefix(of)?, value))) {
        text.push_str(&format!("{name} = {value}\n"));
    }
    text
}

/// The schedule of Debian's configuration.
const SHIPPED_RETRY: &str = "F,2h,15m; G,16h,1h,1.5; F,4d,6h";

/// As shipped, but for what every node of a scenario has: no limits for a client, since all come from a few addresses, and a failed attempt is followed by
/// another within a second or two, unless it is measured as `shipped`.
pub(super) fn exim_conf(dir: &Path, host: &str, address: IpAddr, settings: &Own, shipped: bool) -> String {
    let (dir, mx) = (dir.display(), port::MX);
    let of = |name: &str, usual: &str| {
        settings.iter().find(|(known, _)| known == name).map_or_else(|| usual.to_owned(), |(_, value)| value.clone())
    };
    let retry = match shipped {
        true => SHIPPED_RETRY.to_owned(),
        false => format!("F,{},{}", of("retry.until", "5d"), of("retry.step", "1s")),
    };
    let usual = [("message_size_limit", "50M"), ("smtp_accept_max", "100"), ("delay_warning", "24h"), ("queue_run_max", "20")];
    let main = options(settings, "main.", &usual[..if shipped { 3 } else { 4 }]);
    let away = match settings.iter().find(|(name, _)| name == SMART_HOST) {
        Some((_, host)) => format!("driver = manualroute\nroute_list = * {host}\nself = send\n"),
        None => "driver = dnslookup\n".to_owned(),
    };
    // By TCP Fast Open it takes a host for connected before it is, and waits for it as long as for a reply.
    let client = options(settings, "smtp.", &[("connect_timeout", "3s"), ("hosts_try_fastopen", "")]);
    format!(
        "primary_hostname = {host}\n\
         spool_directory = {dir}/data/queue\n\
         log_file_path = {dir}/log/%slog\n\
         log_selector = +smtp_protocol_error +smtp_syntax_error -queue_run\n\
         timezone = UTC\n\
         pid_file_path = {dir}/log/exim.pid\n\
         keep_environment =\n\
         local_interfaces = {address}\n\
         daemon_smtp_ports = {mx}\n\
         domainlist local_domains = {dir}/etc/local-host-names\n\
         domainlist relay_domains = {dir}/etc/relay\n\
         host_lookup =\n\
         rfc1413_query_timeout = 0s\n\
         tls_advertise_hosts =\n\
         never_users = root\n\
         acl_smtp_rcpt = recipients\n\
         {main}\
         begin acl\n\
         recipients:\n\
         require domains = +local_domains : +relay_domains\n\
         message = relay not permitted\n\
         accept domains = +relay_domains\n\
         require verify = recipient\n\
         accept\n\
         begin routers\n\
         aliases:\n\
         driver = redirect\n\
         domains = +local_domains\n\
         data = ${{lookup{{$local_part@$domain}}lsearch{{{dir}/etc/virtual}}}}\n\
         mailboxes:\n\
         driver = accept\n\
         domains = +local_domains\n\
         address_data = ${{lookup{{$local_part@$domain}}lsearch{{{dir}/etc/mailboxes}}{{$value}}fail}}\n\
         transport = maildir\n\
         others:\n\
         {away}\
         domains = ! +local_domains\n\
         transport = smtp\n\
         no_more\n\
         begin transports\n\
         maildir:\n\
         driver = appendfile\n\
         directory = $address_data\n\
         maildir_format\n\
         create_directory\n\
         return_path_add\n\
         user = {MAIL_OWNER}\n\
         group = {MAIL_OWNER}\n\
         smtp:\n\
         driver = smtp\n\
         interface = {address}\n\
         port = {mx}\n\
         hosts_avoid_tls = *\n\
         {client}\
         begin retry\n\
         * * {retry}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::settings::named;

    #[test]
    fn a_setting_goes_to_its_section_and_wins() {
        let mut settings = named(&["smtp.connect_timeout", "smtp.final_timeout"], "7s");
        settings.extend(named(&["main.message_size_limit"], "1000"));
        settings.extend(named(&["retry.until"], "30m"));
        let text = exim_conf(Path::new("/n"), "b.office.example", "127.1.2.10".parse().unwrap(), &settings, false);
        let (main, rest) = text.split_once("begin acl\n").unwrap();
        assert!(main.contains("\nmessage_size_limit = 1000\n") && !main.contains("50M"), "{main}");
        assert!(
            main.contains("\nspool_directory = /n/data/queue\n") && main.contains("\nlocal_interfaces = 127.1.2.10\n"),
            "{main}"
        );
        assert!(!main.contains("timeout = 7s"), "{main}");
        let (_, transport) = rest.split_once("\nsmtp:\n").unwrap();
        let expected = "driver = smtp\ninterface = 127.1.2.10\nport = 2525\nhosts_avoid_tls = *\nhosts_try_fastopen = \nconnect_timeout = 7s\nfinal_timeout = 7s\nbegin retry\n* * F,30m,1s\n";
        assert_eq!(transport, expected);
        settings.extend(named(&[SMART_HOST], "192.0.2.1"));
        let shipped = exim_conf(Path::new("/n"), "b.office.example", "127.1.2.10".parse().unwrap(), &settings, true);
        assert!(text.contains("others:\ndriver = dnslookup\ndomains") && text.contains("queue_run_max"), "{text}");
        assert!(shipped.contains("others:\ndriver = manualroute\nroute_list = * 192.0.2.1\nself = send\ndomains"), "{shipped}");
        assert!(shipped.ends_with("* * F,2h,15m; G,16h,1h,1.5; F,4d,6h\n") && !shipped.contains("queue_run_max"), "{shipped}");
        assert!(rest.contains("data = ${lookup{$local_part@$domain}lsearch{/n/etc/virtual}}\n"), "{rest}");
    }
}
