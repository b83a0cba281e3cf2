//! What a server costs: CPU time and memory of all its processes, the short-lived ones too.
//!
//! A process that ended is in no listing any more, so a control group counts: version 1 (`cpuacct`) or 2. The server is started from
//! within the group, which all its processes inherit. Where no group can be made, the process tree is summed from /proc: parents then count their
//! ended children.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;

use crate::Result;
use crate::server::Server;
use crate::sweep;
use crate::wait::wait_until;

/// Where version 1 has its accounting.
const V1: &str = "/sys/fs/cgroup/cpuacct";
/// Where version 2 is mounted.
const V2: &str = "/sys/fs/cgroup";
/// Ticks of /proc in a second: the same on every machine that Linux runs on.
const TICKS: f64 = 100.0;
/// Until the last process of a group is gone.
const PATIENCE: Duration = Duration::from_secs(5);

/// Counts what the processes of one server use.
#[derive(Debug)]
pub struct Meter {
    group: Option<Group>,
}

/// A control group of our own.
#[derive(Debug)]
struct Group {
    dir: PathBuf,
    version: u8,
    /// The group that we come from.
    home: PathBuf,
}

impl Meter {
    /// One for a server that is not started yet.
    pub fn open() -> Meter {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("bongsu-bench-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Meter { group: [Group::version_1(&name), Group::version_2(&name)].into_iter().flatten().next() }
    }

    /// How it counts, for the report.
    pub fn how(&self) -> &'static str {
        match self.group.as_ref().map(|group| group.version) {
            Some(1) => "cgroup v1 (cpuacct)",
            Some(_) => "cgroup v2",
            None => {
                "the process tree in /proc, as no cgroup can be made here: processes whose parent ended before them are missing"
            }
        }
    }

    /// Does something that starts the server: all processes that come of it are counted.
    pub fn within<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        let Some(group) = &self.group else { return Ok(work()) };
        group.enter(&group.dir)?;
        let done = work();
        group.enter(&group.home)?;
        Ok(done)
    }

    /// CPU seconds so far.
    pub fn seconds(&self, server: &dyn Server) -> Result<f64> {
        match &self.group {
            Some(group) => group.seconds(),
            None => Ok(server.processes().iter().map(|process| tree_seconds(*process)).sum()),
        }
    }

    /// Its processes now.
    pub fn processes(&self, server: &dyn Server) -> Vec<u32> {
        self.group.as_ref().map_or_else(|| server.processes(), Group::processes)
    }

    /// Proportional memory (PSS) of all processes, in kB.
    pub fn kilobytes(&self, server: &dyn Server) -> u64 {
        self.processes(server).iter().map(|process| pss(*process)).sum()
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(group) = &self.group {
            remove(&group.dir);
            sweep::forget(&format!("cgroup {}", group.dir.display()));
        }
    }
}

impl Group {
    fn version_1(name: &str) -> Option<Group> {
        let home = Path::new(V1).join(own_path(|controllers| controllers.split(',').any(|one| one == "cpuacct"))?);
        Group::make(Path::new(V1).join(name), 1, home, "cpuacct.usage")
    }

    fn version_2(name: &str) -> Option<Group> {
        let home = Path::new(V2).join(own_path(str::is_empty)?);
        // Beside the root's children where we may, else below our own.
        let make = |dir: PathBuf| Group::make(dir, 2, home.clone(), "cpu.stat");
        make(Path::new(V2).join(name)).or_else(|| make(home.join(name)))
    }

    /// Makes it, and looks whether it counts and lets us in and out.
    fn make(dir: PathBuf, version: u8, home: PathBuf, counts: &str) -> Option<Group> {
        std::fs::create_dir(&dir).ok()?;
        let group = Group { dir, version, home };
        let usable = group.dir.join(counts).is_file() && group.enter(&group.dir).is_ok() && group.enter(&group.home).is_ok();
        if !usable {
            remove(&group.dir);
            return None;
        }
        sweep::note(&format!("cgroup {}", group.dir.display()));
        Some(group)
    }

    /// Version 1 moves this thread, whose children follow it; version 2 moves processes only.
    fn enter(&self, dir: &Path) -> Result<()> {
        let file = dir.join(if self.version == 1 { "tasks" } else { "cgroup.procs" });
        std::fs::write(&file, "0").with_context(|| file.display().to_string())
    }

    fn seconds(&self) -> Result<f64> {
        if self.version == 1 {
            let text = std::fs::read_to_string(self.dir.join("cpuacct.usage"))?;
            return Ok(text.trim().parse::<f64>().context("cpuacct.usage is no number")? / 1e9);
        }
        let text = std::fs::read_to_string(self.dir.join("cpu.stat"))?;
        let usage = text.lines().find_map(|line| line.strip_prefix("usage_usec ")).context("cpu.stat tells no usage")?;
        Ok(usage.trim().parse::<f64>().context("usage_usec is no number")? / 1e6)
    }

    fn processes(&self) -> Vec<u32> {
        let text = std::fs::read_to_string(self.dir.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }
}

/// Removes a group once its last process is gone.
pub(crate) fn remove(dir: &Path) {
    let gone = || matches!(std::fs::remove_dir(dir), Err(error) if error.kind() == std::io::ErrorKind::NotFound);
    // One that stays holds nothing but its name.
    let _ = wait_until("the end of a control group", PATIENCE, gone);
}

/// Our group in the hierarchy whose controllers are these, without its first slash.
fn own_path(controllers: impl Fn(&str) -> bool) -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    lines.find(|(of, _)| controllers(of)).map(|(_, path)| path.trim_start_matches('/').to_owned())
}

/// CPU of a process and of those of its children that it has waited for.
fn tree_seconds(process: u32) -> f64 {
    stat_fields(&format!("/proc/{process}/stat"), 13..17)
}

/// CPU of this process, the load, sinks and name server among it.
pub fn own_seconds() -> f64 {
    stat_fields("/proc/self/stat", 13..15)
}

fn stat_fields(path: &str, fields: std::ops::Range<usize>) -> f64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The name may hold spaces; what follows it begins with field 3.
    let after = text.rsplit(')').next().unwrap_or_default();
    let ticks =
        after.split_whitespace().skip(fields.start - 2).take(fields.len()).filter_map(|field| field.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}

/// CPU seconds of the whole machine, kernel threads too, without idling.
pub fn machine_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let numbers: Vec<f64> =
        text.lines().next().unwrap_or_default().split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, interrupts, soft interrupts; not idle and waiting for the disk.
    [0, 1, 2, 5, 6].iter().filter_map(|at| numbers.get(*at)).sum::<f64>() / TICKS
}

fn pss(process: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_was_counted() {
        let meter = Meter::open();
        let Some(group) = &meter.group else {
            // Without a group the tree counts, once the child was waited for.
            let before = tree_seconds(std::process::id());
            spin();
            assert!(tree_seconds(std::process::id()) - before >= 0.05);
            return;
        };
        meter.within(spin).unwrap();
        let dir = group.dir.clone();
        assert!(group.seconds().unwrap() >= 0.05, "{}", meter.how());
        drop(meter);
        assert!(!dir.exists());
    }

    /// A shell that does no more than count.
    fn spin() {
        let script = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("sh").args(["-c", script]).status().unwrap().success());
    }

    #[test]
    fn this_process_and_the_machine() {
        let (own, machine) = (own_seconds(), machine_seconds());
        assert!(own >= 0.0 && machine > own, "{own} {machine}");
        assert!(pss(std::process::id()) > 0);
    }
}
