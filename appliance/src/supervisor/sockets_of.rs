//! All sockets that the supervisor holds, and which of them each role gets.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use anyhow::Result;
use lib_net::role::{RoleName, SocketName};
use lib_net::wake::Consumer;

use crate::layout::Layout;
use crate::plan::{Plan, addresses, role_of, socket_name};
use crate::sockets;

/// The open sockets. They stay open while roles come and go, so that clients wait in the backlog instead of being refused.
#[derive(Debug)]
pub(super) struct Sockets {
    listeners: HashMap<SocketAddr, Arc<OwnedFd>>,
    wake_local: Arc<OwnedFd>,
    wake_relay: Arc<OwnedFd>,
    auth: Arc<OwnedFd>,
    ipv6: bool,
}

impl Sockets {
    /// Opens everything that the plan asks for.
    pub(super) fn open(layout: &Layout, plan: &Plan) -> Result<Self> {
        let run = layout.run();
        let ipv6 = sockets::has_ipv6();
        let listeners = open_listeners(plan, ipv6, &HashMap::new())?;
        let auth = sockets::unix(&layout.data().join(lib_net::auth::SOCKET))?;
        auth.set_nonblocking(true)?;
        Ok(Self {
            listeners,
            wake_local: Arc::new(sockets::wake(&run, Consumer::Local)?),
            wake_relay: Arc::new(sockets::wake(&run, Consumer::Relay)?),
            auth: Arc::new(auth.into()),
            ipv6,
        })
    }

    /// Opens what a new plan asks for beyond what is open; nothing changes when one cannot be had.
    pub(super) fn reopen(&self, plan: &Plan) -> Result<HashMap<SocketAddr, Arc<OwnedFd>>> {
        open_listeners(plan, self.ipv6, &self.listeners)
    }

    /// Takes the listeners of a new plan in place of the old ones.
    pub(super) fn replace(&mut self, listeners: HashMap<SocketAddr, Arc<OwnedFd>>) {
        self.listeners = listeners;
    }

    /// The names and descriptors for a role.
    pub(super) fn of(&self, role: RoleName, plan: &Plan) -> (Vec<SocketName>, Vec<Arc<OwnedFd>>) {
        let own = plan.settings.listen.iter().filter(|listener| role_of(listener.role) == role);
        let listeners = own.flat_map(|listener| {
            let sockets = addresses(listener, self.ipv6).into_iter().filter_map(|address| self.listeners.get(&address));
            sockets.map(|socket| (socket_name(listener), Arc::clone(socket)))
        });
        let special = match role {
            RoleName::Deliver => Some((SocketName::Wake(Consumer::Local), Arc::clone(&self.wake_local))),
            RoleName::RelayOut => Some((SocketName::Wake(Consumer::Relay), Arc::clone(&self.wake_relay))),
            RoleName::Auth => Some((SocketName::AuthServer, Arc::clone(&self.auth))),
            _ => None,
        };
        listeners.chain(special).unzip()
    }
}

fn open_listeners(
    plan: &Plan,
    ipv6: bool,
    open: &HashMap<SocketAddr, Arc<OwnedFd>>,
) -> Result<HashMap<SocketAddr, Arc<OwnedFd>>> {
    let mut listeners = HashMap::new();
    for (index, listener) in plan.settings.listen.iter().enumerate() {
        for address in addresses(listener, ipv6) {
            let socket = match open.get(&address) {
                Some(socket) => Arc::clone(socket),
                None => Arc::new(sockets::listen(address, &plan.listener_origin(index))?.into()),
            };
            listeners.insert(address, socket);
        }
    }
    Ok(listeners)
}
