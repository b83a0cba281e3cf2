//! What callers see: deliveries, maildrops, other tools' files, two processes.

mod crash;
mod foreign;
mod processes;
mod sharing;

use std::path::PathBuf;

use lib_mail::Timestamp;

use super::*;

const MINJI: &str = "minji@example.kr";

struct Yard {
    dir: tempfile::TempDir,
    mailboxes: Mailboxes,
}

impl Yard {
    fn new() -> Yard {
        let dir = tempfile::tempdir().unwrap();
        let mailboxes = Mailboxes::open(dir.path()).unwrap();
        Yard { dir, mailboxes }
    }

    fn maildir(&self) -> PathBuf {
        self.dir.path().join("example.kr/minji/Maildir")
    }

    fn deliver(&self, serial: u32, body: &str, repeat: bool) -> Delivered {
        deliver(&self.mailboxes, MINJI, serial, body, repeat).unwrap()
    }

    fn names(&self, part: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.maildir().join(part)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn id(serial: u32) -> QueueId {
    QueueId::new(Timestamp(1_795_401_000_123), 7, serial)
}

fn deliver(mailboxes: &Mailboxes, account: &str, serial: u32, body: &str, repeat: bool) -> Result<Delivered, Error> {
    let trace = b"Return-Path: <a@example.net>\r\n";
    mailboxes.deliver(account, Delivery { id: &id(serial), trace, body: &mut body.as_bytes(), repeat })
}

/// The whole message in wire form.
fn read(maildrop: &Maildrop, index: usize) -> String {
    let (mut body, mut block, mut whole) = (maildrop.read(index).unwrap(), Vec::new(), Vec::new());
    while body.block(&mut block).unwrap() {
        whole.extend_from_slice(&block);
    }
    assert!(block.is_empty());
    assert_eq!(whole.len() as u64, maildrop.size(index));
    String::from_utf8(whole).unwrap()
}

#[test]
fn a_first_delivery_makes_the_mailbox() {
    let yard = Yard::new();
    assert_eq!(yard.mailboxes.usage(MINJI).unwrap(), Usage::default());
    let delivered = yard.deliver(1, "Subject: x\r\n\r\nhello\r\n", false);
    assert_eq!(delivered, Delivered { size: 51, repeated: false });
    assert_eq!(yard.names("new"), [format!("{},S=47,W=51", id(1))]);
    assert!(yard.names("tmp").is_empty() && yard.names("cur").is_empty());
    let on_disk = std::fs::read_to_string(yard.maildir().join("new").join(&yard.names("new")[0])).unwrap();
    assert_eq!(on_disk, "Return-Path: <a@example.net>\nSubject: x\n\nhello\n");
    assert_eq!(yard.mailboxes.usage(MINJI).unwrap(), Usage { bytes: 47, messages: 1 });
    assert_eq!(yard.mailboxes.accounts().unwrap(), [MINJI]);
}

#[test]
fn a_maildrop_lists_reads_and_removes() {
    let yard = Yard::new();
    assert!(yard.mailboxes.maildrop(MINJI).unwrap().is_empty());
    for (serial, body) in [(2, "b: 2\r\n\r\ntwo\r\n"), (1, "b: 1\r\n\r\n.\r\n..one"), (3, "\r\n")] {
        yard.deliver(serial, body, false);
    }
    let maildrop = yard.mailboxes.maildrop(MINJI).unwrap();
    let uids: Vec<_> = (0..maildrop.len()).map(|index| maildrop.uid(index).to_owned()).collect();
    assert_eq!(uids, [1, 2, 3].map(|serial| id(serial).to_string()));
    assert_eq!(read(&maildrop, 0), "Return-Path: <a@example.net>\r\nb: 1\r\n\r\n.\r\n..one\r\n");
    assert_eq!(read(&maildrop, 1), "Return-Path: <a@example.net>\r\nb: 2\r\n\r\ntwo\r\n");
    assert_eq!(maildrop.total(), (0..3).map(|index| maildrop.size(index)).sum::<u64>());
    assert!(matches!(yard.mailboxes.maildrop(MINJI), Err(Error::InUse)));
    assert!(matches!(maildrop.read(3), Err(Error::Gone)));
    maildrop.remove(&[0, 2, 99]).unwrap();
    maildrop.remove(&[0]).unwrap();
    drop(maildrop);
    let maildrop = yard.mailboxes.maildrop(MINJI).unwrap();
    assert_eq!((maildrop.len(), maildrop.uid(0)), (1, uids[1].as_str()));
    assert_eq!(yard.mailboxes.usage(MINJI).unwrap().messages, 1);
    assert_eq!(yard.mailboxes.usage(MINJI).unwrap(), yard.mailboxes.recount(MINJI).unwrap());
}

#[test]
fn an_earlier_copy_is_found_wherever_it_was_moved() {
    for place in ["new", "cur", ".Lists.kernel/new", ".Trash/cur", "gone"] {
        let yard = Yard::new();
        let first = yard.deliver(1, "x\r\n", false);
        let name = yard.names("new")[0].clone();
        let from = yard.maildir().join("new").join(&name);
        if place == "gone" {
            std::fs::remove_file(&from).unwrap();
        } else {
            std::fs::create_dir_all(yard.maildir().join(place)).unwrap();
            std::fs::rename(&from, yard.maildir().join(place).join(format!("{name}:2,S"))).unwrap();
        }
        let again = yard.deliver(1, "x\r\n", true);
        assert_eq!(again, Delivered { size: first.size, repeated: place != "gone" }, "{place}");
        assert_eq!(yard.mailboxes.recount(MINJI).unwrap().messages, 1, "{place}");
    }
}

#[test]
fn what_a_crash_left_in_tmp_is_overwritten() {
    let yard = Yard::new();
    yard.deliver(1, "x\r\n", false);
    std::fs::write(yard.maildir().join("tmp").join(id(2).as_str()), "half a mess").unwrap();
    assert!(!yard.deliver(2, "whole\r\n", true).repeated);
    assert!(yard.names("tmp").is_empty());
    assert_eq!(yard.names("new").len(), 2);
}

#[test]
fn a_mailbox_removed_under_a_running_process_is_made_again() {
    let yard = Yard::new();
    yard.deliver(1, "x\r\n", false);
    for gone in ["example.kr", "example.kr/minji", "example.kr/minji/Maildir", "example.kr/minji/Maildir/tmp"] {
        std::fs::remove_dir_all(yard.dir.path().join(gone)).unwrap();
        yard.deliver(2, "x\r\n", false);
        assert!(yard.names("new").contains(&format!("{},S=31,W=33", id(2))), "{gone}");
    }
}

#[test]
fn a_message_whose_source_fails_leaves_nothing() {
    struct Torn;
    impl Read for Torn {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(5))
        }
    }
    let yard = Yard::new();
    let delivery = Delivery { id: &id(1), trace: b"a: b\r\n", body: &mut Torn, repeat: false };
    assert!(matches!(yard.mailboxes.deliver(MINJI, delivery), Err(Error::Source(_))));
    assert!(yard.names("tmp").is_empty() && yard.names("new").is_empty());
}

#[test]
fn odd_accounts_have_a_mailbox_or_a_clear_error() {
    let yard = Yard::new();
    for account in ["a/b@example.kr", "../x@example.kr", "민지@example.kr", "a b@[127.0.0.1]", "@example.kr"] {
        deliver(&yard.mailboxes, account, 1, "x\r\n", false).unwrap();
        assert_eq!(yard.mailboxes.maildrop(account).unwrap().len(), 1, "{account}");
    }
    assert_eq!(yard.mailboxes.accounts().unwrap().len(), 5);
    for account in ["minji", "", &format!("{}@example.kr", "%".repeat(90))] {
        assert!(matches!(deliver(&yard.mailboxes, account, 1, "x\r\n", false), Err(Error::Name(_))), "{account}");
        assert!(matches!(yard.mailboxes.maildrop(account), Err(Error::Name(_))));
    }
}

#[test]
fn a_large_message_streams_through() {
    let yard = Yard::new();
    let body = format!("Subject: large\r\n\r\n{}", "A line of moderate length, as most lines are.\r\n".repeat(50_000));
    let delivered = yard.deliver(1, &body, false);
    let maildrop = yard.mailboxes.maildrop(MINJI).unwrap();
    assert_eq!(read(&maildrop, 0), format!("Return-Path: <a@example.net>\r\n{body}"));
    assert_eq!(delivered.size, maildrop.size(0));
}

#[test]
fn a_delivery_that_stands_still_keeps_no_client_waiting() {
    let yard = Yard::new();
    yard.deliver(1, "a\r\n", false);
    yard.deliver(2, "b\r\n", false);
    let stands_still = std::fs::File::open(yard.dir.path().join("example.kr/minji/usage")).unwrap();
    stands_still.lock().unwrap();
    let maildrop = yard.mailboxes.maildrop(MINJI).unwrap();
    maildrop.remove(&[0]).unwrap();
    assert_eq!(yard.names("new").len(), 1, "removed all the same");
    drop((stands_still, maildrop));
    yard.deliver(3, "c\r\n", false);
    yard.deliver(4, "d\r\n", false);
    let on_disk = yard.names("new").into_iter().map(|name| yard.maildir().join("new").join(name).metadata().unwrap().len());
    let usage = yard.mailboxes.usage(MINJI).unwrap();
    assert_eq!((usage.bytes, usage.messages), (on_disk.sum(), 3), "counted anew");
}
