//! A volume gets full: of octets, down to exactly zero, or of inodes. Only on a volume of its own, never on the machine's disk.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Fault, Heal, word};
use crate::Result;
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};
use crate::stage::Stage;

/// The file that takes the room, and the directory of files that takes the inodes.
const FILLER: &str = ".filler";
/// Octets written at a time while little is left.
const CRUMB: usize = 4096;

/// Octets.
pub const FILL: Fault = Fault {
    name: "fill",
    usage: "NODE [data|mail] [LEAVE_KIB]",
    about: "fills a node's volume but for LEAVE_KIB (0: until nothing at all fits); undone, the room is there again",
    strike: |stage, words| {
        let (node, dir) = volume(stage, words)?;
        let leave: u64 = words.get(2).map_or(Ok(0), |kib| kib.parse())?;
        let path = dir.join(FILLER);
        fill(&path, leave * 1024)?;
        stage.journal().enter(&node, "full");
        stage.note(Struck, Some(&node), format!("the volume of {node} is full: {leave} KiB are left"));
        Ok(emptied(node, "room", move || Ok(std::fs::remove_file(path)?)))
    },
};

/// Inodes.
pub const INODES: Fault = Fault {
    name: "inodes",
    usage: "NODE [data|mail]",
    about: "uses every inode of a node's volume; undone, they are free again",
    strike: |stage, words| {
        let (node, dir) = volume(stage, words)?;
        let dir = dir.join(format!("{FILLER}s"));
        std::fs::create_dir_all(&dir)?;
        let used = (0..).find(|number| File::create(dir.join(number.to_string())).is_err()).unwrap_or(0);
        stage.journal().enter(&node, "full");
        stage.note(Struck, Some(&node), format!("the volume of {node} has no inode left ({used} were free)"));
        Ok(emptied(node, "inodes", move || Ok(std::fs::remove_dir_all(dir)?)))
    },
};

fn emptied(node: String, what: &'static str, remove: impl FnOnce() -> Result<()> + Send + 'static) -> Heal {
    Box::new(move |stage| {
        remove()?;
        stage.journal().leave(&node, "full");
        stage.note(Healed, Some(&node), format!("the volume of {node} has {what} again"));
        Ok(())
    })
}

/// The node, and the mount of the volume that the words name.
fn volume(stage: &Stage, words: &[&str]) -> Result<(String, PathBuf)> {
    let node = word(words, 0, "the node")?.to_owned();
    let server = stage.server(&node)?;
    let data = server.data().with_context(|| format!("the volume of {node} is out of reach here"))?;
    let (has, dir) = match words.get(1).copied().unwrap_or("data") {
        "data" => (server.plan().volume.is_some(), data),
        "mail" => (server.plan().mail_volume.is_some(), data.join("mail")),
        other => anyhow::bail!("a volume is `data` or `mail`, not {other}"),
    };
    anyhow::ensure!(has, "{node} has no volume of its own there: the topology says `volume` or `mail_volume` for one");
    Ok((node, dir))
}

/// Writes until only `leave` octets are free, in large pieces and then in crumbs.
fn fill(path: &Path, leave: u64) -> Result<()> {
    let dir = path.parent().context("a file lies in a directory")?;
    let mut file = File::create(path)?;
    let block = vec![b'x'; 256 * 1024];
    loop {
        let stat = rustix::fs::statvfs(dir)?;
        let free = stat.f_bavail * stat.f_frsize;
        let want = free.saturating_sub(leave) as usize;
        if want == 0 && leave > 0 {
            break;
        }
        let piece = if want > 2 * block.len() { &block[..] } else { &block[..CRUMB.min(want.max(CRUMB))] };
        match file.write_all(piece) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
            Err(error) => return Err(error.into()),
        }
        // What is delayed by the kernel counts as free until it is allocated.
        if piece.len() == CRUMB {
            let _ = file.sync_all();
        }
    }
    let _ = file.sync_all();
    Ok(())
}
