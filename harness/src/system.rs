//! Mail server programs: how each is configured, started, and asked.

pub mod bongsu;

use std::net::IpAddr;

use anyhow::Context;

use crate::Result;
use crate::dns::Dns;
use crate::topology::Topology;

/// Puts a topology's zones, block lists and host names into a name server.
pub fn publish(topology: &Topology, dns: &Dns, address: &dyn Fn(usize) -> IpAddr) -> Result<()> {
    for (index, node) in topology.nodes.iter().enumerate() {
        dns.host(&topology.host(node), address(index))?;
    }
    for zone in &topology.zones {
        for (preference, host) in &zone.mx {
            let host =
                topology.nodes.iter().find(|node| node.name == *host).map_or_else(|| host.clone(), |node| topology.host(node));
            dns.mx(&zone.domain, *preference, &host)?;
        }
        for record in &zone.records {
            dns.load(record).with_context(|| format!("zone {}", zone.domain))?;
        }
    }
    for list in &topology.lists {
        for (listed, codes) in &list.listed {
            let codes: Vec<std::net::Ipv4Addr> =
                codes.iter().map(|code| code.parse()).collect::<std::result::Result<_, _>>()?;
            dns.listed(&list.zone, listed.parse()?, &codes, "")?;
        }
    }
    Ok(())
}
