//! A toy protocol that has every need a real one has, and a server of it on a loopback port.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lib_mail::Peer;
use lib_net::bounds::Bounds;
use lib_net::conversation::{Arrival, Conversation, End, Interruption, Next, Refusal, Service, Turn};
use lib_net::drain::Drain;
use lib_net::gate::Gate;
use lib_net::listen::{Listener, Port, TlsMode};
use lib_net::serve::serve;
use lib_net::tls::{Certificates, TlsInfo};
use lib_policy::Limits;
use lib_settings::CertificateText;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Octets that `big` writes between two waits.
const CHUNK: usize = 60_000;
const LONGEST_LINE: usize = 1000;

/// Lines: `say WORDS` echoes; `work WORDS` echoes after a wait; `big N` gives N octets; `begin` and `end` enclose a transaction; `tls`;
/// `quit`; `stuck` never takes anything again.
pub(crate) struct Toy {
    patience: Duration,
    ends: mpsc::UnboundedSender<End>,
    greeted: bool,
    in_transaction: bool,
    stuck: bool,
    work: Option<String>,
    big: usize,
    secured: usize,
}

impl Conversation for Toy {
    fn turn(&mut self, input: &[u8], output: &mut Vec<u8>) -> Turn {
        if !self.greeted {
            self.greeted = true;
            output.extend_from_slice(b"hello\n");
            return Turn::new(0, Next::Again);
        }
        if let Some(words) = self.work.take() {
            output.extend_from_slice(words.as_bytes());
        }
        if self.big > 0 {
            let now = self.big.min(CHUNK);
            self.big -= now;
            output.resize(output.len() + now, b'x');
            return Turn::new(0, Next::Write);
        }
        let Some(end) = input.iter().position(|octet| *octet == b'\n').filter(|_| !self.stuck) else {
            if input.len() > LONGEST_LINE && !self.stuck {
                output.extend_from_slice(b"too long\n");
                return Turn::new(input.len(), Next::Close);
            }
            return Turn::new(0, Next::Read);
        };
        let line = String::from_utf8_lossy(&input[..end]).into_owned();
        Turn::new(end + 1, self.command(&line, output))
    }

    async fn work(&mut self) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    fn patience(&self) -> Duration {
        self.patience
    }

    fn at_rest(&self) -> bool {
        !self.in_transaction
    }

    fn secured(&mut self, tls: &TlsInfo) {
        assert!(!tls.cipher.is_empty());
        self.secured += 1;
    }

    fn interrupted(&mut self, why: Interruption, output: &mut Vec<u8>) {
        output.extend_from_slice(format!("bye: {why:?}\n").as_bytes());
    }

    fn ended(&mut self, end: &End) {
        let _ = self.ends.send(end.clone());
    }
}

impl Toy {
    fn command(&mut self, line: &str, output: &mut Vec<u8>) -> Next {
        let (verb, words) = line.split_once(' ').unwrap_or((line, ""));
        match verb {
            "say" => output.extend_from_slice(format!("{words}\n").as_bytes()),
            "work" => {
                self.work = Some(format!("{words}\n"));
                return Next::Work;
            }
            "big" => self.big = words.parse().unwrap(),
            "begin" => self.in_transaction = true,
            "end" => self.in_transaction = false,
            "stuck" => self.stuck = true,
            "secured" => output.extend_from_slice(format!("{}\n", self.secured).as_bytes()),
            "tls" => {
                output.extend_from_slice(b"go\n");
                return Next::StartTls;
            }
            "quit" => {
                output.extend_from_slice(b"bye\n");
                return Next::Close;
            }
            _ => output.extend_from_slice(b"what?\n"),
        }
        Next::Again
    }
}

pub(crate) struct ToyService {
    pub(crate) bounds: Bounds,
    pub(crate) limits: Limits,
    pub(crate) patience: Duration,
    ends: mpsc::UnboundedSender<End>,
    refused: Mutex<Vec<(Refusal, u64)>>,
}

impl Service for ToyService {
    type Conversation = Toy;

    fn open(&self, arrival: Arrival) -> Toy {
        Toy {
            patience: self.patience,
            ends: self.ends.clone(),
            greeted: false,
            in_transaction: false,
            stuck: false,
            work: None,
            big: 0,
            secured: usize::from(arrival.tls.is_some()),
        }
    }

    fn refusal(&self, why: Refusal) -> Cow<'static, str> {
        format!("no: {why:?}\n").into()
    }

    fn refused(&self, _: Peer, why: Refusal, times: u64) {
        self.refused.lock().unwrap().push((why, times));
    }

    fn bounds(&self) -> Bounds {
        self.bounds
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) drain: Drain,
    pub(crate) gate: Arc<Gate>,
    pub(crate) ends: mpsc::UnboundedReceiver<End>,
    pub(crate) running: JoinHandle<()>,
    service: Arc<ToyService>,
}

impl Server {
    /// With short time-outs, changed by `change`.
    pub(crate) fn start(tls: TlsMode, change: impl FnOnce(&mut ToyService)) -> Server {
        let (sender, ends) = mpsc::unbounded_channel();
        let bounds = Bounds { grace: Duration::from_millis(300), write: Duration::from_millis(500), ..Bounds::default() };
        let limits = Limits {
            sessions: 1000,
            sessions_per_address: 0,
            connections: 0,
            window: Duration::from_secs(60),
            exempt: Vec::new(),
        };
        let mut service =
            ToyService { bounds, limits, patience: Duration::from_secs(20), ends: sender, refused: Mutex::default() };
        change(&mut service);
        let service = Arc::new(service);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let listener = Listener { port: Arc::new(Port { name: "toy".into(), tls, role: "toy".into() }), socket };
        let (drain, gate) = (Drain::new(), Gate::new(service.limits.clone()));
        let serving = serve(service.clone(), vec![listener], certificates(), drain.clone(), gate.clone());
        let running = tokio::spawn(async move { serving.await.unwrap() });
        Server { address, drain, gate, ends, running, service }
    }

    pub(crate) async fn connect(&self) -> Client<TcpStream> {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    pub(crate) async fn connect_greeted(&self) -> Client<TcpStream> {
        let mut client = self.connect().await;
        assert_eq!(client.line().await, "hello");
        client
    }

    /// How the next session to end ended.
    pub(crate) async fn end(&mut self) -> End {
        tokio::time::timeout(Duration::from_secs(10), self.ends.recv()).await.expect("a session should have ended").unwrap()
    }

    pub(crate) fn reports(&self) -> Vec<(Refusal, u64)> {
        self.service.refused.lock().unwrap().clone()
    }
}

fn certificates() -> Certificates {
    let made = rcgen::generate_simple_self_signed(vec!["toy.example".to_owned()]).unwrap();
    let text = CertificateText { names: Vec::new(), chain: made.cert.pem(), key: made.signing_key.serialize_pem() };
    Certificates::load(&[text]).unwrap()
}

/// A client, in the clear or not.
pub(crate) struct Client<S>(pub(crate) S);

impl<S: AsyncReadExt + AsyncWriteExt + Unpin> Client<S> {
    pub(crate) async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.0.flush().await.unwrap();
    }

    /// The next line without its end; empty at the end of the connection.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = Vec::new();
        loop {
            let read = tokio::time::timeout(Duration::from_secs(10), self.0.read_u8()).await;
            match read.expect("a line should have come") {
                Ok(b'\n') | Err(_) => return String::from_utf8(line).unwrap(),
                Ok(octet) => line.push(octet),
            }
        }
    }

    /// All that comes until the connection ends.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), self.0.read_to_end(&mut rest)).await;
        let _ = read.expect("the connection should have ended");
        rest
    }
}

/// Shakes hands as a client that asks for no proof.
pub(crate) async fn secure(stream: TcpStream) -> std::io::Result<Client<tokio_rustls::client::TlsStream<TcpStream>>> {
    let name = rustls_pki_types::ServerName::try_from("toy.example").unwrap();
    tokio_rustls::TlsConnector::from(lib_net::tls::opportunistic_client()).connect(name, stream).await.map(Client)
}
