//! A node is asked to end in order; undone, it starts again.

use super::{Fault, word};
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};

/// A whole node.
pub const STOP: Fault = Fault {
    name: "stop",
    usage: "NODE",
    about: "asks a node to end in order; undone, it starts again",
    strike: |stage, words| {
        let node = word(words, 0, "the node")?.to_owned();
        stage.note(Struck, Some(&node), format!("{node} is stopped in order"));
        let code = stage.server(&node)?.stop()?;
        anyhow::ensure!(code == 0, "{node} ended with exit code {code}\n{}", stage.server(&node)?.log_tail(30));
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
