//! A message's life in the spool, on a disk that works.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::Read;
use std::time::Duration;

use common::{START, body, due, envelope, message, open, outcome, paths, put, to, to_both};
use lib_host::SimDisk;
use lib_mail::Timestamp;
use lib_spool::{Commit, Ended, Error, Place, Queue, What};

const SIZES: [usize; 9] = [0, 1, 2000, 65_535, 65_536, 65_537, 130_000, 300_000, 1_000_000];

#[test]
fn a_message_comes_out_as_it_went_in() {
    for size in SIZES {
        for expected in Queue::ALL {
            for queue in Queue::ALL {
                let spool = open(&SimDisk::new());
                let octets = message(size);
                let mut incoming = spool.begin();
                incoming.expect(expected);
                octets.chunks(9_999).for_each(|part| incoming.append(part).unwrap());
                assert_eq!((incoming.len(), incoming.is_empty()), (size as u64, size == 0));
                let committed = incoming.commit(to(queue, &["a@b.example", "c@d.example"])).unwrap();
                assert_eq!(Queue::ALL.map(|of| committed.wakes(of)), Queue::ALL.map(|of| of == queue));
                let claim = spool.claim(queue, &committed.id()).unwrap().unwrap();
                assert_eq!(claim.envelope(), &envelope(&["a@b.example", "c@d.example"]));
                assert_eq!((claim.message_len(), claim.pending()), (size as u64, vec![0, 1]));
                assert!(body(&claim) == octets && body(&claim) == octets, "{size}");
                let listing = spool.show(&claim.id()).unwrap().remove(0);
                assert_eq!((listing.queue, listing.place, listing.due), (queue, Place::Queued, START));
            }
        }
    }
}

#[test]
fn a_message_for_both_queues_is_two_files() {
    for size in SIZES {
        let disk = SimDisk::new();
        let spool = open(&disk);
        let octets = message(size);
        let id = put(&spool, &octets, to_both()).unwrap();
        let shard = id.shard();
        assert_eq!(paths(&disk), [format!("local/{shard}/{id}"), format!("relay/{shard}/{id}")]);
        for (queue, address) in [(Queue::Local, "a@local.example"), (Queue::Relay, "b@far.example")] {
            let claim = spool.claim(queue, &id).unwrap().unwrap();
            assert!(body(&claim) == octets, "{size}");
            assert_eq!(claim.envelope().recipients[0].address.as_str(), address);
            claim.record(&[(0, outcome(What::Relayed))]).unwrap();
            assert_eq!(claim.finish().unwrap(), Ended::Finished);
        }
        assert_eq!(paths(&disk), [""; 0]);
    }
}

#[test]
fn a_small_message_is_one_job_of_few_calls() {
    let disk = SimDisk::new();
    let spool = open(&disk);
    put(&spool, b"warm", to(Queue::Local, &["a@b.example"])).unwrap();
    let shards_open = 40;
    (0..shards_open).for_each(|_| {
        put(&spool, b"warm", to(Queue::Local, &["a@b.example"])).unwrap();
    });
    let before = disk.calls();
    let mut incoming = spool.begin();
    incoming.append(&message(60_000)).unwrap();
    assert_eq!(disk.calls(), before);
    incoming.commit(to(Queue::Local, &["a@b.example"])).unwrap();
    let calls: Vec<_> = disk.trace()[usize::try_from(before).unwrap()..]
        .iter()
        .map(|call| call.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(calls, ["create", "lock", "fstat", "write", "write", "utimens", "sync"]);

    // A mailbox knows a repeat, so a message that is delivered goes without a record.
    assert_eq!(calls_to_settle(&disk, &spool, Queue::Local, What::Delivered), [&CLAIM[..], &["unlink"]].concat());
    // A peer does not know a repeat: that it has the message is durable before the message goes.
    assert_eq!(
        calls_to_settle(&disk, &spool, Queue::Relay, What::Relayed),
        [&CLAIM[..], &["append", "sync", "unlink"]].concat()
    );
}

const CLAIM: [&str; 5] = ["open", "trylock", "fstat", "stat", "read"];

/// The disk calls from the claim of a message to its end.
fn calls_to_settle(disk: &SimDisk, spool: &lib_spool::Spool, queue: Queue, what: What) -> Vec<String> {
    let id = put(spool, b"one", to(queue, &["a@b.example"])).unwrap();
    drop(spool.claim(queue, &id).unwrap().unwrap());
    let before = disk.calls();
    let claim = spool.claim(queue, &id).unwrap().unwrap();
    body(&claim);
    claim.record(&[(0, outcome(what))]).unwrap();
    claim.finish().unwrap();
    disk.trace()[usize::try_from(before).unwrap()..].iter().map(|call| call.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn deliveries_are_written_where_the_message_does_not_go_at_once() {
    let disk = SimDisk::new();
    let spool = open(&disk);
    let id = put(&spool, b"x", to(Queue::Local, &["a@b.example", "c@b.example", "d@b.example", "e@b.example"])).unwrap();
    let claim = || spool.claim(Queue::Local, &id).unwrap().unwrap();
    let deliver = |index| {
        let claim = claim();
        claim.record(&[(index, outcome(What::Delivered))]).unwrap();
        claim
    };
    drop(deliver(0));
    assert_eq!(claim().pending(), [1, 2, 3], "after it was let go");
    deliver(1).defer(START).unwrap();
    assert_eq!(claim().pending(), [2, 3], "after it was deferred");
    let last = deliver(2);
    last.record(&[(3, outcome(What::Deferred))]).unwrap();
    let again = disk.kill();
    assert_eq!(open(&again).claim(Queue::Local, &id).unwrap().unwrap().pending(), [3], "with another outcome behind it");
}

#[test]
fn a_delivery_that_could_not_be_written_is_no_first_attempt_again() {
    let disk = SimDisk::new();
    let clock = lib_host::Clock::manual(START);
    let spool = common::open_with(&disk, &clock).unwrap();
    let claim = |id| spool.claim(Queue::Local, &id).unwrap().unwrap();
    drop(claim(put(&spool, b"x", to(Queue::Local, &["a@b.example"])).unwrap()));
    clock.advance(Duration::from_millis(1));
    let id = put(&spool, b"x", to(Queue::Local, &["a@b.example", "c@b.example"])).unwrap();
    let first = claim(id);
    assert!(first.first_attempt());
    first.record(&[(0, outcome(What::Delivered))]).unwrap();
    disk.fail_next("append", std::io::ErrorKind::Other);
    drop(first);
    let second = claim(id);
    assert_eq!((second.first_attempt(), second.pending()), (false, vec![0, 1]));
}

#[test]
fn what_is_dropped_or_discarded_leaves_nothing() {
    let disk = SimDisk::new();
    let spool = open(&disk);
    for size in [10, 300_000] {
        let mut incoming = spool.begin();
        incoming.append(&message(size)).unwrap();
        drop(incoming);
        let mut incoming = spool.begin();
        incoming.append(&message(size)).unwrap();
        let id = incoming.id();
        let committed = incoming.discard();
        assert_eq!((committed.id(), committed.wakes(Queue::Local)), (id, false));
    }
    assert!(matches!(put(&spool, b"x", Commit { local: None, relay: None, held: false, due: START }), Err(Error::Misuse(_))));
    assert!(matches!(put(&spool, &message(99_999), to(Queue::Local, &[])), Err(Error::Misuse(_))));
    assert_eq!((paths(&disk), disk.locks()), (vec![], 0));
}

#[test]
fn an_attempt_is_recorded_and_the_rest_waits() {
    let disk = SimDisk::new();
    let spool = open(&disk);
    let id = put(&spool, &message(500), to(Queue::Relay, &["a@b.example", "c@d.example", "e@f.example"])).unwrap();
    let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
    assert!(spool.claim(Queue::Relay, &id).unwrap().is_none(), "claimed twice");
    assert!(spool.claim(Queue::Local, &id).unwrap().is_none());
    claim.record(&[(0, outcome(What::Relayed)), (2, outcome(What::Deferred)), (1, outcome(What::Deferred))]).unwrap();
    assert!(matches!(claim.record(&[(3, outcome(What::Relayed))]), Err(Error::Misuse(_))));
    assert_eq!(claim.pending(), [1, 2]);
    let later = START.plus(Duration::from_secs(1800));
    assert_eq!(claim.defer(later).unwrap(), Ended::Deferred(later));
    assert_eq!(due(&spool, Queue::Relay, START), []);
    assert_eq!(spool.due(Queue::Relay, START).filter_map(|shard| shard.unwrap().next).collect::<Vec<_>>(), [later]);
    assert_eq!(due(&spool, Queue::Relay, later), [id]);

    let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
    assert_eq!((claim.pending(), claim.history().len()), (vec![1, 2], 2));
    assert_eq!(claim.history()[1].recipients, [1, 2]);
    assert!(!claim.first_attempt());
    claim.record(&[(1, outcome(What::Relayed)), (2, outcome(What::Failed))]).unwrap();
    assert_eq!((claim.pending(), claim.recipients().failed()), (vec![], vec![2]));
    let claim = match claim.finish() {
        Err(Error::Misuse(_)) => spool.claim(Queue::Relay, &id).unwrap().unwrap(),
        other => panic!("{other:?}"),
    };
    claim.record(&[(2, outcome(What::Notified(None)))]).unwrap();
    claim.finish().unwrap();
    assert_eq!(paths(&disk), [""; 0]);
}

#[test]
fn an_expansion_adds_members_for_later_claims() {
    let spool = open(&SimDisk::new());
    let id = put(&spool, b"x", to(Queue::Local, &["list@b.example", "c@d.example"])).unwrap();
    let claim = spool.claim(Queue::Local, &id).unwrap().unwrap();
    let members = vec!["mailbox a@b.example".to_owned(), "forward far away, 100%".to_owned()];
    claim.record(&[(0, outcome(What::Expanded(members)))]).unwrap();
    claim.sync().unwrap();
    claim.record(&[(2, outcome(What::Delivered))]).unwrap();
    claim.defer(START).unwrap();
    let claim = spool.claim(Queue::Local, &id).unwrap().unwrap();
    assert_eq!(claim.pending(), [1, 3]);
    assert_eq!(claim.recipients().member(3).unwrap().target, "forward far away, 100%");
    assert_eq!(claim.recipients().origin(3), Some(0));
}

#[test]
fn a_thousand_equal_outcomes_are_one_line() {
    let spool = open(&SimDisk::new());
    let addresses: Vec<_> = (0..1000).map(|number| format!("u{number}@b.example")).collect();
    let addresses: Vec<_> = addresses.iter().map(String::as_str).collect();
    let id = put(&spool, b"x", to(Queue::Relay, &addresses)).unwrap();
    for _ in 0..3 {
        let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
        let outcomes: Vec<_> = claim.pending().into_iter().map(|index| (index, outcome(What::Deferred))).collect();
        claim.record(&outcomes).unwrap();
        claim.defer(START).unwrap();
    }
    assert_eq!(spool.claim(Queue::Relay, &id).unwrap().unwrap().history().len(), 3);
}

#[test]
fn a_deferral_alone_costs_no_sync_but_a_success_does() {
    let disk = SimDisk::new();
    let spool = open(&disk);
    let syncs = || disk.syncs(lib_host::Purpose::Outcome);
    let id = put(&spool, b"x", to(Queue::Relay, &["a@b.example", "c@d.example"])).unwrap();
    let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
    claim.record(&[(0, outcome(What::Deferred)), (1, outcome(What::Deferred))]).unwrap();
    claim.defer(START).unwrap();
    assert_eq!(syncs(), 0);
    let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
    claim.record(&[(0, outcome(What::Relayed))]).unwrap();
    claim.sync().unwrap();
    claim.sync().unwrap();
    claim.defer(START).unwrap();
    assert_eq!(syncs(), 1);
    // The next owner cannot know that the line is durable.
    spool.claim(Queue::Relay, &id).unwrap().unwrap().defer(START).unwrap();
    assert_eq!(syncs(), 2);
}

#[test]
fn only_a_first_attempt_is_called_so() {
    let disk = SimDisk::new();
    let clock = lib_host::Clock::manual(START);
    let spool = common::open_with(&disk, &clock).unwrap();
    let claim = |spool: &lib_spool::Spool, id| spool.claim(Queue::Local, &id).unwrap().unwrap();
    let old = put(&spool, b"x", to(Queue::Local, &["a@b.example"])).unwrap();
    assert!(!claim(&spool, old).first_attempt(), "there before the first claim");
    clock.advance(Duration::from_millis(1));
    let new = put(&spool, b"x", to(Queue::Local, &["a@b.example"])).unwrap();
    assert!(claim(&spool, new).first_attempt());
    assert!(!claim(&spool, new).first_attempt(), "dropped without a record");
    let other = common::open_with(&disk, &clock).unwrap();
    clock.advance(Duration::from_millis(1));
    let newer = put(&spool, b"x", to(Queue::Local, &["a@b.example"])).unwrap();
    assert!(!claim(&other, newer).first_attempt(), "another process may have tried it");
}

#[test]
fn an_absurd_next_attempt_is_due_at_once() {
    let spool = open(&SimDisk::new());
    let later =
        |days: u64| Commit { due: START.plus(Duration::from_secs(days * 86_400)), ..to(Queue::Local, &["a@b.example"]) };
    put(&spool, b"x", later(7)).unwrap();
    let absurd = put(&spool, b"x", later(400)).unwrap();
    assert_eq!(due(&spool, Queue::Local, START), [absurd]);
    assert_eq!(due(&spool, Queue::Local, Timestamp(START.0 + 7 * 86_400_000)).len(), 2);
    let overdue = |days: i64| {
        let shards = spool.overdue(Queue::Local, Timestamp(START.0 + days * 86_400_000));
        shards.map(|shard| shard.unwrap().due.len()).sum::<usize>()
    };
    assert_eq!([-1, 0, 7, 400].map(overdue), [0, 0, 1, 2], "only what was due by then is overdue");
}

#[test]
fn the_longest_due_comes_first_and_all_are_counted() {
    let spool = open(&SimDisk::new());
    let at = |seconds: i64| Commit { due: Timestamp(START.0 + seconds * 1000), ..to(Queue::Local, &["a@b.example"]) };
    let ids: Vec<_> = (0..96).map(|number| put(&spool, b"x", at(-number)).unwrap()).collect();
    let shards: Vec<_> = spool.due(Queue::Local, START).map(Result::unwrap).collect();
    assert_eq!(shards.len(), 32);
    for shard in shards {
        assert_eq!(shard.count, 3);
        let places: Vec<_> = shard.due.iter().map(|id| ids.iter().position(|of| of == id).unwrap()).collect();
        assert!(places.is_sorted_by(|a, b| a > b), "{places:?}");
    }
}

#[test]
fn a_reader_outlives_its_claim_without_keeping_the_lock() {
    for size in [100, 300_000] {
        let spool = open(&SimDisk::new());
        let id = put(&spool, &message(size), to(Queue::Local, &["a@b.example"])).unwrap();
        let claim = spool.claim(Queue::Local, &id).unwrap().unwrap();
        let mut reader = claim.body();
        assert_eq!((reader.left(), reader.in_memory().is_some()), (size as u64, size == 100));
        drop(claim);
        assert!(spool.claim(Queue::Local, &id).unwrap().is_some());
        let mut octets = Vec::new();
        reader.read_to_end(&mut octets).unwrap();
        assert!(octets == message(size));
    }
}

#[test]
fn listings_show_what_lies_there_and_lock_nothing() {
    let disk = SimDisk::new();
    let spool = open(&disk);
    let id = put(&spool, &message(300_000), to(Queue::Relay, &["a@b.example"])).unwrap();
    let held = put(&spool, b"x", Commit { held: true, ..to(Queue::Relay, &["a@b.example"]) }).unwrap();
    let mut writing = spool.begin();
    writing.expect(Queue::Relay);
    writing.append(&message(70_000)).unwrap();
    let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
    claim.record(&[(0, outcome(What::Deferred))]).unwrap();
    let locks = disk.locks();
    let mut all: Vec<_> = spool.list(Queue::Relay).map(Result::unwrap).collect();
    all.sort_by_key(|listing| listing.id);
    let seen: Vec<_> = all.iter().map(|of| (of.id, of.place, of.message_len, of.recipients.deferrals(0))).collect();
    assert_eq!(seen, [(id, Place::Queued, 300_000, 1), (held, Place::Held, 1, 0)]);
    assert_eq!((spool.list(Queue::Local).count(), disk.locks()), (0, locks));
}
