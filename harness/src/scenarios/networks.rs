//! Networks that several scenarios run on: the shipped ones with what a scenario needs beside.

use crate::Result;
use crate::topology::{NodePlan, Topology};

/// The mailboxes that loads write to, in turn; the last message goes to two at once.
pub(super) const OFFICE: &[&str] =
    &["minji@office.example", "sora@office.example", "juno@office.example", "minji@office.example sora@office.example"];
/// The MX hosts of three-mx as a sender tries them.
pub(super) const ALL_MX: &[&str] = &["primary", "second", "third"];
/// A domain outside, whose mail host is a scripted server.
pub(super) const FAR: &str = "far.example";
/// Mail is small here, so that a small volume has room for the reserve and the ballast.
const SMALL: &str =
    "smtp.message_size_limit = \"1 MB\"\nsmtp.submission_size_limit = \"1 MB\"\nsmtp.local_size_limit = \"1 MB\"";
/// Links that are broken by what is said in them must not be under TLS.
const PLAIN: &str = "relay.tls = \"none\"";

/// One node with mailboxes.
pub(super) fn office(settings: &str) -> Result<Topology> {
    Ok(Topology::shipped("single")?.with(settings))
}

/// One node with mailboxes, on volumes of so many MiB; `None` is as large as the disk.
pub(super) fn office_on(data: Option<u64>, mail: Option<u64>) -> Result<Topology> {
    office(SMALL)?.edit("office", |office| (office.volume, office.mail_volume) = (data, mail))
}

/// One node with mailboxes that also relays for [`FAR`].
pub(super) fn office_and_far(settings: &str) -> Result<Topology> {
    office(settings)?.edit("office", |office| office.relay_domains.push(FAR.into()))
}

/// A primary and a backup MX, whose links speak no TLS.
pub(super) fn plain_pair(settings: &str) -> Result<Topology> {
    Ok(Topology::shipped("pair")?.with(PLAIN).with(settings))
}

/// A primary and two backup MX, whose links speak no TLS.
pub(super) fn plain_three(settings: &str) -> Result<Topology> {
    Ok(Topology::shipped("three-mx")?.with(PLAIN).with(settings))
}

/// A primary and a backup MX that relay for these domains: the primary under TLS where it is offered, the backup never without.
pub(super) fn tls_by_node(domains: &[&str]) -> Result<Topology> {
    let relays = |node: &mut NodePlan| node.relay_domains.extend(domains.iter().map(|domain| (*domain).to_owned()));
    let pair = Topology::shipped("pair")?.edit("primary", relays)?;
    pair.edit("secondary", |node| {
        relays(node);
        node.settings = "relay.tls = \"required\"".into();
    })
}
