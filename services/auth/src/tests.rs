//! The judge and the socket together, with real accounts on a real disk and cheap hashes.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lib_account::{Account, Cost, Register};
use lib_mail::Address;
use lib_net::auth::{AuthClient, Login, Service, Verdict};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use crate::judge::{Judge, Rules, WAITING};
use crate::server::serve;

/// Cheap, yet hundreds of times as much as an answer from memory.
const COST: Cost = Cost { memory: 4096, passes: 1 };

struct Fixture {
    dir: TempDir,
    register: Register,
    warnings: Arc<Mutex<Vec<String>>>,
}

fn account(address: &str, may_send: bool, pop3: bool) -> Account {
    Account { may_send, pop3, ..Account::new(address.parse::<Address>().unwrap()) }
}

fn login(user: &str, password: &str) -> Login {
    let address = IpAddr::from([192, 0, 2, 1]);
    Login { user: user.into(), password: password.into(), service: Service::Pop3, address }
}

fn rules() -> Rules {
    Rules { default_domain: "example.kr".into(), remember: Duration::from_secs(60), exempt: Vec::new() }
}

impl Fixture {
    fn new() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("state")).unwrap();
        let register = Register::open(&dir.path().join("state")).with_cost(COST);
        register.add(account("Minji@example.kr", true, true), "secret").unwrap();
        register.add(account("mute@example.kr", false, true), "secret").unwrap();
        register.add(account("sender@example.kr", true, false), "secret").unwrap();
        Fixture { dir, register, warnings: Arc::default() }
    }

    fn judge(&self, rules: Rules) -> Arc<Judge> {
        let warnings = self.warnings.clone();
        let warn = Box::new(move |subject: String, text: String| warnings.lock().unwrap().push(format!("{subject}: {text}")));
        Arc::new(Judge::new(&self.dir.path().join("state"), rules, 2, warn))
    }

    /// Serves, and gives a client. Must be called within a runtime.
    fn client(&self, rules: Rules) -> AuthClient {
        let path = self.dir.path().join("auth.sock");
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(serve(listener, self.judge(rules), Arc::new([]), |_| {}));
        AuthClient::new(path)
    }

    async fn raw(&self) -> UnixStream {
        UnixStream::connect(self.dir.path().join("auth.sock")).await.unwrap()
    }
}

fn verified(account: &str) -> Verdict {
    Verdict::Verified { account: account.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_and_verdicts() {
    let fixture = Fixture::new();
    let client = fixture.client(Rules { exempt: vec!["192.0.2.0/24".parse().unwrap()], ..rules() });
    for (user, password, service, want) in [
        ("minji@example.kr", "secret", Service::Pop3, verified("Minji@example.kr")),
        ("MINJI@EXAMPLE.KR", "secret", Service::Pop3, verified("Minji@example.kr")),
        ("minji", "secret", Service::Smtp, verified("Minji@example.kr")),
        ("minji", "Secret", Service::Pop3, Verdict::Refused),
        ("minji", "", Service::Pop3, Verdict::Refused),
        ("minji@example.org", "secret", Service::Pop3, Verdict::Refused),
        ("nobody", "secret", Service::Pop3, Verdict::Refused),
        ("", "secret", Service::Pop3, Verdict::Refused),
        ("mute", "secret", Service::Pop3, verified("mute@example.kr")),
        ("mute", "secret", Service::Smtp, Verdict::Forbidden),
        ("mute", "wrong", Service::Smtp, Verdict::Refused),
        ("sender", "secret", Service::Smtp, verified("sender@example.kr")),
        ("sender", "secret", Service::Pop3, Verdict::Forbidden),
    ] {
        // Once by the hash, once (where it is right) from memory.
        for time in 0..2 {
            let verdict = client.verify(Login { service, ..login(user, password) }).await;
            assert_eq!(verdict, want, "{user} {password} {service:?} {time}");
        }
    }
    assert_eq!(*fixture.warnings.lock().unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_or_right_counts_at_once() {
    let fixture = Fixture::new();
    let client = fixture.client(rules());
    assert_eq!(client.verify(login("minji", "secret")).await, verified("Minji@example.kr"));
    fixture.register.passwd("minji@example.kr", "other").unwrap();
    assert_eq!(client.verify(login("minji", "secret")).await, Verdict::Refused);
    assert_eq!(client.verify(login("minji", "other")).await, verified("Minji@example.kr"));
    fixture.register.change(account("Minji@example.kr", true, false)).unwrap();
    assert_eq!(client.verify(login("minji", "other")).await, Verdict::Forbidden);
    fixture.register.remove("minji@example.kr").unwrap();
    assert_eq!(client.verify(login("minji", "other")).await, Verdict::Refused);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_logins_from_memory() {
    let fixture = Fixture::new();
    let client = fixture.client(rules());
    client.verify(login("minji", "secret")).await;
    let start = Instant::now();
    let mut logins = tokio::task::JoinSet::new();
    for number in 0..10_000 {
        let client = client.clone();
        logins.spawn(async move { (number, client.verify(login("minji", "secret")).await) });
    }
    while let Some(done) = logins.join_next().await {
        assert_eq!(done.unwrap().1, verified("Minji@example.kr"));
    }
    println!("{:.0} verdicts a second", 10_000.0 / start.elapsed().as_secs_f64());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_guesses_waits_and_others_do_not() {
    let fixture = Fixture::new();
    let client = fixture.client(rules());
    for _ in 0..6 {
        assert_eq!(client.verify(login("minji", "guess")).await, Verdict::Refused);
    }
    let warnings = fixture.warnings.lock().unwrap().clone();
    assert!(warnings.len() == 1 && warnings[0].starts_with("192.0.2.1: "), "{warnings:?}");
    let start = Instant::now();
    assert_eq!(client.verify(login("minji", "guess")).await, Verdict::Refused);
    assert!(start.elapsed() >= Duration::from_millis(500));
    let elsewhere = Login { address: IpAddr::from([192, 0, 2, 2]), ..login("minji", "secret") };
    let start = Instant::now();
    assert_eq!(client.verify(elsewhere).await, verified("Minji@example.kr"));
    // Known now, so the right password comes through from the guesser's address (a shared gateway) at once, too.
    assert_eq!(client.verify(login("minji", "secret")).await, verified("Minji@example.kr"));
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_name_costs_what_a_wrong_password_costs() {
    let fixture = Fixture::new();
    let judge = fixture.judge(Rules { exempt: vec!["0.0.0.0/0".parse().unwrap()], ..rules() });
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..24 {
        let which = round % 2;
        let Login { user, password, service, address } = login(["minji", "nobody"][which], "wrong");
        let request = lib_net::auth::Request { id: 1, user, password, service, address };
        let start = Instant::now();
        assert_eq!(judge.clone().judge(request).await, Verdict::Refused);
        times[which].push(start.elapsed());
    }
    let fastest = times.map(|times| times.into_iter().min().unwrap());
    let ratio = fastest[0].as_secs_f64() / fastest[1].as_secs_f64();
    assert!((0.33..3.0).contains(&ratio), "{fastest:?}: without a hash it would be a hundredth");
}

#[tokio::test]
async fn logins_beyond_the_queue_are_a_temporary_failure() {
    const BEYOND: usize = 50;
    let fixture = Fixture::new();
    let quick = Register::open(&fixture.dir.path().join("state")).with_cost(Cost { memory: 256, passes: 1 });
    quick.add(account("quick@example.kr", true, true), "secret").unwrap();
    let judge = fixture.judge(Rules { exempt: vec!["0.0.0.0/0".parse().unwrap()], ..rules() });
    let mut logins = tokio::task::JoinSet::new();
    // Two are checked, so many wait; each with a password of its own, so that none is remembered.
    for number in 0..2 + WAITING + BEYOND {
        let Login { user, password, service, address } = login("quick", &format!("wrong{number}"));
        let request = lib_net::auth::Request { id: 1, user, password, service, address };
        logins.spawn(judge.clone().judge(request));
    }
    let verdicts = logins.join_all().await;
    let turned_away = verdicts.iter().filter(|verdict| **verdict == Verdict::Unavailable).count();
    assert!((1..=BEYOND).contains(&turned_away), "{turned_away}");
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Unavailable | Verdict::Refused)));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_cannot_be_read_are_a_temporary_failure() {
    let fixture = Fixture::new();
    let state = fixture.dir.path().join("state");
    std::fs::write(state.join("accounts/accounts"), "no account file\n").unwrap();
    let client = fixture.client(rules());
    assert_eq!(client.verify(login("minji", "secret")).await, Verdict::Unavailable);
    assert!(!fixture.warnings.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_there_is_a_temporary_failure_and_a_restart_is_survived() {
    let fixture = Fixture::new();
    let client = AuthClient::new(fixture.dir.path().join("auth.sock"));
    assert_eq!(client.verify(login("minji", "secret")).await, Verdict::Unavailable);
    let path = fixture.dir.path().join("auth.sock");
    for _ in 0..2 {
        let _ = std::fs::remove_file(&path);
        let server = tokio::spawn(serve(UnixListener::bind(&path).unwrap(), fixture.judge(rules()), Arc::new([]), |_| {}));
        assert_eq!(client.verify(login("minji", "secret")).await, verified("Minji@example.kr"));
        server.abort();
        let _ = server.await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_question_ends_that_connection_alone() {
    let fixture = Fixture::new();
    let client = fixture.client(rules());
    let endless = vec![b'x'; 64 * 1024];
    for octets in [&b"\n"[..], b"{}\n", b"[[[[[[[[[\n", b"\xff\xfe\n", b"{\"id\":-1}\n", &endless] {
        let mut stream = fixture.raw().await;
        let _ = stream.write_all(octets).await;
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok() && rest.is_empty(), "{octets:?}");
    }
    assert_eq!(client.verify(login("minji", "secret")).await, verified("Minji@example.kr"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_in_pieces_is_answered_in_one_line() {
    let fixture = Fixture::new();
    let _client = fixture.client(rules());
    let mut stream = fixture.raw().await;
    let question = br#"{"id":7,"user":"minji","password":"secret","service":"pop3","address":"192.0.2.1"}"#;
    for octet in question.iter().chain(b"\n") {
        stream.write_all(&[*octet]).await.unwrap();
    }
    let mut answer = vec![0; 200];
    let read = stream.read(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer[..read]), "{\"id\":7,\"ok\":true,\"account\":\"Minji@example.kr\"}\n");
}
