//! Accounts of nodes in containers. Each takes a container of its own to be made, so what came of it is kept for later nodes with the
//! same accounts: most scenarios of a run have the same few.

use std::collections::HashMap;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::container::beside;
use super::lock;
use crate::Result;
use crate::driver::containers::{Spec, user};
use crate::node::Plan;

/// What of a data directory belongs to its accounts.
const PARTS: [&str; 2] = ["VERSION", "state"];

/// A file or a directory below the data directory.
#[derive(Clone)]
struct Kept {
    path: PathBuf,
    mode: u32,
    /// `None` is a directory.
    octets: Option<Vec<u8>>,
}

/// Makes the accounts of a node whose container would be made from `spec`; `data` is its data directory, seen from here.
pub(super) fn make(node: &Plan, spec: &Spec, data: &Path) -> Result<()> {
    static KEPT: Mutex<Option<HashMap<String, Vec<Kept>>>> = Mutex::new(None);
    let key = format!("{} {} {:?} {:?}", spec.image, node.domain, node.accounts, node.owned);
    if let Some(kept) = lock(&KEPT).get_or_insert_default().get(&key).cloned() {
        return restore(&kept, data);
    }
    // One after the other: the first makes the directory's layout, and two that do so at once may trip over each other.
    node.accounts.iter().try_for_each(|account| add(node, spec, account))?;
    let mut kept = Vec::new();
    for part in PARTS {
        keep(data, Path::new(part), &mut kept)?;
    }
    lock(&KEPT).get_or_insert_default().insert(key, kept);
    Ok(())
}

fn add(node: &Plan, spec: &Spec, (user, password): &(String, String)) -> Result<()> {
    let address = format!("{user}@{}", node.domain);
    beside(spec, &node.account_add(user, &address), &[format!("BONGSU_PASSWORD={password}")], b"")?.ok().map(|_| ())
}

/// Notes what lies at and below `path`, each directory before what is in it.
fn keep(data: &Path, path: &Path, kept: &mut Vec<Kept>) -> Result<()> {
    let at = data.join(path);
    let Ok(meta) = std::fs::symlink_metadata(&at) else { return Ok(()) };
    let octets = if meta.is_dir() { None } else { Some(std::fs::read(&at)?) };
    kept.push(Kept { path: path.to_owned(), mode: meta.permissions().mode() & 0o777, octets });
    if meta.is_dir() {
        for entry in std::fs::read_dir(&at)? {
            keep(data, &path.join(entry?.file_name()), kept)?;
        }
    }
    Ok(())
}

fn restore(kept: &[Kept], data: &Path) -> Result<()> {
    let (user, group) = user();
    for Kept { path, mode, octets } in kept {
        let at = data.join(path);
        match octets {
            Some(octets) => std::fs::write(&at, octets)?,
            None => std::fs::create_dir_all(&at)?,
        }
        std::fs::set_permissions(&at, std::fs::Permissions::from_mode(*mode))?;
        chown(&at, Some(user), Some(group))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir_all(from.path().join("state/secrets")).unwrap();
        std::fs::write(from.path().join("state/secrets/passwords"), "x").unwrap();
        std::fs::set_permissions(from.path().join("state/secrets"), std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut kept = Vec::new();
        for part in PARTS {
            keep(from.path(), Path::new(part), &mut kept).unwrap();
        }
        restore(&kept, to.path()).unwrap();
        let secrets = to.path().join("state/secrets");
        assert_eq!(std::fs::metadata(&secrets).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_to_string(secrets.join("passwords")).unwrap(), "x");
    }
}
