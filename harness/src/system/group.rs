//! A server and its processes: a process group that the harness made, and so may signal.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::Result;
use crate::node::PATIENCE;
use crate::sweep;
use crate::wait::wait_until;

/// A process in the foreground, and all that it starts. It is killed when dropped.
pub(in crate::system) struct Group {
    leader: Mutex<Child>,
    number: u32,
    ended: bool,
}

impl Group {
    /// Starts it; what it prints goes to a file.
    pub(in crate::system) fn start(mut command: Command, out: &Path) -> Result<Group> {
        let file = appended(out)?;
        command.stdout(file.try_clone()?).stderr(file);
        Group::spawn(command)
    }

    /// Starts it; what it prints goes to a file, with the time in front of each line, milliseconds since 1970: not every server writes one.
    pub(in crate::system) fn start_timed(mut command: Command, out: &Path) -> Result<Group> {
        let (reader, writer) = std::io::pipe()?;
        command.stdout(writer.try_clone()?).stderr(writer);
        let mut file = appended(out)?;
        // It ends with the last process that can print.
        std::thread::spawn(move || {
            for line in BufReader::new(reader).split(b'\n').map_while(std::result::Result::ok) {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
                let _ = writeln!(file, "{now} {}", String::from_utf8_lossy(&line));
            }
        });
        Group::spawn(command)
    }

    fn spawn(mut command: Command) -> Result<Group> {
        command.stdin(Stdio::null()).process_group(0);
        let leader = command.spawn().with_context(|| format!("starting {}", command.get_program().to_string_lossy()))?;
        let number = leader.id();
        sweep::note(&format!("process {number}"));
        Ok(Group { leader: Mutex::new(leader), number, ended: false })
    }

    /// Starts one more process that belongs to it; `ended` is called at its end.
    pub(in crate::system) fn join(&self, mut command: Command, ended: impl FnOnce() + Send + 'static) -> Result<()> {
        let group = i32::try_from(self.number)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(group);
        let mut child = command.spawn().with_context(|| format!("starting {}", command.get_program().to_string_lossy()))?;
        follow(child.id(), self.number);
        std::thread::spawn(move || {
            let _ = child.wait();
            ended();
        });
        Ok(())
    }

    /// Its processes that run now.
    pub(in crate::system) fn processes(&self) -> Vec<u32> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        numbers.filter(|process| stat(*process).is_some_and(|(_, group)| group == self.number)).collect()
    }

    /// Those of them whose program has this name.
    pub(in crate::system) fn named(&self, program: &str) -> Vec<u32> {
        self.processes().into_iter().filter(|process| stat(*process).is_some_and(|(name, _)| name == program)).collect()
    }

    /// A signal to all of them.
    pub(in crate::system) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process_group(pid(self.number)?, signal)?)
    }

    /// SIGTERM to the leader, which ends the others in order; or another signal to all of them. Waits until none is left. The exit code: 0 where
    /// the leader ended by the signal that asked it to, as Postfix does.
    pub(in crate::system) fn end(self, which: Signal) -> Result<i32> {
        self.end_after(which, Duration::ZERO)
    }

    /// The same, where those that are left by their leader have so long to finish what they are at before they get the signal too.
    pub(in crate::system) fn end_after(mut self, which: Signal, grace: Duration) -> Result<i32> {
        let status = {
            let mut leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
            if which == Signal::TERM {
                signal(self.number, which)?;
            } else {
                self.signal(which)?;
            }
            let mut status = None;
            wait_gone("a server", || {
                status = leader.try_wait().ok().flatten();
                status.is_some()
            })?;
            status.context("its end was not seen")?
        };
        // It need not be enough: those that serve a client go on without their master until they notice.
        let _ = wait_until("the end of what it was at", grace, || self.processes().is_empty());
        let _ = self.signal(which);
        wait_gone("its processes", || self.processes().is_empty())?;
        self.ended = true;
        sweep::forget(&format!("process {}", self.number));
        let by = std::os::unix::process::ExitStatusExt::signal(&status);
        Ok(if by == Some(which.as_raw()) { 0 } else { status.code().unwrap_or(-1) })
    }
}

/// Puts a process into the control groups of its leader: what it costs is the leader's, where that is counted.
fn follow(process: u32, leader: u32) {
    let groups = |of: u32| std::fs::read_to_string(format!("/proc/{of}/cgroup")).unwrap_or_default();
    let own = groups(process);
    for line in groups(leader).lines().filter(|line| !own.lines().any(|known| known == *line)) {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let dir = Path::new("/sys/fs/cgroup").join(controllers).join(path.trim_start_matches('/'));
        // Without the right to, or without such a group here, it costs nobody.
        let _ = std::fs::write(dir.join("cgroup.procs"), process.to_string());
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.signal(Signal::KILL);
            let _ = self.leader.lock().unwrap_or_else(PoisonError::into_inner).wait();
            let _ = wait_gone("its processes", || self.processes().is_empty());
            sweep::forget(&format!("process {}", self.number));
        }
    }
}

fn appended(path: &Path) -> Result<File> {
    Ok(File::options().create(true).append(true).open(path)?)
}

/// Until every process of a group is gone.
fn wait_gone(what: &str, gone: impl FnMut() -> bool) -> Result<()> {
    wait_until(&format!("the end of {what}"), PATIENCE, gone)
}

/// A signal to one process; one that has ended in this moment needs none.
pub(in crate::system) fn signal(process: u32, which: Signal) -> Result<()> {
    match kill_process(pid(process)?, which) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn pid(number: u32) -> Result<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw).with_context(|| format!("{number} is no process id"))
}

/// Name and group of a process that is no zombie.
fn stat(process: u32) -> Option<(String, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (before, after) = text.rsplit_once(')')?;
    let mut words = after.split_whitespace();
    let state = words.next()?;
    let group = words.nth(1)?.parse().ok()?;
    let (_, name) = before.split_once('(')?;
    (!matches!(state, "Z" | "X")).then(|| (name.to_owned(), group))
}
