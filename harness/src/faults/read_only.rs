//! A volume goes read-only, as a file system does after an error of its disk.
//!
//! It strikes between two syncs: the node stands still for that moment. An ext4 of today answers a sync with success that is under way while
//! its journal is aborted (seen on Linux 6.18), and what was synced so is gone. No program can tell, so none is blamed for it here.

use std::path::PathBuf;

use anyhow::Context;

use super::{Fault, word};
use crate::Result;
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};
use crate::scenario::SKIPPED;
use crate::stage::{PATIENCE, Stage};
use crate::volume::{command, device_at, mount_anew};
use crate::wait::wait_until;

/// The data volume of a node.
pub const READ_ONLY: Fault = Fault {
    name: "read-only",
    usage: "NODE",
    about: "a node's data volume goes read-only, as a file system does after an error of its disk; undone, the node starts again on a repaired one",
    strike: |stage, words| {
        let node = word(words, 0, "the node")?.to_owned();
        let at = data_volume(stage, &node)?;
        command("mount", &["-o", "remount,errors=remount-ro", &at.display().to_string()])?;
        let device = device_at(&at)?;
        let switch = format!("/sys/fs/ext4/{}/trigger_fs_error", device.trim_start_matches("/dev/"));
        let server = stage.server(&node)?;
        server.pause()?;
        let struck = wait_until("every sync to return", PATIENCE, || server.processes().into_iter().all(stands_still));
        let struck = struck.and_then(|()| {
            std::fs::write(&switch, "harness")
                .with_context(|| format!("{SKIPPED}this machine can't make a file system fail: {switch}"))
        });
        server.resume()?;
        struck?;
        let probe = at.join(".probe");
        wait_until("a volume that takes nothing", PATIENCE, || std::fs::write(&probe, "x").is_err())?;
        stage.journal().enter(&node, "full");
        stage.note(Struck, Some(&node), format!("the volume of {node} is read-only after an error of its disk"));
        Ok(Box::new(move |stage| {
            renew(stage, &node)?;
            stage.journal().leave(&node, "full");
            stage.note(Healed, Some(&node), format!("the volume of {node} is repaired and {node} starts again"));
            Ok(())
        }))
    },
};

/// Whether every thread of a process is stopped; one that is within a call of the kernel is not, until that returns.
fn stands_still(process: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{process}/task")) else { return true };
    let stopped =
        |stat: String| stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['T', 't', 'Z', 'X']));
    threads.flatten().all(|thread| std::fs::read_to_string(thread.path().join("stat")).map_or(true, stopped))
}

/// Where the data volume of a node is mounted.
pub(super) fn data_volume(stage: &Stage, node: &str) -> Result<PathBuf> {
    let server = stage.server(node)?;
    anyhow::ensure!(server.plan().volume.is_some(), "{node} has no volume of its own: the topology says `volume` for one");
    server.data().with_context(|| format!("{SKIPPED}the volume of {node} is out of reach here"))
}

/// What an administrator does after an error of the disk: ends the node, repairs the file system, starts it again. What was never written is
/// gone then.
pub(super) fn renew(stage: &Stage, node: &str) -> Result<()> {
    let (server, at) = (stage.server(node)?, data_volume(stage, node)?);
    if server.runs() {
        server.kill()?;
    }
    mount_anew(&at)?;
    let _ = std::fs::remove_file(at.join(".probe"));
    server.start()
}
