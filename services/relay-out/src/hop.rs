//! Where a recipient's mail goes next: its domain's servers, or the smart host.

use lib_mail::{Domain, Recipient};

use crate::pair::primary;
use crate::terms::Terms;

/// A destination. Recipients of one destination share transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NextHop {
    /// The servers of a mail domain, or the host of an address literal.
    Domain(Domain),
    /// A peer of ours that is primary for the recipient's domain.
    Peer {
        /// Its name in the settings.
        name: String,
        /// The domain, where only its MX hosts lead to the peer.
        domain: Option<Domain>,
    },
    /// The server that takes all our mail for others.
    SmartHost(Domain),
}

impl NextHop {
    /// The destination of a recipient.
    pub(crate) fn of(recipient: &Recipient, terms: &Terms) -> NextHop {
        let domain = recipient.address.domain();
        if let Some(peer) = primary(&terms.peers, &domain) {
            return NextHop::Peer { name: peer.name.clone(), domain: peer.host.is_none().then_some(domain) };
        }
        match &terms.relay.smart_host.host {
            Some(host) => NextHop::SmartHost(host.clone()),
            None => NextHop::Domain(domain),
        }
    }

    /// What connections and limits are counted by.
    pub(crate) fn key(&self) -> String {
        match self {
            NextHop::Domain(domain) => domain.key(),
            NextHop::Peer { name, .. } => format!("peer {name}"),
            NextHop::SmartHost(host) => format!("smart host {}", host.key()),
        }
    }
}

/// The recipients with these indexes by destination, in the order of their first.
pub(crate) fn groups(recipients: &[Recipient], indexes: &[usize], terms: &Terms) -> Vec<(NextHop, Vec<usize>)> {
    let mut groups: Vec<(NextHop, Vec<usize>)> = Vec::new();
    for index in indexes {
        let Some(recipient) = recipients.get(*index) else { continue };
        let hop = NextHop::of(recipient, terms);
        match groups.iter_mut().find(|(found, _)| *found == hop) {
            Some((_, members)) => members.push(*index),
            None => groups.push((hop, vec![*index])),
        }
    }
    groups
}
