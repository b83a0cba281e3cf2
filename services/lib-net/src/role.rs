//! A role's end of the supervisor's line: what every program gets to begin with, and what it hears and says while it runs.
//!
//! The process of a role reads the line in a small thread of its own. The end of the line is the end of the process, at
//! once and whatever the program is doing: nothing of a mail server may outlive a supervisor that was killed, or the next
//! one could not take its place. Programs export `pub fn run(role: Role) -> ExitCode` and build their runtime themselves:
//!
//! ```ignore
//! pub fn run(mut role: lib_net::Role) -> std::process::ExitCode {
//!     let listeners = role.take_listeners();
//!     role.line.reporter().ready();
//!     runtime.block_on(async move {
//!         loop {
//!             match role.line.next().await {
//!                 Order::Reload(new) => role.line.reporter().in_force(new.generation),
//!                 Order::Look(number) => role.line.reporter().looked(number),
//!                 Order::Drain => break,
//!             }
//!         }
//!     });
//!     ExitCode::SUCCESS
//! }
//! ```

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lib_settings::{ListenerRole, Secrets, Settings};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::line::{FrameReader, FromRole, NewSettings, Start, ToRole, send_frame, try_send_frame};
use crate::listen::{Listener, Port, TlsMode};
use crate::wake::Consumer;

/// A state is told at most this often.
const STATE_INTERVAL: Duration = Duration::from_secs(1);

/// The processes that the supervisor keeps running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleName {
    /// Receives mail from other servers: program smtp-in, listeners of role mx.
    SmtpIn,
    /// Receives mail from our users: program smtp-in, listeners of roles submission and submissions.
    Submission,
    /// Puts mail into mailboxes.
    Deliver,
    /// Hands mail to other servers.
    RelayOut,
    /// Serves mailboxes.
    Pop3,
    /// Checks passwords.
    Auth,
}

impl RoleName {
    /// All of them, in the order in which they start.
    pub const ALL: [Self; 6] = [Self::Auth, Self::Deliver, Self::RelayOut, Self::SmtpIn, Self::Submission, Self::Pop3];

    /// The name as command line, log and settings spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SmtpIn => "smtp-in",
            Self::Submission => "submission",
            Self::Deliver => "deliver",
            Self::RelayOut => "relay-out",
            Self::Pop3 => "pop3",
            Self::Auth => "auth",
        }
    }
}

/// The same role as the author of an event.
impl From<RoleName> for lib_record::RoleName {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::SmtpIn => Self::SmtpIn,
            RoleName::Submission => Self::Submission,
            RoleName::Deliver => Self::Deliver,
            RoleName::RelayOut => Self::RelayOut,
            RoleName::Pop3 => Self::Pop3,
            RoleName::Auth => Self::Auth,
        }
    }
}

impl std::fmt::Display for RoleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for RoleName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|role| role.as_str() == text);
        named.ok_or_else(|| format!("no role is called {text:?}; the roles are {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

/// What a passed descriptor is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SocketName {
    /// A listening TCP socket.
    Listener {
        /// The listener's name in the settings.
        name: String,
        /// What it is for.
        role: ListenerRole,
        /// How TLS begins.
        tls: TlsMode,
    },
    /// The datagram socket on which a queue's consumer is woken.
    Wake(Consumer),
    /// The listening socket on which `auth` answers.
    AuthServer,
}

/// What a role is doing, for `bongsu status`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct State {
    /// Open sessions, or messages in work.
    pub sessions: u64,
    /// `accepting`, `queue only` or `rejecting`; `running` for a role that accepts nothing from outside.
    pub accepting: String,
    /// Why it is not accepting, or what the operator should know; empty when all is well.
    pub why: String,
}

/// What the supervisor orders.
#[derive(Debug)]
pub enum Order {
    /// Use these settings from now on, and say `in_force` or `refused`.
    Reload(Box<NewSettings>),
    /// Look at the accounts and the map files now, and say `looked` with this number.
    Look(u64),
    /// Take nothing new, finish what runs, then return from `run`.
    Drain,
}

/// All that a program gets from the supervisor.
#[derive(Debug)]
pub struct Role {
    /// Which role this process is.
    pub name: RoleName,
    /// The data directory (`spool/ mail/ state/ run/`).
    pub data: PathBuf,
    /// The directory of the configuration and its maps, where there is one.
    pub config: Option<PathBuf>,
    /// Number of `settings`, to be named in `in_force` after a reload.
    pub generation: u64,
    /// The settings in force at the start.
    pub settings: Settings,
    /// What belongs to the settings and must not be printed; only what this role needs of it.
    pub secrets: Secrets,
    /// Passed sockets with their names; see the `take_…` functions.
    pub sockets: Vec<(SocketName, OwnedFd)>,
    /// The line to the supervisor.
    pub line: Line,
}

impl Role {
    /// Receives the start frame on standard input, calls `restrict`, and begins to watch the line.
    ///
    /// `restrict` gives up rights. It runs between the two because it has to know the role and because the kernel takes
    /// rights from the calling thread and those it makes later, not from those that run already.
    ///
    /// # Errors
    /// `UnexpectedEof` when the supervisor is gone, `InvalidData` for any other frame, the socket's own and those of `restrict`.
    pub fn from_standard_input(restrict: impl FnOnce(&Start) -> io::Result<()>) -> io::Result<Self> {
        Self::receive(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?), restrict)
    }

    /// Receives the start frame on the given end of a line.
    ///
    /// # Errors
    /// As [`Role::from_standard_input`].
    pub fn receive(socket: UnixStream, restrict: impl FnOnce(&Start) -> io::Result<()>) -> io::Result<Self> {
        let mut reader = FrameReader::default();
        let start = match reader.read::<ToRole>(&socket)? {
            Some(ToRole::Start(start)) => *start,
            Some(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "the line did not begin with a start frame")),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        };
        let descriptors = reader.take_descriptors();
        if descriptors.len() != start.sockets.len() {
            let text = format!("{} sockets were named and {} came", start.sockets.len(), descriptors.len());
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        restrict(&start)?;
        Ok(Self {
            name: start.role,
            data: start.data,
            config: start.config,
            generation: start.generation,
            settings: start.settings,
            secrets: start.secrets,
            sockets: start.sockets.into_iter().zip(descriptors).collect(),
            line: Line::watch(socket, reader)?,
        })
    }

    /// The file of the queue clock, where it is not the system's.
    pub fn clock_file(&self) -> Option<PathBuf> {
        self.settings.testing.clock_file(self.config.as_deref(), &self.data)
    }

    /// Takes the TCP listeners out of `sockets`.
    pub fn take_listeners(&mut self) -> Vec<Listener> {
        let mut taken = Vec::new();
        for (socket_name, descriptor) in std::mem::take(&mut self.sockets) {
            match socket_name {
                SocketName::Listener { name, role, tls } => {
                    let port = Arc::new(Port { name, tls, role: role.as_str().into() });
                    taken.push(Listener { port, socket: TcpListener::from(descriptor) });
                }
                other => self.sockets.push((other, descriptor)),
            }
        }
        taken
    }

    /// Takes the socket on which this queue's consumer is woken; it does not block.
    pub fn take_wake(&mut self, queue: Consumer) -> Option<UnixDatagram> {
        self.take(&SocketName::Wake(queue)).map(UnixDatagram::from)
    }

    /// Takes the socket on which `auth` listens; it does not block.
    pub fn take_auth_server(&mut self) -> Option<UnixListener> {
        self.take(&SocketName::AuthServer).map(UnixListener::from)
    }

    fn take(&mut self, name: &SocketName) -> Option<OwnedFd> {
        let place = self.sockets.iter().position(|(found, _)| found == name)?;
        Some(self.sockets.swap_remove(place).1)
    }
}

/// A role's end of the line.
#[derive(Debug)]
pub struct Line {
    orders: mpsc::UnboundedReceiver<Order>,
    inlet: OrderInlet,
    reporter: Reporter,
}

/// Gives orders to this process from within, as SIGTERM does.
#[derive(Debug, Clone)]
pub struct OrderInlet(mpsc::UnboundedSender<Order>);

impl OrderInlet {
    /// Orders the role to drain.
    pub fn drain(&self) {
        // The receiver is gone only while the process ends, which is what the order asks for.
        let _ = self.0.send(Order::Drain);
    }
}

impl Line {
    /// Starts the thread that reads the line. The channel needs no bound: only the supervisor fills it, a frame per reload or look, which wait
    /// for their answers.
    fn watch(socket: UnixStream, mut reader: FrameReader) -> io::Result<Self> {
        let (inlet, orders) = mpsc::unbounded_channel();
        let reporter = Reporter::new(socket.try_clone()?);
        let forward = inlet.clone();
        std::thread::Builder::new().name("line".into()).stack_size(128 * 1024).spawn(move || {
            loop {
                let order = match reader.read::<ToRole>(&socket) {
                    Ok(Some(ToRole::Reload(new))) => Order::Reload(new),
                    Ok(Some(ToRole::Look(number))) => Order::Look(number),
                    Ok(Some(ToRole::Drain)) => Order::Drain,
                    Ok(Some(ToRole::Start(_))) => continue,
                    // Not after cleaning up, not when the program finds the time: now.
                    Ok(None) | Err(_) => std::process::exit(0),
                };
                let _ = forward.send(order);
            }
        })?;
        Ok(Self { orders, inlet: OrderInlet(inlet), reporter })
    }

    /// The next order. Safe to drop while waiting (as a branch of `select!`).
    pub async fn next(&mut self) -> Order {
        // The channel cannot end: this value holds a sender.
        self.orders.recv().await.unwrap_or(Order::Drain)
    }

    /// As [`Line::next`], for a program without a runtime.
    pub fn next_blocking(&mut self) -> Order {
        self.orders.blocking_recv().unwrap_or(Order::Drain)
    }

    /// The half that speaks.
    pub fn reporter(&self) -> Reporter {
        self.reporter.clone()
    }

    /// A way to order a drain from within the process.
    pub fn inlet(&self) -> OrderInlet {
        self.inlet.clone()
    }
}

/// Tells the supervisor how the role fares. Errors are not reported: a lost line ends the process anyway.
#[derive(Debug, Clone)]
pub struct Reporter(Arc<Mutex<Speaker>>);

#[derive(Debug)]
struct Speaker {
    socket: UnixStream,
    last: Option<(State, Instant)>,
}

impl Reporter {
    fn new(socket: UnixStream) -> Self {
        Self(Arc::new(Mutex::new(Speaker { socket, last: None })))
    }

    /// The role gave up its rights; said once by the process, not by the program.
    pub fn isolated(&self, how: impl Into<String>) {
        self.say(&FromRole::Isolated(how.into()));
    }

    /// The role serves.
    pub fn ready(&self) {
        self.say(&FromRole::Ready);
    }

    /// The settings of this generation are in force.
    pub fn in_force(&self, generation: u64) {
        self.say(&FromRole::InForce { generation });
    }

    /// The settings of this generation are not used, and why.
    pub fn refused(&self, generation: u64, why: impl Into<String>) {
        self.say(&FromRole::Refused { generation, why: why.into() });
    }

    /// The order to look was followed.
    pub fn looked(&self, number: u64) {
        self.say(&FromRole::Looked(number));
    }

    /// What the role is doing. Cheap to call often: an unchanged state, one within a second of the last, and one that the
    /// supervisor has no room for are dropped, so call it on a tick and not on change alone. Never waits.
    pub fn state(&self, state: &State) {
        let mut speaker = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if speaker.last.as_ref().is_some_and(|(last, at)| last == state || now.duration_since(*at) < STATE_INTERVAL) {
            return;
        }
        if try_send_frame(&speaker.socket, &FromRole::State(state.clone())).is_ok() {
            speaker.last = Some((state.clone(), now));
        }
    }

    fn say(&self, frame: &FromRole) {
        let speaker = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = send_frame(&speaker.socket, frame, &[]);
    }
}

#[cfg(test)]
mod tests;
