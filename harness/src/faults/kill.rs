//! SIGKILL: to a whole node, which starts again when the fault is undone, or to one service, which its supervisor starts again.

use super::{Fault, word};
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};

/// A whole node.
pub const KILL: Fault = Fault {
    name: "kill",
    usage: "NODE",
    about: "kill -9 to every process of a node; undone, it starts again",
    strike: |stage, words| {
        let node = word(words, 0, "the node")?.to_owned();
        stage.note(Struck, Some(&node), format!("{node} is killed (kill -9)"));
        stage.server(&node)?.kill()?;
        stage.net().down(&node, true)?;
        stage.journal().enter(&node, "down");
        Ok(Box::new(move |stage| {
            stage.server(&node)?.start()?;
            stage.net().down(&node, false)?;
            stage.journal().leave(&node, "down");
            stage.note(Healed, Some(&node), format!("{node} is back"));
            Ok(())
        }))
    },
};

/// One service.
pub const KILL_SERVICE: Fault = Fault {
    name: "kill-service",
    usage: "NODE SERVICE",
    about: "kill -9 to one service of a node; its supervisor starts it again",
    strike: |stage, words| {
        let (node, service) = (word(words, 0, "the node")?, word(words, 1, "the service")?);
        stage.server(node)?.kill_service(service)?;
        stage.note(Struck, Some(node), format!("{service} of {node} is killed (kill -9)"));
        Ok(Box::new(|_| Ok(())))
    },
};
