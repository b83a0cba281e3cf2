use lib_host::Access;

use super::queue::{run, wait_until};
use super::*;
use lib_net::wake::Wake;

const TO: &str = "b@[127.0.0.1]";

#[tokio::test]
async fn a_message_whose_outcome_cannot_be_recorded_is_not_sent_again_and_again() {
    let server = Scripted::start("127.0.0.1:0").await;
    let node = Node::new(&settings(server.address.port()));
    let [first, second] = [0, 1].map(|_| node.submit(&[TO], MESSAGE));
    node.disk.set_room(0, 0);
    assert_eq!(node.attempt(first).await, Next::Trouble);
    assert_eq!(server.messages().len(), 1);
    for _ in 0..20 {
        for id in [first, second] {
            assert!(matches!(node.attempt(id).await, Next::Trouble | Next::Gone));
        }
        node.clock.advance(Duration::from_secs(1800));
    }
    assert_eq!(server.messages().len(), 1, "nothing is sent that could not be recorded");
    assert_eq!(node.queue(Queue::Relay).len(), 2);
    node.disk.set_room(10_000_000, 1000);
    for id in [first, second] {
        assert_eq!(node.attempt(id).await, Next::Gone);
    }
    assert!(node.queue(Queue::Relay).is_empty());
    assert_eq!(server.messages().len(), 3);
}

/// Past its deadline a failed attempt is the last; but this one did not fail.
#[tokio::test]
async fn a_message_that_was_taken_is_not_returned_because_the_disk_was_full() {
    let server = Scripted::start("127.0.0.1:0").await;
    server.answer("RCPT", 1, "450 4.2.0 greylisted");
    let node = Node::new(&settings(server.address.port()));
    let id = node.submit_with(&[TO], MESSAGE, |envelope| envelope.deadline = START.plus(Duration::from_secs(60)));
    assert!(matches!(node.attempt(id).await, Next::Due(_)));
    node.clock.advance(Duration::from_secs(300));
    // Only the line that says it was relayed does not fit; what would be said behind it has room.
    node.disk.fail_next("append", std::io::ErrorKind::StorageFull);
    assert_eq!(node.attempt(id).await, Next::Trouble);
    assert_eq!(server.messages().len(), 1);
    assert!(node.queue(Queue::Local).is_empty(), "nobody is told that it failed");
    assert_eq!(node.queue(Queue::Relay).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_does_not_stop_a_flush_of_the_others() {
    let server = Scripted::start("127.0.0.1:0").await;
    server.answer("MAIL", 1, "451 4.3.0 later");
    let settings = settings(server.address.port());
    let node = Node::new(&settings);
    let unreadable: Vec<_> = (0..5).map(|_| node.submit(&["c@[127.0.0.1]"], MESSAGE)).collect();
    for id in &unreadable {
        let shard = node.spool_dir().join(format!("relay/{}", id.shard()));
        let file = Disk::from(&node.disk).dir(shard).unwrap().open(id.as_str(), Access::Write).unwrap();
        file.write_at(b"bongsu9 ", 0).unwrap();
    }
    let id = node.submit(&[TO], MESSAGE);
    let running = run(&node, settings);
    let waits = || node.shared.spool.show(&id).unwrap().iter().any(|listing| !listing.recipients.lines().is_empty());
    wait_until("the first attempt", waits).await;
    running.wake(&Wake::Flush("[127.0.0.1]".parse().unwrap()));
    wait_until("the attempt after a flush", || server.messages().len() == 1).await;
    running.drain().await;
}
