//! A disk that can be filled to the last octet, or the last inode, and emptied again.
//!
//! An ext4 image with nothing kept back for root, mounted through a loop device: what fills it is a file or many of our own beside what
//! the scenario keeps there.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::Result;
use crate::volume::{Mounted, make_ext4, wanting};

/// Octets of one write of the filling.
const PIECES: [usize; 3] = [1 << 20, 64 << 10, 512];

/// Why no disk of our own can be made here; `None` where it can.
pub fn impossible() -> Option<String> {
    wanting("disks that can be filled", &[("mkfs.ext4", "e2fsprogs"), ("losetup", "mount")])
}

/// The disk; unmounted and removed when dropped.
#[derive(Debug)]
pub struct SmallDisk {
    // Before the directory, in which its image lies.
    disk: Mounted,
    _dir: tempfile::TempDir,
}

/// What is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Free {
    /// Octets.
    pub bytes: u64,
    /// Files that can still be made.
    pub inodes: u64,
}

impl SmallDisk {
    /// A disk of `megabytes` with room for about `inodes` files, below `scratch`.
    pub fn new(scratch: &Path, megabytes: u64, inodes: u64) -> Result<SmallDisk> {
        let dir = tempfile::Builder::new().prefix("bongsu-disk-").tempdir_in(scratch)?;
        let image = dir.path().join("image");
        make_ext4(&image, megabytes, Some(inodes))?;
        let disk = Mounted::mount(&image, &dir.path().join("disk"), false)?;
        std::fs::create_dir(disk.path().join("filling"))?;
        Ok(SmallDisk { disk, _dir: dir })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.disk.path()
    }

    /// What is free now.
    pub fn free(&self) -> Result<Free> {
        let found = rustix::fs::statvfs(self.path())?;
        Ok(Free { bytes: found.f_bavail * found.f_frsize, inodes: found.f_favail })
    }

    /// Takes room until about so many octets are left; 0 is until none is.
    pub fn fill(&self, left: u64) -> Result<()> {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(self.filling().join("octets"))?;
        for piece in PIECES {
            while self.free()?.bytes >= left.saturating_add(if left > 0 { piece as u64 } else { 0 }) {
                match file.write(&vec![b'x'; piece]) {
                    Ok(written) if written > 0 => file.sync_data().or_else(full_is_fine)?,
                    Ok(_) => break,
                    Err(error) => {
                        full_is_fine(error)?;
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes files until so many can still be made.
    pub fn fill_inodes(&self, left: u64) -> Result<()> {
        let mut number = std::fs::read_dir(self.filling())?.count();
        while self.free()?.inodes > left {
            let made = std::fs::File::create(self.filling().join(format!("{number}")));
            if made.as_ref().is_err_and(|error| error.kind() == ErrorKind::StorageFull) {
                break;
            }
            made.with_context(|| format!("{:?} free", self.free()))?;
            number += 1;
        }
        Ok(())
    }

    /// Gives up all that was taken.
    pub fn empty(&self) -> Result<()> {
        for entry in std::fs::read_dir(self.filling())? {
            std::fs::remove_file(entry?.path())?;
        }
        Ok(())
    }

    fn filling(&self) -> PathBuf {
        self.path().join("filling")
    }
}

fn full_is_fine(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == ErrorKind::StorageFull { Ok(()) } else { Err(error) }
}
