//! A network of mail servers as data: nodes and what runs on each, zones with their MX preferences, block lists, sizes of volumes.
//!
//! One file serves both drivers, the generated compose files and the reports. Nothing in it names an address: the driver draws those.

mod smart_host;

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::Result;

pub(crate) use smart_host::Doors;
pub use smart_host::SmartHost;

/// Most nodes of a topology: each pair of them has a link with an address of its own.
pub const MAX_NODES: usize = 9;

/// A network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Its name: `three-mx`.
    pub name: String,
    /// What it is good for, one sentence.
    pub about: String,
    /// Settings of every bongsu node, as TOML lines with dotted keys.
    #[serde(default)]
    pub settings: String,
    /// Whether a setting that nobody sets is as its maker ships it, for a measurement. Else failed mail is tried again within seconds. A client
    /// is not limited either way.
    #[serde(default)]
    pub shipped: bool,
    /// The servers.
    #[serde(rename = "node")]
    pub nodes: Vec<NodePlan>,
    /// Zones that the name server answers for.
    #[serde(default, rename = "zone")]
    pub zones: Vec<Zone>,
    /// Block lists that the name server answers for.
    #[serde(default, rename = "list")]
    pub lists: Vec<BlockList>,
}

/// A server program that a node can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SystemKind {
    /// The product.
    Bongsu,
    /// Postfix, with Dovecot where the node has mailboxes.
    Postfix,
    /// Exim, with Dovecot where the node has mailboxes.
    Exim,
    /// OpenSMTPD, with Dovecot where the node has mailboxes.
    #[value(name = "opensmtpd")]
    OpenSmtpd,
}

impl SystemKind {
    /// Its name in topologies, on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            SystemKind::Bongsu => "bongsu",
            SystemKind::Postfix => "postfix",
            SystemKind::Exim => "exim",
            SystemKind::OpenSmtpd => "opensmtpd",
        }
    }
}

fn bongsu() -> SystemKind {
    SystemKind::Bongsu
}

/// A server of the network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodePlan {
    /// Its name: `primary`. Its host name is this before the topology's first zone, unless `host` says otherwise.
    pub name: String,
    /// What it is there, for people: `primary MX, preference 10`.
    #[serde(default)]
    pub part: String,
    /// What runs on it.
    #[serde(default = "bongsu")]
    pub system: SystemKind,
    /// Its host name.
    #[serde(default)]
    pub host: Option<String>,
    /// The domain whose mailboxes it has; empty: none but those of its own host name.
    #[serde(default)]
    pub domain: String,
    /// Domains that it relays for: that makes it a backup MX.
    #[serde(default)]
    pub relay_domains: Vec<String>,
    /// Local parts of its accounts; the password of each is `secret-` and the local part.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// The node that takes all its mail for other domains; `None`: it goes to each domain's MX.
    #[serde(default)]
    pub smart_host: Option<SmartHost>,
    /// The text of its aliases file.
    #[serde(default)]
    pub aliases: String,
    /// Its settings, as TOML lines with dotted keys; a node of another make takes those that it has something like.
    #[serde(default)]
    pub settings: String,
    /// MiB of its data volume; `None` is as large as the disk.
    #[serde(default)]
    pub volume: Option<u64>,
    /// Inodes of that volume.
    #[serde(default)]
    pub inodes: Option<u64>,
    /// MiB of a volume of its own for its mailboxes.
    #[serde(default)]
    pub mail_volume: Option<u64>,
    /// What makes it one of a backup-MX pair; made for a run by [`Topology::paired`].
    #[serde(skip)]
    pub pair: Option<crate::pair::Pair>,
    /// Whether its queue clock can be set (`testing.clock`).
    #[serde(default)]
    pub clock: bool,
}

/// A zone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// The domain.
    pub domain: String,
    /// Its MX records: preference and node, or preference and a host name with a dot in it.
    #[serde(default)]
    pub mx: Vec<(u16, String)>,
    /// Other records, as `name TYPE data` lines.
    #[serde(default)]
    pub records: Vec<String>,
}

/// A block list (RFC 5782).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockList {
    /// The zone: `bl.example`.
    pub zone: String,
    /// Listed address → codes.
    #[serde(default)]
    pub listed: BTreeMap<String, Vec<String>>,
}

/// The topologies that come with the harness.
pub const SHIPPED: [(&str, &str); 5] = [
    ("single", include_str!("../topologies/single.toml")),
    ("pair", include_str!("../topologies/pair.toml")),
    ("three-mx", include_str!("../topologies/three-mx.toml")),
    ("lab", include_str!("../topologies/lab.toml")),
    ("smart-host", include_str!("../topologies/smart-host.toml")),
];

impl Topology {
    /// Reads a topology and checks that its parts fit together.
    pub fn parse(text: &str) -> Result<Topology> {
        let topology: Topology = toml::from_str(text)?;
        topology.check().with_context(|| format!("topology {}", topology.name))?;
        Ok(topology)
    }

    /// One that comes with the harness, by its name.
    pub fn shipped(name: &str) -> Result<Topology> {
        let known = SHIPPED.map(|(name, _)| name).join(", ");
        let (_, text) = SHIPPED
            .iter()
            .find(|(known, _)| *known == name)
            .with_context(|| format!("no topology {name}; there are {known}"))?;
        Topology::parse(text)
    }

    /// One that comes with the harness, or a file.
    pub fn open(name: &str) -> Result<Topology> {
        if !name.ends_with(".toml") {
            return Topology::shipped(name);
        }
        let text = std::fs::read_to_string(name).with_context(|| name.to_owned())?;
        Topology::parse(&text).with_context(|| name.to_owned())
    }

    /// The same with these settings too, of every bongsu node.
    #[must_use]
    pub fn with(mut self, settings: &str) -> Topology {
        self.settings.push_str(settings);
        self.settings.push('\n');
        self
    }

    /// The same with one node changed; what comes of it must fit together.
    pub fn edit(mut self, name: &str, edit: impl FnOnce(&mut NodePlan)) -> Result<Topology> {
        let index = self.index(name)?;
        edit(&mut self.nodes[index]);
        self.check()?;
        Ok(self)
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.nodes.is_empty(), "it has no node");
        ensure!(self.nodes.len() <= MAX_NODES, "it has over {MAX_NODES} nodes");
        let word = |name: &str| !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
        for (at, node) in self.nodes.iter().enumerate() {
            ensure!(word(&node.name), "`{}` is no name for a node: letters, digits and - only", node.name);
            ensure!(node.name != "client", "a node cannot be named client: that is who sends");
            ensure!(self.nodes.iter().position(|other| other.name == node.name) == Some(at), "two nodes named {}", node.name);
            ensure!(node.accounts.is_empty() || !node.domain.is_empty(), "{} has accounts but no domain", node.name);
            node.smart_host.iter().try_for_each(|smart| smart.check(node, self))?;
        }
        for (preference, host) in self.zones.iter().flat_map(|zone| &zone.mx) {
            let known = host.contains('.') || self.nodes.iter().any(|node| node.name == *host);
            ensure!(known, "MX {preference} {host}: no node has this name");
        }
        Ok(())
    }

    /// The position of a node.
    pub fn index(&self, name: &str) -> Result<usize> {
        let names = || self.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>().join(", ");
        self.nodes.iter().position(|node| node.name == name).with_context(|| format!("no node {name}; there are {}", names()))
    }

    /// The host name of a node.
    pub fn host(&self, node: &NodePlan) -> String {
        let base = self.zones.first().map_or(node.domain.as_str(), |zone| zone.domain.as_str());
        node.host.clone().unwrap_or_else(|| format!("{}.{base}", node.name))
    }

    /// The addresses of all mailboxes of the node named `name`.
    pub fn mailboxes(&self, name: &str) -> Vec<String> {
        let of_node = |node: &NodePlan| node.accounts.iter().map(|user| format!("{user}@{}", node.domain)).collect();
        self.nodes.iter().find(|node| node.name == name).map(of_node).unwrap_or_default()
    }

    /// The node that has this mailbox's domain.
    pub fn home(&self, mailbox: &str) -> Result<&NodePlan> {
        let (_, domain) = mailbox.rsplit_once('@').context("a mailbox is an address")?;
        self.nodes.iter().find(|node| node.domain.eq_ignore_ascii_case(domain)).with_context(|| format!("nobody has {domain}"))
    }

    /// The mailboxes, or addresses outside, that a recipient leads to through the aliases of the node that has its domain; itself
    /// where no alias is involved. A loop ends where it began.
    pub fn finals(&self, recipient: &str) -> Vec<String> {
        let (mut todo, mut seen, mut finals) = (vec![recipient.to_owned()], Vec::new(), Vec::new());
        while let Some(address) = todo.pop() {
            if seen.contains(&address) {
                continue;
            }
            match self.alias(&address) {
                Some(targets) => todo.extend(targets.into_iter().rev()),
                None => finals.push(address.clone()),
            }
            seen.push(address);
        }
        finals
    }

    fn alias(&self, address: &str) -> Option<Vec<String>> {
        let (local, domain) = address.rsplit_once('@')?;
        let node = self.nodes.iter().find(|node| node.domain.eq_ignore_ascii_case(domain))?;
        let (_, targets) = (node.aliases.lines().filter_map(|line| line.split_once(':')))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case(local) || name.trim().eq_ignore_ascii_case(address))?;
        let full = |target: &str| if target.contains('@') { target.to_owned() } else { format!("{target}@{}", node.domain) };
        Some(targets.split(',').map(|target| full(target.trim())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_topology_is_right() {
        for (name, _) in SHIPPED {
            assert_eq!(Topology::shipped(name).unwrap().name, name);
        }
    }

    #[test]
    fn mistakes_are_named() {
        let node = "[[node]]\nname = \"a\"\ndomain = \"a.example\"\n";
        for (more, says) in [
            (node, "two nodes named a"),
            ("[[node]]\nname = \"b c\"\n", "`b c` is no name"),
            ("[[node]]\nname = \"b\"\naccounts = [\"x\"]\n", "no domain"),
            ("[[zone]]\ndomain = \"z.example\"\nmx = [[10, \"nobody\"]]\n", "no node has this name"),
            ("[[node]]\nname = \"b\"\ncolour = 1\n", "colour"),
        ] {
            let error = Topology::parse(&format!("name = \"t\"\nabout = \"\"\n{node}{more}")).unwrap_err();
            assert!(format!("{error:#}").contains(says), "{error:#}");
        }
    }

    #[test]
    fn a_network_is_changed_and_checked_again() {
        let changed = Topology::shipped("pair").unwrap().with("a.b = 1").edit("primary", |node| node.clock = true).unwrap();
        assert!(changed.settings.ends_with("a.b = 1\n") && changed.nodes[0].clock && !changed.nodes[1].clock);
        assert_eq!(changed.home("minji@office.example").unwrap().name, "primary");
        let error = changed.edit("secondary", |node| node.name = "primary".into()).unwrap_err();
        assert!(error.to_string().contains("two nodes"), "{error:#}");
    }

    #[test]
    fn aliases_lead_to_their_ends() {
        let text = "name = \"t\"\nabout = \"\"\n[[node]]\nname = \"a\"\ndomain = \"a.example\"\n\
                    aliases = \"team: minji, all\\nall: sora, far@b.example\\nround: round\\n\"\n";
        let topology = Topology::parse(text).unwrap();
        assert_eq!(topology.finals("team@a.example"), ["minji@a.example", "sora@a.example", "far@b.example"]);
        assert_eq!(topology.finals("x@b.example"), ["x@b.example"]);
        assert_eq!(topology.finals("round@a.example"), Vec::<String>::new());
    }
}
