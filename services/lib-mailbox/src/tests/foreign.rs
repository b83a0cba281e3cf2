//! Files that other tools put into a Maildir, and what they do to ours.

use std::time::Duration;

use super::*;

/// A file written by another tool.
fn put(yard: &Yard, place: &str, text: &str) {
    let path = yard.maildir().join(place);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn names_flags_and_line_ends_of_all_kinds_are_served() {
    let yard = Yard::new();
    for (place, text, wire, uid) in [
        ("new/1795.M1P1.host", "a: 1\n\nx\n", "a: 1\r\n\r\nx\r\n", "1795.M1P1.host"),
        ("cur/1795.M2P1.host:2,FRS", "a: 1\n\nx", "a: 1\r\n\r\nx\r\n", "1795.M2P1.host"),
        ("cur/1795.M3P1.host,S=11:2,S", "a: 1\r\n\r\nx\r\n", "a: 1\r\n\r\nx\r\n", "1795.M3P1.host"),
        ("cur/1795.M4P1.host,S=9,W=12:2,", "a: 1\n\nx\ny", "a: 1\r\n\r\nx\r\ny\r\n", "1795.M4P1.host"),
        ("new/with space", "x\r\ny\n", "x\r\ny\r\n", ""),
        ("new/empty", "", "", "empty"),
        ("new/lone\tcr", "a\rb\n", "a\rb\r\n", ""),
    ] {
        put(&yard, place, text);
        let maildrop = yard.mailboxes.maildrop(MINJI).unwrap();
        assert_eq!(maildrop.len(), 1, "{place}");
        if !place.contains("W=12") {
            assert_eq!(read(&maildrop, 0), wire, "{place}");
        }
        if uid.is_empty() {
            assert!(maildrop.uid(0).starts_with('~'), "{place}");
        } else {
            assert_eq!(maildrop.uid(0), uid);
        }
        maildrop.remove(&[0]).unwrap();
        assert!(!yard.maildir().join(place).exists(), "{place}");
    }
}

#[test]
fn what_is_no_message_is_not_listed() {
    let yard = Yard::new();
    for place in ["new/.hidden", "cur/sub/x", ".Sent/cur/y:2,S", "tmp/z", "dovecot.index"] {
        put(&yard, place, "x\n");
    }
    assert!(yard.mailboxes.maildrop(MINJI).unwrap().is_empty());
    // The folder's message counts all the same.
    assert_eq!(yard.mailboxes.recount(MINJI).unwrap(), Usage { bytes: 2, messages: 1 });
}

#[test]
fn a_message_moved_during_the_session_is_found_and_removed() {
    let yard = Yard::new();
    yard.deliver(1, "x\r\n", false);
    yard.deliver(2, "y\r\n", false);
    let maildrop = yard.mailboxes.maildrop(MINJI).unwrap();
    for name in yard.names("new") {
        std::fs::rename(yard.maildir().join("new").join(&name), yard.maildir().join("cur").join(format!("{name}:2,S")))
            .unwrap();
    }
    assert!(read(&maildrop, 0).ends_with("x\r\n"));
    let moved = yard.names("cur");
    std::fs::remove_file(yard.maildir().join("cur").join(&moved[1])).unwrap();
    assert!(matches!(maildrop.read(1), Err(Error::Gone)));
    maildrop.remove(&[0, 1]).unwrap();
    assert!(yard.names("cur").is_empty());
}

#[test]
fn of_two_files_with_one_base_the_later_place_counts() {
    let yard = Yard::new();
    put(&yard, "new/1795.host", "old\n");
    put(&yard, "cur/1795.host:2,S", "newer\n");
    let maildrop = yard.mailboxes.maildrop(MINJI).unwrap();
    assert_eq!(maildrop.len(), 1);
    assert_eq!(read(&maildrop, 0), "newer\r\n");
}

/// A listing is used again only while nothing changed, and a change within a tick of the clock is not missed.
#[test]
fn a_kept_listing_is_never_stale() {
    let yard = Yard::new();
    for serial in 1..=50 {
        yard.deliver(serial, "x\r\n", false);
        assert_eq!(yard.mailboxes.maildrop(MINJI).unwrap().len(), serial as usize);
    }
    // An old directory is believed: make both old, list, and see that the listing is the same one.
    age(&yard);
    let first = yard.mailboxes.maildrop(MINJI).unwrap().uid(0).as_ptr();
    assert_eq!(yard.mailboxes.maildrop(MINJI).unwrap().uid(0).as_ptr(), first);
    yard.deliver(51, "x\r\n", false);
    assert_eq!(yard.mailboxes.maildrop(MINJI).unwrap().len(), 51);
    yard.mailboxes.maildrop(MINJI).unwrap().remove(&[0]).unwrap();
    assert_eq!(yard.mailboxes.maildrop(MINJI).unwrap().len(), 50);
}

fn age(yard: &Yard) {
    for part in ["new", "cur"] {
        let dir = std::fs::File::open(yard.maildir().join(part)).unwrap();
        dir.set_modified(std::time::SystemTime::now() - Duration::from_secs(60)).unwrap();
    }
}

/// A size that had to be counted is counted once.
#[test]
fn a_counted_size_is_remembered() {
    let yard = Yard::new();
    put(&yard, "cur/1795.host:2,", "a\nb\n");
    assert_eq!(yard.mailboxes.maildrop(MINJI).unwrap().size(0), 6);
    // Same name, other content: no tool does that, which is what makes the name worth remembering.
    put(&yard, "cur/1795.host:2,", "a\nb\nc\n");
    put(&yard, "cur/1796.host:2,", "a\nb\nc\n");
    let maildrop = yard.mailboxes.maildrop(MINJI).unwrap();
    assert_eq!((maildrop.size(0), maildrop.size(1)), (6, 9));
}
