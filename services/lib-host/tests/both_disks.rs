//! The real disk and the simulated one answer alike.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;

use lib_host::{Access, Dir, Disk, Kind, Purpose, SimDisk};
use lib_mail::Timestamp;

/// Runs the same check on both.
fn on_both(check: impl Fn(Dir)) {
    check(Disk::from(&SimDisk::new()).dir("/some/where").unwrap());
    let temporary = tempfile::tempdir().unwrap();
    check(Disk::real().dir(temporary.path()).unwrap());
}

#[test]
fn names() {
    on_both(|dir| {
        let sub = dir.dir_or_make("sub").unwrap();
        assert_eq!(dir.make_dir("sub").unwrap_err().kind(), ErrorKind::AlreadyExists);
        dir.create("a").unwrap();
        assert_eq!(dir.create("a").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(dir.open("b", Access::Read).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(dir.stat("b").unwrap(), None);
        dir.rename_new("a", &sub, "b").unwrap();
        dir.create("a").unwrap();
        assert_eq!(dir.rename_new("a", &sub, "b").unwrap_err().kind(), ErrorKind::AlreadyExists);
        dir.rename("a", &sub, "b").unwrap();
        assert!(dir.stat("sub/b").unwrap().is_some());
        sub.sync(Purpose::Layout).unwrap();
        dir.create("c").unwrap();
        let mut found = dir.list().unwrap();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        let found: Vec<_> = found.iter().map(|entry| (entry.name.to_str().unwrap(), entry.kind)).collect();
        assert_eq!(found, [("c", Kind::File), ("sub", Kind::Dir)]);
        dir.unlink("c").unwrap();
        assert_eq!(dir.unlink("c").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(dir.stat("").unwrap().unwrap().kind, Kind::Dir);
    });
}

#[test]
fn one_sync_for_all() {
    on_both(|dir| {
        let sub = dir.dir_or_make("sub").unwrap();
        let all = sub.begin_sync_all().unwrap();
        dir.create("a").unwrap().write_at(b"x", 0).unwrap();
        dir.rename("a", &sub, "a").unwrap();
        all.sync(Purpose::MaildirFile).unwrap();
        all.sync(Purpose::MaildirDirectory).unwrap();
        assert!(sub.stat("a").unwrap().is_some());
    });
}

#[test]
fn content() {
    on_both(|dir| {
        let file = dir.create("f").unwrap();
        file.write_at(b"hello", 3).unwrap();
        file.write_at(b"abc", 0).unwrap();
        file.set_mtime(Timestamp(1_234_567_891)).unwrap();
        file.sync(Purpose::SpoolMessage).unwrap();
        let meta = file.meta().unwrap();
        assert_eq!((meta.len, meta.mtime, meta.links, meta.kind), (8, Timestamp(1_234_567_891), 1, Kind::File));
        assert!(meta.same_file(&dir.stat("f").unwrap().unwrap()));
        let end = dir.open_or_create("f").unwrap();
        end.append(b"\nmore").unwrap();
        assert_eq!(file.read_from(0, 100).unwrap(), b"abchello\nmore");
        assert_eq!(file.read_from(9, 100).unwrap(), b"more");
        assert_eq!(file.read_from(0, 5).unwrap_err().kind(), ErrorKind::InvalidData);
        let mut buffer = [0; 4];
        assert_eq!((file.read_at(&mut buffer, 11).unwrap(), &buffer[..2]), (2, &b"re"[..]));
        file.set_len(3).unwrap();
        file.allocate(6).unwrap();
        assert_eq!(file.read_from(0, 100).unwrap(), b"abc\0\0\0");
        assert!(dir.open_or_create("g").is_ok());
        dir.unlink("f").unwrap();
        assert_eq!(file.meta().unwrap().links, 0);
    });
}

#[test]
fn replacing_is_whole() {
    on_both(|dir| {
        dir.replace("names", b"one", 0o644, Purpose::Account).unwrap();
        dir.create("names.new").unwrap();
        dir.replace("names", b"two", 0o644, Purpose::Account).unwrap();
        assert_eq!(dir.open("names", Access::Read).unwrap().read_from(0, 10).unwrap(), b"two");
        assert_eq!(dir.list().unwrap().len(), 1);
    });
}

#[test]
fn locks() {
    on_both(|dir| {
        let first = dir.create("f").unwrap();
        let second = dir.open("f", Access::Append).unwrap();
        assert!(first.try_lock().unwrap());
        assert!(!second.try_lock().unwrap());
        assert!(!second.lock_within(std::time::Duration::from_millis(20)).unwrap());
        first.unlock().unwrap();
        assert!(second.try_lock().unwrap());
        drop(second);
        first.lock().unwrap();
    });
}

#[test]
fn a_full_disk_is_told_by_its_room() {
    on_both(|dir| {
        let space = dir.space().unwrap();
        assert!(space.free_bytes <= space.total_bytes && space.free_inodes <= space.total_inodes);
    });
}
