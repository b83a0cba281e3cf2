//! Reading Maildirs from outside, as any other tool would.

use std::path::{Path, PathBuf};

use crate::Result;

/// Every message file in `new/` and `cur/` of every Maildir at or below `root`, sorted.
pub fn messages(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        let holds_mail = matches!(dir.file_name().and_then(|n| n.to_str()), Some("new" | "cur"));
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
            } else if holds_mail {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
