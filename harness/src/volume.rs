//! File systems of a given size, in a file of their own: they can be filled without harm to the machine, and what is on them outlives
//! a kill of everything that used it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use crate::Result;
use crate::client::{have, run, run_command};
use crate::sweep;
use crate::wait::wait_for;

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

/// A disk in memory for images to lie on. It is as small as it is told to be, so that it can fail under them.
#[derive(Debug)]
pub struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Mounts one of `megabytes` at a directory, which is made where it is missing.
    pub fn mount(at: &Path, megabytes: u64) -> Result<Disk> {
        std::fs::create_dir_all(at)?;
        command("mount", &["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "bongsu-harness", &at.display().to_string()])?;
        sweep::note(&format!("mount {}", at.display()));
        Ok(Disk { at: at.to_owned() })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = command("umount", &["-l", &self.at.display().to_string()]);
        sweep::forget(&format!("mount {}", self.at.display()));
    }
}

/// The device that is mounted at a directory.
pub fn device_at(at: &Path) -> Result<String> {
    let mounts = std::fs::read_to_string("/proc/mounts")?;
    let words = |line: &str| line.split_once(' ').map(|(device, rest)| (device.to_owned(), rest.to_owned()));
    let here = |rest: &str| rest.split(' ').next() == at.to_str();
    let found = mounts.lines().rev().filter_map(words).find(|(_, rest)| here(rest));
    Ok(found.with_context(|| format!("nothing is mounted at {}", at.display()))?.0)
}

/// Unmounts what is mounted at a directory, which drops all that was not written, repairs the file system and mounts it again. Nobody may
/// use it.
pub fn mount_anew(at: &Path) -> Result<()> {
    let (device, at) = (device_at(at)?, at.display().to_string());
    wait_for("a moment in which nobody looks at the volume", STEP, || command("umount", &[&at]).map(Some))?;
    // A container that another made at this moment may hold its copy of the mount for a while.
    wait_for("the repair of the file system", STEP, || {
        let repaired = run("e2fsck", &["-y", &device], b"", STEP)?;
        anyhow::ensure!(repaired.code <= 1, "e2fsck of {device}: {}", repaired.text);
        Ok(Some(()))
    })?;
    command("mount", &[&device, &at]).map(|_| ())
}

/// Makes an ext4 image of `megabytes` at `image`, all of it for anybody, with `inodes` of them where given.
pub fn make_ext4(image: &Path, megabytes: u64, inodes: Option<u64>) -> Result<()> {
    std::fs::File::create(image)?.set_len(megabytes * MEGABYTE)?;
    let (inodes, image) = (inodes.map(|inodes| inodes.to_string()), image.display().to_string());
    let mut args = vec!["-q", "-F", "-b", "4096", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard"];
    if let Some(inodes) = &inodes {
        args.extend(["-N", inodes.as_str()]);
    }
    args.push(&image);
    // Journal and tables are written and not left as holes: a disk that has no more room then fails what is new, and not all.
    let mut mkfs = std::process::Command::new("mkfs.ext4");
    mkfs.args(args).env("UNIX_IO_NOZEROOUT", "1");
    run_command(mkfs, b"")?.ok().context("mkfs.ext4").map(|_| ())
}
