//! The kept events: JSON lines in `state/events`, in files that are closed by size and by day and removed by size and by age.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The cap on size is kept by removing whole files, so one file is this part of it.
const PARTS: u64 = 10;
/// A file is closed after this time, so that the cap on age can be kept.
const FILE_TIME: Duration = Duration::from_secs(24 * 3600);
/// Ends the names of our files.
const ENDING: &str = ".jsonl";

/// The files of events. Errors are counted and not returned: what watches mail must not stop it.
#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
    keep_size: u64,
    keep_time: Duration,
    open: Option<Open>,
    lost: u64,
}

#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
    since: SystemTime,
}

impl Journal {
    /// The files in `dir`, which take `keep_size` octets together and are kept for `keep_time`.
    pub(crate) fn open(dir: &Path, keep_size: u64, keep_time: Duration) -> Self {
        Self { dir: dir.to_path_buf(), keep_size, keep_time, open: None, lost: 0 }
    }

    /// Other caps from the next file on.
    pub(crate) fn set_caps(&mut self, keep_size: u64, keep_time: Duration) {
        (self.keep_size, self.keep_time) = (keep_size, keep_time);
    }

    /// Appends whole lines in one write.
    pub(crate) fn append(&mut self, lines: &[u8]) {
        let now = SystemTime::now();
        let full = |open: &Open| {
            open.size >= self.keep_size / PARTS || now.duration_since(open.since).is_ok_and(|age| age >= FILE_TIME)
        };
        if self.open.as_ref().is_some_and(full) {
            self.open = None;
        }
        if self.open.is_none() {
            self.open = self.begin(now);
            self.prune(now);
        }
        let Some(open) = &mut self.open else {
            self.lost += 1;
            return;
        };
        match open.file.write_all(lines) {
            Ok(()) => open.size += lines.len() as u64,
            Err(_) => {
                self.lost += 1;
                // Without the torn line the file is good for the next lines. A new file for each failure would use up a full disk's
                // last inodes, too.
                if open.file.set_len(open.size).is_err() {
                    self.open = None;
                }
            }
        }
    }

    /// The files of events in `dir`, oldest first.
    pub(crate) fn files(dir: &Path) -> Vec<(PathBuf, SystemTime)> {
        let mut files = files(dir);
        files.sort();
        files.into_iter().map(|(_, path, _, changed)| (path, changed)).collect()
    }

    /// Batches that could not be kept.
    #[cfg(test)]
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Names sort by time: microseconds since 1970, eighteen digits.
    fn begin(&self, now: SystemTime) -> Option<Open> {
        let micros = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_micros();
        (micros..micros + 100).find_map(|name| {
            let path = self.dir.join(format!("{name:018}{ENDING}"));
            let file = OpenOptions::new().create_new(true).append(true).open(path).ok()?;
            Some(Open { file, size: 0, since: now })
        })
    }

    fn prune(&self, now: SystemTime) {
        let mut files = files(&self.dir);
        files.sort();
        let mut total = 0;
        for (_, path, size, changed) in files.iter().rev() {
            total += size;
            let old = now.duration_since(*changed).is_ok_and(|age| age > self.keep_time);
            if old || total > self.keep_size {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// Appends whole lines where no supervisor is at work on the files. What cannot be written is lost.
pub(crate) fn append_once(dir: &Path, lines: &[u8]) {
    let newest = files(dir).into_iter().max().map(|(_, path, ..)| path);
    let path = newest.unwrap_or_else(|| dir.join(format!("{:018}{ENDING}", 0)));
    let _ = OpenOptions::new().create(true).append(true).open(path).and_then(|mut file| file.write_all(lines));
}

/// Name, path, size and time of last change of each file of events.
fn files(dir: &Path) -> Vec<(String, PathBuf, u64, SystemTime)> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let file = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok().filter(|name| name.ends_with(ENDING))?;
        let meta = entry.metadata().ok()?;
        Some((name, entry.path(), meta.len(), meta.modified().ok()?))
    };
    entries.flatten().filter_map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(dir: &Path) -> u64 {
        files(dir).iter().map(|(_, _, size, _)| size).sum()
    }

    #[test]
    fn the_newest_events_stay_and_the_size_stays_below_its_cap() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), 10_000, Duration::from_secs(3600));
        for number in 0..1000 {
            journal.append(format!("{{\"number\":{number:080}}}\n").as_bytes());
        }
        assert!(total(dir.path()) <= 12_000, "{}", total(dir.path()));
        let mut files = files(dir.path());
        files.sort();
        let (_, last, _, _) = files.last().unwrap();
        assert!(std::fs::read_to_string(last).unwrap().contains("999"));
        assert_eq!(journal.lost(), 0);
    }

    #[test]
    fn old_files_go_when_a_new_one_begins() {
        let dir = tempfile::tempdir().unwrap();
        let old = dir.path().join("000000000000000001.jsonl");
        std::fs::write(&old, "{}\n").unwrap();
        let past = SystemTime::now() - Duration::from_secs(7200);
        File::options().append(true).open(&old).unwrap().set_modified(past).unwrap();
        Journal::open(dir.path(), 10_000, Duration::from_secs(3600)).append(b"{}\n");
        assert!(!old.exists());
        assert_eq!(files(dir.path()).len(), 1);
    }

    #[test]
    fn a_directory_that_went_away_costs_events_and_nothing_else() {
        let mut journal = Journal::open(Path::new("/nonexistent/events"), 10_000, Duration::from_secs(3600));
        journal.append(b"{}\n");
        assert_eq!(journal.lost(), 1);
    }
}
