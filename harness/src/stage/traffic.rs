//! What clients do with the servers of a stage: sessions, loads, mail that is fetched.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::{PATIENCE, REPLY, Stage};
use crate::Result;
use crate::driver::DriverKind;
use crate::ledger::Found;
use crate::load::{Flow, Load};
use crate::pop::Pop;
use crate::server::Port;
use crate::smtp::Smtp;
use crate::wait::wait_for;

/// Sessions of a steady load.
pub const SENDERS: usize = 6;

impl Stage {
    /// An SMTP session of the client with a node's MX door, EHLO said.
    pub fn smtp(&self, node: &str) -> Result<Smtp> {
        let mut smtp = Smtp::connect(self.net.client_to(node)?, REPLY)?;
        smtp.command("EHLO client.example")?.expect(250)?;
        Ok(smtp)
    }

    /// A POP3 session with the node that has this mailbox.
    pub fn pop(&self, mailbox: &str) -> Result<Pop> {
        let (user, _) = mailbox.split_once('@').context("a mailbox is an address")?;
        self.pop_door(&self.topology.home(mailbox)?.name)?.enter(mailbox, &format!("secret-{user}"))
    }

    /// A POP3 session with a node in which nobody has logged in yet, and in which a password is taken.
    pub fn pop_door(&self, node: &str) -> Result<Pop> {
        let server = self.server(node)?;
        match self.driver {
            DriverKind::Processes => Pop::connect(server.at(Port::Pop3), REPLY),
            // The client is no loopback address there, and a password in the clear is not taken.
            DriverKind::Containers => Pop::connect_tls(server.at(Port::Pop3s), REPLY),
        }
    }

    /// A load of the client on these nodes, tried in this order, for these recipients; its tokens enter the stage's books.
    pub fn load(&self, nodes: &[&str], recipients: &[&str]) -> Result<Load> {
        let to: Vec<SocketAddr> = nodes.iter().map(|node| self.net.client_to(node)).collect::<Result<_>>()?;
        Ok(Load { tag: format!("load{}", self.ledger.len()), ..Load::new(&to, recipients) })
    }

    /// Starts a load beside the scenario.
    pub fn flow(&self, load: Load) -> Flow {
        load.start_on(Arc::clone(&self.ledger))
    }

    /// A load as most scenarios want it: six senders, so many messages a second, each patient with servers that are away or say 4yz.
    pub fn steady(&self, nodes: &[&str], recipients: &[&str], rate: f64) -> Result<Load> {
        let load = self.load(nodes, recipients)?;
        // The first is the one that is preferred; those behind it have one preference in every topology here.
        let equal = nodes.len().saturating_sub(1);
        Ok(Load { equal, sessions: SENDERS, rate: Some(rate), timeout: Duration::from_secs(3), patience: PATIENCE, ..load })
    }

    /// Sends one message with a token of its own, and enters it. The token, and the reply to the final dot or to what was refused.
    pub fn send(&self, node: &str, from: &str, to: &[&str]) -> Result<(String, String)> {
        let token = format!("one{}", self.ledger.len());
        let load =
            Load { tag: token.clone(), from: from.into(), messages: 1, sessions: 1, ..self.load(&[node], &[&to.join(" ")])? };
        load.run(&self.ledger, &std::sync::atomic::AtomicBool::new(false));
        let token = format!("{token}-0");
        let line = self.ledger.line(&token).with_context(|| format!("{node} could not be reached"))?;
        Ok((token, line.reply))
    }

    /// Waits until a node has written down at least `count` steps of this sort: `deferred`, `relayed`, …
    pub fn wait_events(&self, node: &str, what: &str, count: usize) -> Result<()> {
        let server = self.server(node)?;
        let waited = wait_for(&format!("{count} times `{what}` on {node}"), PATIENCE, || {
            let seen = server.events()?.iter().filter(|event| event.what == what).count();
            Ok((seen >= count).then_some(()))
        });
        waited.with_context(|| server.log_tail(30))
    }

    /// Fetches and deletes everything in a mailbox, as its owner would. The books go on to count it. How many messages it was.
    pub fn fetch_all(&self, mailbox: &str) -> Result<usize> {
        let (mut pop, node) = (self.pop(mailbox)?, self.topology.home(mailbox)?.name.clone());
        let (count, _) = pop.stat()?;
        let mut fetched = Vec::new();
        for number in 1..=count {
            fetched.extend(Found::in_mailbox(&node, mailbox, &pop.retr(number)?));
            pop.ok(&format!("DELE {number}"))?;
        }
        pop.quit()?;
        super::lock(&self.fetched).extend(fetched);
        Ok(count)
    }
}
