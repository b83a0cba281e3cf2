//! Mail server programs: how each is configured, started, and asked.

pub mod bongsu;

use std::net::IpAddr;

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
            let host = topology.nodes.iter().find(|node| node.name == *host).map_or_else(|| host.clone(), |node| topology.host(node));
            dns.mx(&zone.domain, *preference, &host)?;
        }
        for record in &zone.records {
            let mut words = record.splitn(3, ' ');
            let (name, kind, data) = (words.next(), words.next(), words.next());
            let (Some(name), Some(kind), Some(data)) = (name, kind, data) else {
                anyhow::bail!("zone {}: `{record}` is not `name TYPE data`", zone.domain);
            };
            dns.record(name, kind, data)?;
        }
    }
    Ok(())
}
