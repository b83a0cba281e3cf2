//! What is on the simulated disk, and what of it is durable.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use lib_mail::Timestamp;

use crate::Purpose;

pub(crate) type Inode = u64;
type Names = BTreeMap<OsString, Inode>;

/// The time that a write leaves behind: no test clock stands there.
const SYSTEM_TIME: Timestamp = Timestamp(1_000_000_000_000);

#[derive(Debug, Clone)]
pub(crate) enum Node {
    Dir { now: Names, durable: Names },
    File(FileNode),
}

/// A file's content, and how the durable one comes to be it.
#[derive(Debug, Clone)]
pub(crate) struct FileNode {
    pub(crate) now: Vec<u8>,
    pub(crate) mtime: Timestamp,
    pub(crate) durable: Vec<u8>,
    pub(crate) durable_mtime: Timestamp,
    pub(crate) pending: Vec<Edit>,
    pub(crate) links: u64,
}

#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
    Mtime(Timestamp),
}

/// A change of names that no directory sync has made durable yet.
#[derive(Debug, Clone)]
pub(crate) struct Move {
    pub(crate) inode: Inode,
    pub(crate) from: Option<(Inode, OsString)>,
    pub(crate) to: Option<(Inode, OsString)>,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) nodes: BTreeMap<Inode, Node>,
    pub(crate) next: Inode,
    pub(crate) moves: Vec<Move>,
    /// Who holds the lock of a file: the handle's number.
    pub(crate) locks: BTreeMap<Inode, u64>,
    pub(crate) handles: u64,
    pub(crate) calls: u64,
    pub(crate) trace: Vec<(&'static str, PathBuf)>,
    pub(crate) cut: Option<u64>,
    pub(crate) was_cut: bool,
    pub(crate) failures: BTreeMap<u64, ErrorKind>,
    /// The next call of that name fails.
    pub(crate) next_failure: Option<(&'static str, ErrorKind)>,
    pub(crate) skipped: Vec<Purpose>,
    pub(crate) syncs: BTreeMap<Purpose, u64>,
    pub(crate) names_follow: bool,
    /// Says that one sync may stand for all.
    pub(crate) syncs_all: bool,
    pub(crate) capacity: (u64, u64),
}

pub(crate) const ROOT: Inode = 1;

impl World {
    pub(crate) fn new() -> World {
        World {
            nodes: BTreeMap::from([(ROOT, Node::Dir { now: Names::new(), durable: Names::new() })]),
            next: ROOT + 1,
            moves: Vec::new(),
            locks: BTreeMap::new(),
            handles: 0,
            calls: 0,
            trace: Vec::new(),
            cut: None,
            was_cut: false,
            failures: BTreeMap::new(),
            next_failure: None,
            skipped: Vec::new(),
            syncs: BTreeMap::new(),
            names_follow: true,
            syncs_all: false,
            capacity: (u64::MAX, u64::MAX),
        }
    }

    /// Counts a call; an error where the disk is dead, or this call is ordered to fail.
    pub(crate) fn step(&mut self, what: &'static str, name: &Path) -> io::Result<()> {
        if self.cut.is_some_and(|cut| self.calls >= cut) {
            self.was_cut = true;
            return Err(io::Error::other("the power is off"));
        }
        let nth = self.calls;
        self.calls += 1;
        self.trace.push((what, name.to_owned()));
        let named = self.next_failure.take_if(|(of, _)| *of == what).map(|(_, kind)| kind);
        self.failures.remove(&nth).or(named).map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// The inode of an absolute path's directory, made durable where it is missing: it was there before the test began.
    pub(crate) fn ensure_root(&mut self, path: &Path) -> io::Result<Inode> {
        let mut at = ROOT;
        for part in path.components() {
            let Component::Normal(name) = part else { continue };
            let next = self.next;
            let Some(Node::Dir { now, durable }) = self.nodes.get_mut(&at) else { return Err(ErrorKind::NotADirectory.into()) };
            at = match now.get(name) {
                Some(inode) => *inode,
                None => {
                    now.insert(name.to_owned(), next);
                    durable.insert(name.to_owned(), next);
                    self.nodes.insert(next, Node::Dir { now: Names::new(), durable: Names::new() });
                    self.next += 1;
                    next
                }
            };
        }
        Ok(at)
    }

    /// The directory and the last name of a relative path.
    pub(crate) fn parent(&self, dir: Inode, path: &Path) -> io::Result<(Inode, OsString)> {
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        let mut at = dir;
        for part in parent.components() {
            let Component::Normal(name) = part else { return Err(ErrorKind::InvalidInput.into()) };
            at = *self.names(at)?.get(name).ok_or(ErrorKind::NotFound)?;
        }
        Ok((at, name.to_owned()))
    }

    pub(crate) fn look_up(&self, dir: Inode, path: &Path) -> io::Result<Inode> {
        if path.as_os_str().is_empty() {
            return Ok(dir);
        }
        let (parent, name) = self.parent(dir, path)?;
        self.names(parent)?.get(&name).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub(crate) fn names(&self, dir: Inode) -> io::Result<&Names> {
        match self.nodes.get(&dir) {
            Some(Node::Dir { now, .. }) => Ok(now),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn names_mut(&mut self, dir: Inode) -> io::Result<&mut Names> {
        match self.nodes.get_mut(&dir) {
            Some(Node::Dir { now, .. }) => Ok(now),
            Some(Node::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn file(&self, inode: Inode) -> io::Result<&FileNode> {
        match self.nodes.get(&inode) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir { .. }) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn file_mut(&mut self, inode: Inode) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(&inode) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir { .. }) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        let len = |node: &Node| match node {
            Node::File(file) if file.links > 0 => file.now.len() as u64,
            _ => 0,
        };
        self.nodes.values().map(len).sum()
    }

    pub(crate) fn used_inodes(&self) -> u64 {
        self.nodes.values().filter(|node| !matches!(node, Node::File(file) if file.links == 0)).count() as u64
    }

    /// Makes a node under a free name.
    pub(crate) fn make(&mut self, dir: Inode, path: &Path, node: Node) -> io::Result<Inode> {
        let (parent, name) = self.parent(dir, path)?;
        if self.names(parent)?.contains_key(&name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        if self.used_inodes() >= self.capacity.1 {
            return Err(ErrorKind::StorageFull.into());
        }
        let inode = self.next;
        self.next += 1;
        self.names_mut(parent)?.insert(name.clone(), inode);
        self.nodes.insert(inode, node);
        self.moves.push(Move { inode, from: None, to: Some((parent, name)) });
        Ok(inode)
    }

    pub(crate) fn unlink(&mut self, dir: Inode, path: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(dir, path)?;
        let inode = *self.names(parent)?.get(&name).ok_or(ErrorKind::NotFound)?;
        self.file_mut(inode)?.links -= 1;
        self.names_mut(parent)?.remove(&name);
        self.moves.push(Move { inode, from: Some((parent, name)), to: None });
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: (Inode, &Path), to: (Inode, &Path), replace: bool) -> io::Result<()> {
        let (old, new) = (self.parent(from.0, from.1)?, self.parent(to.0, to.1)?);
        let inode = *self.names(old.0)?.get(&old.1).ok_or(ErrorKind::NotFound)?;
        if let Some(replaced) = self.names(new.0)?.get(&new.1).copied() {
            if !replace {
                return Err(ErrorKind::AlreadyExists.into());
            }
            self.file_mut(replaced)?.links -= 1;
        }
        self.names_mut(old.0)?.remove(&old.1);
        self.names_mut(new.0)?.insert(new.1.clone(), inode);
        self.moves.push(Move { inode, from: Some(old), to: Some(new) });
        Ok(())
    }

    /// Makes all of a file durable, and the name it was created under.
    pub(crate) fn sync_file(&mut self, inode: Inode) -> io::Result<()> {
        let file = self.file_mut(inode)?;
        let pending = std::mem::take(&mut file.pending);
        pending.iter().for_each(|edit| file.apply(edit));
        if self.names_follow {
            let moves = std::mem::take(&mut self.moves);
            let (done, rest) = moves.into_iter().partition(|change| change.inode == inode && change.from.is_none());
            self.moves = rest;
            self.apply_moves(done);
        }
        Ok(())
    }

    /// Makes durable every change of names that touches the directory, and what those files' earlier changes need.
    pub(crate) fn sync_dir(&mut self, dir: Inode) {
        let touches = |place: &Option<(Inode, OsString)>| place.as_ref().is_some_and(|(at, _)| *at == dir);
        let last: BTreeMap<Inode, usize> = (self.moves.iter().enumerate())
            .filter(|(_, change)| touches(&change.from) || touches(&change.to))
            .map(|(index, change)| (change.inode, index))
            .collect();
        let moves = std::mem::take(&mut self.moves);
        let (done, rest): (Vec<_>, Vec<_>) = moves
            .into_iter()
            .enumerate()
            .partition(|(index, change)| last.get(&change.inode).is_some_and(|last| index <= last));
        self.moves = rest.into_iter().map(|(_, change)| change).collect();
        self.apply_moves(done.into_iter().map(|(_, change)| change));
    }

    /// Makes everything durable.
    pub(crate) fn sync_all(&mut self) {
        for node in self.nodes.values_mut() {
            if let Node::File(file) = node {
                let pending = std::mem::take(&mut file.pending);
                pending.iter().for_each(|edit| file.apply(edit));
            }
        }
        let moves = std::mem::take(&mut self.moves);
        self.apply_moves(moves);
    }

    /// What could not be written is clean in the kernel's eyes: no later sync will write it.
    pub(crate) fn forget_unsynced(&mut self) {
        for node in self.nodes.values_mut() {
            if let Node::File(file) = node {
                file.pending.clear();
            }
        }
    }

    pub(crate) fn apply_moves(&mut self, moves: impl IntoIterator<Item = Move>) {
        for change in moves {
            if let Some((dir, name)) = &change.from {
                let held = self.durable(*dir).is_some_and(|names| names.get(name) == Some(&change.inode));
                if !held {
                    // Its creation was lost, so there is nothing to move or remove.
                    continue;
                }
                self.durable(*dir).map(|names| names.remove(name));
            }
            if let Some((dir, name)) = change.to {
                self.durable(dir).map(|names| names.insert(name, change.inode));
            }
        }
    }

    fn durable(&mut self, dir: Inode) -> Option<&mut Names> {
        match self.nodes.get_mut(&dir) {
            Some(Node::Dir { durable, .. }) => Some(durable),
            _ => None,
        }
    }

    pub(crate) fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut todo = vec![(ROOT, String::new())];
        let mut seen = BTreeSet::new();
        while let Some((dir, path)) = todo.pop() {
            let Ok(names) = self.names(dir) else { continue };
            for (name, inode) in names {
                let path = format!("{path}/{}", OsStr::to_string_lossy(name));
                match self.nodes.get(inode) {
                    Some(Node::File(file)) => found.push((path, file.now.clone())),
                    Some(Node::Dir { .. }) if seen.insert(*inode) => todo.push((*inode, path)),
                    _ => {}
                }
            }
        }
        found.sort();
        found
    }
}

impl FileNode {
    pub(crate) fn new() -> FileNode {
        FileNode {
            now: Vec::new(),
            mtime: SYSTEM_TIME,
            durable: Vec::new(),
            durable_mtime: SYSTEM_TIME,
            pending: Vec::new(),
            links: 1,
        }
    }

    pub(crate) fn write(&mut self, at: usize, bytes: &[u8]) {
        put(&mut self.now, at, bytes);
        self.mtime = SYSTEM_TIME;
        self.pending.push(Edit::Write { at, bytes: bytes.to_vec() });
        self.pending.push(Edit::Mtime(SYSTEM_TIME));
    }

    pub(crate) fn set_len(&mut self, len: usize) {
        self.now.resize(len, 0);
        self.pending.push(Edit::Length(len));
    }

    pub(crate) fn set_mtime(&mut self, at: Timestamp) {
        self.mtime = at;
        self.pending.push(Edit::Mtime(at));
    }

    /// Makes one change durable.
    pub(crate) fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::Write { at, bytes } => put(&mut self.durable, *at, bytes),
            Edit::Length(len) => self.durable.resize(*len, 0),
            Edit::Mtime(at) => self.durable_mtime = *at,
        }
    }
}

fn put(content: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if content.len() < at + bytes.len() {
        content.resize(at + bytes.len(), 0);
    }
    content[at..at + bytes.len()].copy_from_slice(bytes);
}
