//! File systems of a given size, in a file of their own: they can be filled without harm to the machine, and what is on them outlives
//! a kill of everything that used it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::Result;
use crate::client::{have, run};
use crate::sweep;

const STEP: Duration = Duration::from_secs(120);
/// Octets of a MiB.
pub const MEGABYTE: u64 = 1024 * 1024;

/// Why `what` can't be tried here: not root, or of these programs (each with its Debian package) one is missing; `None` where it can.
pub(crate) fn wanting(what: &str, programs: &[(&str, &str)]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some(format!("{what} need root, for loop devices and mounts"));
    }
    let missing = programs.iter().filter(|(program, _)| !have(program));
    let (programs, packages): (Vec<&str>, Vec<&str>) = missing.copied().unzip();
    (!programs.is_empty()).then(|| format!("{what} need {}: apt-get install {}", programs.join(", "), packages.join(" ")))
}

/// Why volumes of a given size can't be had here; `None` where they can.
pub fn impossible() -> Option<String> {
    wanting("volumes of a given size", &[("mkfs.ext4", "e2fsprogs"), ("losetup", "mount")])
}

/// Runs a program of the system to its end; its output, or an error with what it said.
pub(crate) fn command(program: &str, args: &[&str]) -> Result<String> {
    let ran = run(program, args, b"", STEP)?.ok().with_context(|| format!("{program} {}", args.join(" ")))?;
    Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned())
}

/// A file system image that is attached to a loop device and mounted; both end when it is dropped.
#[derive(Debug)]
pub struct Mounted {
    device: String,
    at: PathBuf,
}

impl Mounted {
    /// Mounts the image at a directory, which is made where it is missing.
    pub fn mount(image: &Path, at: &Path, direct: bool) -> Result<Mounted> {
        std::fs::create_dir_all(at)?;
        let direct = if direct { "--direct-io=on" } else { "--direct-io=off" };
        let device = command("losetup", &["--find", "--show", direct, &image.display().to_string()])?;
        sweep::note(&format!("loop {device}"));
        let mounted = Mounted { device, at: at.to_owned() };
        command("mount", &[&mounted.device, &mounted.at.display().to_string()])?;
        sweep::note(&format!("mount {}", mounted.at.display()));
        Ok(mounted)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// The loop device.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Mounts it anew, read-only or not.
    pub fn remount(&self, read_only: bool) -> Result<()> {
        let option = if read_only { "remount,ro" } else { "remount,rw" };
        command("mount", &["-o", option, &self.at.display().to_string()]).map(|_| ())
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Lazily, so that a process that has not died yet can't keep the mount alive for ever.
        let _ = command("umount", &["-l", &self.at.display().to_string()]);
        let _ = command("losetup", &["-d", &self.device]);
        sweep::forget(&format!("mount {}", self.at.display()));
        sweep::forget(&format!("loop {}", self.device));
    }
}

/// Makes an ext4 image of `megabytes` at `image`, all of it for anybody, with `inodes` of them where given.
pub fn make_ext4(image: &Path, megabytes: u64, inodes: Option<u64>) -> Result<()> {
    std::fs::File::create(image)?.set_len(megabytes * MEGABYTE)?;
    let (inodes, image) = (inodes.map(|inodes| inodes.to_string()), image.display().to_string());
    let mut args = vec!["-q", "-F", "-b", "4096", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0"];
    if let Some(inodes) = &inodes {
        args.extend(["-N", inodes.as_str()]);
    }
    args.push(&image);
    command("mkfs.ext4", &args).map(|_| ())
}
