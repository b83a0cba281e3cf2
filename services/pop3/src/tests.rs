//! Sessions over TCP: the listener, the driver, a real mailbox; the role `auth` is played.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lib_host::Clock;
use lib_mail::{QueueId, Timestamp};
use lib_mailbox::{Delivery, Mailboxes};
use lib_net::Recorder;
use lib_net::auth::{AuthClient, Request, Response, Verdict, read_line};
use lib_net::drain::Drain;
use lib_net::gate::Gate;
use lib_net::listen::{Listener, Port, TlsMode};
use lib_net::serve::serve;
use lib_net::tls::Certificates;
use lib_settings::{Settings, Sources};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, UnixListener};
use tokio::task::JoinHandle;

use crate::reading::{Errand, Reading};
use crate::service::{Pop3, Surroundings, limits};

const PATIENCE: Duration = Duration::from_secs(10);

struct Server {
    mailboxes: Mailboxes,
    address: SocketAddr,
    drain: Drain,
    serving: JoinHandle<std::io::Result<()>>,
    serial: AtomicUsize,
    _dir: TempDir,
}

fn settings(more: &str) -> Settings {
    let text = format!("hostname = \"mail.example.kr\"\nexempt_networks = [\"127.0.0.0/8\"]\n{more}");
    Settings::load(&Sources { file: Some(("test".into(), text)), ..Sources::default() }).unwrap().0
}

/// Says of each account that its password is `secret`; the name `away` is never answered in time.
async fn play_auth(listener: UnixListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let (read, mut write) = stream.into_split();
        let (mut read, mut line) = (BufReader::new(read), Vec::new());
        while read_line(&mut read, &mut line).await {
            let request: Request = serde_json::from_slice(&line).unwrap();
            let verdict = match (request.user.as_str(), request.password.as_str()) {
                ("away", _) => Verdict::Unavailable,
                ("mute", "secret") => Verdict::Forbidden,
                (user, "secret") => Verdict::Verified { account: format!("{user}@example.kr") },
                _ => Verdict::Refused,
            };
            let mut answer = serde_json::to_vec(&Response::new(request.id, verdict)).unwrap();
            answer.push(b'\n');
            write.write_all(&answer).await.unwrap();
        }
    }
}

impl Server {
    fn start() -> Server {
        Server::start_with("")
    }

    fn start_with(more: &str) -> Server {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(more);
        std::fs::create_dir(dir.path().join("mail")).unwrap();
        let mailboxes = Mailboxes::open(&dir.path().join("mail")).unwrap();
        let auth = dir.path().join("auth.sock");
        tokio::spawn(play_auth(UnixListener::bind(&auth).unwrap()));
        let surroundings = Surroundings {
            mailboxes: mailboxes.clone(),
            auth: AuthClient::new(auth),
            recorder: Recorder::silent(),
            clock: Clock::system(),
            certificates: Certificates::none(),
        };
        let service = Pop3::new(surroundings, &settings);
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let port = Arc::new(Port { name: "pop3".into(), tls: TlsMode::StartTls, role: "pop3".into() });
        let (drain, gate) = (Drain::new(), Gate::new(limits(&settings)));
        let listeners = vec![Listener { port, socket }];
        let serving = tokio::spawn(serve(Arc::new(service), listeners, Certificates::none(), drain.clone(), gate));
        Server { mailboxes, address, drain, serving, serial: AtomicUsize::new(0), _dir: dir }
    }

    /// Puts a message, in wire form, into a mailbox.
    fn deliver(&self, user: &str, message: &str) {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed) as u32;
        let id = QueueId::new(Timestamp(1_795_401_000_000 + i64::from(serial)), 1, serial);
        let delivery = Delivery { id: &id, trace: b"", body: &mut message.as_bytes(), repeat: false };
        self.mailboxes.deliver(&format!("{user}@example.kr"), delivery).unwrap();
    }

    async fn client(&self) -> Client {
        let (read, write) = TcpStream::connect(self.address).await.unwrap().into_split();
        let mut client = Client { read: BufReader::new(read), write };
        assert_eq!(client.line().await, "+OK mail.example.kr POP3");
        client
    }

    async fn logged_in(&self, user: &str) -> Client {
        let mut client = self.client().await;
        let reply = client.log_in(user).await;
        assert!(reply.starts_with("+OK"), "{reply}");
        client
    }
}

struct Client {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Client {
    async fn send(&mut self, text: &str) {
        self.write.write_all(text.as_bytes()).await.unwrap();
    }

    /// A line without its end; empty at the end of the connection.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        tokio::time::timeout(PATIENCE, self.read.read_line(&mut line)).await.unwrap().unwrap();
        line.trim_end().to_owned()
    }

    async fn say(&mut self, command: &str) -> String {
        self.send(&format!("{command}\r\n")).await;
        self.line().await
    }

    async fn log_in(&mut self, user: &str) -> String {
        self.say(&format!("USER {user}")).await;
        self.say("PASS secret").await
    }

    /// The body of a multi-line reply, unstuffed, in wire form.
    async fn body(&mut self) -> String {
        let (mut body, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            self.read.read_line(&mut line).await.unwrap();
            assert!(line.ends_with("\r\n"), "the body breaks off: {line:?}");
            if line == ".\r\n" {
                return body;
            }
            body.push_str(line.strip_prefix('.').unwrap_or(&line));
        }
    }

    async fn is_closed(&mut self) -> bool {
        let mut rest = Vec::new();
        let end = tokio::time::timeout(PATIENCE, self.read.read_to_end(&mut rest)).await;
        rest.is_empty() && end.is_ok()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_fetched_and_removed_on_quit_alone() {
    let server = Server::start();
    let messages = ["Subject: one\r\n\r\n.dot\r\n..\r\n", "Subject: two\r\n\r\n", "Subject: three\r\n\r\nno end"];
    messages.iter().for_each(|message| server.deliver("minji", message));
    let mut client = server.logged_in("minji").await;
    assert_eq!(client.say("STAT").await, "+OK 3 68");
    for (number, message) in (1..).zip(messages) {
        let whole = if message.ends_with("\r\n") { message.to_owned() } else { format!("{message}\r\n") };
        assert_eq!(client.say(&format!("RETR {number}")).await, format!("+OK {} octets", whole.len()));
        assert_eq!(client.body().await, whole);
    }
    client.say("TOP 1 1").await;
    assert_eq!(client.body().await, "Subject: one\r\n\r\n.dot\r\n");
    client.say("DELE 2").await;
    drop(client);
    let mut client = wait_for_lock(&server, "minji").await;
    assert_eq!(client.say("STAT").await, "+OK 3 68", "a vanished client removes nothing");
    client.say("DELE 1").await;
    client.say("DELE 3").await;
    assert_eq!(client.say("QUIT").await, "+OK Bye");
    assert!(client.is_closed().await);
    assert_eq!(server.logged_in("minji").await.say("LIST 1").await, "+OK 1 16");
}

/// Logs in as soon as the lock of a vanished session is gone.
async fn wait_for_lock(server: &Server, user: &str) -> Client {
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let mut client = server.client().await;
        let reply = client.log_in(user).await;
        if reply.starts_with("+OK") {
            return client;
        }
        assert!(reply.starts_with("-ERR [IN-USE]") && tokio::time::Instant::now() < until, "{reply}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_session_is_told_in_use_until_the_first_has_quit() {
    let server = Server::start();
    server.deliver("minji", "Subject: one\r\n\r\n");
    let mut first = server.logged_in("minji").await;
    let mut second = server.client().await;
    assert!(second.log_in("minji").await.starts_with("-ERR [IN-USE] "));
    server.logged_in("chulsoo").await;
    assert_eq!(first.say("QUIT").await, "+OK Bye");
    assert!(second.log_in("minji").await.starts_with("+OK"), "the same connection may try again");
    second.say("QUIT").await;
    for round in 0..50 {
        let mut client = server.logged_in("minji").await;
        if round % 10 == 9 {
            server.deliver("minji", "Subject: more\r\n\r\n");
            client.say("DELE 1").await;
        }
        assert_eq!(client.say("QUIT").await, "+OK Bye", "and at once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replies_to_logins() {
    let server = Server::start();
    for (user, password, want) in [
        ("minji", "secret", "+OK "),
        ("minji", "wrong", "-ERR [AUTH] "),
        ("mute", "secret", "-ERR [AUTH] This account may not use POP3"),
        ("away", "secret", "-ERR [SYS/TEMP] "),
    ] {
        let mut client = server.client().await;
        client.say(&format!("USER {user}")).await;
        let reply = client.say(&format!("PASS {password}")).await;
        assert!(reply.starts_with(want), "{user} {password}: {reply}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_and_many_messages_arrive_whole() {
    let server = Server::start();
    let large: String = (0..40_000).map(|line| format!("{}line {line}\r\n", if line % 7 == 0 { "." } else { "" })).collect();
    let large = format!("Subject: large\r\n\r\n{large}");
    let small = |number: usize| format!("Subject: {number}\r\n\r\n{}\r\n", "x".repeat(number * 97));
    for number in 0..30 {
        server.deliver("minji", &if number == 20 { large.clone() } else { small(number) });
    }
    let mut client = server.logged_in("minji").await;
    let retrieve = |number: usize| format!("RETR {}\r\n", number + 1);
    // All at once, then one after the other, then backwards.
    client.send(&(0..30).map(retrieve).collect::<String>()).await;
    let mut round = 0;
    for number in (0..30).chain(0..30).chain((0..30).rev()) {
        round += 1;
        if round > 30 {
            client.send(&retrieve(number)).await;
        }
        let want = if number == 20 { &large } else { &small(number) };
        assert_eq!(client.line().await, format!("+OK {} octets", want.len()), "{number}");
        assert!(client.body().await == *want, "{number}");
    }
    assert_eq!(client.say("QUIT").await, "+OK Bye");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_messages_are_listed() {
    let server = Server::start();
    server.deliver("minji", "Subject: one\r\n\r\n");
    // Made beside the deliveries, which would sync each of them.
    let new = walk(server._dir.path()).into_iter().find(|path| path.ends_with("new")).unwrap();
    let first = std::fs::read_dir(&new).unwrap().next().unwrap().unwrap().path();
    for number in 0..9_999 {
        std::fs::copy(&first, new.join(format!("2{number:04}.copy,S=14,W=16"))).unwrap();
    }
    let mut client = server.logged_in("minji").await;
    assert_eq!(client.say("STAT").await, "+OK 10000 160000");
    for (command, ending) in [("LIST", " 16"), ("UIDL", "")] {
        client.say(command).await;
        let body = client.body().await;
        assert_eq!(body.lines().count(), 10_000);
        assert!(
            (1..).zip(body.lines()).all(|(number, line)| line.starts_with(&format!("{number} ")) && line.ends_with(ending))
        );
    }
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        found.extend(walk(&entry.path()));
        found.push(entry.path());
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_client_is_cut_off_without_a_word_and_loses_nothing() {
    let server = Server::start_with("pop3.idle_timeout = \"1s\"");
    server.deliver("minji", "Subject: one\r\n\r\n");
    let mut client = server.logged_in("minji").await;
    client.say("DELE 1").await;
    assert!(client.is_closed().await);
    assert_eq!(server.logged_in("minji").await.say("STAT").await, "+OK 1 16");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_those_at_rest_and_lets_the_others_finish() {
    let server = Server::start();
    server.deliver("chulsoo", "Subject: one\r\n\r\n");
    let (mut waiting, mut fetching) = (server.logged_in("minji").await, server.logged_in("chulsoo").await);
    fetching.say("DELE 1").await;
    server.drain.begin();
    assert!(waiting.is_closed().await);
    assert_eq!(fetching.say("NOOP").await, "+OK Still here");
    assert_eq!(fetching.say("QUIT").await, "+OK Bye");
    tokio::time::timeout(PATIENCE, server.serving).await.unwrap().unwrap().unwrap();
    assert!(server.mailboxes.maildrop("chulsoo@example.kr").unwrap().is_empty());
}

#[test]
fn what_is_read_ahead_is_counted_and_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let mailboxes = Mailboxes::open(dir.path()).unwrap();
    for serial in 0..6 {
        let id = QueueId::new(Timestamp(1_795_401_000_000 + i64::from(serial)), 1, serial);
        let size = if serial == 4 { 200_000 } else { 1000 };
        let message = format!("Subject: {serial}\r\n\r\n{}\r\n", "x".repeat(size));
        mailboxes
            .deliver("minji@example.kr", Delivery { id: &id, trace: b"", body: &mut message.as_bytes(), repeat: false })
            .unwrap();
    }
    let maildrop = mailboxes.maildrop("minji@example.kr").unwrap();
    let in_all = Arc::new(AtomicUsize::new(0));
    let mut reading = Reading::new(in_all.clone());
    let mut trips = 0;
    let mut fetch = |reading: &mut Reading, index: usize| {
        let (mut octets, mut next) = (0, reading.begin(index));
        loop {
            match next {
                Ok(piece) => {
                    octets += piece.octets.len() as u64;
                    if piece.last {
                        break;
                    }
                }
                Err(errand) => {
                    trips += 1;
                    reading.back(Errand::run(errand, &maildrop).unwrap());
                }
            }
            next = reading.go_on();
        }
        assert_eq!(octets, maildrop.size(index), "{index}");
        trips
    };
    assert_eq!(fetch(&mut reading, 0), 1);
    assert_eq!(in_all.load(Ordering::Relaxed), 3 * 1016, "1, 2 and 3; 4 is too large");
    assert_eq!(fetch(&mut reading, 1), 1);
    assert_eq!(fetch(&mut reading, 3), 1, "2 may be passed over");
    assert_eq!(in_all.load(Ordering::Relaxed), 0);
    assert_eq!(fetch(&mut reading, 4), 3, "two blocks, two blocks");
    assert_eq!(fetch(&mut reading, 0), 4);
    assert_eq!(in_all.load(Ordering::Relaxed), 0, "out of order nothing is read ahead");
    assert_eq!(fetch(&mut reading, 1), 5);
    assert_ne!(in_all.load(Ordering::Relaxed), 0);
    drop(reading);
    assert_eq!(in_all.load(Ordering::Relaxed), 0);
}
