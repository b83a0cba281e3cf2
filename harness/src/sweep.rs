//! Nothing stays behind: what a run makes is noted with a process of its own, which cleans up when the harness is gone, however it went.
//!
//! The sweeper is this program again (`bongsu-harness sweep`), in a session of its own, reading notes from a pipe. While the harness
//! lives it does nothing; the end of the pipe is the end of the harness, and what is noted and not forgotten then is ended, unmounted,
//! detached, removed. A test binary has no sweeper: there `Drop` alone cleans.

use std::collections::BTreeSet;
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::Result;
use crate::client::run;

static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
static PIPE: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// Starts the sweeper of this process; `program` is `bongsu-harness`.
pub fn start(program: &Path) -> Result<()> {
    let program = PROGRAM.get_or_init(|| program.to_owned());
    let mut command = Command::new(program);
    // A group of its own, so that a Ctrl-C at the terminal ends the harness and not what cleans up after it.
    command.arg("sweep").stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
    let mut child = command.spawn()?;
    *PIPE.lock().unwrap_or_else(PoisonError::into_inner) = child.stdin.take();
    Ok(())
}

/// `bongsu-harness`, where this process is one; a test is none.
pub(crate) fn program() -> Option<&'static Path> {
    PROGRAM.get().map(PathBuf::as_path)
}

/// Ends the sweeper once everything is forgotten: the harness ends in order.
pub fn end() {
    PIPE.lock().unwrap_or_else(PoisonError::into_inner).take();
}

/// Notes something to be cleaned: `process PID`, `mount DIRECTORY`, `loop DEVICE`, `directory PATH`, `cgroup PATH`, `label LABEL`
/// (containers, networks, volumes).
pub fn note(what: &str) {
    tell(&format!("+{}", with_birth(what)));
}

/// It was cleaned in order.
pub fn forget(what: &str) {
    tell(&format!("-{what}"));
}

fn tell(line: &str) {
    if let Some(pipe) = PIPE.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        // A sweeper that is gone cannot be helped here.
        let _ = writeln!(pipe, "{line}");
    }
}

/// A process is noted with the moment of its birth: its number may be another's later.
fn with_birth(what: &str) -> String {
    match what.strip_prefix("process ").and_then(|pid| pid.parse().ok()).and_then(birth) {
        Some(birth) => format!("{what} {birth}"),
        None => what.to_owned(),
    }
}

/// When the process was born, in ticks since the machine started.
pub(crate) fn birth(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(19)?.parse().ok()
}

/// What `bongsu-harness sweep` does: reads notes to their end, then cleans what is left of them.
pub fn serve(notes: impl BufRead) {
    let mut left: Vec<String> = Vec::new();
    for line in notes.lines().map_while(std::result::Result::ok) {
        match line.split_at_checked(1) {
            Some(("+", what)) => left.push(what.to_owned()),
            Some(("-", what)) => left.retain(|noted| noted != what && !noted.starts_with(&format!("{what} "))),
            _ => {}
        }
    }
    clean(&left);
}

/// Processes first, then containers, mounts, devices, directories: each may hold the next. The last made goes first.
fn clean(left: &[String]) {
    for kind in ["process ", "label ", "mount ", "loop ", "directory ", "cgroup "] {
        let mut seen = BTreeSet::new();
        for what in left.iter().rev().filter_map(|noted| noted.strip_prefix(kind)).filter(|what| seen.insert(*what)) {
            clean_one(kind.trim(), what);
        }
    }
}

fn clean_one(kind: &str, what: &str) {
    let quietly = |program: &str, args: &[&str]| {
        // What is gone already is as good as cleaned.
        let _ = run(program, args, b"", Duration::from_secs(60));
    };
    match kind {
        "process" => {
            let mut words = what.split(' ').map_while(|word| word.parse::<u64>().ok());
            if let (Some(pid), Some(born)) = (words.next().and_then(|pid| u32::try_from(pid).ok()), words.next())
                && birth(pid) == Some(born)
            {
                quietly("kill", &["-CONT", &pid.to_string()]);
                quietly("kill", &["-KILL", &pid.to_string()]);
            }
        }
        "label" => crate::driver::sweep_label(what),
        "mount" => quietly("umount", &["-l", what]),
        "loop" => quietly("losetup", &["-d", what]),
        "cgroup" => crate::bench::meter::remove(Path::new(what)),
        _ => {
            let _ = std::fs::remove_dir_all(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_forgotten_is_cleaned() {
        let dir = tempfile::tempdir().unwrap();
        let (stays, goes) = (dir.path().join("stays"), dir.path().join("goes"));
        for path in [&stays, &goes] {
            std::fs::create_dir(path).unwrap();
        }
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let notes = format!(
            "+directory {0}\n+directory {1}\n-directory {0}\n+process {2} {3}\n",
            stays.display(),
            goes.display(),
            child.id(),
            birth(child.id()).unwrap()
        );
        serve(notes.as_bytes());
        assert!(stays.exists() && !goes.exists());
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn a_number_that_is_anothers_now_is_left_alone() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        serve(format!("+process {} 1\n", child.id()).as_bytes());
        assert!(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
