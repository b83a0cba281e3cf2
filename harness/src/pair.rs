//! Backup-MX pairs in a topology: keys made for one run, and the settings that name them.

use anyhow::Context;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use sha2::{Digest, Sha256};

use crate::Result;
use crate::topology::{SmartHost, Topology};

/// What makes a node one of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair {
    /// Its certificate, in PEM.
    pub chain: String,
    /// Its key, in PEM.
    pub key: String,
    /// The SHA-256 of the certificate, in hexadecimal.
    pub fingerprint: String,
    /// The other nodes.
    pub peers: Vec<Peer>,
    /// Further settings, as TOML lines with dotted keys.
    pub settings: String,
}

/// Another node of a pair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its name in the topology.
    pub name: String,
    /// The fingerprint that it must have.
    pub fingerprint: String,
    /// The domains that it is primary for.
    pub domains: Vec<String>,
}

/// How often a list is fetched and a peer that is away is tried, for people who wait.
const QUICK: &str = "pair.fetch_interval = \"1s\"\npair.probe_interval = \"1s\"\n";

impl Pair {
    /// A new key, and no peers.
    pub fn new() -> Result<Pair> {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["pair.example".to_owned()])?;
        let fingerprint = Sha256::digest(cert.der()).iter().map(|octet| format!("{octet:02x}")).collect();
        let (chain, key) = (cert.pem(), signing_key.serialize_pem());
        Ok(Pair { chain, key, fingerprint, peers: Vec::new(), settings: QUICK.into() })
    }

    /// The settings; `mx` is the port of other servers, `host` the host name of a node.
    pub fn lines(&self, mx: u16, host: impl Fn(&str) -> Result<String>) -> Result<String> {
        let mut peers = Vec::new();
        for Peer { name, fingerprint, domains } in &self.peers {
            let (host, domains) = (host(name)?, format!("{domains:?}"));
            peers.push(format!(
                "{{ name = \"{name}\", host = \"{host}\", port = {mx}, fingerprint = \"{fingerprint}\", domains = {domains} }}"
            ));
        }
        let own = "pair.certificate_file = \"pair.crt\"\npair.key_file = \"pair.key\"\n";
        Ok(format!("{own}pair.peers = [{}]\n{}", peers.join(", "), self.settings))
    }
}

impl Topology {
    /// The same with a pair of each node that relays for another's domain and that other.
    pub fn paired(mut self) -> Result<Topology> {
        let keys = self.nodes.iter().map(|_| Pair::new()).collect::<Result<Vec<_>>>()?;
        let mut pairs = keys.clone();
        for (at, backup) in self.nodes.iter().enumerate() {
            for (to, primary) in self.nodes.iter().enumerate() {
                if at == to || !backup.relay_domains.contains(&primary.domain) {
                    continue;
                }
                let peer = |node: usize, domains: Vec<String>| Peer {
                    name: self.nodes[node].name.clone(),
                    fingerprint: keys[node].fingerprint.clone(),
                    domains,
                };
                pairs[at].peers.push(peer(to, vec![primary.domain.clone()]));
                pairs[to].peers.push(peer(at, Vec::new()));
            }
        }
        for (node, pair) in self.nodes.iter_mut().zip(pairs) {
            let both = |smart: &SmartHost| pair.peers.iter().any(|peer| peer.name == smart.node);
            // A link leads to one door.
            anyhow::ensure!(!node.smart_host.as_ref().is_some_and(both), "{}: its smart host can't be of its pair", node.name);
            node.pair = Some(pair).filter(|pair| !pair.peers.is_empty());
        }
        anyhow::ensure!(self.nodes.iter().any(|node| node.pair.is_some()), "no node is backup for another");
        Ok(self)
    }

    /// The same with other settings of one node's pair.
    pub fn edit_pair(self, name: &str, edit: impl FnOnce(&mut Pair)) -> Result<Topology> {
        let index = self.index(name)?;
        let mut pair = self.nodes[index].pair.clone().with_context(|| format!("{name} is not of a pair"))?;
        edit(&mut pair);
        self.edit(name, |node| node.pair = Some(pair))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_and_primaries_know_each_other_and_backups_not_one_another() {
        let topology = Topology::shipped("three-mx").unwrap().paired().unwrap();
        let pairs: Vec<&Pair> = topology.nodes.iter().map(|node| node.pair.as_ref().unwrap()).collect();
        let names = |pair: &Pair| pair.peers.iter().map(|peer| peer.name.clone()).collect::<Vec<_>>();
        assert_eq!((names(pairs[0]), names(pairs[1])), (vec!["second".into(), "third".into()], vec!["primary".into()]));
        assert_eq!(pairs[1].peers[0].fingerprint, pairs[0].fingerprint);
        assert_eq!(
            (pairs[1].peers[0].domains.as_slice(), pairs[0].peers[0].domains.len()),
            (&["office.example".into()][..], 0)
        );
        let lines = pairs[1].lines(2525, |name| Ok(format!("{name}.office.example"))).unwrap();
        assert!(
            lines.contains("host = \"primary.office.example\", port = 2525, ") && lines.contains("[\"office.example\"]"),
            "{lines}"
        );
        assert!(Topology::shipped("single").unwrap().paired().is_err());
    }
}
