//! The configurations of all nodes of a pair, from one description.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lib_mail::Domain;
use lib_settings::CertificateText;

use crate::cli::PairNew;
use crate::layout::SETTINGS_FILE;

/// The files of a node's key.
const CHAIN: &str = "pair.crt";
const KEY: &str = "pair.key";

/// A node that is to be.
struct Node {
    host: Domain,
    /// Where its peers reach it.
    reach: (String, u16),
    key: CertificateText,
    fingerprint: String,
}

/// Writes everything, or says why not before anything is written.
pub(super) fn run(wanted: &PairNew) -> Result<ExitCode> {
    let domains = wanted.domain.iter().map(|domain| name(domain)).collect::<Result<Vec<Domain>>>()?;
    let mut nodes: Vec<Node> = Vec::new();
    for host in std::iter::once(&wanted.primary).chain(&wanted.secondary) {
        let node = node(host, &wanted.reach)?;
        if nodes.iter().any(|other| other.host == node.host) {
            bail!("{host} is named twice; each node has a host name of its own");
        }
        if domains.contains(&node.host) {
            bail!("{host} is the host and the mail domain; give the host a name of its own, such as mx1.{host}");
        }
        nodes.push(node);
    }
    for reach in &wanted.reach {
        if !nodes.iter().any(|node| reach.split('=').next() == Some(node.host.as_str())) {
            bail!("--reach {reach}: no node has that name");
        }
    }
    if let Some(there) = nodes.iter().map(|node| wanted.out.join(node.host.as_str())).find(|dir| dir.exists()) {
        bail!("{} is there already; name another directory with --out, or remove it", there.display());
    }
    for (place, node) in nodes.iter().enumerate() {
        let text = if place == 0 { primary(node, &nodes[1..], &domains) } else { secondary(node, &nodes[0], &domains) };
        let dir = wanted.out.join(node.host.as_str());
        write(&dir, node, &text, &domains, place == 0).with_context(|| format!("cannot write to {}", dir.display()))?;
    }
    print!("{}", next_steps(&nodes, &domains, &wanted.out));
    Ok(ExitCode::SUCCESS)
}

fn name(text: &str) -> Result<Domain> {
    match text.parse::<Domain>() {
        Ok(domain) if domain.literal().is_none() && domain.as_str().contains('.') => Ok(domain),
        _ => bail!("{text:?} is no full name, such as mx1.example.net for a host or example.net for a mail domain"),
    }
}

fn node(host: &str, reach: &[String]) -> Result<Node> {
    let host = name(host)?;
    let made = rcgen::generate_simple_self_signed([host.key()]).context("cannot make a certificate")?;
    let key = CertificateText { names: Vec::new(), chain: made.cert.pem(), key: made.signing_key.serialize_pem() };
    let fingerprint = lib_net::pin::fingerprint(&key).map_err(anyhow::Error::msg)?;
    let given = reach.iter().find_map(|reach| reach.strip_prefix(host.as_str())?.strip_prefix('='));
    let reach = given.map_or(Ok((host.to_string(), 25)), place)?;
    Ok(Node { host, reach, key, fingerprint })
}

/// `mx1.internal`, `mx1.internal:2525`, `[192.0.2.1]`, `[192.0.2.1]:2525`.
fn place(text: &str) -> Result<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
        _ => (text, Some(25)),
    };
    match (host.parse::<Domain>(), port) {
        (Ok(host), Some(port)) if port > 0 => Ok((host.to_string(), port)),
        _ => bail!("{text:?} is no place such as mx1.internal, mx1.internal:2525 or [192.0.2.1]:2525"),
    }
}

fn list(domains: &[Domain]) -> String {
    let quoted: Vec<String> = domains.iter().map(|domain| format!("\"{domain}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

fn primary(node: &Node, backups: &[Node], domains: &[Domain]) -> String {
    let first = domains.first().map(ToString::to_string).unwrap_or_default();
    let mut text = format!(
        "# The primary of a pair, made by `bongsu pair new`. `bongsu check` says what is wrong with this file.\n\
         hostname = \"{}\"\ndefault_domain = \"{first}\"\n\n[domains]\nlocal = {}\n",
        node.host,
        list(domains)
    );
    own(&mut text);
    backups.iter().for_each(|backup| peer(&mut text, backup, None));
    text
}

fn secondary(node: &Node, first: &Node, domains: &[Domain]) -> String {
    let mut text = format!(
        "# A backup of a pair, made by `bongsu pair new`. `bongsu check` says what is wrong with this file.\n\
         hostname = \"{0}\"\n# Not the primary's domain: that would make mailboxes of it here.\ndefault_domain = \"{0}\"\n",
        node.host
    );
    own(&mut text);
    peer(&mut text, first, Some(domains));
    text
}

// Writing into a String cannot fail.
fn own(text: &mut String) {
    let _ = write!(text, "\n[pair]\ncertificate_file = \"{CHAIN}\"\nkey_file = \"{KEY}\"\n");
}

fn peer(text: &mut String, peer: &Node, domains: Option<&[Domain]>) {
    let (host, port) = &peer.reach;
    let _ = write!(text, "\n[[pair.peers]]\nname = \"{}\"\nhost = \"{host}\"\n", peer.host);
    if *port != 25 {
        let _ = writeln!(text, "port = {port}");
    }
    let _ = writeln!(text, "fingerprint = \"{}\"", peer.fingerprint);
    if let Some(domains) = domains {
        let _ = writeln!(text, "domains = {}", list(domains));
    }
}

fn write(dir: &Path, node: &Node, settings: &str, domains: &[Domain], is_primary: bool) -> Result<()> {
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join(SETTINGS_FILE), settings)?;
    std::fs::write(dir.join(CHAIN), &node.key.chain)?;
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(dir.join(KEY))?;
    file.write_all(node.key.key.as_bytes())?;
    if is_primary {
        let lines: String = domains.iter().map(|domain| format!("{domain}\n")).collect();
        std::fs::write(dir.join("local-host-names"), format!("# Domains whose mailboxes are here, one a line.\n{lines}"))?;
        std::fs::write(
            dir.join("aliases"),
            "# name: address, address …   Read again within seconds of a change.\nMAILER-DAEMON: postmaster\nabuse: postmaster\n",
        )?;
    }
    Ok(())
}

fn next_steps(nodes: &[Node], domains: &[Domain], out: &Path) -> String {
    let mut text = String::from("Set these DNS records:\n");
    for domain in domains {
        for (place, node) in nodes.iter().enumerate() {
            let preference = if place == 0 { 10 } else { 20 };
            let _ = writeln!(text, "  {domain}.  MX  {preference} {}.", node.host);
        }
    }
    for node in nodes {
        let _ = writeln!(text, "  {0}.  A  its address        and the PTR record of that address: {0}", node.host);
    }
    let _ = writeln!(text, "Then, on each node:");
    for node in nodes {
        let _ = writeln!(
            text,
            "  {0}: put {1}/{0}/ in place as its configuration (/etc/bongsu); where it has one already, copy pair.crt and pair.key\n    \
             and the section [pair] of bongsu.toml into it. The key is secret: let only the server's user read it.",
            node.host,
            out.display()
        );
    }
    let _ = writeln!(text, "  bongsu check && bongsu up        then: bongsu pair status");
    text
}

#[cfg(test)]
mod tests {
    use crate::commands::settings;
    use crate::layout::Layout;
    use crate::plan::Plan;

    use super::*;

    fn wanted(out: &Path) -> PairNew {
        PairNew {
            domain: vec!["example.net".into(), "example.org".into()],
            primary: "mx1.example.net".into(),
            secondary: vec!["mx2.example.net".into(), "mx3.example.net".into()],
            reach: vec!["mx1.example.net=[127.0.0.1]:2525".into()],
            out: out.to_owned(),
        }
    }

    #[test]
    fn what_is_written_is_a_pair() {
        let dir = tempfile::tempdir().unwrap();
        run(&wanted(dir.path())).unwrap();
        let load = |host: &str| {
            let file = dir.path().join(host).join(SETTINGS_FILE);
            let layout = Layout::find(Some(&dir.path().join("data")), Some(&file)).unwrap();
            let plan = Plan::load(&layout).unwrap();
            let own = lib_net::pin::fingerprint(plan.secrets.pair.as_ref().unwrap()).unwrap();
            (settings(&layout).unwrap(), own)
        };
        let nodes = ["mx1.example.net", "mx2.example.net", "mx3.example.net"].map(load);
        let peers = |index: usize| -> Vec<_> {
            let peers = &nodes[index].0.pair.peers;
            peers.iter().map(|peer| (peer.name.as_str(), peer.pinned().unwrap(), peer.domains.len(), peer.port)).collect()
        };
        assert_eq!(peers(0), [("mx2.example.net", nodes[1].1.clone(), 0, 25), ("mx3.example.net", nodes[2].1.clone(), 0, 25)]);
        for secondary in [1, 2] {
            assert_eq!(peers(secondary), [("mx1.example.net", nodes[0].1.clone(), 2, 2525)]);
        }
        use std::os::unix::fs::MetadataExt;
        assert_eq!(std::fs::metadata(dir.path().join("mx1.example.net").join(KEY)).unwrap().mode() & 0o077, 0);
        let error = run(&wanted(dir.path())).unwrap_err().to_string();
        assert!(error.contains("is there already"), "{error}");
    }

    #[test]
    fn a_description_that_makes_no_pair_is_refused_before_anything_is_written() {
        let dir = tempfile::tempdir().unwrap();
        for (change, want) in [
            ((|wanted: &mut PairNew| wanted.secondary.push("mx1.example.net".into())) as fn(&mut PairNew), "named twice"),
            (|wanted| wanted.primary = "example.net".into(), "the host and the mail domain"),
            (|wanted| wanted.primary = "mx1".into(), "is no full name"),
            (|wanted| wanted.domain = vec!["[192.0.2.1]".into()], "is no full name"),
            (|wanted| wanted.reach = vec!["mx9.example.net=x.example".into()], "no node has that name"),
            (|wanted| wanted.reach = vec!["mx1.example.net=x.example:0".into()], "is no place"),
        ] {
            let mut wanted = wanted(&dir.path().join("out"));
            change(&mut wanted);
            let error = run(&wanted).unwrap_err().to_string();
            assert!(error.contains(want), "{want}: {error}");
        }
        assert!(!dir.path().join("out").exists());
        for (text, want) in
            [("mx.internal", 25), ("[192.0.2.1]:2525", 2525), ("[IPv6:2001:db8::1]", 25), ("[IPv6:2001:db8::1]:26", 26)]
        {
            assert_eq!(place(text).unwrap().1, want, "{text}");
        }
    }
}
