//! A server and its processes: a process group that the harness made, and so may signal.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::Result;
use crate::sweep;

/// A process in the foreground, and all that it starts. It is killed when dropped.
pub(super) struct Group {
    leader: Mutex<Child>,
    number: u32,
    ended: bool,
}

impl Group {
    /// Starts it; what it prints goes to a file.
    pub(super) fn start(mut command: Command, out: &Path) -> Result<Group> {
        let file = File::options().create(true).append(true).open(out)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        let leader = command.spawn().with_context(|| format!("starting {}", command.get_program().to_string_lossy()))?;
        let number = leader.id();
        sweep::note(&format!("process {number}"));
        Ok(Group { leader: Mutex::new(leader), number, ended: false })
    }

    /// Its processes that run now.
    pub(super) fn processes(&self) -> Vec<u32> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        numbers.filter(|process| stat(*process).is_some_and(|(_, group)| group == self.number)).collect()
    }

    /// Those of them whose program has this name.
    pub(super) fn named(&self, program: &str) -> Vec<u32> {
        self.processes().into_iter().filter(|process| stat(*process).is_some_and(|(name, _)| name == program)).collect()
    }

    /// A signal to all of them.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process_group(pid(self.number)?, signal)?)
    }

    /// SIGTERM to the leader, which ends the others in order; or another signal to all of them. Waits until none is left. The exit code: 0 where
    /// the leader ended by the signal that asked it to, as Postfix does.
    pub(super) fn end(mut self, which: Signal) -> Result<i32> {
        let status = {
            let mut leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
            if which == Signal::TERM {
                signal(self.number, which)?;
            } else {
                self.signal(which)?;
            }
            let mut status = None;
            super::wait_gone("a server", || {
                status = leader.try_wait().ok().flatten();
                status.is_some()
            })?;
            status.context("its end was not seen")?
        };
        // Those that serve a client go on without their master until they notice.
        let _ = self.signal(which);
        super::wait_gone("its processes", || self.processes().is_empty())?;
        self.ended = true;
        sweep::forget(&format!("process {}", self.number));
        let by = std::os::unix::process::ExitStatusExt::signal(&status);
        Ok(if by == Some(which.as_raw()) { 0 } else { status.code().unwrap_or(-1) })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.ended {
            let _ = self.signal(Signal::KILL);
            let _ = self.leader.lock().unwrap_or_else(PoisonError::into_inner).wait();
            let _ = super::wait_gone("its processes", || self.processes().is_empty());
            sweep::forget(&format!("process {}", self.number));
        }
    }
}

/// A signal to one process; one that has ended in this moment needs none.
pub(super) fn signal(process: u32, which: Signal) -> Result<()> {
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
