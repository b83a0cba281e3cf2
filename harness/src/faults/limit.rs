//! A limit of a process that runs: lowered, and put back.

use anyhow::Context;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::Result;
use crate::node::runs;

/// A lowered limit.
#[derive(Debug)]
pub(super) struct Lowered {
    process: u32,
    resource: Resource,
    before: Rlimit,
}

/// Lowers the soft limit of `resource` to `most`; `line` is the name of that resource in `/proc/PID/limits`. The hard limit stays: to put it
/// back takes a right that not even root has everywhere.
pub(super) fn lower(process: u32, resource: Resource, line: &str, most: u64) -> Result<Lowered> {
    let limits = std::fs::read_to_string(format!("/proc/{process}/limits"))?;
    let hard = limits.lines().find_map(|text| text.strip_prefix(line)?.split_whitespace().nth(1));
    // What is no number is `unlimited`.
    let maximum = hard.with_context(|| format!("no {line} for {process}"))?.parse().ok();
    let before = prlimit(Some(pid(process)?), resource, Rlimit { current: Some(most), maximum })?;
    Ok(Lowered { process, resource, before })
}

impl Lowered {
    /// Puts it back. A process that has ended meanwhile took its limit with it.
    pub(super) fn lift(self) -> Result<()> {
        match prlimit(Some(pid(self.process)?), self.resource, self.before) {
            Err(error) if runs(self.process) => Err(error.into()),
            _ => Ok(()),
        }
    }
}

fn pid(process: u32) -> Result<Pid> {
    i32::try_from(process).ok().and_then(Pid::from_raw).context("no process id")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_lowered_and_put_back() {
        let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let soft = || {
            let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
            let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
            line.split_whitespace().nth(3).unwrap().to_owned()
        };
        let before = soft();
        let lowered = lower(child.id(), Resource::Nofile, "Max open files", 7).unwrap();
        assert_eq!(soft(), "7");
        lowered.lift().unwrap();
        assert_eq!(soft(), before);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
