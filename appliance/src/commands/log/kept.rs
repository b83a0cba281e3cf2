//! Reading kept events: the files of a node, oldest first, line by line; or one file that `log --json` wrote.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::supervisor::journal::Journal;

/// A longer line is no event.
const LINE_MAX: u64 = 128 * 1024;

/// The files of one node's events, and how far they were read.
pub(crate) struct Kept {
    dir: Option<PathBuf>,
    files: Vec<PathBuf>,
    /// The file that comes next, and where in it.
    next: usize,
    at: u64,
}

impl Kept {
    /// The files in `state/events`.
    pub(crate) fn of_dir(dir: &Path) -> Kept {
        let mut kept = Kept { dir: Some(dir.to_owned()), files: Vec::new(), next: 0, at: 0 };
        kept.look_again();
        kept
    }

    /// A single file.
    pub(crate) fn of_file(file: &Path) -> Kept {
        Kept { dir: None, files: vec![file.to_owned()], next: 0, at: 0 }
    }

    /// Finds files that were begun meanwhile. Those that were removed are over.
    pub(crate) fn look_again(&mut self) {
        let Some(dir) = &self.dir else { return };
        let current = self.files.get(self.next).cloned();
        self.files = Journal::files(dir).into_iter().map(|(path, _)| path).collect();
        let Some(current) = current else {
            self.next = 0;
            return;
        };
        self.next = self.files.iter().position(|file| *file >= current).unwrap_or(self.files.len());
        if self.files.get(self.next) != Some(&current) {
            self.at = 0;
        }
    }

    /// From the first line again.
    pub(crate) fn again(&mut self) {
        (self.next, self.at) = (0, 0);
    }

    /// Gives each whole line that was not given yet, without its line feed.
    pub(crate) fn lines(&mut self, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while let Some(path) = self.files.get(self.next) {
            match File::open(path) {
                // Removed since it was listed, because newer events need the room.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && self.dir.is_some() => {}
                Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
                Ok(mut file) => {
                    file.seek(SeekFrom::Start(self.at))?;
                    let mut reader = BufReader::with_capacity(256 * 1024, file);
                    self.at += lines_of(&mut reader, each)?;
                }
            }
            if self.next + 1 == self.files.len() {
                // The last one may grow.
                return Ok(());
            }
            self.next += 1;
            self.at = 0;
        }
        Ok(())
    }
}

/// Gives whole lines, and says how many octets they were. What is too long to be an event is passed over without being kept.
fn lines_of(reader: &mut impl BufRead, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<u64> {
    let (mut line, mut pending, mut read) = (Vec::new(), 0, 0);
    loop {
        let count = reader.by_ref().take(LINE_MAX + 1).read_until(b'\n', &mut line)? as u64;
        pending += count;
        if line.last() != Some(&b'\n') {
            if count == 0 {
                return Ok(read);
            }
            // More of the same line follows, or it is still being written.
            line.truncate(if pending > LINE_MAX { 0 } else { line.len() });
            continue;
        }
        line.pop();
        if pending <= LINE_MAX && !line.is_empty() {
            each(&line)?;
        }
        read += pending;
        pending = 0;
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_later_is_given_once_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let taken = |kept: &mut Kept| {
            let mut lines = Vec::new();
            kept.lines(&mut |line| {
                lines.push(String::from_utf8_lossy(line).into_owned());
                Ok(())
            })
            .unwrap();
            lines
        };
        write("1.jsonl", "a\nb\n");
        write("2.jsonl", "c\nd");
        write("other.txt", "x\n");
        let mut kept = Kept::of_dir(dir.path());
        assert_eq!(taken(&mut kept), ["a", "b", "c"]);
        kept.look_again();
        assert!(taken(&mut kept).is_empty());
        write("2.jsonl", "c\nd\n\ne\n");
        write("3.jsonl", "f\n");
        kept.look_again();
        assert_eq!(taken(&mut kept), ["d", "e", "f"]);
        std::fs::remove_file(dir.path().join("3.jsonl")).unwrap();
        write("4.jsonl", "g\n");
        kept.look_again();
        assert_eq!(taken(&mut kept), ["g"]);
        kept.again();
        assert_eq!(taken(&mut kept).len(), 6);
    }

    #[test]
    fn a_line_without_end_is_passed_over() {
        let long = "x".repeat(3 * LINE_MAX as usize);
        let text = format!("a\n{long}\nb\n{}\nc\n{long}", &long[..LINE_MAX as usize]);
        let mut lines = Vec::new();
        let read = lines_of(&mut BufReader::with_capacity(1000, text.as_bytes()), &mut |line| {
            lines.push(String::from_utf8_lossy(line).into_owned());
            Ok(())
        });
        assert_eq!(lines, ["a", "b", "c"]);
        assert_eq!(read.unwrap(), (text.len() - long.len()) as u64, "the last one may grow");
    }

    #[test]
    fn a_node_without_events_gets_some_later() {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = Kept::of_dir(dir.path());
        kept.lines(&mut |_| panic!()).unwrap();
        std::fs::write(dir.path().join("1.jsonl"), "a\n").unwrap();
        kept.look_again();
        let mut count = 0;
        kept.lines(&mut |_| {
            count += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(count, 1);
    }
}
