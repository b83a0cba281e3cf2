//! The directory that holds all files of a run: settings and data of each node, the zones. Its name tells whose it is, so that one whose
//! process and sweeper were both killed is found by a later run.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::owner::{ended, owner};
use crate::Result;
use crate::client::run;
use crate::sweep;

/// What its name begins with; the owner follows.
const PREFIX: &str = "bongsu-run-";
/// Longest unmounting.
const STEP: Duration = Duration::from_secs(30);

/// A directory of this process; it goes when dropped.
pub(super) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    /// Makes one, and removes those of dead runs.
    pub(super) fn make() -> Result<Place> {
        sweep_dead(&std::env::temp_dir());
        let dir = tempfile::Builder::new().prefix(&format!("{PREFIX}{}-", owner().replace(' ', "-"))).tempdir()?;
        sweep::note(&format!("directory {}", dir.path().display()));
        Ok(Place { dir })
    }

    /// A directory within it, which is made.
    pub(super) fn below(&self, name: &str) -> Result<PathBuf> {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        sweep::forget(&format!("directory {}", self.dir.path().display()));
    }
}

/// Removes what lies in `dir` and belongs to dead runs, unmounted first. What resists stays.
fn sweep_dead(dir: &Path) {
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.map_while(std::result::Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((owner, _)) = name.strip_prefix(PREFIX).and_then(|rest| rest.rsplit_once('-')) else { continue };
        if ended(&owner.replace('-', " ")) {
            mounts(&entry.path()).iter().for_each(|(device, at)| {
                let _ = run("umount", &["-l", at], b"", STEP);
                let _ = run("losetup", &["-d", device], b"", STEP);
            });
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Devices and places of what is mounted below a directory, the last mounted first.
fn mounts(dir: &Path) -> Vec<(String, String)> {
    let all = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
    let mount = |line: &str| {
        let mut words = line.split(' ');
        let (device, at) = (words.next()?, words.next()?);
        Path::new(at).starts_with(dir).then(|| (device.to_owned(), at.to_owned()))
    };
    let mut found: Vec<(String, String)> = all.lines().filter_map(mount).collect();
    found.reverse();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_dead_left_goes() {
        let dir = tempfile::tempdir().unwrap();
        let of = |owner: &str| dir.path().join(format!("{PREFIX}{}-x1y2", owner.replace(' ', "-")));
        let own = owner();
        let dead = format!("{} 1 {}", std::process::id(), own.rsplit(' ').next().unwrap());
        for path in [of(&own), of(&dead), dir.path().join("bongsu-run-x"), dir.path().join("other")] {
            std::fs::create_dir_all(path.join("data")).unwrap();
        }
        sweep_dead(dir.path());
        assert!(of(&own).exists() && !of(&dead).exists());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 3);
    }
}
