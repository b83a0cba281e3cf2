//! The question "is this password right?", as a role asks it of the role `auth`: one JSON object a line over a unix stream.
//!
//! Passwords pass through here and stay nowhere: no `Debug` shows one, no error holds one. Many questions share one connection and
//! may be answered in any order. What goes wrong on the way (no socket, a broken line, no answer in time) is
//! [`Verdict::Unavailable`], never a refusal, so that a restart of `auth` cannot make a client throw its password away.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};

/// The socket of the role `auth`, below the data directory.
pub const SOCKET: &str = "run/auth.sock";
/// Octets of one line, either way, with its LF.
pub const MAX_LINE: usize = 8 * 1024;
/// How long a login waits for its verdict, the delay after failed logins included.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// Questions under way on one connection; more means that the other side hangs, and the connection is given up.
const MAX_WAITING: usize = 4096;
/// Questions written with one call.
const BATCH: usize = 64;
/// Before the one repetition on a new connection: the time in which a killed `auth` is back.
const PAUSE: Duration = Duration::from_millis(300);

/// What a login is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Submission: the right to send (R1.12).
    Smtp,
    /// The mailbox over POP3.
    Pop3,
}

/// A name and a password to be verified.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// As the client gave it: a full address, or a local part that means the default domain.
    pub user: String,
    /// As the client gave it.
    pub password: String,
    /// What it is for.
    pub service: Service,
    /// The client, for the limit on failed logins.
    pub address: IpAddr,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({:?} for {:?} from {})", self.user, self.service, self.address)
    }
}

/// What became of a login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The password is right and the service is allowed.
    Verified {
        /// The full address of the account.
        account: String,
    },
    /// Wrong name or password; which of them is not said.
    Refused,
    /// The password is right, but the account has no right to this service.
    Forbidden,
    /// Nobody could say: a temporary failure (454, `[SYS/TEMP]`).
    Unavailable,
}

/// A line to the role `auth`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Comes back in the response; chosen by the asking side, unique on its connection.
    pub id: u64,
    /// See [`Login::user`].
    pub user: String,
    /// See [`Login::password`].
    pub password: String,
    /// See [`Login::service`].
    pub service: Service,
    /// See [`Login::address`].
    pub address: IpAddr,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} {:?} for {:?} from {})", self.id, self.user, self.service, self.address)
    }
}

/// A line from the role `auth`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// That of the request.
    pub id: u64,
    /// The login stands.
    pub ok: bool,
    /// The account's full address where `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Nobody could say; try again later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub temporary: bool,
    /// The password is right, the service is not allowed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forbidden: bool,
}

impl Response {
    /// The verdict in wire form.
    pub fn new(id: u64, verdict: Verdict) -> Response {
        let refused = Response { id, ok: false, account: None, temporary: false, forbidden: false };
        match verdict {
            Verdict::Verified { account } => Response { ok: true, account: Some(account), ..refused },
            Verdict::Refused => refused,
            Verdict::Forbidden => Response { forbidden: true, ..refused },
            Verdict::Unavailable => Response { temporary: true, ..refused },
        }
    }

    /// The verdict; a response that contradicts itself says nothing and is [`Verdict::Unavailable`].
    pub fn verdict(self) -> Verdict {
        match self {
            Response { ok: true, account: Some(account), temporary: false, forbidden: false, .. } => {
                Verdict::Verified { account }
            }
            Response { ok: false, account: None, temporary: false, forbidden: false, .. } => Verdict::Refused,
            Response { ok: false, account: None, temporary: false, forbidden: true, .. } => Verdict::Forbidden,
            _ => Verdict::Unavailable,
        }
    }
}

/// The asking side. Cheap to clone; all clones share one connection, which is made at the first question and again after a break.
#[derive(Clone)]
pub struct AuthClient {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    next: AtomicU64,
    /// The way to the connection's task; closed once that has ended.
    line: Mutex<Option<mpsc::Sender<Question>>>,
}

struct Question {
    request: Request,
    reply: oneshot::Sender<Response>,
}

type Waiting = Mutex<HashMap<u64, oneshot::Sender<Response>>>;

impl AuthClient {
    /// A client of the socket at `path`. Nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> AuthClient {
        AuthClient { shared: Arc::new(Shared { path: path.into(), next: AtomicU64::new(1), line: Mutex::new(None) }) }
    }

    /// Asks whether the login stands, and waits up to [`DEADLINE`]. A connection that breaks meanwhile is made again once. Must be
    /// called within a tokio runtime.
    pub async fn verify(&self, login: Login) -> Verdict {
        let asked = tokio::time::timeout(DEADLINE, async {
            if let Some(response) = self.ask(login.clone()).await {
                return response.verdict();
            }
            tokio::time::sleep(PAUSE).await;
            self.ask(login).await.map_or(Verdict::Unavailable, Response::verdict)
        });
        asked.await.unwrap_or(Verdict::Unavailable)
    }

    async fn ask(&self, login: Login) -> Option<Response> {
        let Login { user, password, service, address } = login;
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (reply, response) = oneshot::channel();
        let question = Question { request: Request { id, user, password, service, address }, reply };
        self.line().send(question).await.ok()?;
        response.await.ok()
    }

    fn line(&self) -> mpsc::Sender<Question> {
        let mut line = self.shared.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = line.as_ref().filter(|line| !line.is_closed()) {
            return open.clone();
        }
        let (sender, questions) = mpsc::channel(BATCH);
        tokio::spawn(connection(self.shared.path.clone(), questions));
        *line = Some(sender.clone());
        sender
    }
}

impl fmt::Debug for AuthClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AuthClient({})", self.shared.path.display())
    }
}

/// Lives until either side breaks; then every question that waits sees its reply's sender dropped.
async fn connection(path: PathBuf, questions: mpsc::Receiver<Question>) {
    let Ok(mut stream) = UnixStream::connect(path).await else { return };
    let (read, write) = stream.split();
    let waiting = Waiting::default();
    tokio::select! {
        () = write_requests(write, questions, &waiting) => {}
        () = read_responses(read, &waiting) => {}
    }
}

async fn write_requests(mut stream: WriteHalf<'_>, mut questions: mpsc::Receiver<Question>, waiting: &Waiting) {
    let mut batch = Vec::new();
    let mut octets = Vec::new();
    while questions.recv_many(&mut batch, BATCH).await > 0 {
        for Question { request, reply } in batch.drain(..) {
            let start = octets.len();
            let written = serde_json::to_writer(&mut octets, &request).is_ok();
            if !written || octets.len() - start >= MAX_LINE {
                octets.truncate(start);
                // Nobody has a name or password of this length.
                let _ = reply.send(Response::new(request.id, Verdict::Refused));
                continue;
            }
            octets.push(b'\n');
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.insert(request.id, reply);
            if waiting.len() > MAX_WAITING {
                return;
            }
        }
        let sent = stream.write_all(&octets).await;
        octets.clear();
        if sent.is_err() {
            return;
        }
    }
}

async fn read_responses(stream: ReadHalf<'_>, waiting: &Waiting) {
    let mut stream = BufReader::with_capacity(MAX_LINE, stream);
    let mut line = Vec::new();
    while read_line(&mut stream, &mut line).await && give(&line, waiting) {}
}

/// Reads one line, without its LF. False at the end of the stream, on an error and on a line over [`MAX_LINE`].
pub async fn read_line(stream: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> bool {
    line.clear();
    let read = stream.take(MAX_LINE as u64).read_until(b'\n', line).await;
    read.is_ok() && line.pop() == Some(b'\n')
}

/// Hands a response to the login that waits for it; one whose login has gone away is dropped. False where it is no response.
fn give(line: &[u8], waiting: &Waiting) -> bool {
    let Ok(response) = serde_json::from_slice::<Response>(line) else { return false };
    let reply = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&response.id);
    if let Some(reply) = reply {
        let _ = reply.send(response);
    }
    true
}

/// Takes a line of either direction, for the fuzz target and its replay. Panics where a line that is read does not print as one that is
/// read the same, or where an answer verifies a login without naming the account.
pub fn prove_line(line: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<Request>(line) {
        let again = serde_json::to_vec(&request).ok().and_then(|line| serde_json::from_slice(&line).ok());
        assert_eq!(again, Some(request));
    }
    if let Ok(response) = serde_json::from_slice::<Response>(line) {
        let again: Option<Response> = serde_json::to_vec(&response).ok().and_then(|line| serde_json::from_slice(&line).ok());
        assert_eq!(again.as_ref(), Some(&response));
        let account = response.account.clone();
        assert!(!matches!(response.verdict(), Verdict::Verified { account: named } if Some(&named) != account.as_ref()));
    }
}

#[cfg(test)]
mod tests;
