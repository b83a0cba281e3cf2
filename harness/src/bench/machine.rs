//! Where a measurement was made: figures of another machine, or of another file system, are not comparable.

use std::path::Path;

/// Processors, kernel and file system, as lines for the report. `dir` is where the servers' data lies.
pub fn about(dir: &Path) -> Vec<(String, String)> {
    let mut about = vec![
        ("processors".to_owned(), processors()),
        ("kernel".to_owned(), format!("Linux {}", read("/proc/sys/kernel/osrelease"))),
        ("file system".to_owned(), file_system(dir)),
        ("load before".to_owned(), read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned()),
    ];
    if cfg!(debug_assertions) {
        about.push(("build".to_owned(), "a debug build: its figures mean nothing".to_owned()));
    }
    about
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn processors() -> String {
    let text = read("/proc/cpuinfo");
    let of = |name: &str| text.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
    let model = of("model name").map_or("unknown", |(_, model)| model.trim());
    format!("{} × {model}", std::thread::available_parallelism().map_or(0, std::num::NonZero::get))
}

/// The file system that `dir` lies on, and whether it has a journal.
fn file_system(dir: &Path) -> String {
    let dir = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let Some((kind, device)) = mounted(&read("/proc/self/mountinfo"), &dir) else { return "unknown".into() };
    let name = device.rsplit('/').next().unwrap_or_default();
    let journal = match kind.as_str() {
        "ext4" if has_journal(name) => ", journalled",
        "ext4" => ", WITHOUT A JOURNAL: its figures are not those of a server (docs/speed.md)",
        "tmpfs" | "ramfs" => ", IN MEMORY: a sync costs nothing there",
        _ => "",
    };
    format!("{kind} on {device}{journal}")
}

/// Type and device of the mount that holds `dir`, by the text of /proc/self/mountinfo: the longest mount point, and of equal ones the last.
fn mounted(mounts: &str, dir: &Path) -> Option<(String, String)> {
    let mut best: Option<(usize, String, String)> = None;
    for line in mounts.lines() {
        let (before, after) = line.split_once(" - ")?;
        let at = Path::new(before.split(' ').nth(4)?);
        let mut words = after.split(' ');
        let (kind, device) = (words.next()?, words.next()?);
        let depth = at.components().count();
        if dir.starts_with(at) && best.as_ref().is_none_or(|(known, ..)| *known <= depth) {
            best = Some((depth, kind.to_owned(), device.to_owned()));
        }
    }
    best.map(|(_, kind, device)| (kind, device))
}

/// The kernel lists each journal in use as `DEVICE-INODE`.
fn has_journal(device: &str) -> bool {
    let Ok(entries) = std::fs::read_dir("/proc/fs/jbd2") else { return false };
    let names = entries.map_while(std::result::Result::ok).map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.into_iter().any(|name| name.rsplit_once('-').is_some_and(|(of, _)| of == device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "22 1 254:0 / / rw - ext4 /dev/vda rw\n30 22 0:5 / /tmp rw,nosuid - tmpfs tmpfs rw\n31 30 7:0 / /tmp/fs rw - ext4 /dev/loop0 rw\n";
        let of = |dir: &str| mounted(mounts, Path::new(dir)).unwrap();
        assert_eq!(of("/home"), ("ext4".into(), "/dev/vda".into()));
        assert_eq!(of("/tmp/x"), ("tmpfs".into(), "tmpfs".into()));
        assert_eq!(of("/tmp/fs/spool"), ("ext4".into(), "/dev/loop0".into()));
        assert!(about(Path::new("/")).iter().all(|(name, value)| !name.is_empty() && !value.is_empty()));
    }
}
