//! Power cuts: a disk that can be cloned at any moment, as if the machine had lost its power then.
//!
//! The disk is an ext4 image, used through a loop device with direct I/O, on an XFS with reflinks. A clone of the image is what a disk
//! would hold after a cut at that moment: what was synced, and of the rest whatever the kernel happened to have written.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::volume::{MEGABYTE, Mounted, command, make_ext4, wanting};

/// Why power cuts can't be tried here; `None` where they can.
pub fn impossible() -> Option<String> {
    let wanting = wanting("power cuts", &[("mkfs.xfs", "xfsprogs"), ("mkfs.ext4", "e2fsprogs"), ("losetup", "mount")]);
    if wanting.is_some() {
        return wanting;
    }
    let xfs = std::fs::read_to_string("/proc/filesystems").is_ok_and(|text| text.contains("xfs"))
        || command("modprobe", &["xfs"]).is_ok();
    (!xfs).then(|| "power cuts need a kernel with XFS".into())
}

/// Two disks whose power can be cut: one for all data, one for a directory within it (the mailboxes may have a volume of their own, and
/// on one journal a missing directory sync would hide behind the next sync of any other file).
#[derive(Debug)]
pub struct Disks {
    // In this order: what is mounted within goes before what it lies on.
    inner: Mounted,
    outer: Mounted,
    store: Mounted,
    within: PathBuf,
    dir: tempfile::TempDir,
}

/// What is left of the disks after a cut, mounted, their journals recovered.
#[derive(Debug)]
pub struct Remains {
    inner: Mounted,
    outer: Mounted,
    images: [PathBuf; 2],
}

impl Disks {
    /// Makes two disks of `megabytes` each below `scratch`, the second mounted at `within` the first.
    pub fn new(scratch: &Path, megabytes: u64, within: &Path) -> Result<Disks> {
        let dir = tempfile::Builder::new().prefix("bongsu-power-").tempdir_in(scratch)?;
        let file = dir.path().join("store.img");
        // Room for the images and for the blocks that change while clones of them exist. It is sparse.
        std::fs::File::create(&file)?.set_len((megabytes * 6).max(1024) * MEGABYTE)?;
        command("mkfs.xfs", &["-q", "-m", "reflink=1", &file.display().to_string()])?;
        let store = Mounted::mount(&file, &dir.path().join("store"), false)?;
        for name in ["outer", "inner"] {
            let image = store.path().join(name);
            make_ext4(&image, megabytes, None)?;
        }
        let outer = Mounted::mount(&store.path().join("outer"), &dir.path().join("disk"), true)?;
        let inner = Mounted::mount(&store.path().join("inner"), &outer.path().join(within), true)?;
        Ok(Disks { inner, outer, store, within: within.to_owned(), dir })
    }

    /// Where the first disk is mounted.
    pub fn path(&self) -> &Path {
        self.outer.path()
    }

    /// Where the second is mounted.
    pub fn inner(&self) -> &Path {
        self.inner.path()
    }

    /// What would be left if the power went now. The first disk goes a moment before the second, so what the first says was synced
    /// on the second is there.
    pub fn cut(&self, number: usize) -> Result<Remains> {
        let images = ["outer", "inner"].map(|name| self.store.path().join(format!("{name}-{number}")));
        for (name, image) in ["outer", "inner"].iter().zip(&images) {
            let from = self.store.path().join(name).display().to_string();
            command("cp", &["--reflink=always", &from, &image.display().to_string()])?;
        }
        let outer = Mounted::mount(&images[0], &self.dir.path().join(format!("cut-{number}")), true)?;
        let inner = Mounted::mount(&images[1], &outer.path().join(&self.within), true)?;
        Ok(Remains { inner, outer, images })
    }
}

impl Remains {
    /// Where the first disk's are mounted.
    pub fn path(&self) -> &Path {
        self.outer.path()
    }

    /// Where the second's are mounted.
    pub fn inner(&self) -> &Path {
        self.inner.path()
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        for image in &self.images {
            let _ = std::fs::remove_file(image);
        }
    }
}
