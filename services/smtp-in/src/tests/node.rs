//! A small node in a temporary directory: the service on loopback ports, a real spool, accounts, and a stand-in for `auth`.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use lib_account::{Account, Cost, MapFiles, Register};
use lib_host::Clock;
use lib_mail::{Envelope, QueueId};
use lib_net::auth::{self, AuthClient, Request, Response, Verdict};
use lib_net::drain::Drain;
use lib_net::gate::Gate;
use lib_net::listen::{Listener, Port, TlsMode};
use lib_net::recorder::Recorder;
use lib_net::serve::serve;
use lib_net::tls::Certificates;
use lib_net::wake::{Consumer, Receiver, Waker};
use lib_record::{Event, RoleName, What, from_json};
use lib_settings::{CertificateText, Profile, Settings};
use lib_spool::{Options, Queue, Spool};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::etrn::Runs;
use crate::rules::Rules;
use crate::service::SmtpService;
use crate::shared::Shared;

pub(super) struct Node {
    pub(super) shared: Arc<Shared>,
    pub(super) drain: Drain,
    pub(super) local: Receiver,
    pub(super) relay: Receiver,
    mx: SocketAddr,
    submission: SocketAddr,
    log: Arc<Mutex<Vec<u8>>>,
    _dir: TempDir,
}

/// What the recorder writes to.
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn listener(role: &str, tls: TlsMode) -> (Listener, SocketAddr) {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (Listener { port: Arc::new(Port { name: role.into(), tls, role: role.into() }), socket }, address)
}

impl Node {
    /// `mail.a.example`, with the account minji@a.example (password `secret`), a relay domain, and settings as `change` leaves them.
    pub(super) fn start(change: impl FnOnce(&mut Settings)) -> Node {
        let dir = tempfile::tempdir().unwrap();
        for name in ["run", "spool", "state", "etc"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        std::fs::write(dir.path().join("etc/relay-domains"), "backup.example\n").unwrap();
        let register = Register::open(&dir.path().join("state")).with_cost(Cost { memory: 8, passes: 1 });
        register.add(Account::new("minji@a.example".parse().unwrap()), "secret").unwrap();
        let mut settings = Settings::defaults(Profile::Office);
        settings.hostname = "mail.a.example".parse().unwrap();
        change(&mut settings);
        let wake = |consumer: Consumer| {
            let path = dir.path().join("run").join(consumer.socket_name());
            Receiver::new(std::os::unix::net::UnixDatagram::bind(path).unwrap()).unwrap()
        };
        let (local, relay) = (wake(Consumer::Local), wake(Consumer::Relay));
        stand_in_for_auth(&dir);
        let log = Arc::default();
        let shared = Arc::new(shared(&dir, settings, Recorder::to(Log(Arc::clone(&log))).unwrap()));
        let (mx_listener, mx) = listener("mx", TlsMode::StartTls);
        let (submission_listener, submission) = listener("submission", TlsMode::StartTls);
        let drain = Drain::new();
        let service = Arc::new(SmtpService(shared.clone()));
        let listeners = vec![mx_listener, submission_listener];
        let serving = serve(service, listeners, shared.certificates.clone(), drain.clone(), shared.gate.clone());
        tokio::spawn(async move { serving.await.unwrap() });
        Node { shared, drain, local, relay, mx, submission, log, _dir: dir }
    }

    pub(super) async fn mx(&self) -> Client<TcpStream> {
        Client::connect(self.mx).await
    }

    pub(super) async fn submission(&self) -> Client<TcpStream> {
        Client::connect(self.submission).await
    }

    /// What was recorded so far.
    pub(super) fn events(&self) -> Vec<Event> {
        self.shared.recorder.flush(Duration::from_secs(10));
        let log = self.log.lock().unwrap();
        log.split_inclusive(|octet| *octet == b'\n').map(|line| from_json(line).unwrap()).collect()
    }

    pub(super) fn recorded(&self, wanted: impl Fn(&What) -> bool) -> usize {
        self.events().iter().filter(|event| wanted(&event.what)).count()
    }

    /// The message as the queue's consumer finds it.
    pub(super) fn claimed(&self, queue: Queue, id: &QueueId) -> Option<(Envelope, Vec<u8>)> {
        let claim = self.shared.spool.claim(queue, id).unwrap()?;
        let mut octets = Vec::new();
        claim.body().read_to_end(&mut octets).unwrap();
        Some((claim.envelope().clone(), octets))
    }

    /// Messages in both queues.
    pub(super) fn queued(&self) -> usize {
        [Queue::Local, Queue::Relay].into_iter().map(|queue| self.shared.spool.list(queue).count()).sum()
    }
}

fn shared(dir: &TempDir, settings: Settings, recorder: Recorder) -> Shared {
    let made = rcgen::generate_simple_self_signed(vec!["mail.a.example".to_owned()]).unwrap();
    let text = CertificateText { names: Vec::new(), chain: made.cert.pem(), key: made.signing_key.serialize_pem() };
    let maps = MapFiles::new(&settings, Some(&dir.path().join("etc")), dir.path()).look(&settings, true).0;
    Shared {
        role: RoleName::SmtpIn,
        spool: Spool::open(&dir.path().join("spool"), Options::new(Clock::system(), settings.largest_message())).unwrap(),
        clock: Clock::system(),
        recorder,
        waker: Waker::new(&dir.path().join("run")),
        auth: AuthClient::new(dir.path().join(auth::SOCKET)),
        certificates: Certificates::load(&[text]).unwrap(),
        runs: Runs::default(),
        gate: Gate::new(Rules::new(settings.clone()).limits()),
        rules: ArcSwap::from_pointee(Rules::new(settings)),
        recipients: ArcSwapOption::empty(),
        maps: ArcSwap::from_pointee(maps.unwrap_or_default()),
    }
}

/// Knows minji with the password `secret`.
fn stand_in_for_auth(dir: &TempDir) {
    let listener = tokio::net::UnixListener::bind(dir.path().join(auth::SOCKET)).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let request: Request = serde_json::from_str(&line).unwrap();
            let verdict = match (request.user.as_str(), request.password.as_str()) {
                ("minji" | "minji@a.example", "secret") => Verdict::Verified { account: "minji@a.example".into() },
                ("broken", _) => Verdict::Unavailable,
                _ => Verdict::Refused,
            };
            let mut response = serde_json::to_vec(&Response::new(request.id, verdict)).unwrap();
            response.push(b'\n');
            write.write_all(&response).await.unwrap();
        }
    });
}

/// An SMTP client that knows nothing.
pub(super) struct Client<S>(pub(super) BufReader<S>);

impl Client<TcpStream> {
    async fn connect(address: SocketAddr) -> Self {
        let mut client = Client(BufReader::new(TcpStream::connect(address).await.unwrap()));
        client.expect("220 mail.a.example ESMTP").await;
        client
    }

    /// STARTTLS, with any certificate.
    pub(super) async fn secured(self) -> Client<tokio_rustls::client::TlsStream<TcpStream>> {
        self.secured_with("mail.a.example", lib_net::tls::opportunistic_client()).await
    }

    pub(super) async fn secured_with(
        mut self,
        name: &str,
        config: Arc<tokio_rustls::rustls::ClientConfig>,
    ) -> Client<tokio_rustls::client::TlsStream<TcpStream>> {
        self.say("EHLO client.example", "250 ").await;
        self.say("STARTTLS", "220 ").await;
        let name = rustls_pki_types::ServerName::try_from(name.to_owned()).unwrap();
        let connector = tokio_rustls::TlsConnector::from(config);
        Client(BufReader::new(connector.connect(name, self.0.into_inner()).await.unwrap()))
    }
}

impl<S: AsyncReadExt + AsyncWriteExt + Unpin> Client<S> {
    pub(super) async fn send(&mut self, octets: impl AsRef<[u8]>) {
        self.0.write_all(octets.as_ref()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// The last line of the next reply, without its end; empty at the end of the connection.
    pub(super) async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            let read = tokio::time::timeout(Duration::from_secs(20), self.0.read_line(&mut line)).await;
            let read = read.expect("a reply should have come").unwrap_or(0);
            if read == 0 || line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    /// The words of all lines of the next reply.
    pub(super) async fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            lines.push(line[4..].trim_end().to_owned());
            if line.as_bytes()[3] == b' ' {
                return lines;
            }
        }
    }

    /// The next reply begins so.
    pub(super) async fn expect(&mut self, beginning: &str) -> String {
        let reply = self.reply().await;
        assert!(reply.starts_with(beginning), "{reply:?} instead of {beginning:?}");
        reply
    }

    /// Says a line; the reply begins so.
    pub(super) async fn say(&mut self, line: &str, beginning: &str) -> String {
        self.send(format!("{line}\r\n")).await;
        let reply = self.reply().await;
        assert!(reply.starts_with(beginning), "{reply:?} instead of {beginning:?} to {line:?}");
        reply
    }

    /// Sends a message up to its final reply; `octets` are dot-stuffed already.
    pub(super) async fn message(&mut self, from: &str, to: &[&str], octets: &[u8], beginning: &str) -> String {
        self.say(&format!("MAIL FROM:<{from}>"), "250 ").await;
        for to in to {
            self.say(&format!("RCPT TO:<{to}>"), "250 ").await;
        }
        self.say("DATA", "354 ").await;
        self.send(octets).await;
        self.send(b".\r\n").await;
        self.expect(beginning).await
    }
}

/// The id in `250 2.0.0 … ID`.
pub(super) fn id(reply: &str) -> QueueId {
    let mut words = reply.split(' ');
    words.find_map(|word| word.parse().ok()).expect("the reply should name the id")
}
