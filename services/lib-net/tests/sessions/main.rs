//! The driver over real sockets, with a toy protocol: what a client meets that is slow, greedy, silent, or wants TLS.

#[cfg(test)]
mod toy;

use std::time::{Duration, Instant};

use lib_net::conversation::{End, Interruption, Refusal};
use lib_net::listen::TlsMode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use toy::{Server, secure};

#[tokio::test]
async fn pipelined_commands_are_answered_in_order_by_one_write() {
    let mut server = Server::start(TlsMode::None, |_| {});
    let mut client = server.connect_greeted().await;
    client.say("say a\nsay b\nnonsense\nsay c\n").await;
    let mut replies = [0; 100];
    let read = client.0.read(&mut replies).await.unwrap();
    assert_eq!(&replies[..read], b"a\nb\nwhat?\nc\n");
    client.say("say d\nwork e\nsay f\nquit\nsay g\n").await;
    assert_eq!(client.rest().await, b"d\ne\nf\nbye\n");
    assert_eq!(server.end().await, End::Closed);
}

#[tokio::test]
async fn it_does_not_matter_how_the_input_is_split() {
    let server = Server::start(TlsMode::None, |_| {});
    let mut client = server.connect_greeted().await;
    for octet in "say one\nwork two\nsay three\n".chars() {
        client.say(&octet.to_string()).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!([client.line().await, client.line().await, client.line().await], ["one", "two", "three"]);
}

#[tokio::test]
async fn a_silent_client_is_told_and_dropped() {
    let mut server = Server::start(TlsMode::None, |service| service.patience = Duration::from_millis(200));
    let mut client = server.connect_greeted().await;
    let start = Instant::now();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(150)).await;
        client.say("say still here\n").await;
        assert_eq!(client.line().await, "still here");
    }
    assert_eq!(client.rest().await, b"bye: Idle\n");
    assert!(start.elapsed() >= Duration::from_millis(600));
    assert_eq!(server.end().await, End::Interrupted(Interruption::Idle));
}

#[tokio::test]
async fn a_session_ends_when_its_total_time_is_up_however_busy() {
    let mut server = Server::start(TlsMode::None, |service| service.bounds.total = Duration::from_millis(300));
    let mut client = server.connect_greeted().await;
    let start = Instant::now();
    loop {
        client.0.write_all(b"say x\n").await.unwrap();
        let line = client.line().await;
        if line != "x" {
            assert_eq!(line, "bye: Total");
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(start.elapsed() < Duration::from_secs(3));
    assert_eq!(server.end().await, End::Interrupted(Interruption::Total));
}

/// Sends and reads without a pause, so that the server always has octets to read.
fn flood(client: toy::Client<tokio::net::TcpStream>) -> [tokio::task::JoinHandle<()>; 2] {
    let (mut reading, mut writing) = client.0.into_split();
    let lines = "say x\n".repeat(2000);
    let sender = tokio::spawn(async move { while writing.write_all(lines.as_bytes()).await.is_ok() {} });
    let reader = tokio::spawn(async move {
        let mut replies = vec![0; 100_000];
        while reading.read(&mut replies).await.is_ok_and(|read| read > 0) {}
    });
    [sender, reader]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_session_whose_octets_never_cease_ends_when_its_time_is_up() {
    let mut server = Server::start(TlsMode::None, |service| service.bounds.total = Duration::from_millis(300));
    let tasks = flood(server.connect_greeted().await);
    let end = tokio::time::timeout(Duration::from_secs(10), server.end()).await.unwrap();
    assert_eq!(end, End::Interrupted(Interruption::Total));
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_drain_is_heard_while_octets_never_cease() {
    for begin in ["say idle\n", "begin\nsay in\n"] {
        let mut server = Server::start(TlsMode::None, |service| service.bounds.grace = Duration::from_millis(300));
        let mut client = server.connect_greeted().await;
        client.say(begin).await;
        client.line().await;
        let tasks = flood(client);
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.drain.begin();
        let end = tokio::time::timeout(Duration::from_secs(10), server.end()).await.unwrap();
        assert_eq!(end, End::Interrupted(Interruption::Drain), "{begin}");
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test]
async fn a_long_reply_comes_whole_and_a_client_that_does_not_read_is_dropped() {
    let mut server = Server::start(TlsMode::None, |_| {});
    let mut client = server.connect_greeted().await;
    client.say("big 3000000\nquit\n").await;
    assert_eq!(client.rest().await.len(), 3_000_000 + 4);
    assert_eq!(server.end().await, End::Closed);
    let mut idle = server.connect_greeted().await;
    idle.say("big 3000000000\n").await;
    assert_eq!(server.end().await, End::SlowReader);
}

#[tokio::test]
async fn an_endless_line_ends_the_session_and_the_last_words_arrive() {
    let mut server = Server::start(TlsMode::None, |_| {});
    let client = server.connect_greeted().await;
    let (mut reading, mut writing) = client.0.into_split();
    let sender = tokio::spawn(async move { while writing.write_all(&[b'x'; 4096]).await.is_ok() {} });
    let mut rest = Vec::new();
    let _ = reading.read_to_end(&mut rest).await;
    assert_eq!(rest, b"too long\n");
    assert_eq!(server.end().await, End::Closed);
    sender.abort();
}

#[tokio::test]
async fn a_conversation_that_takes_nothing_is_ended_not_looped_over() {
    let mut server = Server::start(TlsMode::None, |_| {});
    let mut client = server.connect_greeted().await;
    client.say("stuck\n").await;
    let _ = client.0.write_all(&vec![b'x'; 200_000]).await;
    assert_eq!(server.end().await, End::Stuck);
}

#[tokio::test]
async fn a_client_that_goes_away_is_noticed() {
    let mut server = Server::start(TlsMode::None, |_| {});
    drop(server.connect_greeted().await);
    assert_eq!(server.end().await, End::Gone);
    assert_eq!(server.gate.sessions(), 0);
}

#[tokio::test]
async fn too_many_sessions_of_an_address_are_refused_and_reported_once() {
    let server = Server::start(TlsMode::None, |service| service.limits.sessions_per_address = 2);
    let held = [server.connect_greeted().await, server.connect_greeted().await];
    for _ in 0..5 {
        assert_eq!(server.connect().await.rest().await, b"no: SessionsPerAddress\n");
    }
    assert_eq!(server.reports(), [(Refusal::SessionsPerAddress, 1)]);
    drop(held);
    while server.gate.sessions() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    server.connect_greeted().await;
}

#[tokio::test]
async fn connections_that_come_too_fast_are_refused_until_the_period_is_over() {
    let server = Server::start(TlsMode::None, |service| {
        service.limits.connections = 3;
        service.limits.window = Duration::from_millis(400);
    });
    for _ in 0..3 {
        drop(server.connect_greeted().await);
    }
    assert_eq!(server.connect().await.rest().await, b"no: Rate\n");
    tokio::time::sleep(Duration::from_millis(900)).await;
    server.connect_greeted().await;
}

#[tokio::test]
async fn an_exempt_address_meets_only_the_limit_of_all() {
    let server = Server::start(TlsMode::None, |service| {
        service.limits.sessions = 3;
        service.limits.sessions_per_address = 1;
        service.limits.connections = 1;
        service.limits.exempt = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let held = [server.connect_greeted().await, server.connect_greeted().await, server.connect_greeted().await];
    assert_eq!(server.connect().await.rest().await, b"no: Sessions\n");
    drop(held);
}

#[tokio::test]
async fn after_starttls_nothing_said_in_the_clear_counts() {
    let server = Server::start(TlsMode::StartTls, |_| {});
    let mut client = server.connect_greeted().await;
    client.say("secured\n").await;
    assert_eq!(client.line().await, "0");
    client.say("tls\nsay injected\n").await;
    assert_eq!(client.line().await, "go");
    let mut client = secure(client.0).await.unwrap();
    client.say("secured\nbig 300000\nquit\n").await;
    assert_eq!(client.line().await, "1");
    assert_eq!(client.rest().await.len(), 300_000 + 4);
}

#[tokio::test]
async fn a_port_may_speak_tls_from_the_first_octet() {
    let server = Server::start(TlsMode::Implicit, |_| {});
    let mut client = secure(server.connect().await.0).await.unwrap();
    assert_eq!(client.line().await, "hello");
    client.say("secured\nwork x\nquit\n").await;
    assert_eq!(client.rest().await, b"1\nx\nbye\n");
}

#[tokio::test]
async fn a_handshake_that_fails_or_hangs_ends_the_connection() {
    let mut server = Server::start(TlsMode::StartTls, |service| service.bounds.handshake = Duration::from_millis(100));
    for garbage in ["garbage garbage garbage\n", ""] {
        let mut client = server.connect_greeted().await;
        client.say("tls\n").await;
        assert_eq!(client.line().await, "go");
        client.say(garbage).await;
        client.rest().await;
        assert!(matches!(server.end().await, End::Tls(_)));
    }
}

#[tokio::test]
async fn a_drain_ends_idle_sessions_at_once_and_lets_transactions_finish() {
    let mut server = Server::start(TlsMode::None, |service| service.bounds.grace = Duration::from_secs(5));
    let mut idle = server.connect_greeted().await;
    let mut busy = server.connect_greeted().await;
    busy.say("begin\nsay in\n").await;
    assert_eq!(busy.line().await, "in");
    server.drain.begin();
    assert_eq!(idle.rest().await, b"bye: Drain\n");
    assert_eq!(server.end().await, End::Interrupted(Interruption::Drain));
    busy.say("say more\n").await;
    assert_eq!(busy.line().await, "more");
    assert!(!server.running.is_finished());
    busy.say("end\n").await;
    assert_eq!(busy.rest().await, b"bye: Drain\n");
    server.running.await.unwrap();
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn a_transaction_that_outlasts_its_grace_is_cut() {
    let server = Server::start(TlsMode::None, |_| {});
    let mut busy = server.connect_greeted().await;
    busy.say("begin\nsay in\n").await;
    assert_eq!(busy.line().await, "in");
    server.drain.begin();
    assert_eq!(busy.rest().await, b"bye: Drain\n");
    server.running.await.unwrap();
}
