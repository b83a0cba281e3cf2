//! Lists of a node as maps of whole addresses, which is what mail systems of another make look recipients up in.

use std::fmt::Write;

use crate::topology::NodePlan;

/// Who owns the mailboxes of a system that delivers as somebody else: nobody, since some deliver to no user with a small number.
pub(super) const MAIL_OWNER: u32 = 65_534;

/// An aliases file with whole addresses: a name without a domain means it in each of `domains`, a target without one is an account of the node.
pub(super) fn aliases(plan: &NodePlan, text: &str, domains: &str) -> Vec<(String, String)> {
    let full = |target: &str| if target.contains('@') { target.to_owned() } else { format!("{target}@{}", plan.domain) };
    let mut map = Vec::new();
    for (name, targets) in text.lines().filter_map(|line| line.split_once(':')) {
        let targets: Vec<String> = targets.split(',').map(|target| full(target.trim())).collect();
        let (name, targets) = (name.trim(), targets.join(", "));
        if name.contains('@') {
            map.push((name.to_owned(), targets));
            continue;
        }
        map.extend(domains.split_whitespace().map(|domain| (format!("{name}@{domain}"), targets.clone())));
    }
    map
}

/// A map as text, a line for each entry.
pub(super) fn lines(map: &[(String, String)], between: &str) -> String {
    map.iter().fold(String::new(), |mut text, (key, value)| {
        let _ = writeln!(text, "{key}{between}{value}");
        text
    })
}

/// The domains that a node has mailboxes for until its `local-host-names` say otherwise.
pub(super) fn local_domains(plan: &NodePlan, host: &str) -> String {
    let domain = if plan.domain.is_empty() { host } else { &plan.domain };
    format!("{domain}\n")
}

/// Domains with all that is below them, a line for each.
pub(super) fn with_subdomains(domains: &str) -> String {
    domains.split_whitespace().map(|domain| format!("{domain}\n*.{domain}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Topology;

    #[test]
    fn aliases_become_whole() {
        let topology = Topology::shipped("single").unwrap();
        let map = aliases(&topology.nodes[0], "info: sora\nx@a.example: juno, far@b.example\n", "office.example\nc.example\n");
        assert_eq!(
            lines(&map, ": "),
            "info@office.example: sora@office.example\ninfo@c.example: sora@office.example\nx@a.example: juno@office.example, far@b.example\n"
        );
        assert_eq!(with_subdomains("a.example\nb.example\n"), "a.example\n*.a.example\nb.example\n*.b.example\n");
    }
}
