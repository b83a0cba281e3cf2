use std::collections::BTreeSet;

use lib_host::Clock;
use lib_mail::{BodyType, Envelope, Protocol, Recipient};
use lib_spool::{Commit, Options};

use super::*;

const MESSAGES: usize = 12;

fn spool(dir: &std::path::Path) -> Spool {
    let options = Options { ballast: false, ..Options::new(Clock::system(), 1_000_000) };
    Spool::open(dir, options).unwrap()
}

fn put(spool: &Spool, number: usize) -> QueueId {
    let envelope = Envelope {
        sender: Some("a@example.net".parse().unwrap()),
        recipients: vec![Recipient::new("b@example.org".parse().unwrap())],
        ret: None,
        envid: None,
        body: BodyType::SevenBit,
        utf8: false,
        arrived: Timestamp(1_795_401_000_000),
        deadline: Timestamp(1_795_801_000_000),
        peer: None,
        helo: String::new(),
        protocol: Protocol { extended: true, tls: false, auth: false, utf8: false, local: false },
        account: None,
        added: String::new(),
        parent: None,
    };
    let mut incoming = spool.begin();
    incoming.append(&vec![b'x'; 100 + 700 * number]).unwrap();
    let due = Timestamp(1_795_401_999_500);
    let local = number.is_multiple_of(3).then(|| envelope.clone());
    incoming.commit(Commit { local, relay: Some(envelope), held: number == 5, due }).unwrap().id()
}

/// All that lies in a spool.
fn lies(spool: &Spool) -> BTreeSet<(QueueId, Queue, Place)> {
    let places = Queue::ALL.into_iter().flat_map(|queue| [Place::Queued, Place::Held].map(|place| (queue, place)));
    places.flat_map(|(queue, place)| spool.ids(queue, place).unwrap().into_iter().map(move |id| (id, queue, place))).collect()
}

fn archive(from: &Spool, remove: bool) -> (Vec<u8>, usize) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tar");
    let leaving = Leaving { file: File::create_new(&path).unwrap(), host: "mail.example.net", remove };
    let mut gone = 0;
    let messages: Vec<_> = lies(from).into_iter().collect();
    write(from, &messages, leaving, &mut |_, fate| gone += usize::from(matches!(fate, Fate::Moved))).unwrap();
    (std::fs::read(&path).unwrap(), gone)
}

fn take(to: &Spool, octets: &[u8]) -> (Vec<Arrived>, Result<()>) {
    let mut told = Vec::new();
    let input: Box<dyn Read> = Box::new(io::Cursor::new(octets.to_vec()));
    let read = read(to, Reader::new(input), &mut |_, arrived| told.push(*arrived));
    (told, read)
}

#[test]
fn all_moves_and_a_second_import_changes_nothing() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (from, to) = (spool(here.path()), spool(there.path()));
    for number in 0..MESSAGES {
        put(&from, number);
    }
    let all = lies(&from);
    let (copy, moved) = archive(&from, false);
    assert_eq!((moved, lies(&from)), (0, all.clone()));
    let (octets, moved) = archive(&from, true);
    assert_eq!((moved, lies(&from).len()), (all.len(), 0));
    assert_eq!(octets, copy);
    let (told, read) = take(&to, &octets);
    read.unwrap();
    assert_eq!(told, vec![Arrived::Committed; all.len()]);
    assert_eq!(lies(&to), all);
    let (id, queue, place) = *all.iter().next().unwrap();
    assert_eq!(to.look(queue, place, &id).unwrap().unwrap().due, Timestamp(1_795_402_000_000), "rounded up to a second");
    let (told, read) = take(&to, &octets);
    read.unwrap();
    assert_eq!(told, vec![Arrived::There; all.len()]);
}

#[test]
fn a_message_that_an_order_moved_meanwhile_is_found() {
    let here = tempfile::tempdir().unwrap();
    let from = spool(here.path());
    let id = put(&from, 1);
    let chosen = [(id, Queue::Relay, Place::Queued)];
    from.command(&id, lib_spool::Command::Hold, Duration::ZERO).unwrap();
    let leaving = Leaving { file: tempfile::tempfile().unwrap(), host: "mail.example.net", remove: true };
    let mut moved = 0;
    write(&from, &chosen, leaving, &mut |_, fate| moved += usize::from(matches!(fate, Fate::Moved))).unwrap();
    assert_eq!((moved, lies(&from).len()), (1, 0));
}

/// Cut anywhere, what comes before the cut is taken, the cut is told, and the whole archive can follow.
#[test]
fn a_torn_archive_is_told_with_its_entry_and_loses_nothing() {
    let here = tempfile::tempdir().unwrap();
    let from = spool(here.path());
    for number in 0..MESSAGES {
        put(&from, number);
    }
    let all = lies(&from);
    let (octets, _) = archive(&from, false);
    let there = tempfile::tempdir().unwrap();
    let to = spool(there.path());
    let mut taken = 0;
    // The trailer behind the end mark is no loss.
    for cut in (0..octets.len() - 2048).step_by(397) {
        let (told, read) = take(&to, &octets[..cut]);
        let error = format!("{:#}", read.unwrap_err());
        assert!(cut < 512 || error.contains("the entry bongsu-queue/") || error.contains("does not begin"), "{cut}: {error}");
        taken += told.iter().filter(|arrived| **arrived == Arrived::Committed).count();
        assert!(told.iter().all(|arrived| matches!(arrived, Arrived::Committed | Arrived::There)), "{cut}: {told:?}");
        assert_eq!(lies(&to).len(), taken, "{cut}");
    }
    let (_, read) = take(&to, &octets);
    read.unwrap();
    assert_eq!(lies(&to), all);
}

#[test]
fn what_is_no_archive_of_ours_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let to = spool(dir.path());
    let mut foreign = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    foreign.append_data(&mut header, "etc/passwd", &b"x"[..]).unwrap();
    let foreign = foreign.into_inner().unwrap();
    for (octets, want) in [
        (&b""[..], "it is empty"),
        (b"junk", "it is no archive"),
        (&foreign, "it is no archive"),
        (&vec![b'x'; 4096], "it is no archive"),
    ] {
        let (told, read) = take(&to, octets);
        let error = format!("{:#}", read.unwrap_err());
        assert!(told.is_empty() && error.contains(want), "{error}");
    }
    assert!(lies(&to).is_empty());
}

#[test]
fn names_of_entries() {
    let id = "1hw9zzzzzz0000000001";
    for (name, found) in [
        (format!("bongsu-queue/relay/{id}"), Some((Queue::Relay, Place::Queued))),
        (format!("bongsu-queue/hold/local/{id}"), Some((Queue::Local, Place::Held))),
        (format!("bongsu-queue/corrupt/local/{id}"), None),
        (format!("bongsu-queue/relay/../{id}"), None),
        (format!("bongsu-queue/relay/{id}/x"), None),
        (format!("/bongsu-queue/relay/{id}"), None),
        ("bongsu-queue/relay/x".into(), None),
    ] {
        assert_eq!(Found::named(&name).map(|found| (found.queue, found.place)), found, "{name}");
    }
}
