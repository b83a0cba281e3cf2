//! A node that takes another's mail for all other domains, with a login or without one.
//!
//! Over the submission door goes only who logs in, so without a login it is the door of other servers, whose `smtp.relay_networks` then must
//! have the sender. The certificates of these networks are nobody's but the nodes' own: TLS is taken as it is offered. A smart host of bongsu's
//! takes no password without it, but from a loopback address.

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::{NodePlan, SystemKind, Topology};
use crate::Result;

/// The file of a node's configuration that holds its password at its smart host.
pub(crate) const PASSWORD_FILE: &str = "smart-host-password";

/// Who takes a node's mail for other domains.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmartHost {
    /// The node's name.
    pub node: String,
    /// The local part of the account there that it logs in to, by the submission door; `None`: no login, by the door of other servers.
    #[serde(default)]
    pub user: Option<String>,
}

/// The ports at which a node finds others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Doors {
    /// Of other servers.
    pub(crate) mx: u16,
    /// Of users.
    pub(crate) submission: u16,
}

impl Doors {
    /// The doors of nodes in containers.
    pub(crate) const USUAL: Doors = Doors { mx: 25, submission: 587 };
    /// The doors of nodes that run as processes.
    pub(crate) const OWN: Doors = Doors { mx: crate::node::port::MX, submission: crate::node::port::SUBMISSION };
}

impl SmartHost {
    /// The one of these doors that it leads to.
    pub(crate) fn door(&self, doors: Doors) -> u16 {
        if self.user.is_some() { doors.submission } else { doors.mx }
    }

    /// Its settings, as TOML lines with dotted keys.
    pub(crate) fn lines(&self, topology: &Topology, doors: Doors) -> Result<String> {
        let node = &topology.nodes[topology.index(&self.node)?];
        let (host, port) = (topology.host(node), self.door(doors));
        let mut lines = format!(
            "relay.smart_host.host = \"{host}\"\nrelay.smart_host.port = {port}\nrelay.smart_host.tls = \"opportunistic\"\n"
        );
        if let Some(user) = &self.user {
            let login = format!(
                "relay.smart_host.user = \"{user}@{}\"\nrelay.smart_host.password_file = \"{PASSWORD_FILE}\"\n",
                node.domain
            );
            lines.push_str(&login);
        }
        Ok(lines)
    }

    /// The file with its password, where there is a login.
    pub(crate) fn password(&self) -> Option<(&'static str, String)> {
        self.user.as_ref().map(|user| (PASSWORD_FILE, format!("secret-{user}\n")))
    }

    /// That the node `of` can have it.
    pub(super) fn check(&self, of: &NodePlan, topology: &Topology) -> Result<()> {
        let (of, name) = (&of.name, &self.node);
        ensure!(of != name, "{of} is its own smart host");
        let node = topology.index(name).with_context(|| format!("the smart host of {of}"))?;
        let node = &topology.nodes[node];
        ensure!(
            node.system == SystemKind::Bongsu,
            "the smart host of {of}: {name} runs {}, whose node has no door for a login; bongsu has one",
            node.system.name()
        );
        let Some(user) = &self.user else { return Ok(()) };
        let there = if node.accounts.is_empty() { "none".to_owned() } else { node.accounts.join(", ") };
        ensure!(node.accounts.contains(user), "the smart host of {of}: {name} has no account {user}; it has {there}");
        Ok(())
    }
}

impl Topology {
    /// The sender addresses beside its own that an account of the node `name` has: the mailboxes of those that log in to it to have their
    /// mail sent on. A smart host takes nobody else's from them.
    pub(crate) fn senders(&self, name: &str, user: &str) -> Vec<String> {
        let logs_in = |node: &&NodePlan| {
            node.smart_host.as_ref().is_some_and(|smart| smart.node == name && smart.user.as_deref() == Some(user))
        };
        self.nodes.iter().filter(logs_in).flat_map(|node| self.mailboxes(&node.name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROVIDER: &str =
        "[[node]]\nname = \"p\"\nhost = \"mail.p.example\"\ndomain = \"p.example\"\naccounts = [\"customer\", \"x\"]\n";

    fn office(smart: &str, more: &str) -> Result<Topology> {
        let office =
            format!("[[node]]\nname = \"a\"\ndomain = \"a.example\"\naccounts = [\"minji\", \"sora\"]\nsmart_host = {smart}\n");
        Topology::parse(&format!("name = \"t\"\nabout = \"\"\n{office}{more}"))
    }

    #[test]
    fn mistakes_are_named() {
        let postfix = PROVIDER.replace("host =", "system = \"postfix\"\nhost =");
        for (smart, more, says) in [
            ("{ node = \"q\" }", PROVIDER, "the smart host of a: no node q; there are a, p"),
            ("{ node = \"a\" }", PROVIDER, "a is its own smart host"),
            ("{ node = \"p\", user = \"z\" }", PROVIDER, "p has no account z; it has customer, x"),
            ("{ node = \"p\", user = \"z\" }", "[[node]]\nname = \"p\"\n", "p has no account z; it has none"),
            ("{ node = \"p\" }", &postfix, "p runs postfix, whose node has no door"),
            ("{ user = \"x\" }", PROVIDER, "missing field `node`"),
            ("{ node = \"p\", port = 25 }", PROVIDER, "unknown field `port`"),
        ] {
            let error = format!("{:#}", office(smart, more).unwrap_err());
            assert!(error.contains(says), "{says}: {error}");
        }
    }

    #[test]
    fn a_login_goes_by_the_submission_door_and_owns_the_senders() {
        let topology = office("{ node = \"p\", user = \"customer\" }", PROVIDER).unwrap();
        let smart = topology.nodes[0].smart_host.as_ref().unwrap();
        let expected = "relay.smart_host.host = \"mail.p.example\"\nrelay.smart_host.port = 587\nrelay.smart_host.tls = \"opportunistic\"\n\
            relay.smart_host.user = \"customer@p.example\"\nrelay.smart_host.password_file = \"smart-host-password\"\n";
        assert_eq!(smart.lines(&topology, Doors::USUAL).unwrap(), expected);
        assert_eq!(smart.password(), Some((PASSWORD_FILE, "secret-customer\n".to_owned())));
        assert_eq!(topology.senders("p", "customer"), ["minji@a.example", "sora@a.example"]);
        assert!(topology.senders("p", "x").is_empty() && topology.senders("a", "customer").is_empty());
    }

    #[test]
    fn without_a_login_it_goes_by_the_door_of_other_servers() {
        let topology = office("{ node = \"p\" }", PROVIDER).unwrap();
        let smart = topology.nodes[0].smart_host.as_ref().unwrap();
        let lines = smart.lines(&topology, Doors::OWN).unwrap();
        assert!(lines.contains("port = 2525\n") && !lines.contains("user") && !lines.contains("password"), "{lines}");
        assert_eq!((smart.password(), topology.senders("p", "customer").len()), (None, 0));
    }
}
