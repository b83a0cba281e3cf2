//! A file that is read again when it changes.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a look at a watched file brought.
#[derive(Debug, PartialEq, Eq)]
pub enum Change<E> {
    /// The file is as it was at the last look, good or bad.
    None,
    /// A new value is in force.
    New,
    /// The file changed and its text is wrong; the last good value stays. Told once per change.
    Bad(E),
    /// The file cannot be read, or is gone; the last good value stays. Told once.
    Unreadable(io::ErrorKind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Never,
    Failed(io::ErrorKind),
    File { inode: u64, size: u64, seconds: i64, nanos: i64 },
}

/// The value of a file, kept while the file does not change, and kept when it changes for the worse.
#[derive(Debug)]
pub struct Watched<T> {
    path: PathBuf,
    value: T,
    seen: Seen,
}

impl<T> Watched<T> {
    /// `start` is the value until the first look, and for as long as there is no good file.
    pub fn new(path: impl Into<PathBuf>, start: T) -> Self {
        Watched { path: path.into(), value: start, seen: Seen::Never }
    }

    /// The last good value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Looks whether mtime, size or inode changed since the last look and, if so, reads and parses. Costs one stat otherwise; the
    /// caller decides how often.
    pub fn look<E>(&mut self, parse: impl FnOnce(&[u8]) -> Result<T, E>) -> Change<E> {
        let (seen, content) = match self.read_if_changed() {
            Ok(None) => return Change::None,
            Ok(Some(found)) => found,
            Err(error) => {
                let failed = Seen::Failed(error.kind());
                let told = std::mem::replace(&mut self.seen, failed) == failed;
                return if told { Change::None } else { Change::Unreadable(error.kind()) };
            }
        };
        self.seen = seen;
        match parse(&content) {
            Ok(value) => {
                self.value = value;
                Change::New
            }
            Err(error) => Change::Bad(error),
        }
    }

    fn read_if_changed(&self) -> io::Result<Option<(Seen, Vec<u8>)>> {
        // The state is taken before the content, so that a change in between is seen at the next look.
        let meta = std::fs::metadata(&self.path)?;
        let seen = Seen::File { inode: meta.ino(), size: meta.size(), seconds: meta.mtime(), nanos: meta.mtime_nsec() };
        if seen == self.seen { Ok(None) } else { Ok(Some((seen, std::fs::read(&self.path)?))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_edit_is_told_once_and_the_last_good_value_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("map");
        let parse = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().parse::<u32>().map_err(|_| "no number");
        let mut map = Watched::new(&path, 0);
        assert_eq!(map.look(parse), Change::Unreadable(io::ErrorKind::NotFound));
        assert_eq!(map.look(parse), Change::None);
        std::fs::write(&path, "7").unwrap();
        assert_eq!((map.look(parse), *map.value()), (Change::New, 7));
        assert_eq!(map.look(parse), Change::None);
        std::fs::write(&path, "seven").unwrap();
        assert_eq!((map.look(parse), *map.value()), (Change::Bad("no number"), 7));
        assert_eq!(map.look(parse), Change::None);
        std::fs::write(&path, "88").unwrap();
        assert_eq!((map.look(parse), *map.value()), (Change::New, 88));
        std::fs::remove_file(&path).unwrap();
        assert_eq!((map.look(parse), *map.value()), (Change::Unreadable(io::ErrorKind::NotFound), 88));
    }
}
