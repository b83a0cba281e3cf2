//! A queue full of messages that nobody takes: the mail host of their domain turns every connection away.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{Fault, word};
use crate::load::Load;
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};

/// Of a node that relays for the domain.
pub const FULL_QUEUE: Fault = Fault {
    name: "full-queue",
    usage: "NODE DOMAIN COUNT",
    about: "sends a node messages for a domain that it relays for, whose mail host is made here and turns everybody away; undone, that host takes them",
    strike: |stage, words| {
        let (node, domain) = (word(words, 0, "the node")?.to_owned(), word(words, 1, "the domain")?);
        let count: usize = word(words, 2, "the count")?.parse()?;
        let peer = stage.outside(domain, 10, &["PIPELINING"])?;
        peer.answer("CONNECT", None, "421 4.3.2 closed today");
        let recipient = format!("somebody@{domain}");
        let load = Load { messages: count, timeout: Duration::from_secs(30), ..stage.load(&[&node], &[&recipient])? };
        let report = load.run(stage.ledger(), &AtomicBool::new(false));
        anyhow::ensure!(report.accepted == count, "{node} took {} of {count} messages", report.accepted);
        stage.note(Struck, Some(&node), format!("{count} messages wait on {node} for a host that turns everybody away"));
        Ok(Box::new(move |stage| {
            peer.answer("CONNECT", None, "220 peer.example ESMTP");
            stage.note(Healed, Some(&node), "the host takes everything");
            stage.server(&node)?.run_queue()
        }))
    },
};
