//! The machine's own disk.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lib_mail::Timestamp;
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps,
};
use rustix::io::{Errno, retry_on_intr};

use crate::{Access, Entry, Kind, Meta, Purpose, Space, mutant};

/// The process's umask takes the group's rights away, but where roles of several users share a group.
const DIR_MODE: u32 = 0o770;
/// Magic numbers of statfs(2). ext2 and ext3 share ext4's and are served by its driver.
const EXT4: u64 = 0xef53;
const TMPFS: u64 = 0x0102_1994;
/// Since this version of Linux syncfs(2) tells of what could not be written.
const SYNCFS_TELLS: (u32, u32) = (5, 8);

#[derive(Debug, Clone)]
pub(crate) struct RealDir(Arc<OwnedFd>);

#[derive(Debug)]
pub(crate) struct RealFile(OwnedFd);

/// Whether files are opened without their time of access (O_NOATIME), which costs a write of the inode each. Only a file's owner may: the first
/// file of another user ends it for this process.
static UNMARKED: AtomicBool = AtomicBool::new(true);

fn kind(file: FileType) -> Kind {
    match file {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        _ => Kind::Other,
    }
}

fn meta(stat: &Stat) -> Meta {
    let nanos = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
    Meta {
        len: u64::try_from(stat.st_size).unwrap_or(0),
        mtime: Timestamp(stat.st_mtime.saturating_mul(1000).saturating_add(nanos / 1_000_000)),
        inode: stat.st_ino,
        device: stat.st_dev,
        links: stat.st_nlink,
        kind: kind(FileType::from_raw_mode(stat.st_mode)),
    }
}

impl RealDir {
    pub(crate) fn open(path: &Path) -> io::Result<RealDir> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(RealDir(Arc::new(rustix::fs::openat(CWD, path, flags, Mode::empty())?)))
    }

    pub(crate) fn open_dir(&self, name: &Path) -> io::Result<RealDir> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(RealDir(Arc::new(rustix::fs::openat(&*self.0, name, flags, Mode::empty())?)))
    }

    pub(crate) fn create(&self, name: &Path, mode: u32) -> io::Result<RealFile> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(RealFile(rustix::fs::openat(&*self.0, name, flags, Mode::from_raw_mode(mode))?))
    }

    pub(crate) fn open_file(&self, name: &Path, access: Access) -> io::Result<RealFile> {
        let access = match access {
            Access::Read => OFlags::RDONLY,
            Access::Write => OFlags::RDWR,
            Access::Append => OFlags::RDWR | OFlags::APPEND,
        };
        // NONBLOCK: a pipe that someone put there must not hold us; it means nothing for regular files.
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if UNMARKED.load(Ordering::Relaxed) {
            match rustix::fs::openat(&*self.0, name, flags | OFlags::NOATIME, Mode::empty()) {
                Err(Errno::PERM) => UNMARKED.store(false, Ordering::Relaxed),
                opened => return Ok(RealFile(opened?)),
            }
        }
        Ok(RealFile(rustix::fs::openat(&*self.0, name, flags, Mode::empty())?))
    }

    pub(crate) fn make_dir(&self, name: &Path) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&*self.0, name, Mode::from_raw_mode(DIR_MODE))?)
    }

    pub(crate) fn list(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(&*self.0)? {
            let entry = entry?;
            let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                entries.push(Entry { name: name.to_owned(), kind: kind(entry.file_type()) });
            }
        }
        Ok(entries)
    }

    pub(crate) fn stat(&self, name: &Path) -> io::Result<Meta> {
        if name.as_os_str().is_empty() {
            return Ok(meta(&rustix::fs::fstat(&*self.0)?));
        }
        Ok(meta(&rustix::fs::statat(&*self.0, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    pub(crate) fn rename(&self, name: &Path, to: &RealDir, new: &Path, replace: bool) -> io::Result<()> {
        if replace {
            return Ok(rustix::fs::renameat(&*self.0, name, &*to.0, new)?);
        }
        match rustix::fs::renameat_with(&*self.0, name, &*to.0, new, RenameFlags::NOREPLACE) {
            // Some file systems cannot refuse to replace; a link can. A crash in between leaves both names on one file.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(&*self.0, name, &*to.0, new, AtFlags::empty())?;
                Ok(rustix::fs::unlinkat(&*self.0, name, AtFlags::empty())?)
            }
            moved => Ok(moved?),
        }
    }

    pub(crate) fn unlink(&self, name: &Path) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&*self.0, name, AtFlags::empty())?)
    }

    pub(crate) fn sync(&self, purpose: Purpose) -> io::Result<()> {
        if mutant::skips(purpose) { Ok(()) } else { Ok(rustix::fs::fsync(&*self.0)?) }
    }

    pub(crate) fn names_follow_files(&self) -> io::Result<bool> {
        self.is_known()
    }

    /// Whether power cuts were tried on this kind of file system.
    fn is_known(&self) -> io::Result<bool> {
        let magic = rustix::fs::fstatfs(&*self.0)?.f_type;
        Ok(matches!(u64::try_from(magic), Ok(EXT4 | TMPFS)))
    }

    pub(crate) fn can_sync_all(&self) -> io::Result<bool> {
        let release = rustix::system::uname().release().to_string_lossy().into_owned();
        Ok(version(&release) >= SYNCFS_TELLS && self.is_known()?)
    }

    pub(crate) fn reopen(&self) -> io::Result<RealDir> {
        self.open_dir(Path::new("."))
    }

    pub(crate) fn sync_all(&self, purpose: Purpose) -> io::Result<()> {
        if mutant::skips(purpose) { Ok(()) } else { Ok(rustix::fs::syncfs(&*self.0)?) }
    }

    pub(crate) fn space(&self) -> io::Result<Space> {
        let stat = rustix::fs::fstatvfs(&*self.0)?;
        let countless = stat.f_files == 0;
        Ok(Space {
            free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
            total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
            free_inodes: if countless { u64::MAX } else { stat.f_favail },
            total_inodes: if countless { u64::MAX } else { stat.f_files },
        })
    }
}

impl RealFile {
    pub(crate) fn write_at(&self, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match retry_on_intr(|| rustix::io::pwrite(&self.0, bytes, at))? {
                0 => return Err(ErrorKind::StorageFull.into()),
                count => {
                    bytes = &bytes[count..];
                    at += count as u64;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let count = retry_on_intr(|| rustix::io::write(&self.0, bytes))?;
        if count == bytes.len() { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::pread(&self.0, &mut *buffer, at))?)
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::ftruncate(&self.0, len))?)
    }

    pub(crate) fn allocate(&self, len: u64) -> io::Result<()> {
        Ok(retry_on_intr(|| rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, len))?)
    }

    pub(crate) fn meta(&self) -> io::Result<Meta> {
        Ok(meta(&rustix::fs::fstat(&self.0)?))
    }

    pub(crate) fn set_mtime(&self, at: Timestamp) -> io::Result<()> {
        let mtime = Timespec { tv_sec: at.seconds(), tv_nsec: at.0.rem_euclid(1000) * 1_000_000 };
        let omit = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT };
        Ok(rustix::fs::futimens(&self.0, &Timestamps { last_access: omit, last_modification: mtime })?)
    }

    pub(crate) fn try_lock(&self) -> io::Result<bool> {
        if mutant::is_mutant("no-lock") {
            return Ok(true);
        }
        match retry_on_intr(|| rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn lock(&self) -> io::Result<()> {
        if mutant::is_mutant("no-lock") {
            return Ok(());
        }
        Ok(retry_on_intr(|| rustix::fs::flock(&self.0, FlockOperation::LockExclusive))?)
    }

    pub(crate) fn unlock(&self) -> io::Result<()> {
        Ok(rustix::fs::flock(&self.0, FlockOperation::Unlock)?)
    }

    pub(crate) fn sync(&self, purpose: Purpose) -> io::Result<()> {
        if mutant::skips(purpose) { Ok(()) } else { Ok(rustix::fs::fsync(&self.0)?) }
    }
}

/// The first two numbers of a release as `6.1.0-13-amd64`; zeros where it has none.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// The topmost directory above `path` that lies on the same file system: where it is mounted, or `path` where that cannot be told.
pub fn mount_point(path: &Path) -> PathBuf {
    let device = |path: &Path| std::fs::metadata(path).map(|meta| meta.dev()).ok();
    let Ok(path) = path.canonicalize() else { return path.to_owned() };
    let own = device(&path);
    path.ancestors().take_while(|above| device(above) == own).last().unwrap_or(&path).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        for (release, numbers) in
            [("6.1.0-13-amd64", (6, 1)), ("5.10", (5, 10)), ("5.8-rc1", (5, 8)), ("next", (0, 0)), ("", (0, 0))]
        {
            assert_eq!(version(release), numbers, "{release}");
        }
    }
}
