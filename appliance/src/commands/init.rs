//! `bongsu init`: an annotated configuration, a first account, and the DNS records to set.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lib_account::Account;
use lib_mail::{Address, Domain};

use super::account;
use crate::cli::Init;
use crate::layout::{Layout, SETTINGS_FILE};
use crate::owner::act_as_owner;
use crate::plan::Plan;
use crate::tree;

/// The listeners of a node that may not open ports below 1024.
const HIGH_PORTS: &str = "\
[[listen]]
name = \"mx\"
port = 2525
role = \"mx\"

[[listen]]
name = \"submission\"
port = 2587
role = \"submission\"

[[listen]]
name = \"submissions\"
port = 2465
role = \"submissions\"
tls = \"implicit\"

[[listen]]
name = \"pop3\"
port = 2110
role = \"pop3\"

[[listen]]
name = \"pop3s\"
port = 2995
role = \"pop3s\"
tls = \"implicit\"
";

/// What was asked for, checked.
struct Wanted {
    domain: Domain,
    hostname: Domain,
    account: Address,
    high_ports: bool,
}

/// Writes everything, or says why not before anything is written.
pub(crate) fn run(layout: &Layout, init: &Init) -> Result<ExitCode> {
    if let Some(code) = act_as_owner(layout.data())? {
        return Ok(code);
    }
    let wanted = wanted(init)?;
    let file = layout.config().join(SETTINGS_FILE);
    if file.exists() && !init.force && !init.stdout {
        bail!("{} is there already; change it with an editor, or write over it with --force", file.display());
    }
    tree::prepare(layout)?;
    let text = settings_text(init, &wanted);
    if init.stdout {
        print!("{text}");
    } else {
        write_config(layout.config(), &text, &wanted)
            .with_context(|| format!("cannot write to {}", layout.config().display()))?;
        let layout = Layout::find(Some(layout.data()), Some(&file))?;
        if let Err(problems) = Plan::load(&layout) {
            bail!(problems.join("\n"));
        }
    }
    // Standard error for what is to be read, because standard output may be the settings file.
    let mut said = String::new();
    first_account(layout, &wanted, &mut said)?;
    // Writing into a String cannot fail.
    let _ = next_steps(layout, init, &wanted, &mut said);
    eprint!("{said}");
    Ok(ExitCode::SUCCESS)
}

fn wanted(init: &Init) -> Result<Wanted> {
    let domain: Domain =
        init.domain.parse().map_err(|_| anyhow::anyhow!("{:?} is no domain such as example.net", init.domain))?;
    if domain.literal().is_some() || !domain.as_str().contains('.') {
        bail!("--domain {domain}: give the full mail domain, such as example.net");
    }
    let hostname = init.hostname.clone().unwrap_or_else(|| format!("mail.{domain}"));
    let hostname: Domain =
        hostname.parse().map_err(|_| anyhow::anyhow!("{hostname:?} is no host name such as mail.{domain}"))?;
    let account = match &init.account {
        Some(account) => account::parse(account)?,
        None => Address::new("postmaster", &domain)?,
    };
    Ok(Wanted { domain, hostname, account, high_ports: !may_open(25) })
}

/// Whether this user may open that port.
fn may_open(port: u16) -> bool {
    let start = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok();
    let start = start.and_then(|text| text.trim().parse::<u16>().ok()).unwrap_or(1024);
    rustix::process::geteuid().is_root() || port >= start
}

fn settings_text(init: &Init, wanted: &Wanted) -> String {
    let quoted = |text: &str| format!("\"{text}\"");
    let profile = quoted(&init.profile);
    let hostname = quoted(wanted.hostname.as_str());
    let domain = quoted(wanted.domain.as_str());
    let local = format!("[{domain}]");
    let public: Vec<String> = init.address.iter().map(|address| quoted(&address.to_string())).collect();
    let public = format!("[{}]", public.join(", "));
    let mut set = vec![("profile", profile.as_str()), ("hostname", &hostname), ("default_domain", &domain)];
    if init.stdout {
        set.push(("domains.local", &local));
    }
    if !init.address.is_empty() {
        set.push(("relay.public_addresses", &public));
    }
    lib_settings::sample(&set, if wanted.high_ports { HIGH_PORTS } else { "" })
}

fn write_config(dir: &Path, settings: &str, wanted: &Wanted) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join(SETTINGS_FILE), settings)?;
    let maps = [
        ("local-host-names", format!("# Domains whose mailboxes are here, one a line.\n{}\n", wanted.domain)),
        ("relay-domains", "# Domains that we are the backup MX of, one a line, each with its subdomains.\n".into()),
        (
            "aliases",
            format!(
                "# name: address, address …   Read again within seconds of a change.\n\
                 {}MAILER-DAEMON: postmaster\nabuse: postmaster\nhostmaster: postmaster\nroot: postmaster\n",
                match wanted.account.local() {
                    "postmaster" => String::new(),
                    _ => format!("postmaster: {}\n", wanted.account),
                }
            ),
        ),
    ];
    for (name, text) in maps {
        let path = dir.join(name);
        if !path.exists() {
            std::fs::write(path, text)?;
        }
    }
    Ok(())
}

fn first_account(layout: &Layout, wanted: &Wanted, said: &mut String) -> Result<()> {
    let register = account::register(layout);
    let key = wanted.account.key();
    if register.list()?.iter().any(|account| account.key() == key) {
        let _ = writeln!(said, "account   {} is there already", wanted.account);
        return Ok(());
    }
    let password = lib_account::random_password();
    register.add(Account::new(wanted.account.clone()), &password)?;
    let _ = writeln!(said, "account   {}\npassword  {password}    (shown this once)", wanted.account);
    Ok(())
}

fn next_steps(layout: &Layout, init: &Init, wanted: &Wanted, said: &mut String) -> std::fmt::Result {
    let Wanted { domain, hostname, .. } = wanted;
    if !init.stdout {
        writeln!(said, "settings  {}", layout.config().join(SETTINGS_FILE).display())?;
    }
    writeln!(said, "\nDNS records to set:")?;
    if init.address.is_empty() {
        writeln!(said, "  {hostname}.  A    <the address of this host, as seen from outside>")?;
    }
    for address in &init.address {
        let kind = if address.is_ipv4() { "A   " } else { "AAAA" };
        writeln!(said, "  {hostname}.  {kind} {address}")?;
    }
    writeln!(said, "  {domain}.  MX   10 {hostname}.")?;
    writeln!(said, "  {domain}.  TXT  \"v=spf1 mx -all\"")?;
    writeln!(said, "  and let whoever gave you the address set its PTR record to {hostname}.")?;
    if wanted.high_ports {
        writeln!(said, "\nThis user may not open ports below 1024, so the settings name 2525, 2587, 2465, 2110 and 2995.")?;
    }
    if init.stdout {
        return writeln!(
            said,
            "\nNext: save what went to standard output as bongsu.toml in the configuration directory, and start the server."
        );
    }
    writeln!(said, "\nNext: bongsu check --data {0} && bongsu up --data {0}", layout.data().display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn init(dir: &Path, more: &[&str]) -> (Layout, Init) {
        use clap::Parser;
        let arguments = ["bongsu", "init", "--domain", "example.net"].iter().chain(more);
        let crate::cli::Command::Init(init) = crate::cli::Cli::parse_from(arguments).command else { panic!("init was given") };
        (Layout::find_new(Some(dir), None).unwrap(), init)
    }

    #[test]
    fn what_it_writes_loads_and_means_what_was_asked() {
        for more in [&[][..], &["--profile", "classic", "--address", "192.0.2.1", "--account", "kim@example.net"]] {
            let dir = tempfile::tempdir().unwrap();
            let (layout, init) = init(dir.path(), more);
            run(&layout, &init).unwrap();
            let layout = Layout::find(Some(dir.path()), None).unwrap();
            let plan = Plan::load(&layout).unwrap();
            assert!(!plan.unconfigured);
            assert_eq!(plan.settings.hostname.as_str(), "mail.example.net");
            assert_eq!(account::register(&layout).list().unwrap().len(), 1);
            assert!(run(&layout, &init).unwrap_err().to_string().contains("--force"));
        }
    }

    #[test]
    fn a_domain_that_is_none_is_refused_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let (layout, mut init) = init(dir.path(), &[]);
        for domain in ["", "net", "-", "a b.example"] {
            init.domain = domain.into();
            assert!(run(&layout, &init).is_err(), "{domain:?}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
