//! One role as a process: starting it, listening to it, and deciding when to start it again.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lib_net::line::{FrameReader, FromRole, Start, ToRole, send_frame};
use lib_net::role::{RoleName, State};

use super::Happening;
use super::events::Outlet;
use crate::owner::User;

/// The C library keeps what large allocations gave back, in a pool for each thread: a dozen password checks of 19 MiB would hold 200 MB
/// for ever. So large ones come from the kernel and go back to it, and the pools are few.
const ALLOCATOR: [(&str, &str); 2] = [("MALLOC_ARENA_MAX", "2"), ("MALLOC_MMAP_THRESHOLD_", "1048576")];
/// Shortest pause before a role that died is started again.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
/// Longest such pause.
const PAUSE_MOST: Duration = Duration::from_secs(30);
/// A role that served this long was well; its next death begins with the shortest pause again.
const STEADY: Duration = Duration::from_secs(1);
/// The threads that listen to a role need little.
const STACK: usize = 128 * 1024;
/// A role that does not read its line for so long is stuck; the frame is lost and the role will be killed when it is to stop.
const LINE_PATIENCE: Duration = Duration::from_secs(5);

/// What `bongsu status` knows about a running process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// The role said that it serves.
    pub(crate) ready: bool,
    /// Number of the settings that it said are in force.
    pub(crate) generation: u64,
    /// What it said it is doing.
    pub(crate) state: State,
    /// What keeps it apart.
    pub(crate) isolation: String,
}

/// A running process of a role.
#[derive(Debug)]
pub(crate) struct Child {
    /// Which role.
    pub(crate) role: RoleName,
    /// Its process; ours until we reap it.
    pub(crate) pid: rustix::process::Pid,
    /// When it was started.
    pub(crate) since: Instant,
    /// What it told us.
    pub(crate) known: Known,
    /// It was told to drain.
    pub(crate) draining: bool,
    line: UnixStream,
}

impl Child {
    /// Starts the role's process and gives it its start frame. `number` marks its reports.
    pub(crate) fn start(
        number: u64,
        start: Start,
        sockets: &[Arc<OwnedFd>],
        user: Option<User>,
        (happenings, outlet): (&Sender<Happening>, &Arc<Outlet>),
    ) -> Result<Self> {
        let role = start.role;
        let (line, theirs) = UnixStream::pair().context("cannot make a socket pair")?;
        line.set_write_timeout(Some(LINE_PATIENCE))?;
        let (events, events_in) = std::io::pipe().context("cannot make a pipe")?;
        let mut command = Command::new("/proc/self/exe");
        command.arg0("bongsu").args(["role", role.as_str()]).env_clear().envs(ALLOCATOR);
        for kept in ["BONGSU_MUTANT", "RUST_BACKTRACE"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::from(events_in));
        // A group of its own: Ctrl-C is for the supervisor, which then drains the roles in order.
        command.process_group(0).current_dir("/");
        if let Some(user) = user {
            user.applied_to(&mut command);
        }
        let process = command.spawn().with_context(|| format!("cannot start a process for {role}"))?;
        drop(command);
        let pid = rustix::process::Pid::from_child(&process);
        listen_to(number, role, line.try_clone()?, happenings.clone())?;
        forward_events(role, events, Arc::clone(outlet))?;
        let generation = start.generation;
        let descriptors: Vec<BorrowedFd<'_>> = sockets.iter().map(|socket| socket.as_fd()).collect();
        // A role that dies at once breaks the line here; that is told by its end, not by this.
        let _ = send_frame(&line, &ToRole::Start(Box::new(start)), &descriptors);
        let known = Known { generation, ..Known::default() };
        Ok(Self { role, pid, since: Instant::now(), known, draining: false, line })
    }

    /// Sends a frame; a broken line is told by the end of the process.
    pub(crate) fn tell(&self, frame: &ToRole) {
        let _ = send_frame(&self.line, frame, &[]);
    }

    /// Orders it to finish.
    pub(crate) fn drain(&mut self) {
        if !self.draining {
            self.draining = true;
            self.tell(&ToRole::Drain);
        }
    }

    /// Ends it now.
    pub(crate) fn kill(&self) {
        let _ = rustix::process::kill_process(self.pid, rustix::process::Signal::KILL);
    }

    /// Notes what it said.
    pub(crate) fn note(&mut self, said: &FromRole) {
        match said {
            FromRole::Ready => self.known.ready = true,
            FromRole::InForce { generation } => self.known.generation = *generation,
            FromRole::State(state) => self.known.state = state.clone(),
            FromRole::Isolated(how) => self.known.isolation = how.clone(),
            FromRole::Refused { .. } | FromRole::Looked(_) => {}
        }
    }
}

/// Reads what the role says until its line ends.
fn listen_to(number: u64, role: RoleName, line: UnixStream, happenings: Sender<Happening>) -> Result<()> {
    let listen = move || {
        let mut reader = FrameReader::default();
        while let Ok(Some(said)) = reader.read::<FromRole>(&line) {
            if happenings.send(Happening::Said { number, said }).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name(format!("line {role}")).stack_size(STACK).spawn(listen)?;
    Ok(())
}

/// Reads the role's events until its pipe ends.
fn forward_events(role: RoleName, mut pipe: std::io::PipeReader, outlet: Arc<Outlet>) -> Result<()> {
    let forward = move || {
        let mut cutter = super::events::Cutter::default();
        let mut chunk = vec![0; 32 * 1024];
        loop {
            match pipe.read(&mut chunk) {
                Ok(0) => return,
                Ok(count) => cutter.feed(&chunk[..count], |lines| outlet.write(lines)),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    };
    std::thread::Builder::new().name(format!("events {role}")).stack_size(STACK).spawn(forward)?;
    Ok(())
}

/// How long to wait before a role is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Backoff {
    pause: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { pause: PAUSE_FIRST }
    }
}

impl Backoff {
    /// The pause after a death; `served` is how long the role had been ready, nothing if it never was.
    pub(crate) fn after(&mut self, served: Option<Duration>) -> Duration {
        if served.is_some_and(|served| served >= STEADY) {
            *self = Self::default();
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MOST);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_for_a_role_that_cannot_live_and_start_over_for_one_that_did() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u128> = (0..12).map(|_| backoff.after(None).as_millis()).collect();
        assert_eq!(pauses[..5], [100, 200, 400, 800, 1600]);
        assert_eq!(pauses[11], PAUSE_MOST.as_millis());
        assert_eq!(backoff.after(Some(STEADY)), PAUSE_FIRST);
        assert_eq!(backoff.after(Some(Duration::ZERO)), PAUSE_FIRST * 2);
    }
}
