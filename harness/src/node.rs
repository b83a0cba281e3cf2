//! A bongsu node: started from a binary with a settings file of its own, on a loopback address of its own, seen through its ports,
//! its files and its command line.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::Result;
use crate::client::{Ran, run_command};
use crate::driver::processes::NETWORKS;
use crate::pop::Pop;
use crate::smtp::Smtp;
use crate::wait::{wait_for, wait_until};

/// Until a port answers or a process is gone.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Longest wait for one reply of a node.
pub const REPLY: Duration = Duration::from_secs(30);
/// Log lines kept for the report of a failure.
const LOG_LINES: usize = 20_000;

/// The ports that a harness node listens on, each on the node's own address.
pub mod port {
    /// Mail from other servers.
    pub const MX: u16 = 2525;
    /// Mail from users, STARTTLS.
    pub const SUBMISSION: u16 = 2587;
    /// Mail from users, TLS from the first octet.
    pub const SUBMISSIONS: u16 = 2465;
    /// Mailboxes, STLS.
    pub const POP3: u16 = 2110;
    /// Mailboxes, TLS from the first octet.
    pub const POP3S: u16 = 2995;
}

/// A loopback address that no other test of this machine uses now: drawn from the process id and a counter, and probed.
pub fn free_address() -> Ipv4Addr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let mix = std::process::id().wrapping_mul(65_537).wrapping_add(number).wrapping_mul(2_654_435_761);
        let octets = mix.to_be_bytes();
        // Above the networks of topologies, which would not look whether each of their addresses is free.
        let address = Ipv4Addr::new(127, NETWORKS + 1 + octets[0] % NETWORKS, octets[1], 1 + octets[2] % 250);
        if std::net::TcpListener::bind((address, port::MX)).is_ok() {
            return address;
        }
    }
}

/// The binary under test: `HARNESS_BINARY`, or `bongsu` beside the test's own folder of the build.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("HARNESS_BINARY") {
        return Ok(PathBuf::from(path));
    }
    let test = std::env::current_exe()?;
    let found = test.ancestors().skip(1).take(3).map(|dir| dir.join("bongsu")).find(|path| path.is_file());
    found.context("no binary bongsu beside this test: cargo build -p bongsu, or set HARNESS_BINARY")
}

/// What a node is made from.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The node's name, in reports.
    pub name: String,
    /// The domain whose mailboxes it has.
    pub domain: String,
    /// Its host name; `None` is `mx.` before the domain.
    pub host_name: Option<String>,
    /// Where it listens.
    pub address: IpAddr,
    /// More settings, as TOML lines with dotted keys (`smtp.hop_limit = 5`).
    pub settings: String,
    /// Domains that it relays for.
    pub relay_domains: Vec<String>,
    /// The text of its aliases file.
    pub aliases: String,
    /// Further files of its configuration: name and text.
    pub more: Vec<(&'static str, String)>,
    /// Accounts to make: local part and password.
    pub accounts: Vec<(String, String)>,
    /// Sender addresses that an account owns beside its own: local part and address.
    pub owned: Vec<(String, String)>,
    /// Environment of the process.
    pub environment: Vec<(String, String)>,
    /// The binary; `None` is the one of the build.
    pub binary: Option<PathBuf>,
    /// Where data and configuration lie; `None` is a temporary directory that goes with the node.
    pub dir: Option<PathBuf>,
}

impl Plan {
    /// A node `name` for `name.example`, on a free address, with accounts for `users` (password `secret-NAME`).
    pub fn new(name: &str, users: &[&str]) -> Plan {
        Plan {
            name: name.to_owned(),
            domain: format!("{name}.example"),
            host_name: None,
            address: IpAddr::V4(free_address()),
            settings: String::new(),
            relay_domains: Vec::new(),
            aliases: String::new(),
            more: Vec::new(),
            accounts: users.iter().map(|user| ((*user).to_owned(), format!("secret-{user}"))).collect(),
            owned: Vec::new(),
            environment: Vec::new(),
            binary: None,
            dir: None,
        }
    }

    /// Adds settings, as TOML lines with dotted keys.
    #[must_use]
    pub fn with(mut self, lines: &str) -> Plan {
        self.settings.push_str(lines);
        self.settings.push('\n');
        self
    }

    /// The node's host name.
    pub fn host(&self) -> String {
        self.host_name.clone().unwrap_or_else(|| format!("mx.{}", self.domain))
    }

    /// The settings file.
    pub fn toml(&self) -> String {
        let mut text = self.heads();
        for (name, port, role, tls) in [
            ("mx", port::MX, "mx", "starttls"),
            ("submission", port::SUBMISSION, "submission", "starttls"),
            ("submissions", port::SUBMISSIONS, "submissions", "implicit"),
            ("pop3", port::POP3, "pop3", "starttls"),
            ("pop3s", port::POP3S, "pop3s", "implicit"),
        ] {
            let listener = format!(
                "\n[[listen]]\nname = \"{name}\"\naddress = \"{}\"\nport = {port}\nrole = \"{role}\"\ntls = \"{tls}\"\n",
                self.address
            );
            text.push_str(&listener);
        }
        text
    }

    /// The settings without a listener: the server then has its usual ports on every address.
    pub fn heads(&self) -> String {
        format!("hostname = \"{}\"\ndefault_domain = \"{}\"\n{}", self.host(), self.domain, self.settings)
    }

    /// The arguments of `bongsu` that make the account `user` of this plan.
    pub fn account_add<'a>(&'a self, user: &str, address: &'a str) -> Vec<&'a str> {
        let owned = self.owned.iter().filter(|(owner, _)| owner == user);
        ["account", "add", address].into_iter().chain(owned.flat_map(|(_, sender)| ["--owns", sender])).collect()
    }

    /// Writes the configuration into a directory, which is made: the settings with this text, and the maps beside them.
    pub fn write(&self, config: &Path, settings: &str) -> Result<()> {
        std::fs::create_dir_all(config)?;
        self.files(settings).iter().try_for_each(|(name, text)| Ok(std::fs::write(config.join(name), text)?))
    }

    /// The files of the configuration: name and text.
    pub fn files(&self, settings: &str) -> Vec<(&'static str, String)> {
        let mut files = vec![
            ("bongsu.toml", settings.to_owned()),
            ("local-host-names", format!("{}\n", self.domain)),
            ("relay-domains", self.relay_domains.iter().map(|domain| format!("{domain}\n")).collect()),
            ("aliases", self.aliases.clone()),
        ];
        files.extend(self.more.iter().cloned());
        files
    }

    /// Makes directory, settings and accounts, starts the node and waits until its ports answer.
    pub fn start(self) -> Result<Node> {
        let mut node = self.make()?;
        node.start()?;
        Ok(node)
    }

    /// Makes directory, settings and accounts, but starts nothing.
    pub fn make(self) -> Result<Node> {
        let node = self.adopt()?;
        for (user, password) in &node.plan.accounts {
            let address = format!("{user}@{}", node.plan.domain);
            node.cli_with(&node.plan.account_add(user, &address), format!("{password}\n").as_bytes())?.ok()?;
        }
        Ok(node)
    }

    /// Makes directory and settings, but no account and starts nothing: for a directory that has its data already.
    pub fn adopt(self) -> Result<Node> {
        let temporary = match self.dir {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix(&format!("bongsu-{}-", self.name)).tempdir()?),
        };
        let dir =
            self.dir.clone().or_else(|| temporary.as_ref().map(|t| t.path().to_owned())).context("a node has a directory")?;
        self.write(&dir.join("etc"), &self.toml())?;
        let binary = match &self.binary {
            Some(binary) => binary.clone(),
            None => binary()?,
        };
        Ok(Node { plan: self, dir, binary, child: None, log: Arc::default(), _temporary: temporary })
    }
}

/// A node, running or not. It is killed when dropped.
#[derive(Debug)]
pub struct Node {
    /// What it was made from.
    pub plan: Plan,
    dir: PathBuf,
    binary: PathBuf,
    child: Option<Child>,
    log: Arc<Mutex<VecDeque<String>>>,
    _temporary: Option<tempfile::TempDir>,
}

impl Node {
    /// Starts `bongsu up` and waits until every port answers.
    pub fn start(&mut self) -> Result<()> {
        self.spawn()?;
        let ports = [port::MX, port::SUBMISSION, port::SUBMISSIONS, port::POP3, port::POP3S];
        for number in ports {
            let at = self.at(number);
            let up = wait_for(&format!("{} on {at}", self.plan.name), PATIENCE, || {
                self.still_runs()?;
                Ok(TcpStream::connect_timeout(&at, Duration::from_secs(1)).ok())
            });
            up.with_context(|| self.log_tail(40))?;
        }
        wait_until(&format!("status of {}", self.plan.name), PATIENCE, || self.cli(&["status"]).is_ok_and(|ran| ran.code == 0))
            .with_context(|| self.log_tail(40))
    }

    /// Starts `bongsu up` and does not wait.
    pub fn spawn(&mut self) -> Result<()> {
        anyhow::ensure!(self.child.is_none(), "{} runs already", self.plan.name);
        let mut command = self.command(&["up"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(out) = child.stdout.take() {
            self.collect(out);
        }
        if let Some(err) = child.stderr.take() {
            self.collect(err);
        }
        self.child = Some(child);
        Ok(())
    }

    fn collect(&self, from: impl std::io::Read + Send + 'static) {
        let log = Arc::clone(&self.log);
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(std::result::Result::ok) {
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                if log.len() == LOG_LINES {
                    log.pop_front();
                }
                log.push_back(line);
            }
        });
    }

    fn still_runs(&mut self) -> Result<()> {
        let child = self.child.as_mut().context("it was not started")?;
        match child.try_wait()? {
            None => Ok(()),
            Some(status) => anyhow::bail!("{} ended by itself: {status}\n{}", self.plan.name, self.log_tail(20)),
        }
    }

    /// SIGTERM, and waits until the supervisor is gone. Its exit code.
    pub fn stop(&mut self) -> Result<i32> {
        self.end(Signal::TERM)
    }

    /// SIGKILL to the supervisor alone, and waits until it and every role are gone.
    pub fn kill(&mut self) -> Result<()> {
        let roles = self.role_pids().unwrap_or_default();
        self.end(Signal::KILL)?;
        wait_until("the roles to follow their supervisor", PATIENCE, || roles.iter().all(|(_, pid)| !runs(*pid)))
    }

    fn end(&mut self, signal: Signal) -> Result<i32> {
        let mut child = self.child.take().context("it does not run")?;
        kill_process(pid(child.id())?, signal)?;
        let start = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status.code().unwrap_or(-1));
            }
            if start.elapsed() > PATIENCE {
                let _ = child.kill();
                let _ = child.wait();
                anyhow::bail!("{} did not end within {PATIENCE:?}\n{}", self.plan.name, self.log_tail(40));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Each role and its process, as `status --json` names them.
    pub fn role_pids(&self) -> Result<Vec<(String, u32)>> {
        let status = self.status()?;
        let roles = status["roles"].as_array().context("status has no roles")?;
        Ok(roles
            .iter()
            .filter_map(|role| Some((role["role"].as_str()?.to_owned(), u32::try_from(role["pid"].as_u64()?).ok()?)))
            .collect())
    }

    /// SIGSTOP to one role's process: it answers nobody until it is resumed.
    pub fn pause_role(&self, role: &str) -> Result<()> {
        self.signal_role(role, Signal::STOP)
    }

    /// SIGCONT to one role's process.
    pub fn resume_role(&self, role: &str) -> Result<()> {
        self.signal_role(role, Signal::CONT)
    }

    fn signal_role(&self, role: &str, signal: Signal) -> Result<()> {
        Ok(kill_process(pid(self.role_process(role)?)?, signal)?)
    }

    /// SIGKILL to one role's process, once it has one.
    pub fn kill_role(&self, role: &str) -> Result<u32> {
        let number = self.role_process(role)?;
        kill_process(pid(number)?, Signal::KILL)?;
        Ok(number)
    }

    /// The process of a role, once it has one (after an earlier death this waits a moment for its restart).
    pub fn role_process(&self, role: &str) -> Result<u32> {
        wait_for(&format!("role {role} of {}", self.plan.name), PATIENCE, || {
            Ok(self.role_pids()?.into_iter().find(|(name, _)| name == role).map(|(_, number)| number))
        })
        .with_context(|| self.log_of(&format!("{role} ")))
        .with_context(|| self.status().map(|status| status.to_string()).unwrap_or_default())
    }

    /// `bongsu status --json`.
    pub fn status(&self) -> Result<Value> {
        let ran = self.cli(&["status", "--json"])?;
        serde_json::from_slice(&ran.stdout).with_context(|| format!("status --json printed {}", ran.text))
    }

    /// Runs `bongsu ARGS` against this node.
    pub fn cli(&self, args: &[&str]) -> Result<Ran> {
        self.cli_with(args, b"")
    }

    /// Runs `bongsu ARGS` with `input` as its standard input.
    pub fn cli_with(&self, args: &[&str], input: &[u8]) -> Result<Ran> {
        run_command(self.command(args), input).with_context(|| format!("bongsu {}", args.join(" ")))
    }

    /// `bongsu ARGS --config … --data …`, ready to run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(args).arg("--config").arg(self.config()).arg("--data").arg(self.data());
        // A node has its settings from its plan, not from whoever runs the tests.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("BONGSU_")) {
            command.env_remove(name);
        }
        command.envs(self.plan.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Messages in the queues, as `mailq --json` lists them: one a line.
    pub fn queue(&self) -> Result<Vec<Value>> {
        let ran = self.cli(&["mailq", "--json"])?.ok()?;
        let text = String::from_utf8_lossy(&ran.stdout);
        text.lines().map(|line| serde_json::from_str(line).with_context(|| format!("mailq --json printed {line}"))).collect()
    }

    /// Waits until no message is queued.
    pub fn wait_empty(&self, patience: Duration) -> Result<()> {
        wait_for(&format!("an empty queue on {}", self.plan.name), patience, || Ok(self.queue()?.is_empty().then_some(())))
            .with_context(|| self.log_tail(30))
    }

    /// A port of this node.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.plan.address, port)
    }

    /// A session with the MX port.
    pub fn smtp(&self) -> Result<Smtp> {
        Smtp::connect(self.at(port::MX), REPLY)
    }

    /// A POP3 session of an account of the plan.
    pub fn pop(&self, user: &str) -> Result<Pop> {
        let (_, password) = self.plan.accounts.iter().find(|(name, _)| name == user).context("no such account in the plan")?;
        Pop::login(self.at(port::POP3), &format!("{user}@{}", self.plan.domain), password, REPLY)
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The settings file.
    pub fn config(&self) -> PathBuf {
        self.dir.join("etc/bongsu.toml")
    }

    /// A file beside the settings file.
    pub fn config_file(&self, name: &str) -> PathBuf {
        self.dir.join("etc").join(name)
    }

    /// The text of every message in the node's mailboxes.
    pub fn delivered(&self) -> Result<Vec<Vec<u8>>> {
        crate::maildir::messages(&self.data().join("mail"))?.iter().map(|path| Ok(std::fs::read(path)?)).collect()
    }

    /// What it printed so far.
    pub fn log(&self) -> Vec<String> {
        self.lines().iter().cloned().collect()
    }

    /// Whether a line that holds `text` was printed.
    pub fn logged(&self, text: &str) -> bool {
        self.lines().iter().any(|line| line.contains(text))
    }

    /// The last lines it printed, for the report of a failure.
    pub fn log_tail(&self, lines: usize) -> String {
        let log = self.lines();
        let tail: Vec<&str> = log.iter().skip(log.len().saturating_sub(lines)).map(String::as_str).collect();
        format!("the last words of {}:\n  {}", self.plan.name, tail.join("\n  "))
    }

    /// The last lines of the supervisor that hold `text`, for the report of a failure.
    fn log_of(&self, text: &str) -> String {
        let log = self.lines();
        let lines: Vec<&str> =
            log.iter().filter(|line| line.contains("supervisor:") && line.contains(text)).map(String::as_str).collect();
        lines[lines.len().saturating_sub(20)..].join("\n  ")
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directory that holds data and configuration.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The supervisor's process, where it runs.
    pub fn supervisor(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log_tail(60));
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether a process runs (a zombie does not).
pub fn runs(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with(['Z', 'X']))
}

fn pid(number: u32) -> Result<Pid> {
    i32::try_from(number).ok().and_then(Pid::from_raw).with_context(|| format!("{number} is no process id"))
}
