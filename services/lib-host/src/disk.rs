//! The disk calls that the stores make, and no others.
//!
//! Names are relative to an open directory, so that a path is resolved once. Each method is one system call unless its text says
//! more, and nothing is retried but `EINTR`: a failed sync least of all, since the kernel has forgotten by then what it could not write.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use lib_mail::Timestamp;

use crate::meta::{Access, Entry, Meta, Purpose, Space};
use crate::real::{RealDir, RealFile};
use crate::sim::{SimDir, SimDisk, SimFile};

/// Mode of files that only the service may read: the process's umask takes the group's rights away, but where roles of several users
/// share a group.
const PRIVATE: u32 = 0o660;

/// The disk: the real one, or a simulated one for tests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Disk(Backend);

#[derive(Debug, Clone)]
enum Backend {
    Real,
    Sim(SimDisk),
}

impl Disk {
    /// The machine's own file systems.
    pub fn real() -> Disk {
        Disk(Backend::Real)
    }

    /// Opens an existing directory; symbolic links on the way are followed.
    pub fn dir(&self, path: impl AsRef<Path>) -> io::Result<Dir> {
        match &self.0 {
            Backend::Real => RealDir::open(path.as_ref()).map(Dir::real),
            Backend::Sim(disk) => disk.open_root(path.as_ref()).map(Dir::sim),
        }
    }
}

impl From<&SimDisk> for Disk {
    fn from(disk: &SimDisk) -> Disk {
        Disk(Backend::Sim(disk.clone()))
    }
}

/// An open directory. Cheap to clone; kept open, it spares the look-up of its path.
#[derive(Debug, Clone)]
pub struct Dir(DirKind);

#[derive(Debug, Clone)]
enum DirKind {
    Real(RealDir),
    Sim(SimDir),
}

/// An open file; closing it lets its lock go.
#[derive(Debug)]
pub struct File(FileKind);

#[derive(Debug)]
enum FileKind {
    Real(RealFile),
    Sim(SimFile),
}

/// A sync of a whole file system that is to come; made before what it shall cover is written. See [`Dir::begin_sync_all`].
#[derive(Debug)]
pub struct SyncAll(DirKind);

macro_rules! on {
    ($self:expr, $kind:ident, $inner:ident => $call:expr) => {
        match &$self.0 {
            $kind::Real($inner) => $call,
            $kind::Sim($inner) => $call,
        }
    };
}

impl Dir {
    fn real(dir: RealDir) -> Dir {
        Dir(DirKind::Real(dir))
    }

    fn sim(dir: SimDir) -> Dir {
        Dir(DirKind::Sim(dir))
    }

    /// Makes a file that was not there, mode 0660 less the umask, open for [`Access::Write`]. `AlreadyExists` where the name is taken.
    pub fn create(&self, name: impl AsRef<Path>) -> io::Result<File> {
        self.create_with(name, PRIVATE)
    }

    /// As [`create`](Self::create) with these permission bits, of which the process's umask may take some away.
    pub fn create_with(&self, name: impl AsRef<Path>, mode: u32) -> io::Result<File> {
        match &self.0 {
            DirKind::Real(dir) => dir.create(name.as_ref(), mode).map(File::real),
            DirKind::Sim(dir) => dir.create(name.as_ref()).map(File::sim),
        }
    }

    /// Opens an existing file. The last component is never followed if it is a link.
    pub fn open(&self, name: impl AsRef<Path>, access: Access) -> io::Result<File> {
        match &self.0 {
            DirKind::Real(dir) => dir.open_file(name.as_ref(), access).map(File::real),
            DirKind::Sim(dir) => dir.open_file(name.as_ref(), access).map(File::sim),
        }
    }

    /// Opens a file for [`Access::Append`], making it as [`create`](Self::create) does where it is missing.
    pub fn open_or_create(&self, name: impl AsRef<Path>) -> io::Result<File> {
        match self.open(&name, Access::Append) {
            Err(error) if error.kind() == ErrorKind::NotFound => match self.create(&name) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                _ => self.open(&name, Access::Append),
            },
            opened => opened,
        }
    }

    /// Opens a directory below this one; never through a link in the last component.
    pub fn dir(&self, name: impl AsRef<Path>) -> io::Result<Dir> {
        match &self.0 {
            DirKind::Real(dir) => dir.open_dir(name.as_ref()).map(Dir::real),
            DirKind::Sim(dir) => dir.open_dir(name.as_ref()).map(Dir::sim),
        }
    }

    /// Makes a directory, mode 0770 less the umask. `AlreadyExists` where the name is taken. Its entry is durable after `sync` of this directory.
    pub fn make_dir(&self, name: impl AsRef<Path>) -> io::Result<()> {
        on!(self, DirKind, dir => dir.make_dir(name.as_ref()))
    }

    /// The directory of that name, made where it is missing.
    pub fn dir_or_make(&self, name: impl AsRef<Path>) -> io::Result<Dir> {
        match self.dir(&name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            opened => return opened,
        }
        match self.make_dir(&name) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => self.dir(&name),
        }
    }

    /// All names but `.` and `..`, in no order.
    pub fn list(&self) -> io::Result<Vec<Entry>> {
        on!(self, DirKind, dir => dir.list())
    }

    /// What stands under a name, `None` where nothing does. A link is not followed. The empty name is this directory.
    pub fn stat(&self, name: impl AsRef<Path>) -> io::Result<Option<Meta>> {
        match on!(self, DirKind, dir => dir.stat(name.as_ref())) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// Moves a name, replacing what the new name held.
    pub fn rename(&self, name: impl AsRef<Path>, to: &Dir, new: impl AsRef<Path>) -> io::Result<()> {
        self.rename_with(name.as_ref(), to, new.as_ref(), true)
    }

    /// Moves a name; `AlreadyExists` where the new one is taken.
    pub fn rename_new(&self, name: impl AsRef<Path>, to: &Dir, new: impl AsRef<Path>) -> io::Result<()> {
        self.rename_with(name.as_ref(), to, new.as_ref(), false)
    }

    fn rename_with(&self, name: &Path, to: &Dir, new: &Path, replace: bool) -> io::Result<()> {
        match (&self.0, &to.0) {
            (DirKind::Real(from), DirKind::Real(to)) => from.rename(name, to, new, replace),
            (DirKind::Sim(from), DirKind::Sim(to)) => from.rename(name, to, new, replace),
            _ => Err(ErrorKind::CrossesDevices.into()),
        }
    }

    /// Removes a file's name.
    pub fn unlink(&self, name: impl AsRef<Path>) -> io::Result<()> {
        on!(self, DirKind, dir => dir.unlink(name.as_ref()))
    }

    /// Makes the names made, moved and removed here so far durable. Never call it again after a failure.
    pub fn sync(&self, purpose: Purpose) -> io::Result<()> {
        on!(self, DirKind, dir => dir.sync(purpose))
    }

    /// Room on the file system that holds the directory.
    pub fn space(&self) -> io::Result<Space> {
        on!(self, DirKind, dir => dir.space())
    }

    /// Whether this file system is known to make a new file's name durable with the file's own sync. Shown by power cuts for ext4;
    /// on tmpfs there is nothing to lose. For all others the answer is no, and the directory must be synced too.
    pub fn names_follow_files(&self) -> io::Result<bool> {
        on!(self, DirKind, dir => dir.names_follow_files())
    }

    /// Whether [`begin_sync_all`](Self::begin_sync_all) is known to hold on this file system: on ext4, where power cuts have shown it,
    /// and tmpfs, which has nothing to lose; from Linux 5.8 on, since older systems do not tell of what could not be written.
    pub fn can_sync_all(&self) -> io::Result<bool> {
        on!(self, DirKind, dir => dir.can_sync_all())
    }

    /// Opens what a later [`SyncAll::sync`] needs. It must be opened before that which the sync is to cover is written, and belong to
    /// one caller alone: the system tells each such handle of a failed write once, and only of those since it was opened.
    pub fn begin_sync_all(&self) -> io::Result<SyncAll> {
        match &self.0 {
            DirKind::Real(dir) => dir.reopen().map(|dir| SyncAll(DirKind::Real(dir))),
            DirKind::Sim(dir) => dir.reopen().map(|dir| SyncAll(DirKind::Sim(dir))),
        }
    }

    /// Puts a file of this content under the name, wholly or not at all, durable on return: a new file `NAME.new`, written, synced,
    /// renamed, this directory synced. Callers that may race hold a lock of their own.
    pub fn replace(&self, name: &str, content: &[u8], mode: u32, purpose: Purpose) -> io::Result<()> {
        self.replace_with(name, content, mode, Some(purpose))
    }

    /// As [`replace`](Self::replace) without a sync: for what the caller syncs itself, or can do without after a power cut.
    pub fn replace_unsynced(&self, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
        self.replace_with(name, content, mode, None)
    }

    fn replace_with(&self, name: &str, content: &[u8], mode: u32, sync: Option<Purpose>) -> io::Result<()> {
        let fresh = format!("{name}.new");
        if let Err(error) = self.unlink(&fresh)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(error);
        }
        let file = self.create_with(&fresh, mode)?;
        let written = file.write_at(content, 0).and_then(|()| sync.map_or(Ok(()), |purpose| file.sync(purpose)));
        let placed = written.and_then(|()| self.rename(&fresh, self, name));
        let placed = placed.and_then(|()| sync.map_or(Ok(()), |purpose| self.sync(purpose)));
        if placed.is_err() {
            // The next replace begins by removing it; the error that counts is the first.
            let _ = self.unlink(&fresh);
        }
        placed
    }
}

impl SyncAll {
    /// Makes all that was written on the file system durable, whoever wrote it: contents, lengths, names. Waits for what others have
    /// written too, and fails where theirs fails. After a failure nothing that was written since the beginning can be called durable.
    pub fn sync(&self, purpose: Purpose) -> io::Result<()> {
        on!(self, DirKind, dir => dir.sync_all(purpose))
    }
}

impl File {
    fn real(file: RealFile) -> File {
        File(FileKind::Real(file))
    }

    fn sim(file: SimFile) -> File {
        File(FileKind::Sim(file))
    }

    /// Writes all of it at that place, in as few calls as the system allows.
    pub fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        on!(self, FileKind, file => file.write_at(bytes, at))
    }

    /// Puts all of it behind the file's end by exactly one write call, so that concurrent appends do not mix. `StorageFull` where
    /// only a part fitted; that part stays in the file.
    pub fn append(&self, bytes: &[u8]) -> io::Result<()> {
        on!(self, FileKind, file => file.append(bytes))
    }

    /// Reads up to `buffer.len()` octets from that place; fewer only at the file's end.
    pub fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match on!(self, FileKind, file => file.read_at(&mut buffer[filled..], at + filled as u64))? {
                0 => break,
                count => filled += count,
            }
        }
        Ok(filled)
    }

    /// The file's content from that place to its end, `InvalidData` where it is over `limit` octets.
    pub fn read_from(&self, at: u64, limit: usize) -> io::Result<Vec<u8>> {
        let len = usize::try_from(self.meta()?.len.saturating_sub(at)).unwrap_or(usize::MAX);
        if len > limit {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut content = vec![0; len];
        let count = self.read_at(&mut content, at)?;
        content.truncate(count);
        Ok(content)
    }

    /// Cuts the file, or fills it with zeros, to this length.
    pub fn set_len(&self, len: u64) -> io::Result<()> {
        on!(self, FileKind, file => file.set_len(len))
    }

    /// Reserves this many octets on the disk and makes the file at least so long.
    pub fn allocate(&self, len: u64) -> io::Result<()> {
        on!(self, FileKind, file => file.allocate(len))
    }

    /// What the disk knows of the file.
    pub fn meta(&self) -> io::Result<Meta> {
        on!(self, FileKind, file => file.meta())
    }

    /// Sets the modification time, which any later write moves again.
    pub fn set_mtime(&self, at: Timestamp) -> io::Result<()> {
        on!(self, FileKind, file => file.set_mtime(at))
    }

    /// Takes the exclusive lock if nobody has it; it goes with this value and with the process.
    pub fn try_lock(&self) -> io::Result<bool> {
        on!(self, FileKind, file => file.try_lock())
    }

    /// Takes the exclusive lock, waiting for whoever has it.
    pub fn lock(&self) -> io::Result<()> {
        on!(self, FileKind, file => file.lock())
    }

    /// As [`lock`](Self::lock), asking again every few milliseconds; `false` where `patience` runs out.
    pub fn lock_within(&self, patience: Duration) -> io::Result<bool> {
        let pause = Duration::from_millis(5);
        let mut left = patience;
        loop {
            if self.try_lock()? {
                return Ok(true);
            }
            if left.is_zero() {
                return Ok(false);
            }
            std::thread::sleep(pause.min(left));
            left = left.saturating_sub(pause);
        }
    }

    /// Lets the lock go before the file is closed.
    pub fn unlock(&self) -> io::Result<()> {
        on!(self, FileKind, file => file.unlock())
    }

    /// Makes the file's content, length and mtime durable, and on ext4 the name under which it was created. Never call it again
    /// after a failure: what could not be written is forgotten, and a second call would claim success.
    pub fn sync(&self, purpose: Purpose) -> io::Result<()> {
        on!(self, FileKind, file => file.sync(purpose))
    }
}
