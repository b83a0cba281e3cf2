use std::io::ErrorKind;

use lib_mail::Timestamp;

use super::SimDisk;
use crate::{Access, Dir, Disk, Purpose};

const SYNC: Purpose = Purpose::SpoolMessage;

fn root(disk: &SimDisk) -> Dir {
    Disk::from(disk).dir("/d").unwrap()
}

fn content(disk: &SimDisk, name: &str) -> Option<String> {
    let path = format!("/d/{name}");
    disk.files().into_iter().find(|(at, _)| *at == path).map(|(_, bytes)| String::from_utf8_lossy(&bytes).into_owned())
}

#[test]
fn only_what_was_synced_survives() {
    let disk = SimDisk::new();
    let dir = root(&disk);
    let kept = dir.create("kept").unwrap();
    kept.write_at(b"one", 0).unwrap();
    kept.set_mtime(Timestamp(5)).unwrap();
    kept.sync(SYNC).unwrap();
    kept.write_at(b"two", 3).unwrap();
    dir.create("lost").unwrap().write_at(b"x", 0).unwrap();
    let after = disk.power_cut(0);
    assert_eq!((content(&after, "kept"), content(&after, "lost")), (Some("one".into()), None));
    assert_eq!(root(&after).stat("kept").unwrap().unwrap().mtime, Timestamp(5));
    let lucky = disk.power_cut(1);
    assert_eq!((content(&lucky, "kept"), content(&lucky, "lost")), (Some("onetwo".into()), Some("x".into())));
    let killed = disk.kill();
    assert_eq!(content(&killed, "kept"), Some("onetwo".into()));
}

#[test]
fn seeds_lose_different_things_and_the_same_seed_the_same() {
    let disk = SimDisk::new();
    let file = root(&disk).create("f").unwrap();
    file.sync(SYNC).unwrap();
    for place in 0..8 {
        file.write_at(b"abcdefgh", place * 8).unwrap();
    }
    let seen: std::collections::BTreeSet<_> = (0..40).map(|seed| content(&disk.power_cut(seed), "f")).collect();
    assert!(seen.len() > 20, "{}", seen.len());
    assert_eq!(content(&disk.power_cut(7), "f"), content(&disk.power_cut(7), "f"));
    assert!((0..40).any(|seed| content(&disk.power_cut(seed), "f").is_some_and(|text| text.contains('\0'))));
}

#[test]
fn a_rename_needs_a_directory_sync_and_is_never_half() {
    let disk = SimDisk::new();
    let dir = root(&disk);
    dir.make_dir("tmp").unwrap();
    dir.make_dir("new").unwrap();
    dir.sync(Purpose::Layout).unwrap();
    let (tmp, new) = (dir.dir("tmp").unwrap(), dir.dir("new").unwrap());
    let file = tmp.create("m").unwrap();
    file.write_at(b"mail", 0).unwrap();
    file.sync(SYNC).unwrap();
    tmp.rename("m", &new, "m").unwrap();
    for seed in 0..30 {
        let after = disk.power_cut(seed);
        let places = [content(&after, "tmp/m"), content(&after, "new/m")];
        assert_eq!(places.iter().flatten().count(), 1, "{seed}");
    }
    assert!(content(&disk.power_cut(0), "new/m").is_none());
    new.sync(Purpose::MaildirDirectory).unwrap();
    assert_eq!(content(&disk.power_cut(0), "new/m"), Some("mail".into()));
    new.unlink("m").unwrap();
    assert!(content(&disk.power_cut(0), "new/m").is_some());
    assert!(content(&disk.power_cut(1), "new/m").is_none());
}

#[test]
fn one_sync_makes_everything_durable_and_its_failure_loses_everything() {
    let disk = SimDisk::new();
    let dir = root(&disk);
    assert!(!dir.can_sync_all().unwrap());
    disk.can_sync_all();
    assert!(dir.can_sync_all().unwrap());
    dir.make_dir("new").unwrap();
    let new = dir.dir("new").unwrap();
    let all = new.begin_sync_all().unwrap();
    for name in ["a", "b"] {
        dir.create(name).unwrap().write_at(b"mail", 0).unwrap();
        dir.rename(name, &new, name).unwrap();
    }
    all.sync(SYNC).unwrap();
    let after = disk.power_cut(0);
    assert_eq!([content(&after, "new/a"), content(&after, "new/b")], [Some("mail".into()), Some("mail".into())]);
    let all = dir.begin_sync_all().unwrap();
    dir.create("c").unwrap().write_at(b"mail", 0).unwrap();
    disk.fail_next("syncfs", ErrorKind::Other);
    assert!(all.sync(SYNC).is_err());
    dir.begin_sync_all().unwrap().sync(SYNC).unwrap();
    assert_eq!(content(&disk.power_cut(0), "c"), Some(String::new()));
}

#[test]
fn an_unsynced_directory_takes_its_files_along() {
    let disk = SimDisk::new();
    let dir = root(&disk);
    let sub = dir.dir_or_make("sub").unwrap();
    sub.create("f").unwrap().sync(SYNC).unwrap();
    assert!(content(&disk.power_cut(0), "sub/f").is_none());
    dir.sync(Purpose::Layout).unwrap();
    assert!(content(&disk.power_cut(0), "sub/f").is_some());
}

#[test]
fn names_can_be_made_to_need_the_directory() {
    let disk = SimDisk::new();
    disk.names_need_directory_sync();
    root(&disk).create("f").unwrap().sync(SYNC).unwrap();
    assert!(content(&disk.power_cut(0), "f").is_none());
    root(&disk).sync(SYNC).unwrap();
    assert!(content(&disk.power_cut(0), "f").is_some());
}

#[test]
fn a_failed_sync_loses_its_data_for_good() {
    let disk = SimDisk::new();
    let file = root(&disk).create("f").unwrap();
    file.sync(SYNC).unwrap();
    file.write_at(b"gone", 0).unwrap();
    disk.fail_after(0, ErrorKind::Other);
    assert!(file.sync(SYNC).is_err());
    file.sync(SYNC).unwrap();
    assert_eq!(content(&disk, "f"), Some("gone".into()));
    assert_eq!(content(&disk.power_cut(1), "f"), Some(String::new()));
}

#[test]
fn a_cut_refuses_every_later_call() {
    let disk = SimDisk::new();
    let dir = root(&disk);
    disk.cut_after(1);
    let file = dir.create("f").unwrap();
    assert!(file.write_at(b"x", 0).is_err() && dir.unlink("f").is_err());
    assert!(disk.was_cut());
    assert_eq!(content(&disk.kill(), "f"), Some(String::new()));
}

#[test]
fn room_ends_and_a_short_write_stays() {
    let disk = SimDisk::new();
    let dir = root(&disk);
    disk.set_room(4, 1);
    dir.create("f").unwrap();
    assert_eq!(dir.create("g").unwrap_err().kind(), ErrorKind::StorageFull);
    let file = dir.open("f", Access::Append).unwrap();
    assert_eq!(file.append(b"sixsix").unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(content(&disk, "f"), Some("sixs".into()));
    assert_eq!(dir.space().unwrap().free_bytes, 0);
    file.set_len(0).unwrap();
    assert_eq!(dir.space().unwrap().free_bytes, 4);
}

#[test]
fn locks_exclude_and_die() {
    let disk = SimDisk::new();
    let dir = root(&disk);
    let first = dir.create("f").unwrap();
    let second = dir.open("f", Access::Write).unwrap();
    assert!(first.try_lock().unwrap() && first.try_lock().unwrap());
    assert!(!second.try_lock().unwrap());
    drop(first);
    assert!(second.try_lock().unwrap());
    let after = disk.kill();
    assert_eq!((disk.locks(), after.locks()), (1, 0));
    assert!(root(&after).open("f", Access::Write).unwrap().try_lock().unwrap());
}

#[test]
fn a_purpose_can_be_left_out() {
    let disk = SimDisk::new();
    disk.skip(Purpose::Outcome);
    let file = root(&disk).create("f").unwrap();
    file.sync(Purpose::Outcome).unwrap();
    assert_eq!((content(&disk.power_cut(0), "f"), disk.syncs(Purpose::Outcome)), (None, 1));
    file.sync(SYNC).unwrap();
    assert!(content(&disk.power_cut(0), "f").is_some());
}
