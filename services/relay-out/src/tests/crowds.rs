//! Many messages, and destinations that do not take them.

use lib_net::wake::Wake;
use lib_spool::{Command, Done};
use tokio::net::TcpListener;

use super::queue::{run, wait_until};
use super::*;

const EACH: usize = 120;

/// Takes connections and never says a word.
async fn tarpit(address: &str) -> Arc<std::sync::Mutex<Vec<tokio::net::TcpStream>>> {
    let listener = TcpListener::bind(address).await.unwrap();
    let held = Arc::new(std::sync::Mutex::new(Vec::new()));
    let holding = held.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            holding.lock().unwrap().push(stream);
        }
    });
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_says_nothing_holds_up_nobody_and_its_mail_stays_within_reach() {
    let server = Scripted::start("127.0.0.1:0").await;
    let port = server.address.port();
    let held = tarpit(&format!("127.0.0.2:{port}")).await;
    let mut settings = settings(port);
    settings.relay.concurrency = 4;
    settings.relay.reply_timeout = Duration::from_secs(600);
    let node = Node::new(&settings);
    let mut dead = Vec::new();
    for _ in 0..EACH {
        dead.push(node.submit(&["b@[127.0.0.2]"], MESSAGE));
        dead.push(node.submit(&["b@[127.0.0.2]"], MESSAGE));
        node.submit(&["b@[127.0.0.1]"], MESSAGE);
    }
    let running = run(&node, settings);
    wait_until("all that can go", || server.messages().len() == EACH).await;
    assert_eq!(held.lock().unwrap().len(), 2, "slow start");
    let effects = dead.iter().rev().take(50).map(|id| node.shared.spool.command(id, Command::Delete, Duration::ZERO).unwrap());
    let claimed = effects.flatten().filter(|effect| effect.done != Done::Deleted).count();
    assert!(claimed <= 2, "{claimed} claimed: nobody but the two connections holds what waits for its turn");
    running.drain_at_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_opened_and_settled_in_groups_and_each_message_goes_once() {
    let server = Scripted::start("127.0.0.1:0").await;
    let mut settings = settings(server.address.port());
    settings.relay.concurrency = 16;
    for node in [Node::new(&settings), Node::that_syncs_all(&settings)] {
        let before = server.messages().len();
        let mut ids: Vec<QueueId> = (0..4 * EACH).map(|_| node.submit(&["b@[127.0.0.1]"], MESSAGE)).collect();
        let running = run(&node, settings.clone());
        wait_until("an empty queue", || node.queue(Queue::Relay).is_empty()).await;
        running.drain().await;
        let messages = server.messages().split_off(before);
        let id = |message: &Vec<u8>| String::from_utf8_lossy(message).split(" id ").nth(1).unwrap()[..20].parse().unwrap();
        let mut went: Vec<QueueId> = messages.iter().map(id).collect();
        ids.sort_unstable();
        went.sort_unstable();
        assert!(ids == went, "{} went for {}", went.len(), ids.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_enough_for_the_moment_gets_the_rest_a_moment_later() {
    let server = Scripted::start("127.0.0.1:0").await;
    let settings = settings(server.address.port());
    let node = Node::new(&settings);
    node.submit(&["b@[127.0.0.1]"], MESSAGE);
    let running = run(&node, settings);
    wait_until("the first", || server.messages().len() == 1).await;
    server.answer("MAIL", 2, "421 4.7.0 Too many messages, come again");
    let ids: Vec<QueueId> = (0..5).map(|_| node.submit(&["b@[127.0.0.1]"], MESSAGE)).collect();
    ids.iter().for_each(|id| running.wake(&Wake::New(*id)));
    // The queue clock stands still, so nobody is tried again because an interval passed.
    wait_until("the rest", || server.messages().len() == 6).await;
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_took_anything_and_has_enough_is_tried_again_after_the_interval() {
    let server = Scripted::start("127.0.0.1:0").await;
    server.answer("CONNECT", None, "421 4.3.2 Closed today");
    let settings = settings(server.address.port());
    let node = Node::new(&settings);
    let id = node.submit(&["b@[127.0.0.1]"], MESSAGE);
    let running = run(&node, settings);
    wait_until("the refusal", || node.words(id).concat().contains("Closed today")).await;
    running.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_go_out_from_the_address_that_the_settings_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(listener.local_addr().unwrap().port());
    settings.relay.source_addresses = vec!["::1".parse().unwrap(), "127.0.0.77".parse().unwrap()];
    let node = Node::new(&settings);
    node.submit(&["b@[127.0.0.1]"], MESSAGE);
    let running = run(&node, settings);
    let (_stream, from) = tokio::time::timeout(Duration::from_secs(10), listener.accept()).await.unwrap().unwrap();
    assert_eq!(from.ip().to_string(), "127.0.0.77");
    running.drain_at_once();
}
