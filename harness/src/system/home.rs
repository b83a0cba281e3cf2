//! Where the programs of a mail system lie: installed on this machine, or in a package that was unpacked and not installed, since the packages
//! of two mail systems do not go together.

use std::path::{Path, PathBuf};

use crate::client::have;

/// The environment variable that names the directory of unpacked packages: `tests/peers` makes one.
const PEERS: &str = "HARNESS_PEERS";

/// A place of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Home {
    /// Installed, with its program on the path.
    Installed,
    /// Unpacked below this directory, as if it were `/`.
    Unpacked(PathBuf),
}

impl Home {
    /// Looks for `program` of the package `name` (`exim`), first among those unpacked. The error says what to do.
    pub(super) fn find(name: &str, program: &str) -> Result<Home, String> {
        let peers = std::env::var_os(PEERS).map(PathBuf::from);
        if let Some(root) = peers.as_deref().map(|peers| unpacked(peers, name)).filter(|root| holds(root, program)) {
            return Ok(Home::Unpacked(root));
        }
        if have(program) {
            return Ok(Home::Installed);
        }
        let looked = peers.map_or_else(String::new, |peers| format!(" nor below {}", unpacked(&peers, name).display()));
        Err(format!(
            "{program} is neither on the path{looked}: run tests/peers and set {PEERS} to the directory that it prints"
        ))
    }

    /// Its `/usr`, where it is not the machine's.
    pub(super) fn usr(&self) -> Option<PathBuf> {
        match self {
            Home::Installed => None,
            Home::Unpacked(root) => Some(root.join("usr")),
        }
    }
}

fn unpacked(peers: &Path, name: &str) -> PathBuf {
    // The node looks from another working directory.
    std::path::absolute(peers).unwrap_or_else(|_| peers.to_owned()).join(name)
}

fn holds(root: &Path, program: &str) -> bool {
    root.join("usr/sbin").join(program).is_file()
}
