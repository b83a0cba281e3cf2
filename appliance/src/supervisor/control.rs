//! The control socket `run/control.sock`: one JSON line asks, one JSON line answers. Served to our own user and to root.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::Happening;
use crate::layout::Layout;

/// Longest request.
const REQUEST_MAX: u64 = 64 * 1024;
/// Longest answer.
const ANSWER_MAX: u64 = 1 << 20;
/// Callers served at one time.
const CALLERS_MAX: usize = 16;
/// A caller that says nothing for so long is sent away.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest that an answer takes: a reload that waits for stuck roles.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Request {
    /// How all fares.
    Status,
    /// Read the settings again and put them in force.
    Reload,
    /// Let every role look at the accounts and the map files.
    Look,
    /// Drain and end.
    Stop,
    /// Keep and print these events of an administrator's command: whole JSON lines.
    Record(String),
}

/// How a role fares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RoleStatus {
    /// Its name.
    pub(crate) role: String,
    /// `running`, `starting`, `draining` or `down`.
    pub(crate) condition: String,
    /// Its process, where it has one.
    pub(crate) pid: Option<i32>,
    /// Seconds since it was started.
    pub(crate) seconds: u64,
    /// How often it had to be started again.
    pub(crate) restarts: u64,
    /// Number of the settings that it uses.
    pub(crate) generation: u64,
    /// Open sessions or messages in work.
    pub(crate) sessions: u64,
    /// `accepting`, `queue only`, `rejecting` or `running`.
    pub(crate) accepting: String,
    /// Why it does not accept, or why it is down.
    pub(crate) why: String,
    /// What keeps it apart from the others.
    pub(crate) isolation: String,
    /// Where it listens.
    pub(crate) listens: Vec<String>,
}

/// How all fares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Status {
    /// Everything that should run does, and serves.
    pub(crate) well: bool,
    /// The host name.
    pub(crate) hostname: String,
    /// The data directory.
    pub(crate) data: String,
    /// The settings file, or that there is none.
    pub(crate) settings: String,
    /// Number of the settings in force.
    pub(crate) generation: u64,
    /// Seconds since the supervisor started.
    pub(crate) seconds: u64,
    /// All that should run.
    pub(crate) roles: Vec<RoleStatus>,
    /// Messages that were due long ago and are still there, one text for each queue that has such.
    #[serde(default)]
    pub(crate) overdue: Vec<String>,
}

/// What came of a reload.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reloaded {
    /// The new settings are in force everywhere.
    pub(crate) done: bool,
    /// Number of the settings now in force.
    pub(crate) generation: u64,
    /// What is wrong, or needs a restart.
    pub(crate) notes: Vec<String>,
}

/// What came of a look at the accounts and the map files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Looked {
    /// Roles that did not answer in time, by name: what changed counts there a little later. Empty: it counts everywhere.
    pub(crate) late: Vec<String>,
}

/// Serves the socket until the process ends.
pub(crate) fn serve(listener: UnixListener, happenings: Sender<Happening>) -> Result<()> {
    let callers = Arc::new(AtomicUsize::new(0));
    let accept = move || {
        for caller in listener.incoming().flatten() {
            if callers.fetch_add(1, Ordering::SeqCst) >= CALLERS_MAX {
                callers.fetch_sub(1, Ordering::SeqCst);
                continue;
            }
            let (happenings, callers) = (happenings.clone(), Arc::clone(&callers));
            let answer = move || {
                // An error is the caller's: it went away, or talks nonsense.
                let _ = answer(&caller, &happenings);
                callers.fetch_sub(1, Ordering::SeqCst);
            };
            let _ = std::thread::Builder::new().name("control".into()).stack_size(128 * 1024).spawn(answer);
        }
    };
    std::thread::Builder::new().name("control".into()).stack_size(128 * 1024).spawn(accept)?;
    Ok(())
}

fn answer(caller: &UnixStream, happenings: &Sender<Happening>) -> Result<()> {
    caller.set_read_timeout(Some(PATIENCE))?;
    caller.set_write_timeout(Some(PATIENCE))?;
    // Not rustix's call: a caller in another PID namespace, such as a second container with the same volume, has PID 0, which its type can't hold.
    let peer = nix::sys::socket::getsockopt(caller, nix::sys::socket::sockopt::PeerCredentials)?;
    if peer.uid() != 0 && peer.uid() != rustix::process::geteuid().as_raw() {
        bail!("user {} may not ask", peer.uid());
    }
    let mut line = String::new();
    BufReader::new(caller.take(REQUEST_MAX)).read_line(&mut line)?;
    let (reply, replied) = mpsc::channel();
    happenings.send(Happening::Asked { request: serde_json::from_str(&line)?, reply })?;
    let mut text = replied.recv_timeout(ANSWER_TIME)?;
    text.push('\n');
    let mut caller = caller;
    Ok(caller.write_all(text.as_bytes())?)
}

/// Asks the supervisor of a data directory.
///
/// # Errors
/// No supervisor runs there, or it does not answer; the text says what to do.
pub(crate) fn ask<T: serde::de::DeserializeOwned>(layout: &Layout, request: Request) -> Result<T> {
    let path = layout.control_socket();
    let data = layout.data().display();
    let socket = UnixStream::connect(&path).with_context(|| {
        format!("no bongsu runs on {data}; start it with \"bongsu up --data {data}\", or name its directory with --data")
    })?;
    socket.set_read_timeout(Some(ANSWER_TIME))?;
    let mut writer = &socket;
    writer.write_all(format!("{}\n", serde_json::to_string(&request)?).as_bytes())?;
    let mut line = String::new();
    BufReader::new((&socket).take(ANSWER_MAX)).read_line(&mut line)?;
    if line.is_empty() {
        bail!("the supervisor of {data} does not answer; are you the user it runs as, or root?");
    }
    Ok(serde_json::from_str(&line)?)
}
