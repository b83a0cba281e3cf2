//! A message file is cut short, as by a disk that lost its end.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{Fault, word};
use crate::Result;
use crate::record::MomentKind::{Fault as Struck, Heal as Healed};
use crate::scenario::SKIPPED;

/// In the spool of a node that does not run.
pub const TORN: Fault = Fault {
    name: "torn",
    usage: "NODE",
    about: "cuts the oldest message file in a stopped bongsu node's queue to half its length; undone, the whole message is in the queue again",
    strike: |stage, words| {
        let node = word(words, 0, "the node")?.to_owned();
        let server = stage.server(&node)?;
        anyhow::ensure!(!server.runs(), "{node} runs: stop it first");
        let spool = server.data().with_context(|| format!("{SKIPPED}the spool of {node} is out of reach here"))?.join("spool");
        let path = oldest(&spool)?.with_context(|| format!("nothing is queued on {node}"))?;
        let whole = std::fs::read(&path)?;
        File::options().write(true).open(&path)?.set_len(whole.len() as u64 / 2)?;
        let name = path.strip_prefix(&spool)?.to_owned();
        stage.note(Struck, Some(&node), format!("{} of {node} is cut to half its length", name.display()));
        Ok(Box::new(move |stage| {
            let next = spool.join(".torn");
            std::fs::write(&next, whole)?;
            std::fs::rename(&next, &path)?;
            // It lies there once the node has found it.
            let _ = std::fs::remove_file(spool.join("corrupt").join(&name));
            stage.note(Healed, Some(&node), format!("{} of {node} is whole and queued again", name.display()));
            Ok(())
        }))
    },
};

/// The queued file whose name sorts first: names sort by time.
fn oldest(spool: &Path) -> Result<Option<PathBuf>> {
    let mut found: Vec<PathBuf> = Vec::new();
    for shard in ["local", "relay"].iter().filter_map(|queue| std::fs::read_dir(spool.join(queue)).ok()).flatten() {
        for file in std::fs::read_dir(shard?.path())? {
            found.push(file?.path());
        }
    }
    found.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    Ok(found.into_iter().next())
}
