//! Files that are not what was committed.
#![allow(clippy::unwrap_used)]

mod common;

use common::{START, due, message, open, outcome, paths, put, to};
use lib_host::{Access, Dir, Disk, SimDisk};
use lib_mail::QueueId;
use lib_spool::{Command, Done, Effect, Error, Fault, Place, Queue, Spool, What};

/// A committed message of that length, and the directory of its file.
fn with_message(len: usize) -> (SimDisk, Spool, QueueId, Dir) {
    let disk = SimDisk::new();
    let spool = open(&disk);
    let id = put(&spool, &message(len), to(Queue::Relay, &["a@b.example"])).unwrap();
    let dir = Disk::from(&disk).dir(format!("/spool/relay/{}", id.shard())).unwrap();
    (disk, spool, id, dir)
}

#[test]
fn a_damaged_message_is_set_aside_kept_and_told() {
    type Harm = fn(&lib_host::File);
    let harms: [(&str, usize, Harm, Fault); 8] = [
        ("a flipped octet", 500, |file| file.write_at(b"?", 100).unwrap(), Fault::Sum),
        ("a flipped octet far in", 300_000, |file| file.write_at(b"?", 200_001).unwrap(), Fault::Sum),
        ("zeros in the envelope", 500, |file| file.write_at(&[0; 8], 64 + 500 + 3).unwrap(), Fault::Sum),
        ("zeros in a far envelope", 300_000, |file| file.write_at(&[0; 8], 64 + 300_000 + 3).unwrap(), Fault::Sum),
        ("cut short", 500, |file| file.set_len(300).unwrap(), Fault::Short),
        ("cut short, long", 300_000, |file| file.set_len(250_000).unwrap(), Fault::Short),
        ("another first line", 500, |file| file.write_at(b"Subject:", 0).unwrap(), Fault::FirstLine),
        ("another first line, long", 300_000, |file| file.write_at(b"Subject:", 0).unwrap(), Fault::FirstLine),
    ];
    for (name, len, harm, fault) in harms {
        let (disk, spool, id, dir) = with_message(len);
        harm(&dir.open(id.as_str(), Access::Write).unwrap());
        let before = disk.files();
        match spool.claim(Queue::Relay, &id) {
            Err(Error::Corrupt(told)) => {
                assert_eq!((told.id, told.queue, told.fault, told.set_aside), (id, Queue::Relay, fault, true))
            }
            other => panic!("{name}: {other:?}"),
        }
        assert_eq!(paths(&disk), [format!("corrupt/relay/{}/{id}", id.shard())], "{name}");
        assert!(disk.files().iter().map(|(_, octets)| octets).eq(before.iter().map(|(_, octets)| octets)), "{name}");
        assert_eq!(spool.corrupt().unwrap(), [(Queue::Relay, id)]);
        assert_eq!(spool.sweep(Queue::Relay).unwrap().corrupt, 1);
        assert_eq!((due(&spool, Queue::Relay, START).len(), disk.locks()), (0, 0));
        let effect = |done| vec![Effect { queue: Queue::Relay, place: Place::Corrupt, done }];
        let command = |command| spool.command(&id, command, std::time::Duration::ZERO).unwrap();
        for unfit in [Command::Hold, Command::Release, Command::Retry, Command::Bounce] {
            assert_eq!(command(unfit), effect(Done::Unfit));
        }
        assert_eq!(command(Command::Delete), effect(Done::Deleted));
        assert!(paths(&disk).is_empty());
    }
}

#[test]
fn a_newer_format_is_left_untouched() {
    for len in [500, 300_000] {
        let (disk, spool, id, dir) = with_message(len);
        dir.open(id.as_str(), Access::Write).unwrap().write_at(b"bongsu2", 0).unwrap();
        let before = disk.files();
        assert!(matches!(spool.claim(Queue::Relay, &id), Err(Error::Newer { .. })));
        assert!(matches!(spool.list(Queue::Relay).next(), Some(Err(Error::Newer { .. }))));
        assert_eq!((disk.files(), disk.locks()), (before, 0));
    }
}

#[test]
fn a_read_error_is_not_damage() {
    let (disk, spool, id, _) = with_message(500);
    for nth in 0.. {
        let calls = disk.calls();
        disk.fail_after(nth, std::io::ErrorKind::Other);
        match spool.claim(Queue::Relay, &id) {
            Err(Error::Disk { .. }) => {}
            Ok(Some(_)) if disk.calls() - calls <= nth + 1 => break,
            other => panic!("{nth}: {other:?}"),
        }
        assert_eq!(paths(&disk).len(), 1);
    }
}

#[test]
fn garbage_in_the_history_costs_its_own_line_only() {
    let (_, spool, id, dir) = with_message(500);
    let record = |what| {
        let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
        claim.record(&[(0, outcome(what))]).unwrap();
        claim.defer(START).unwrap();
    };
    let garbage = |octets: &[u8]| dir.open(id.as_str(), Access::Append).unwrap().append(octets).unwrap();
    garbage(b"\n@179 to 0 relayed - 250 2.0.0 - forged 00000000");
    record(What::Deferred);
    garbage(b"\n@1795401000000 to 0 rela");
    record(What::Deferred);
    garbage(&[b'\n', 0xff, b'\n', 0, b'\n', b'@']);
    let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
    assert_eq!((claim.history().len(), claim.pending()), (2, vec![0]));
}

#[test]
fn a_file_under_another_name_is_no_message() {
    let (disk, spool, id, dir) = with_message(500);
    let other = put(&spool, b"x", to(Queue::Relay, &["a@b.example"])).unwrap();
    let to_dir = Disk::from(&disk).dir(format!("/spool/relay/{}", other.shard())).unwrap();
    dir.rename(id.as_str(), &to_dir, other.as_str()).unwrap();
    assert!(matches!(spool.claim(Queue::Relay, &other), Err(Error::Corrupt(told)) if told.fault == Fault::Sum));
}

#[test]
fn names_that_are_no_ids_are_ignored() {
    let (disk, spool, id, dir) = with_message(500);
    dir.create("README").unwrap();
    dir.create(format!("{id}.bak")).unwrap();
    dir.create("0000000000000000000i").unwrap();
    let elsewhere = if id.shard() == 'a' { "0000000000000000000b" } else { "0000000000000000000a" };
    dir.create(elsewhere).unwrap();
    assert_eq!(due(&spool, Queue::Relay, START), [id]);
    assert_eq!((spool.list(Queue::Relay).count(), disk.locks()), (1, 0));
}
