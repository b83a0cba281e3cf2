//! A disk in memory that forgets what was not synced.
#![allow(clippy::unimplemented, unused_variables, missing_docs)]

use std::io;
use std::path::Path;

use lib_mail::Timestamp;

use crate::{Access, Entry, Meta, Purpose, Space};

/// A disk in memory that can be cut after any call.
#[derive(Debug, Clone, Default)]
pub struct SimDisk;
#[derive(Debug, Clone)]
pub(crate) struct SimDir;
#[derive(Debug)]
pub(crate) struct SimFile;

impl SimDisk {
    pub(crate) fn open_root(&self, path: &Path) -> io::Result<SimDir> {
        unimplemented!()
    }
}
impl SimDir {
    pub(crate) fn create(&self, name: &Path) -> io::Result<SimFile> {
        unimplemented!()
    }
    pub(crate) fn open_file(&self, name: &Path, access: Access) -> io::Result<SimFile> {
        unimplemented!()
    }
    pub(crate) fn open_dir(&self, name: &Path) -> io::Result<SimDir> {
        unimplemented!()
    }
    pub(crate) fn make_dir(&self, name: &Path) -> io::Result<()> {
        unimplemented!()
    }
    pub(crate) fn list(&self) -> io::Result<Vec<Entry>> {
        unimplemented!()
    }
    pub(crate) fn stat(&self, name: &Path) -> io::Result<Meta> {
        unimplemented!()
    }
    pub(crate) fn rename(&self, name: &Path, to: &SimDir, new: &Path, replace: bool) -> io::Result<()> {
        unimplemented!()
    }
    pub(crate) fn unlink(&self, name: &Path) -> io::Result<()> {
        unimplemented!()
    }
    pub(crate) fn sync(&self, purpose: Purpose) -> io::Result<()> {
        unimplemented!()
    }
    pub(crate) fn space(&self) -> io::Result<Space> {
        unimplemented!()
    }
}
impl SimFile {
    pub(crate) fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        unimplemented!()
    }
    pub(crate) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        unimplemented!()
    }
    pub(crate) fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        unimplemented!()
    }
    pub(crate) fn set_len(&self, len: u64) -> io::Result<()> {
        unimplemented!()
    }
    pub(crate) fn allocate(&self, len: u64) -> io::Result<()> {
        unimplemented!()
    }
    pub(crate) fn meta(&self) -> io::Result<Meta> {
        unimplemented!()
    }
    pub(crate) fn set_mtime(&self, at: Timestamp) -> io::Result<()> {
        unimplemented!()
    }
    pub(crate) fn try_lock(&self) -> io::Result<bool> {
        unimplemented!()
    }
    pub(crate) fn lock(&self) -> io::Result<()> {
        unimplemented!()
    }
    pub(crate) fn unlock(&self) -> io::Result<()> {
        unimplemented!()
    }
    pub(crate) fn sync(&self, purpose: Purpose) -> io::Result<()> {
        unimplemented!()
    }
}
