//! Directories and files of the simulated disk: the calls of `Dir` and `File`.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use lib_mail::Timestamp;

use super::SimDisk;
use super::world::{FileNode, Inode, Node, World};
use crate::{Access, Entry, Kind, Meta, Purpose, Space};

/// A lock that nobody lets go for so long is a dead-lock of the test.
const LOCK_PATIENCE: Duration = Duration::from_secs(20);
const DEVICE: u64 = 42;

#[derive(Debug, Clone)]
pub(crate) struct SimDir {
    disk: SimDisk,
    inode: Inode,
}

#[derive(Debug)]
pub(crate) struct SimFile {
    disk: SimDisk,
    inode: Inode,
    handle: u64,
    access: Access,
    name: PathBuf,
}

impl World {
    fn meta(&self, inode: Inode) -> io::Result<Meta> {
        let (len, mtime, links, kind) = match self.nodes.get(&inode).ok_or(ErrorKind::NotFound)? {
            Node::Dir { .. } => (0, Timestamp(0), 1, Kind::Dir),
            Node::File(file) => (file.now.len() as u64, file.mtime, file.links, Kind::File),
        };
        Ok(Meta { len, mtime, inode, device: DEVICE, links, kind })
    }

    fn skips(&mut self, purpose: Purpose) -> bool {
        *self.syncs.entry(purpose).or_default() += 1;
        self.skipped.contains(&purpose)
    }
}

impl SimDir {
    pub(crate) fn new(disk: SimDisk, inode: Inode) -> SimDir {
        SimDir { disk, inode }
    }

    fn step(&self, what: &'static str, name: &Path) -> io::Result<MutexGuard<'_, World>> {
        let mut world = self.disk.world();
        world.step(what, name)?;
        Ok(world)
    }

    fn opened(&self, world: &mut World, inode: Inode, access: Access, name: &Path) -> SimFile {
        world.handles += 1;
        SimFile { disk: self.disk.clone(), inode, handle: world.handles, access, name: name.to_owned() }
    }

    pub(crate) fn create(&self, name: &Path) -> io::Result<SimFile> {
        let mut world = self.step("create", name)?;
        let inode = world.make(self.inode, name, Node::File(FileNode::new()))?;
        Ok(self.opened(&mut world, inode, Access::Write, name))
    }

    pub(crate) fn open_file(&self, name: &Path, access: Access) -> io::Result<SimFile> {
        let mut world = self.step("open", name)?;
        let inode = world.look_up(self.inode, name)?;
        world.file(inode)?;
        Ok(self.opened(&mut world, inode, access, name))
    }

    pub(crate) fn open_dir(&self, name: &Path) -> io::Result<SimDir> {
        let world = self.step("opendir", name)?;
        let inode = world.look_up(self.inode, name)?;
        world.names(inode)?;
        Ok(SimDir { disk: self.disk.clone(), inode })
    }

    pub(crate) fn make_dir(&self, name: &Path) -> io::Result<()> {
        let mut world = self.step("mkdir", name)?;
        world.make(self.inode, name, Node::Dir { now: BTreeMap::new(), durable: BTreeMap::new() }).map(drop)
    }

    pub(crate) fn list(&self) -> io::Result<Vec<Entry>> {
        let world = self.step("list", Path::new("."))?;
        let names = world.names(self.inode)?;
        let kind = |inode| if world.names(inode).is_ok() { Kind::Dir } else { Kind::File };
        Ok(names.iter().map(|(name, inode)| Entry { name: name.clone(), kind: kind(*inode) }).collect())
    }

    pub(crate) fn stat(&self, name: &Path) -> io::Result<Meta> {
        let world = self.step("stat", name)?;
        world.meta(world.look_up(self.inode, name)?)
    }

    pub(crate) fn rename(&self, name: &Path, to: &SimDir, new: &Path, replace: bool) -> io::Result<()> {
        self.step("rename", name)?.rename((self.inode, name), (to.inode, new), replace)
    }

    pub(crate) fn unlink(&self, name: &Path) -> io::Result<()> {
        self.step("unlink", name)?.unlink(self.inode, name)
    }

    pub(crate) fn sync(&self, purpose: Purpose) -> io::Result<()> {
        let mut world = self.step("syncdir", Path::new("."))?;
        if !world.skips(purpose) {
            world.sync_dir(self.inode);
        }
        Ok(())
    }

    pub(crate) fn can_sync_all(&self) -> io::Result<bool> {
        Ok(self.step("statfs", Path::new("."))?.syncs_all)
    }

    pub(crate) fn reopen(&self) -> io::Result<SimDir> {
        drop(self.step("opendir", Path::new("."))?);
        Ok(self.clone())
    }

    pub(crate) fn sync_all(&self, purpose: Purpose) -> io::Result<()> {
        let mut world = match self.step("syncfs", Path::new(".")) {
            Ok(world) => world,
            Err(error) => {
                let mut world = self.disk.world();
                if !world.was_cut {
                    world.forget_unsynced();
                }
                return Err(error);
            }
        };
        if !world.skips(purpose) {
            world.sync_all();
        }
        Ok(())
    }

    pub(crate) fn names_follow_files(&self) -> io::Result<bool> {
        Ok(self.step("statfs", Path::new("."))?.names_follow)
    }

    pub(crate) fn space(&self) -> io::Result<Space> {
        let world = self.step("statvfs", Path::new("."))?;
        let (bytes, inodes) = world.capacity;
        Ok(Space {
            free_bytes: bytes.saturating_sub(world.used_bytes()),
            total_bytes: bytes,
            free_inodes: inodes.saturating_sub(world.used_inodes()),
            total_inodes: inodes,
        })
    }
}

impl SimFile {
    fn step(&self, what: &'static str) -> io::Result<MutexGuard<'_, World>> {
        let mut world = self.disk.world();
        world.step(what, &self.name)?;
        Ok(world)
    }

    /// Writes as much as fits; an error where that is not all.
    fn put(&self, world: &mut World, at: usize, bytes: &[u8]) -> io::Result<()> {
        if self.access == Access::Read {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let room = world.capacity.0.saturating_sub(world.used_bytes());
        let file = world.file_mut(self.inode)?;
        let grows = (at + bytes.len()).saturating_sub(file.now.len()) as u64;
        let fits = bytes.len() - usize::try_from(grows.saturating_sub(room)).unwrap_or(0).min(bytes.len());
        if fits > 0 {
            file.write(at, &bytes[..fits]);
        }
        if fits == bytes.len() { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
    }

    pub(crate) fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        let mut world = self.step("write")?;
        let end = world.file(self.inode)?.now.len();
        // As Linux: a descriptor opened for appending appends, whatever the place.
        let at = if self.access == Access::Append { end } else { usize::try_from(at).map_err(|_| ErrorKind::FileTooLarge)? };
        self.put(&mut world, at, bytes)
    }

    pub(crate) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut world = self.step("append")?;
        if self.access != Access::Append {
            return Err(ErrorKind::InvalidInput.into());
        }
        let end = world.file(self.inode)?.now.len();
        self.put(&mut world, end, bytes)
    }

    pub(crate) fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let world = self.step("read")?;
        let content = &world.file(self.inode)?.now;
        let rest = content.get(usize::try_from(at).unwrap_or(usize::MAX)..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        let mut world = self.step("truncate")?;
        world.file_mut(self.inode)?.set_len(usize::try_from(len).map_err(|_| ErrorKind::FileTooLarge)?);
        Ok(())
    }

    pub(crate) fn allocate(&self, len: u64) -> io::Result<()> {
        let mut world = self.step("allocate")?;
        let room = world.capacity.0.saturating_sub(world.used_bytes());
        let file = world.file_mut(self.inode)?;
        let now = file.now.len() as u64;
        if len.saturating_sub(now) > room {
            return Err(ErrorKind::StorageFull.into());
        }
        file.set_len(usize::try_from(len.max(now)).map_err(|_| ErrorKind::FileTooLarge)?);
        Ok(())
    }

    pub(crate) fn meta(&self) -> io::Result<Meta> {
        self.step("fstat")?.meta(self.inode)
    }

    pub(crate) fn set_mtime(&self, at: Timestamp) -> io::Result<()> {
        self.step("utimens")?.file_mut(self.inode)?.set_mtime(at);
        Ok(())
    }

    pub(crate) fn try_lock(&self) -> io::Result<bool> {
        let mut world = self.step("trylock")?;
        let holder = *world.locks.entry(self.inode).or_insert(self.handle);
        Ok(holder == self.handle)
    }

    pub(crate) fn lock(&self) -> io::Result<()> {
        let world = self.step("lock")?;
        let taken = |world: &mut World| world.locks.get(&self.inode).is_some_and(|holder| *holder != self.handle);
        let waited = self.disk.0.unlocked.wait_timeout_while(world, LOCK_PATIENCE, taken);
        let (mut world, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Err(ErrorKind::Deadlock.into());
        }
        world.locks.insert(self.inode, self.handle);
        Ok(())
    }

    pub(crate) fn unlock(&self) -> io::Result<()> {
        drop(self.step("unlock")?);
        self.let_go();
        Ok(())
    }

    fn let_go(&self) {
        let mut world = self.disk.world();
        if world.locks.get(&self.inode) == Some(&self.handle) {
            world.locks.remove(&self.inode);
            self.disk.0.unlocked.notify_all();
        }
    }

    pub(crate) fn sync(&self, purpose: Purpose) -> io::Result<()> {
        let mut world = match self.step("sync") {
            Ok(world) => world,
            Err(error) => {
                let mut world = self.disk.world();
                if !world.was_cut {
                    // What could not be written is clean in the kernel's eyes: no later sync will write it.
                    world.file_mut(self.inode)?.pending.clear();
                }
                return Err(error);
            }
        };
        if world.skips(purpose) { Ok(()) } else { world.sync_file(self.inode) }
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.let_go();
    }
}
