//! A node for the tests: the real binary on a directory of its own and ports of its own.

use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_bongsu");
/// Nothing that a test waits for takes longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// The listeners of a node, with the ports in this order.
pub(crate) const LISTENERS: [&str; 5] = ["mx", "submission", "submissions", "pop3", "pop3s"];

/// A directory with settings, and perhaps a server that runs on it.
pub(crate) struct Node {
    dir: tempfile::TempDir,
    /// One port for each of [`LISTENERS`].
    pub(crate) ports: [u16; 5],
    supervisor: Option<Child>,
}

impl Node {
    /// A directory with settings for free ports; nothing runs.
    pub(crate) fn new() -> Self {
        let node = Self { dir: tempfile::tempdir().unwrap(), ports: free_ports(), supervisor: None };
        std::fs::create_dir(node.config()).unwrap();
        node.write_settings("");
        node
    }

    /// The same, running.
    pub(crate) fn up() -> Self {
        let mut node = Self::new();
        node.start();
        node
    }

    pub(crate) fn data(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("config")
    }

    /// Writes the settings: host name, `more`, and the listeners.
    pub(crate) fn write_settings(&self, more: &str) {
        let mut text = format!("hostname = \"mail.example.net\"\n{more}\n");
        for (name, port) in LISTENERS.iter().zip(self.ports) {
            let tls = if name.ends_with('s') && *name != "mx" { "implicit" } else { "starttls" };
            write!(
                text,
                "[[listen]]\nname = \"{name}\"\naddress = \"127.0.0.1\"\nport = {port}\nrole = \"{name}\"\ntls = \"{tls}\"\n"
            )
            .unwrap();
        }
        std::fs::write(self.config().join("bongsu.toml"), text).unwrap();
    }

    /// `bongsu … --data DIR`, ready to be run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).arg("--data").arg(self.data()).env_remove("BONGSU_DATA").stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Starts the server and waits until all runs.
    pub(crate) fn start(&mut self) {
        let mut child = self.command(&["up"]).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let log = child.stdout.take().unwrap();
        std::thread::spawn(move || BufReader::new(log).lines().map_while(Result::ok).for_each(|line| println!("{line}")));
        self.supervisor = Some(child);
        wait_until("everything runs", || self.run(&["status", "--quiet"]).status.success());
    }

    /// Starts a server with these listeners, waits until all runs, stops it, and gives what it printed.
    pub(crate) fn log_of_a_start(&self, listen: &str) -> String {
        let mut command = self.command(&["up"]);
        let mut child = command.env("BONGSU_LISTEN", listen).stdout(Stdio::piped()).spawn().unwrap();
        wait_until("everything runs", || self.run(&["status", "--quiet"]).status.success());
        assert!(self.run(&["stop"]).status.success());
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(child.wait().unwrap().success());
        text
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_slice(&self.run(&["status", "--json"]).stdout).unwrap_or(Value::Null)
    }

    /// The process of a role, once it runs.
    pub(crate) fn pid(&self, role: &str) -> Option<u32> {
        let status = self.status();
        let role = status["roles"].as_array()?.iter().find(|found| found["role"] == role)?.clone();
        (role["condition"] == "running").then(|| role["pid"].as_u64()).flatten().and_then(|pid| u32::try_from(pid).ok())
    }

    /// The processes of all roles.
    pub(crate) fn pids(&self) -> Vec<u32> {
        let status = self.status();
        let roles = status["roles"].as_array().cloned().unwrap_or_default();
        roles.iter().filter_map(|role| role["pid"].as_u64()).filter_map(|pid| u32::try_from(pid).ok()).collect()
    }

    pub(crate) fn supervisor_pid(&self) -> u32 {
        self.supervisor.as_ref().unwrap().id()
    }

    /// Waits for the end of the supervisor; whether it was orderly.
    pub(crate) fn ended(&mut self) -> bool {
        let mut child = self.supervisor.take().unwrap();
        let mut orderly = None;
        wait_until("the supervisor ends", || {
            orderly = child.try_wait().unwrap();
            orderly.is_some()
        });
        orderly.unwrap().success()
    }

    /// Whether something accepts connections on the port of a listener.
    pub(crate) fn answers(&self, listener: &str) -> bool {
        let place = LISTENERS.iter().position(|name| *name == listener).unwrap();
        TcpStream::connect(("127.0.0.1", self.ports[place])).is_ok()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.supervisor.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a command said on standard error.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits for a level, never for a time.
pub(crate) fn wait_until(what: &str, mut reached: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !reached() {
        assert!(Instant::now() < until, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process is there and not a zombie.
pub(crate) fn lives(pid: u32) -> bool {
    let mut stat = String::new();
    let read = std::fs::File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read_to_string(&mut stat));
    read.is_ok() && !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z')
}

pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Ports that are free now, below the range that the kernel gives to clients, apart for tests that run at the same time.
fn free_ports() -> [u16; 5] {
    let mut next = 12_000 + u16::try_from(std::process::id() % 1500).unwrap() * 10;
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    std::array::from_fn(|_| {
        while !free(next) {
            next += 1;
        }
        next += 1;
        next - 1
    })
}
