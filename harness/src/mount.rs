//! File system images, mounted through loop devices and taken away again whatever happens.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::Result;
use crate::client::{have, run};

const STEP: Duration = Duration::from_secs(120);
pub(crate) const MEGABYTE: u64 = 1024 * 1024;

/// Why `what` can't be tried here: not root, or of these programs (each with its Debian package) one is missing; `None` where it can.
pub(crate) fn wanting(what: &str, programs: &[(&str, &str)]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some(format!("{what} need root, for loop devices and mounts"));
    }
    let missing = programs.iter().filter(|(program, _)| !have(program));
    let (programs, packages): (Vec<&str>, Vec<&str>) = missing.copied().unzip();
    (!programs.is_empty()).then(|| format!("{what} need {}: apt-get install {}", programs.join(", "), packages.join(" ")))
}

/// What `program` printed where it ended well.
pub(crate) fn command(program: &str, args: &[&str]) -> Result<String> {
    let ran = run(program, args, b"", STEP)?.ok().with_context(|| format!("{program} {}", args.join(" ")))?;
    Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned())
}

/// A mounted file system image; unmounted and detached when dropped.
#[derive(Debug)]
pub(crate) struct Mounted {
    device: String,
    /// Where it is mounted.
    pub(crate) at: PathBuf,
}

impl Mounted {
    /// Mounts `image` at `at`, which is made; `direct` lets writes go around the cache of the disk below.
    pub(crate) fn mount(image: &Path, at: &Path, direct: bool) -> Result<Mounted> {
        std::fs::create_dir_all(at)?;
        let direct = if direct { "--direct-io=on" } else { "--direct-io=off" };
        let device = command("losetup", &["--find", "--show", direct, &image.display().to_string()])?;
        let mounted = Mounted { device, at: at.to_owned() };
        command("mount", &[&mounted.device, &mounted.at.display().to_string()])?;
        Ok(mounted)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily, so that a process that has not died yet can't keep the mount alive for ever.
        let _ = command("umount", &["-l", &self.at.display().to_string()]);
        let _ = command("losetup", &["-d", &self.device]);
    }
}
