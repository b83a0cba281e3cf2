//! The data directory as a whole: made, checked, locked. Every refusal says the command that mends it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::fs::FlockOperation;

use crate::layout::Layout;

/// First words of VERSION.
const FORMAT: &str = "bongsu-data";
/// The format that this program writes; older ones are read, newer ones are left alone.
const FORMAT_NUMBER: u32 = 1;

/// Makes what is missing of the tree and checks the rest.
pub(crate) fn prepare(layout: &Layout) -> Result<()> {
    let data = layout.data();
    make(data, 0o755).with_context(|| mend(data, data))?;
    version(data)?;
    for (dir, mode) in layout.directories() {
        make(&dir, mode).with_context(|| mend(data, &dir))?;
    }
    // Names made here are durable before a service stores anything below them.
    for (dir, _) in layout.directories() {
        sync_names(&dir).with_context(|| mend(data, &dir))?;
    }
    // A test file and not a look at mode bits: a read-only mount and a foreign owner both show here and nowhere else. Where root
    // keeps the directories of other users without the right to write there (strict set-up), the roles find out for themselves.
    for (dir, _) in layout.directories() {
        if rustix::process::geteuid().is_root() && owner(&dir) != Some(0) {
            continue;
        }
        let mark = dir.join(".writable");
        File::create(&mark).and_then(|_| remove(&mark)).with_context(|| mend(data, &dir))?;
    }
    Ok(())
}

/// Removes a file that another command, looking at the same moment, may have removed already.
fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path).or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

fn make(dir: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(dir) {
        Ok(()) => std::fs::set_permissions(dir, PermissionsExt::from_mode(mode)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound && dir.parent().is_some_and(|parent| !parent.exists()) => {
            DirBuilder::new().recursive(true).mode(mode).create(dir)
        }
        Err(error) => Err(error),
    }
}

/// What to do when a directory of the data refuses us: in words and as a command.
fn mend(data: &Path, dir: &Path) -> String {
    let us = rustix::process::geteuid().as_raw();
    match owner(dir) {
        Some(uid) if uid != us => {
            let group = rustix::process::getegid().as_raw();
            let (dir, data) = (dir.display(), data.display());
            format!("{dir} belongs to user {uid} and this is user {us}; mend it with: chown -R {us}:{group} {data}")
        }
        Some(_) => format!("{} is not writable; is the file system mounted read-only? (see: findmnt -T {0})", dir.display()),
        None => format!("{} cannot be made; make it writable or name another with --data DIR", dir.display()),
    }
}

/// The user that owns a path.
pub(crate) fn owner(path: &Path) -> Option<u32> {
    Some(std::fs::metadata(path).ok()?.uid())
}

/// Makes the names in the directory that holds `path` durable. Where its owner is another and root may not open it, it was made by an
/// earlier start, which synced it.
fn sync_names(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else { return Ok(()) };
    match File::open(parent).and_then(|dir| dir.sync_all()) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        other => other,
    }
}

/// Writes VERSION where there is none, or only an empty one: that is what a power cut leaves of a first start.
fn begin(file: &Path) -> io::Result<()> {
    let mut new = File::create(file)?;
    io::Write::write_all(&mut new, format!("{FORMAT} {FORMAT_NUMBER}\n").as_bytes())?;
    new.sync_all()?;
    sync_names(file)?;
    file.parent().map_or(Ok(()), sync_names)
}

fn version(data: &Path) -> Result<()> {
    let file = data.join("VERSION");
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| mend(data, &file)),
    };
    if text.trim_matches(['\0', '\n', ' ']).is_empty() {
        return begin(&file).with_context(|| mend(data, data));
    }
    let number = text.trim_end().strip_prefix(FORMAT).and_then(|rest| rest.trim().parse::<u32>().ok());
    match number {
        Some(number) if number <= FORMAT_NUMBER => Ok(()),
        Some(number) => {
            bail!(
                "{}: its data are of format {number}, this program knows up to {FORMAT_NUMBER}: use the newer program again",
                data.display()
            )
        }
        None => bail!("{} is not bongsu's: this directory holds other things; name another with --data DIR", file.display()),
    }
}

/// Proof that this process alone supervises the data directory; given back when dropped or when the process dies.
#[derive(Debug)]
pub(crate) struct Hold {
    _file: File,
}

/// Takes the data directory for this process.
pub(crate) fn hold(layout: &Layout) -> Result<Hold> {
    let path = layout.run().join("supervisor.lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| mend(layout.data(), &layout.run()))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Hold { _file: file }),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let data = layout.data().display();
            bail!("another \"bongsu up\" serves {data}; stop that one, or give this one a directory of its own with --data DIR")
        }
        Err(error) => Err(io::Error::from(error)).context(format!("cannot lock {}", path.display())),
    }
}

/// Whether a supervisor holds the directory now.
pub(crate) fn is_held(layout: &Layout) -> bool {
    let Ok(file) = File::open(layout.run().join("supervisor.lock")) else { return false };
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared).is_err()
}

/// As the first process of a container: a warning when the data lie in the container's own layer, where they would be lost with it.
/// (A process that is not the first one is somebody's build machine, which may well be a container itself.)
pub(crate) fn volume_warning(layout: &Layout) -> Option<String> {
    let contained = std::process::id() == 1;
    let device = |path: &Path| std::fs::metadata(path).map(|found| found.dev()).ok();
    let same = device(layout.data()) == device(Path::new("/"));
    let data = layout.data().display();
    (contained && same).then(|| {
        format!("{data} lies in the container's own layer and mail in it is lost with the container; mount a volume there: -v bongsu-data:{data}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_tree_is_made_whole_and_its_secrets_are_closed() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::find(Some(&dir.path().join("deep/er")), None).unwrap();
        prepare(&layout).unwrap();
        prepare(&layout).unwrap();
        assert_eq!(std::fs::read_to_string(layout.data().join("VERSION")).unwrap(), "bongsu-data 1\n");
        assert_eq!(std::fs::metadata(layout.secrets()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn commands_that_begin_at_once_on_an_empty_directory_do_not_trip_over_each_other() {
        for _ in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let begin = || prepare(&Layout::find(Some(&dir.path().join("data")), None).unwrap());
            let results: Vec<Result<()>> = std::thread::scope(|scope| {
                let commands: Vec<_> = (0..4).map(|_| scope.spawn(begin)).collect();
                commands.into_iter().map(|command| command.join().unwrap()).collect()
            });
            results.into_iter().collect::<Result<()>>().unwrap();
        }
    }

    #[test]
    fn the_empty_version_of_a_power_cut_is_begun_anew() {
        for text in ["", "\0\0\0\0"] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("VERSION"), text).unwrap();
            prepare(&Layout::find(Some(dir.path()), None).unwrap()).unwrap();
            assert_eq!(std::fs::read_to_string(dir.path().join("VERSION")).unwrap(), "bongsu-data 1\n");
        }
    }

    #[test]
    fn newer_or_foreign_data_are_refused_untouched() {
        for (text, word) in [("bongsu-data 2\n", "newer program"), ("other 1\n", "not bongsu's")] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("VERSION"), text).unwrap();
            let error = prepare(&Layout::find(Some(dir.path()), None).unwrap()).unwrap_err();
            assert!(format!("{error:#}").contains(word), "{error:#}");
            assert!(!dir.path().join("spool").exists());
        }
    }

    #[test]
    fn two_supervisors_cannot_share_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::find(Some(dir.path()), None).unwrap();
        prepare(&layout).unwrap();
        let held = hold(&layout).unwrap();
        assert!(is_held(&layout));
        assert!(hold(&layout).unwrap_err().to_string().contains("another \"bongsu up\""));
        drop(held);
        assert!(!is_held(&layout));
        hold(&layout).unwrap();
    }
}
