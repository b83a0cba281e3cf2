//! A volume goes read-only, as a file system does after an error of its disk.

use anyhow::Context;

use super::{Fault, word};
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};
use crate::stage::PATIENCE;
use crate::volume::command;
use crate::wait::wait_for;

/// The data volume of a node.
pub const READ_ONLY: Fault = Fault {
    name: "read-only",
    usage: "NODE",
    about: "mounts a node's data volume read-only, as a file system does after an error of its disk",
    strike: |stage, words| {
        let node = word(words, 0, "the node")?.to_owned();
        let server = stage.server(&node)?;
        anyhow::ensure!(server.plan().volume.is_some(), "{node} has no volume of its own");
        let at = server.data().context("the volume is out of reach here")?.display().to_string();
        // While a file is open for writing the kernel refuses: wait for a moment in which none is.
        wait_for("a moment in which no file is open for writing", PATIENCE, || {
            command("mount", &["-o", "remount,ro", &at]).map(Some)
        })?;
        stage.journal().enter(&node, "full");
        stage.note(Struck, Some(&node), format!("the volume of {node} is read-only"));
        Ok(Box::new(move |stage| {
            command("mount", &["-o", "remount,rw", &at])?;
            stage.journal().leave(&node, "full");
            stage.note(Healed, Some(&node), format!("the volume of {node} can be written again"));
            Ok(())
        }))
    },
};
