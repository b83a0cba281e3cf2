//! Messages that another message causes.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{open, outcome, put, to};
use lib_host::{Access, Disk, Purpose, SimDisk};
use lib_spool::{Child, Claim, Command, Queue, Spool, What};

fn claim(spool: &Spool, queue: Queue, recipients: &[&str]) -> Claim {
    let id = put(spool, b"parent", to(queue, recipients)).unwrap();
    spool.claim(queue, &id).unwrap().unwrap()
}

fn new(child: Child) -> Box<lib_spool::Incoming> {
    match child {
        Child::New(incoming) => incoming,
        Child::Made(id) => panic!("{id} was made"),
    }
}

fn tell(spool: &Spool, parent: &Claim) -> lib_mail::QueueId {
    let mut child = new(spool.begin_child(parent, "failed", 0).unwrap());
    child.append(b"it failed").unwrap();
    child.commit(to(Queue::Local, &["minji@example.kr"])).unwrap().id()
}

#[test]
fn a_child_waits_until_its_parent_has_named_it_durably() {
    let disk = SimDisk::new();
    let spool = open(&disk);
    let parent = claim(&spool, Queue::Relay, &["a@b.example", "c@d.example"]);
    parent.record(&[(0, outcome(What::Failed)), (1, outcome(What::Deferred))]).unwrap();
    let child = tell(&spool, &parent);
    assert!(matches!(spool.begin_child(&parent, "failed", 0).unwrap(), Child::Made(id) if id == child));
    assert!(spool.claim(Queue::Local, &child).unwrap().is_none(), "not named");
    parent.sync().unwrap();
    assert!(spool.claim(Queue::Local, &child).unwrap().is_none(), "not named");
    parent.record(&[(0, outcome(What::Notified(Some(child))))]).unwrap();
    assert!(spool.claim(Queue::Local, &child).unwrap().is_none(), "not durable");
    parent.sync().unwrap();
    let id = parent.id();
    let attempted = spool.claim(Queue::Local, &child).unwrap().unwrap();
    assert_eq!(attempted.envelope().parent, Some(id));
    assert!(matches!(spool.begin_child(&parent, "failed", 0).unwrap(), Child::Made(id) if id == child));
}

#[test]
fn a_dead_parent_s_child_waits_and_is_made_anew() {
    let disk = SimDisk::new();
    let spool = open(&disk);
    let parent = claim(&spool, Queue::Relay, &["a@b.example"]);
    parent.record(&[(0, outcome(What::Failed))]).unwrap();
    let child = tell(&spool, &parent);
    let id = parent.id();
    let disk = disk.kill();
    drop(parent);
    let spool = open(&disk);
    assert!(spool.claim(Queue::Local, &child).unwrap().is_none(), "its lock died, but nobody names it");
    let parent = spool.claim(Queue::Relay, &id).unwrap().unwrap();
    assert_eq!(tell(&spool, &parent), child);
    parent.record(&[(0, outcome(What::Notified(Some(child))))]).unwrap();
    parent.finish().unwrap();
    assert_eq!(spool.list(Queue::Local).count(), 1);
    assert!(spool.claim(Queue::Local, &child).unwrap().is_some());
}

#[test]
fn a_line_that_its_dead_owner_did_not_sync_is_synced_before_the_child_goes() {
    let disk = SimDisk::new();
    let spool = open(&disk);
    let parent = claim(&spool, Queue::Relay, &["a@b.example", "c@d.example"]);
    parent.record(&[(0, outcome(What::Failed))]).unwrap();
    let child = tell(&spool, &parent);
    parent.record(&[(0, outcome(What::Notified(Some(child))))]).unwrap();
    let disk = disk.kill();
    let spool = open(&disk);
    assert!(spool.claim(Queue::Local, &child).unwrap().is_some());
    assert_eq!(disk.syncs(Purpose::Outcome), 1);
}

#[test]
fn a_child_s_id_tells_cause_member_and_queue_apart() {
    let spool = open(&SimDisk::new());
    let parent = claim(&spool, Queue::Relay, &["a@b.example", "c@d.example"]);
    let id = |cause, member| spool.begin_child(&parent, cause, member).unwrap().id();
    assert_eq!(id("failed", 0), id("failed", 0));
    assert!(id("failed", 0) != id("failed", 1) && id("failed", 0) != id("delayed", 0));
    let both = put(&spool, b"x", common::to_both()).unwrap();
    let of = |queue| spool.begin_child(&spool.claim(queue, &both).unwrap().unwrap(), "failed", 0).unwrap().id();
    assert_ne!(of(Queue::Local), of(Queue::Relay));
}

#[test]
fn the_other_file_of_a_parent_does_not_bind_its_child() {
    let spool = open(&SimDisk::new());
    let both = put(&spool, b"x", common::to_both()).unwrap();
    let parent = spool.claim(Queue::Relay, &both).unwrap().unwrap();
    parent.record(&[(0, outcome(What::Failed))]).unwrap();
    let child = tell(&spool, &parent);
    parent.record(&[(0, outcome(What::Notified(Some(child))))]).unwrap();
    parent.finish().unwrap();
    assert!(spool.claim(Queue::Local, &both).unwrap().is_some(), "the other file waits on");
    assert!(spool.claim(Queue::Local, &child).unwrap().is_some());
}

/// A parent whose process died before it named its child.
fn orphaned() -> (SimDisk, lib_mail::QueueId, lib_mail::QueueId) {
    let disk = SimDisk::new();
    let spool = open(&disk);
    let parent = claim(&spool, Queue::Relay, &["a@b.example"]);
    parent.record(&[(0, outcome(What::Failed))]).unwrap();
    let child = tell(&spool, &parent);
    (disk.kill(), parent.id(), child)
}

#[test]
fn a_child_does_not_go_out_while_its_parent_is_released_from_hold() {
    let now = std::time::Duration::ZERO;
    for _ in 0..100 {
        let (disk, id, child) = orphaned();
        let spool = open(&disk);
        spool.command(&id, Command::Hold, now).unwrap();
        let releasing = std::thread::spawn({
            let spool = spool.clone();
            move || spool.command(&id, Command::Release, now).unwrap()
        });
        assert!(spool.claim(Queue::Local, &child).unwrap().is_none());
        releasing.join().unwrap();
    }
}

#[test]
fn a_parent_is_looked_for_in_its_queue_once_more() {
    let (disk, parent, child) = orphaned();
    let spool = open(&disk);
    spool.command(&parent, Command::Delete, std::time::Duration::ZERO).unwrap();
    let disk = disk.kill();
    let spool = open(&disk);
    assert!(spool.claim(Queue::Local, &child).unwrap().is_some(), "the parent is gone");
    let looks = disk.trace().iter().filter(|call| call.starts_with("open") && call.ends_with(parent.as_str())).count();
    assert_eq!(looks, 3);
}

#[test]
fn a_parent_of_a_newer_format_binds_its_child() {
    let (disk, parent, child) = orphaned();
    let spool = open(&disk);
    let dir = Disk::from(&disk).dir(format!("/spool/relay/{}", parent.shard())).unwrap();
    dir.open(parent.as_str(), Access::Write).unwrap().write_at(b"bongsu2 ", 0).unwrap();
    assert!(spool.claim(Queue::Local, &child).unwrap().is_none());
}
