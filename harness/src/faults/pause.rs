//! Frozen: the kernel goes on to accept connections, and nobody answers them.

use super::{Fault, word};
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};

/// A whole node.
pub const PAUSE: Fault = Fault {
    name: "pause",
    usage: "NODE",
    about: "freezes every process of a node: connections are accepted and never answered; undone, it goes on",
    strike: |stage, words| {
        let node = word(words, 0, "the node")?.to_owned();
        stage.server(&node)?.pause()?;
        stage.journal().enter(&node, "paused");
        stage.note(Struck, Some(&node), format!("{node} is frozen: it accepts connections and says nothing"));
        Ok(Box::new(move |stage| {
            stage.server(&node)?.resume()?;
            stage.journal().leave(&node, "paused");
            stage.note(Healed, Some(&node), format!("{node} goes on"));
            Ok(())
        }))
    },
};

/// One service.
pub const PAUSE_SERVICE: Fault = Fault {
    name: "pause-service",
    usage: "NODE SERVICE",
    about: "freezes one service of a node; undone, it goes on",
    strike: |stage, words| {
        let (node, service) = (word(words, 0, "the node")?.to_owned(), word(words, 1, "the service")?.to_owned());
        stage.server(&node)?.pause_service(&service)?;
        stage.note(Struck, Some(&node), format!("{service} of {node} is frozen"));
        Ok(Box::new(move |stage| {
            stage.server(&node)?.resume_service(&service)?;
            stage.note(Healed, Some(&node), format!("{service} of {node} goes on"));
            Ok(())
        }))
    },
};
