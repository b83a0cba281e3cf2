//! Mail server programs: how each is configured, started, and asked.

pub mod bongsu;
mod date;
mod dovecot;
pub mod exim;
mod foreign;
mod group;
mod home;
mod machine;
mod maps;
pub mod opensmtpd;
pub mod postfix;
mod settings;

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Context;

use crate::Result;
use crate::dns::reversed;
use crate::node::port;
use crate::topology::{SystemKind, Topology};

/// The port of other mail servers to which a system connects: its gates listen there.
pub fn relays_to(system: SystemKind) -> u16 {
    match system {
        SystemKind::Bongsu | SystemKind::Exim => port::MX,
        SystemKind::Postfix | SystemKind::OpenSmtpd => 25,
    }
}

/// The port on which a system asks its name server; 0 is any.
pub fn asks_at(system: SystemKind) -> u16 {
    match system {
        SystemKind::Bongsu => 0,
        SystemKind::Postfix | SystemKind::Exim | SystemKind::OpenSmtpd => 53,
    }
}

/// How long a system waits for the other end, whatever its settings; zero where they say.
pub fn longest_wait(system: SystemKind) -> Duration {
    match system {
        SystemKind::Bongsu | SystemKind::Postfix | SystemKind::Exim => Duration::ZERO,
        SystemKind::OpenSmtpd => Duration::from_secs(300),
    }
}

/// Why no node can be this system here; `None` where one can.
pub fn impossible(system: SystemKind) -> Option<String> {
    match system {
        SystemKind::Bongsu => None,
        SystemKind::Postfix => postfix::impossible(),
        SystemKind::Exim => exim::impossible(),
        SystemKind::OpenSmtpd => opensmtpd::impossible(),
    }
}

/// What a name server says of a topology, as text: its nodes' host names, the zones, the block lists; a line for each, `NAME TYPE DATA`.
pub fn zone(topology: &Topology, address: &dyn Fn(usize) -> IpAddr) -> Result<String> {
    let mut lines = Vec::new();
    for (index, node) in topology.nodes.iter().enumerate() {
        lines.push(host_line(&topology.host(node), address(index)));
    }
    for zone in &topology.zones {
        for (preference, host) in &zone.mx {
            let host =
                topology.nodes.iter().find(|node| node.name == *host).map_or_else(|| host.clone(), |node| topology.host(node));
            lines.push(format!("{} MX {preference} {host}", zone.domain));
        }
        for record in &zone.records {
            anyhow::ensure!(record.split(' ').count() >= 3, "zone {}: `{record}` is not `name TYPE data`", zone.domain);
            lines.push(record.clone());
        }
    }
    for list in &topology.lists {
        // The entries by which a client finds out that a list works (RFC 5782 §5).
        lines.push(format!("2.0.0.127.{} A 127.0.0.2", list.zone));
        for (listed, codes) in &list.listed {
            let name = reversed(listed.parse().with_context(|| format!("block list {}: {listed}", list.zone))?, &list.zone)?;
            lines.extend(codes.iter().map(|code| format!("{name} A {code}")));
        }
    }
    Ok(lines.iter().map(|line| format!("{line}\n")).collect())
}

fn host_line(host: &str, address: IpAddr) -> String {
    let kind = if address.is_ipv4() { "A" } else { "AAAA" };
    format!("{host} {kind} {address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topology_as_a_zone() {
        let mut topology = Topology::shipped("pair").unwrap();
        topology.zones[0].records.push("office.example TXT v=spf1 -all".into());
        topology.lists.push(crate::topology::BlockList {
            zone: "bl.example".into(),
            listed: [("192.0.2.99".into(), vec!["127.0.0.4".into()])].into(),
        });
        let text = zone(&topology, &|index| IpAddr::from([127, 0, 0, 10 + index as u8])).unwrap();
        let expected = "primary.office.example A 127.0.0.10\nsecondary.office.example A 127.0.0.11\n\
            office.example MX 10 primary.office.example\noffice.example MX 20 secondary.office.example\noffice.example TXT v=spf1 -all\n\
            2.0.0.127.bl.example A 127.0.0.2\n99.2.0.192.bl.example A 127.0.0.4\n";
        assert_eq!(text, expected);
    }
}
