//! Orders to messages at rest and in flight.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::ErrorKind;
use std::time::Duration;

use common::{START, due, message, open, outcome, paths, put, to, to_both};
use lib_host::SimDisk;
use lib_mail::QueueId;
use lib_spool::{Command, Commit, Done, Ended, Place, Queue, Spool, What};

const NOW: Duration = Duration::ZERO;
const PATIENT: Duration = Duration::from_secs(20);

fn done(spool: &Spool, id: &QueueId, command: Command, patience: Duration) -> Vec<(Queue, Place, Done)> {
    let effects = spool.command(id, command, patience).unwrap();
    effects.iter().map(|effect| (effect.queue, effect.place, effect.done)).collect()
}

#[test]
fn what_becomes_of_a_message_at_rest() {
    use Place::{Held, Queued};
    const ANEW: Command = Command::Requeue(common::START);
    let table: [(Place, Command, Done, Option<Place>); 12] = [
        (Queued, Command::Delete, Done::Deleted, None),
        (Queued, Command::Bounce, Done::WillBounce, Some(Queued)),
        (Queued, Command::Hold, Done::Held, Some(Held)),
        (Queued, Command::Release, Done::Unfit, Some(Queued)),
        (Queued, Command::Retry, Done::Due, Some(Queued)),
        (Held, Command::Delete, Done::Deleted, None),
        (Held, Command::Bounce, Done::WillBounce, Some(Queued)),
        (Held, Command::Hold, Done::Unfit, Some(Held)),
        (Held, Command::Release, Done::Released, Some(Queued)),
        (Held, Command::Retry, Done::Unfit, Some(Held)),
        (Queued, ANEW, Done::Requeued, Some(Queued)),
        (Held, ANEW, Done::Requeued, Some(Queued)),
    ];
    for (place, command, want, then) in table {
        let disk = SimDisk::new();
        let spool = open(&disk);
        let later = START.plus(Duration::from_secs(3600));
        let id = put(&spool, b"x", Commit { held: place == Held, due: later, ..to_both() }).unwrap();
        assert_eq!(done(&spool, &id, command, NOW), Queue::ALL.map(|queue| (queue, place, want)), "{place} {command:?}");
        let places: Vec<_> = spool.show(&id).unwrap().iter().map(|listing| listing.place).collect();
        assert_eq!(places, then.map_or(vec![], |then| vec![then, then]), "{place} {command:?}");
        let moves = !matches!(want, Done::Deleted | Done::Held | Done::Unfit);
        for queue in Queue::ALL {
            assert_eq!(due(&spool, queue, START) == [id], moves, "{place} {command:?}");
            if moves {
                let claim = spool.claim(queue, &id).unwrap().unwrap();
                assert_eq!(claim.bounce_wanted().unwrap(), command == Command::Bounce);
            }
        }
        assert_eq!(disk.locks(), 0);
    }
}

#[test]
fn an_unknown_or_unfinished_message_has_no_effects() {
    let spool = open(&SimDisk::new());
    let mut incoming = spool.begin();
    let id = incoming.id();
    assert_eq!(done(&spool, &id, Command::Delete, NOW), []);
    incoming.append(&message(100_000)).unwrap();
    for command in [Command::Delete, Command::Hold, Command::Retry] {
        assert_eq!(done(&spool, &id, command, NOW), []);
    }
    incoming.commit(to(Queue::Local, &["a@b.example"])).unwrap();
    assert_eq!(done(&spool, &id, Command::Retry, NOW), [(Queue::Local, Place::Queued, Done::Due)]);
}

#[test]
fn a_message_in_flight_obeys_before_it_is_let_go() {
    let later = START.plus(Duration::from_secs(3600));
    for (command, ended, told) in [
        (Command::Delete, Ended::Deleted, Done::Deleted),
        (Command::Hold, Ended::Held, Done::Held),
        (Command::Retry, Ended::Due, Done::Due),
        (Command::Bounce, Ended::Due, Done::WillBounce),
        (Command::Requeue(START), Ended::Due, Done::Requeued),
    ] {
        let disk = SimDisk::new();
        let spool = open(&disk);
        let id = put(&spool, b"x", to(Queue::Local, &["a@b.example"])).unwrap();
        let claim = spool.claim(Queue::Local, &id).unwrap().unwrap();
        assert_eq!(done(&spool, &id, command, NOW), [(Queue::Local, Place::Queued, Done::Asked)]);
        let waiting = std::thread::spawn({
            let spool = spool.clone();
            move || done(&spool, &id, command, PATIENT)
        });
        // Both orders have been written once the second is in the file.
        let orders =
            || disk.files().iter().map(|(_, octets)| octets.windows(6).filter(|word| word == b" want ").count()).sum::<usize>();
        while orders() < 2 {
            std::thread::yield_now();
        }
        assert_eq!(claim.bounce_wanted().unwrap(), command == Command::Bounce);
        claim.record(&[(0, outcome(What::Deferred))]).unwrap();
        assert_eq!(claim.defer(later).unwrap(), ended);
        assert_eq!(waiting.join().unwrap(), [(Queue::Local, Place::Queued, told)], "{command:?}");
        assert_eq!(due(&spool, Queue::Local, START).len(), usize::from(ended == Ended::Due));
        assert_eq!(disk.locks(), 0);
    }
}

#[test]
fn who_asks_learns_that_it_was_finished_first() {
    let disk = SimDisk::new();
    let spool = open(&disk);
    let id = put(&spool, b"x", to(Queue::Local, &["a@b.example"])).unwrap();
    let claim = spool.claim(Queue::Local, &id).unwrap().unwrap();
    let waiting = std::thread::spawn({
        let spool = spool.clone();
        move || done(&spool, &id, Command::Delete, PATIENT)
    });
    while !disk.files().iter().any(|(_, octets)| octets.windows(4).any(|word| word == b"want")) {
        std::thread::yield_now();
    }
    claim.record(&[(0, outcome(What::Delivered))]).unwrap();
    claim.finish().unwrap();
    assert_eq!(waiting.join().unwrap(), [(Queue::Local, Place::Queued, Done::Finished)]);
}

#[test]
fn the_next_claim_obeys_what_the_dead_owner_did_not() {
    for (command, there) in [(Command::Delete, None), (Command::Hold, Some(Place::Held)), (Command::Retry, Some(Place::Queued))]
    {
        let disk = SimDisk::new();
        let spool = open(&disk);
        let id = put(&spool, b"x", to(Queue::Local, &["a@b.example"])).unwrap();
        let claim = spool.claim(Queue::Local, &id).unwrap().unwrap();
        assert_eq!(done(&spool, &id, command, NOW), [(Queue::Local, Place::Queued, Done::Asked)]);
        let disk = disk.kill();
        drop(claim);
        let spool = open(&disk);
        assert_eq!(due(&spool, Queue::Local, START), [id], "the order made it due");
        assert_eq!(spool.claim(Queue::Local, &id).unwrap().is_some(), command == Command::Retry);
        assert_eq!(spool.show(&id).unwrap().first().map(|listing| listing.place), there);
        assert_eq!(disk.locks(), 0);
    }
}

/// Waits until the file holds so many orders.
fn wait_for_orders(disk: &SimDisk, count: usize) {
    let orders =
        || disk.files().iter().map(|(_, octets)| octets.windows(6).filter(|word| word == b" want ").count()).sum::<usize>();
    while orders() < count {
        std::thread::yield_now();
    }
}

/// One call fails while the owner obeys: nobody reads that it was deleted or held before it was.
#[test]
fn delete_never_says_deleted_of_a_message_that_goes_out() {
    for command in [Command::Delete, Command::Hold] {
        for nth in 0.. {
            let disk = SimDisk::new();
            let spool = open(&disk);
            let id = put(&spool, b"x", to(Queue::Local, &["a@b.example"])).unwrap();
            let claim = spool.claim(Queue::Local, &id).unwrap().unwrap();
            assert_eq!(done(&spool, &id, command, NOW), [(Queue::Local, Place::Queued, Done::Asked)]);
            let before = disk.calls();
            disk.fail_after(nth, ErrorKind::Other);
            let _ = claim.defer(START);
            if disk.calls() - before <= nth {
                break;
            }
            for disk in [disk.kill(), disk.power_cut(0), disk.power_cut(1)] {
                for (path, octets) in disk.files().iter().filter(|(path, _)| !path.ends_with("ballast")) {
                    let says = |effect: &str| String::from_utf8_lossy(octets).contains(effect);
                    assert!(!says(" deleted "), "{nth}: {path}");
                    assert!(!says(" held ") || path.starts_with("/spool/hold/"), "{nth}: {path}");
                }
            }
        }
    }
}

#[test]
fn who_asks_finds_the_message_that_its_owner_put_on_hold_meanwhile() {
    for (command, place, told, left) in [
        (Command::Hold, Place::Queued, Done::Held, 1),
        (Command::Delete, Place::Queued, Done::Deleted, 0),
        (Command::Retry, Place::Held, Done::Unfit, 1),
    ] {
        let disk = SimDisk::new();
        let spool = open(&disk);
        let id = put(&spool, b"x", to(Queue::Local, &["a@b.example"])).unwrap();
        let claim = spool.claim(Queue::Local, &id).unwrap().unwrap();
        let waiting = std::thread::spawn({
            let spool = spool.clone();
            move || done(&spool, &id, command, PATIENT)
        });
        wait_for_orders(&disk, 1);
        claim.hold().unwrap();
        assert_eq!(waiting.join().unwrap(), [(Queue::Local, place, told)], "{command:?}");
        assert_eq!(paths(&disk).len(), left, "{command:?}");
        assert_eq!(disk.locks(), 0);
    }
}

/// The look at its queue comes before the move, the look at `hold/` behind it.
#[test]
fn a_command_does_not_call_a_message_unknown_while_it_is_released() {
    for _ in 0..100 {
        let spool = open(&SimDisk::new());
        let id = put(&spool, b"x", Commit { held: true, ..to(Queue::Local, &["a@b.example"]) }).unwrap();
        let releasing = std::thread::spawn({
            let spool = spool.clone();
            move || done(&spool, &id, Command::Release, PATIENT)
        });
        assert_ne!(done(&spool, &id, Command::Bounce, PATIENT), [], "unknown");
        assert_ne!(releasing.join().unwrap(), [], "unknown");
    }
}

#[test]
fn a_message_is_looked_for_in_its_queue_once_more() {
    let disk = SimDisk::new();
    let spool = open(&disk);
    let id = spool.begin().id();
    assert_eq!(done(&spool, &id, Command::Retry, NOW), []);
    let looks = disk.trace().iter().filter(|call| call.starts_with("open") && call.ends_with(id.as_str())).count();
    assert_eq!(looks, Queue::ALL.len() * (Place::ALL.len() + 1));
}

#[test]
fn orders_without_end_do_not_fill_the_history() {
    let disk = SimDisk::new();
    let spool = open(&disk);
    let id = put(&spool, b"x", Commit { held: true, ..to(Queue::Local, &["a@b.example"]) }).unwrap();
    let len = || disk.files().iter().map(|(_, octets)| octets.len()).max();
    done(&spool, &id, Command::Bounce, NOW);
    let first = len();
    for _ in 0..10 {
        assert_eq!(done(&spool, &id, Command::Bounce, NOW), [(Queue::Local, Place::Queued, Done::WillBounce)]);
    }
    assert_eq!(len(), first);
}

/// R3.3: what a primary takes from its pair and would have refused.
#[test]
fn a_message_that_comes_in_held_says_why() {
    let disk = SimDisk::new();
    let spool = open(&disk);
    let why = lib_mail::Status::local(450, lib_mail::Enhanced::new(4, 7, 0), "Quarantined: no such user", START);
    let mut incoming = spool.begin();
    incoming.append(b"x").unwrap();
    incoming.explain(why.clone());
    let committed = incoming.commit(Commit { held: true, ..to(Queue::Local, &["a@b.example", "c@b.example"]) }).unwrap();
    assert!(!committed.wakes(Queue::Local));
    // Also after a power cut: it is a part of the commit.
    let spool = open(&disk.power_cut(7));
    let listing = spool.show(&committed.id()).unwrap().remove(0);
    assert_eq!(listing.place, Place::Held);
    let said: Vec<_> = (0..2).map(|index| listing.recipients.last(index).unwrap().status.clone()).collect();
    assert_eq!(said, [why.clone(), why]);
    assert_eq!(listing.recipients.pending(), [0, 1]);
    assert_eq!(done(&spool, &committed.id(), Command::Release, NOW), [(Queue::Local, Place::Held, Done::Released)]);
}

/// R3.6: attempts are counted anew, the deadline is the new one, also for an owner that is at work meanwhile; what happened stays told.
#[test]
fn a_fresh_start_forgets_attempts_and_not_outcomes() {
    let later = START.plus(Duration::from_secs(9 * 24 * 3600));
    for in_flight in [false, true] {
        let disk = SimDisk::new();
        let spool = open(&disk);
        let id = put(&spool, b"x", to(Queue::Relay, &["a@far.example", "b@far.example"])).unwrap();
        let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
        claim.record(&[(0, outcome(What::Deferred)), (1, outcome(What::Relayed))]).unwrap();
        let ordered = |told| {
            assert_eq!(done(&spool, &id, Command::Requeue(later), NOW), [(Queue::Relay, Place::Queued, told)]);
        };
        if in_flight {
            ordered(Done::Asked);
            assert_eq!(claim.deadline().unwrap(), later);
            assert_eq!(claim.recipients().deferrals(0), 0);
            assert_eq!(claim.defer(later).unwrap(), Ended::Due);
        } else {
            claim.defer(later).unwrap();
            ordered(Done::Requeued);
        }
        for _ in 0..2 {
            assert_eq!(due(&spool, Queue::Relay, START), [id]);
            let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
            let recipients = claim.recipients();
            assert_eq!((recipients.deferrals(0), recipients.last_at()), (0, None));
            assert_eq!(claim.pending(), [0]);
            assert_eq!(recipients.lines().len(), 2);
            assert_eq!((claim.envelope().deadline, claim.deadline().unwrap()), (later, later));
        }
    }
}
