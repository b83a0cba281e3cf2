//! What a message costs in system calls, syncs and context switches, counted by the kernel's tracepoints through `perf stat`: nobody is stopped. `strace`
//! stops a server at every call, and where messages share their syncs that changes how many there are.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::figures::{Quantity, Turned};
use super::subject::Subject;
use crate::Result;
use crate::client::have;
use crate::wait::wait_for;

/// Calls that wait for the disk.
const SYNC: [&str; 5] = ["fsync", "fdatasync", "syncfs", "sync_file_range", "msync"];
const ALL: &str = "raw_syscalls:sys_enter";
const SWITCHES: &str = "context-switches";
/// Until perf counts.
const PATIENCE: Duration = Duration::from_secs(10);
/// perf has attached to all threads once it holds the same number of counters for so many looks.
const LOOKS: usize = 10;

const SYNCS: Quantity = Quantity::less("syncs a message");
const CALLS: Quantity = Quantity::less("system calls a message");
const SWITCHED: Quantity = Quantity::less("context switches a message");

/// Does the work once more, not timed, and adds what each of its messages cost. Without perf, or without the right to use it, nothing is added.
pub(super) fn count(
    subject: &Subject,
    turned: &mut Turned,
    workload: &str,
    messages: usize,
    work: impl FnOnce() -> Result<()>,
) -> Result<()> {
    if !have("perf") || !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let counter = Counter::start(&subject.processes(), &dir.path().join("counts"))?;
    work()?;
    counter.end()?;
    let counts = read(&std::fs::read_to_string(dir.path().join("counts"))?);
    // A kernel without tracepoints counts none.
    if counts.calls > 0 {
        let each = |count: u64| count as f64 / messages as f64;
        turned.add(workload, SYNCS, each(counts.syncs));
        turned.add(workload, CALLS, each(counts.calls));
        turned.add(workload, SWITCHED, each(counts.switches));
    }
    Ok(())
}

/// A perf that counts. It is killed when dropped.
struct Counter {
    perf: Child,
}

impl Counter {
    /// Attaches to these processes and those that they start, and waits until it counts.
    fn start(processes: &[u32], out: &Path) -> Result<Counter> {
        let syncs = SYNC.map(|call| format!("syscalls:sys_enter_{call}")).join(",");
        let numbers: Vec<String> = processes.iter().map(u32::to_string).collect();
        let mut command = Command::new("perf");
        command.args(["stat", "-x,", "-e", &format!("{syncs},{ALL},{SWITCHES}"), "-p", &numbers.join(","), "-o"]).arg(out);
        let perf = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut counter = Counter { perf };
        let (mut before, mut same) = (0, 0);
        wait_for("perf to count", PATIENCE, || {
            anyhow::ensure!(counter.perf.try_wait()?.is_none(), "perf ended by itself");
            let now = counters(counter.perf.id());
            same = if now == before && now > 0 { same + 1 } else { 0 };
            before = now;
            Ok((same >= LOOKS).then_some(()))
        })?;
        Ok(counter)
    }

    /// Ends it, and waits until it has written what it counted.
    fn end(mut self) -> Result<()> {
        if let Some(perf) = i32::try_from(self.perf.id()).ok().and_then(Pid::from_raw) {
            kill_process(perf, Signal::INT)?;
        }
        self.perf.wait()?;
        Ok(())
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // One that has ended needs no more.
        let _ = self.perf.kill();
        let _ = self.perf.wait();
    }
}

/// The counters that a process holds.
fn counters(process: u32) -> usize {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{process}/fd")) else { return 0 };
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| link.to_string_lossy().contains("perf_event")).count()
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    syncs: u64,
    calls: u64,
    switches: u64,
}

/// Lines `count,unit,event,…`; what did not happen is `<not counted>`.
fn read(text: &str) -> Counts {
    let mut counts = Counts::default();
    for line in text.lines() {
        let mut fields = line.split(',');
        let (count, event) = (fields.next().unwrap_or_default(), fields.nth(1).unwrap_or_default());
        let Ok(count) = count.parse::<u64>() else { continue };
        match event {
            ALL => counts.calls += count,
            SWITCHES => counts.switches += count,
            _ => counts.syncs += count,
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_perf() {
        let text = "# started on Fri Nov 27 02:18:00 2026\n\n12,,syscalls:sys_enter_fsync,0,100.00,,\n<not counted>,,syscalls:sys_enter_msync,0,100.00,,\n\
                    3,,syscalls:sys_enter_syncfs,0,100.00,,\n900,,raw_syscalls:sys_enter,0,100.00,,\n44,,context-switches,0,100.00,,\n";
        assert_eq!(read(text), Counts { syncs: 15, calls: 900, switches: 44 });
    }
}
