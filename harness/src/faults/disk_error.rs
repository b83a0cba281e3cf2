//! The disk under a volume takes nothing new: writes go into the cache, and the fsync behind them fails.

use std::fs::File;
use std::io::Write;

use anyhow::Context;

use super::read_only::{data_volume, renew};
use super::{Fault, word};
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};
use crate::scenario::SKIPPED;
use crate::volume::command;

/// The file that takes the room on the disk in memory on which the volume's image lies.
const FILLER: &str = ".filler";

/// The data volume of a node.
pub const DISK_ERROR: Fault = Fault {
    name: "disk-error",
    usage: "NODE",
    about: "the disk under a node's data volume fails: writes seem to work, fsync does not; undone, the node starts again with what the disk has",
    strike: |stage, words| {
        let node = word(words, 0, "the node")?.to_owned();
        let volume = data_volume(stage, &node)?;
        let disk = volume.parent().context("a volume lies somewhere")?.join("disk");
        anyhow::ensure!(disk.is_dir(), "{SKIPPED}the disk of {node} is out of reach here");
        // What was written before must not fail, or it is the file system that breaks and not a sync.
        command("sync", &["-f", &volume.display().to_string()])?;
        let path = disk.join(FILLER);
        let mut file = File::create(&path)?;
        let block = vec![b'x'; 4096];
        // It ends where the disk does, which is small and in memory.
        while file.write_all(&block).is_ok() {}
        stage.journal().enter(&node, "full");
        stage.note(Struck, Some(&node), format!("the disk of {node} fails: what is new can't be synced"));
        Ok(Box::new(move |stage| {
            std::fs::remove_file(path)?;
            renew(stage, &node)?;
            stage.journal().leave(&node, "full");
            stage.note(Healed, Some(&node), format!("the disk of {node} works, and {node} starts again with what is on it"));
            Ok(())
        }))
    },
};
