//! Messages that move to another spool.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::io::{ErrorKind, Read};
use std::time::Duration;

use common::{START, body, message, open, outcome, paths, put, to, to_both};
use lib_host::SimDisk;
use lib_mail::QueueId;
use lib_spool::{Arrival, Arrived, Commit, Contents, Departing, Departure, Error, Fault, Place, Queue, Spool, What};

fn depart(spool: &Spool, queue: Queue, place: Place, id: &QueueId, take: bool) -> Box<Departing> {
    match spool.depart(queue, place, id, take).unwrap() {
        Departure::Ready(departing) => departing,
        other => panic!("{other:?}"),
    }
}

fn octets(departing: &mut Departing) -> Vec<u8> {
    let mut octets = Vec::new();
    departing.read_to_end(&mut octets).unwrap();
    octets
}

fn arrival(queue: Queue, id: QueueId, octets: &[u8]) -> Arrival {
    Arrival { queue, place: Place::Queued, id, due: START, len: octets.len() as u64 }
}

/// A message with one recipient done and one deferred, as its file.
fn sample(len: usize) -> (QueueId, Vec<u8>) {
    let spool = open(&SimDisk::new());
    let id = put(&spool, &message(len), to(Queue::Relay, &["a@far.example", "b@far.example"])).unwrap();
    let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
    claim.record(&[(0, outcome(What::Relayed)), (1, outcome(What::Deferred))]).unwrap();
    claim.defer(START).unwrap();
    (id, octets(&mut depart(&spool, Queue::Relay, Place::Queued, &id, false)))
}

#[test]
fn a_message_moves_with_its_history_and_its_moment() {
    let (here, there) = (SimDisk::new(), SimDisk::new());
    let (from, to_spool) = (open(&here), open(&there));
    let later = START.plus(Duration::from_secs(1800));
    for (len, held) in [(500, false), (300_000, true)] {
        let id = put(&from, &message(len), Commit { held, due: later, ..to_both() }).unwrap();
        let place = if held { Place::Held } else { Place::Queued };
        for queue in Queue::ALL {
            let mut departing = depart(&from, queue, place, &id, true);
            assert_eq!(departing.listing().due, later);
            let arrival = Arrival { queue, place, id, due: later, len: departing.left() };
            assert_eq!(to_spool.arrive(arrival, &mut *departing).unwrap(), Arrived::Committed);
            departing.remove().unwrap();
            let listing = to_spool.look(queue, place, &id).unwrap().unwrap();
            assert_eq!((listing.due, listing.message_len), (later, len as u64));
            assert!(matches!(to_spool.examine(&id).unwrap()[0].contents, Contents::Good(_)));
        }
        assert_eq!(paths(&here).len(), 0);
    }
    let (id, file) = sample(500);
    assert_eq!(to_spool.arrive(arrival(Queue::Relay, id, &file), &mut &file[..]).unwrap(), Arrived::Committed);
    let claim = to_spool.claim(Queue::Relay, &id).unwrap().unwrap();
    assert_eq!((claim.pending(), claim.recipients().deferrals(1), body(&claim)), (vec![1], 1, message(500)));
    assert_eq!((here.locks(), there.locks()), (0, 1));
}

#[test]
fn what_is_there_stays_as_it_is() {
    let (id, file) = sample(500);
    let disk = SimDisk::new();
    let spool = open(&disk);
    let arrive = || spool.arrive(arrival(Queue::Relay, id, &file), &mut &file[..]).unwrap();
    assert_eq!(arrive(), Arrived::Committed);
    let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
    assert_eq!(arrive(), Arrived::There);
    claim.hold().unwrap();
    assert_eq!(arrive(), Arrived::There);
    assert_eq!(paths(&disk).len(), 1);
}

#[test]
fn a_message_in_work_does_not_leave_and_a_copy_cannot_be_removed() {
    let spool = open(&SimDisk::new());
    let id = put(&spool, b"x", to(Queue::Relay, &["a@far.example"])).unwrap();
    let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
    assert!(matches!(spool.depart(Queue::Relay, Place::Queued, &id, true).unwrap(), Departure::Busy));
    let copy = depart(&spool, Queue::Relay, Place::Queued, &id, false);
    assert!(matches!(copy.remove(), Err(Error::Misuse(_))));
    drop(claim);
    let departing = depart(&spool, Queue::Relay, Place::Queued, &id, true);
    assert!(spool.claim(Queue::Relay, &id).unwrap().is_none(), "it is locked");
    drop(departing);
    assert!(spool.claim(Queue::Relay, &id).unwrap().is_some());
    assert!(matches!(spool.depart(Queue::Local, Place::Held, &id, true).unwrap(), Departure::Gone));
}

#[test]
fn what_is_damaged_or_cut_off_leaves_nothing() {
    for len in [500, 300_000] {
        let (id, file) = sample(len);
        let disk = SimDisk::new();
        let spool = open(&disk);
        for cut in [0, 10, 64, 100, file.len() / 2, file.len() - 1] {
            let error = spool.arrive(arrival(Queue::Relay, id, &file), &mut &file[..cut]).unwrap_err();
            assert!(matches!(&error, Error::Disk { source, .. } if source.kind() == ErrorKind::UnexpectedEof), "{error}");
            // The archive is whole, and says that the file was short.
            let short = &file[..cut.min(file.len() / 2)];
            let arrived = spool.arrive(arrival(Queue::Relay, id, short), &mut &short[..]).unwrap();
            assert!(matches!(arrived, Arrived::Damaged(_)), "{arrived:?}");
        }
        for (at, fault) in [(3, Fault::FirstLine), (70, Fault::Sum)] {
            let mut bad = file.clone();
            bad[at] ^= 1;
            let arrived = spool.arrive(arrival(Queue::Relay, id, &bad), &mut &bad[..]).unwrap();
            assert_eq!(arrived, Arrived::Damaged(fault));
        }
        let newer = [b"bongsu2 ", &file[8..]].concat();
        assert_eq!(spool.arrive(arrival(Queue::Relay, id, &newer), &mut &newer[..]).unwrap(), Arrived::Newer);
        let other = spool.begin().id();
        assert_eq!(spool.arrive(arrival(Queue::Relay, other, &file), &mut &file[..]).unwrap(), Arrived::Damaged(Fault::Sum));
        assert_eq!((paths(&disk).len(), disk.locks()), (0, 0));
    }
}

/// Cut after each disk call of an arrival and of a removal: the message is whole or not there, and what was said to be durable is.
#[test]
fn a_cut_anywhere_loses_nothing() {
    let (id, file) = sample(2000);
    let arrives = |disk: &SimDisk| open(disk).arrive(arrival(Queue::Relay, id, &file), &mut &file[..]);
    for nth in 0.. {
        let disk = SimDisk::new();
        drop(open(&disk));
        disk.cut_after(nth);
        let said = std::panic::catch_unwind(|| arrives(&disk));
        let done = !disk.was_cut();
        for after in [disk.kill(), disk.power_cut(0), disk.power_cut(1), disk.power_cut(2)] {
            let spool = open(&after);
            let examined = spool.examine(&id).unwrap();
            let whole = examined.iter().any(|found| matches!(found.contents, Contents::Good(_)));
            if done {
                assert!(matches!(said, Ok(Ok(Arrived::Committed))) && whole, "{nth}");
            }
            // A second import ends it, whatever the first one left: what is damaged or blank is set aside or swept.
            let again = spool.arrive(arrival(Queue::Relay, id, &file), &mut &file[..]).unwrap();
            assert_eq!(again == Arrived::There, !examined.is_empty(), "{nth}");
        }
        if done {
            break;
        }
    }
    for nth in 0.. {
        let disk = SimDisk::new();
        arrives(&disk).unwrap();
        let spool = open(&disk);
        let departing = depart(&spool, Queue::Relay, Place::Queued, &id, true);
        disk.cut_after(nth);
        let removed = departing.remove().is_ok();
        let done = !disk.was_cut();
        for after in [disk.kill(), disk.power_cut(0), disk.power_cut(1)] {
            let whole = open(&after).examine(&id).unwrap().iter().any(|found| matches!(found.contents, Contents::Good(_)));
            assert!(!(removed && whole), "{nth}: removed, and there again");
            assert!(whole || open(&after).examine(&id).unwrap().is_empty());
        }
        if done {
            break;
        }
    }
}
