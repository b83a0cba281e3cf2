//! Every disk call as the last one: what is left is always in a row of docs/mailbox.md, and what was promised is there.

use std::collections::BTreeMap;

use lib_host::{Disk, Purpose, SimDisk};

use super::*;

/// Power cuts tried at each place: all lost, all kept, and mixtures.
const SEEDS: u64 = 12;

/// What a run was told before its disk died.
#[derive(Default)]
struct Promises {
    /// Deliveries that returned.
    delivered: Vec<u32>,
    /// Removals that began.
    removing: Vec<u32>,
    /// Removals that returned.
    removed: Vec<u32>,
}

fn body(serial: u32) -> String {
    format!("Subject: {serial}\r\n\r\n{}", "A line of it.\r\n".repeat(serial as usize * 3))
}

fn mailboxes(disk: &SimDisk) -> io::Result<Mailboxes> {
    Mailboxes::open_on(&Disk::from(disk), Path::new("/mail"))
}

/// How the first three messages are delivered.
#[derive(Clone, Copy)]
enum Way {
    OneByOne,
    /// In one call.
    Together,
}

/// Three deliveries to two accounts, a POP3 session that removes the first, another delivery.
fn run(disk: &SimDisk, way: Way) -> Promises {
    let mut promises = Promises::default();
    let _ = run_until_cut(disk, way, &mut promises);
    promises
}

fn run_until_cut(disk: &SimDisk, way: Way, promises: &mut Promises) -> Result<(), Error> {
    let at = |source| Error::Disk { doing: "open", account: String::new(), source };
    let mailboxes = mailboxes(disk).map_err(at)?;
    match way {
        Way::OneByOne => {
            for serial in 1..=3 {
                deliver(&mailboxes, account_of(serial), serial, &body(serial), false)?;
                promises.delivered.push(serial);
            }
        }
        Way::Together => {
            let mut failed = None;
            for (serial, delivered) in (1..).zip(deliver_first(&mailboxes)) {
                match delivered {
                    Ok(_) => promises.delivered.push(serial),
                    Err(error) => failed = Some(error),
                }
            }
            failed.map_or(Ok(()), Err)?;
        }
    }
    let maildrop = mailboxes.maildrop(MINJI)?;
    promises.removing.push(1);
    maildrop.remove(&[0])?;
    promises.removed.push(1);
    drop(maildrop);
    deliver(&mailboxes, MINJI, 4, &body(4), false)?;
    promises.delivered.push(4);
    Ok(())
}

/// The first three messages by one call.
fn deliver_first(mailboxes: &Mailboxes) -> Vec<Result<Delivered, Error>> {
    let texts: Vec<_> = (1..=3).map(|serial| (serial, id(serial), body(serial))).collect();
    let mut bodies: Vec<_> = texts.iter().map(|(_, _, body)| body.as_bytes()).collect();
    let mut deliveries: Vec<_> = (texts.iter().zip(&mut bodies))
        .map(|((serial, id, _), body)| {
            (account_of(*serial), Delivery { id, trace: b"Return-Path: <a@example.net>\r\n", body, repeat: false })
        })
        .collect();
    mailboxes.deliver_all(&mut deliveries)
}

fn account_of(serial: u32) -> &'static str {
    if serial == 3 { "sora@example.kr" } else { MINJI }
}

/// The message files of all mailboxes, `tmp/` aside: by serial, each with its path and content.
fn messages(disk: &SimDisk) -> BTreeMap<u32, Vec<(String, Vec<u8>)>> {
    let mut found: BTreeMap<u32, Vec<(String, Vec<u8>)>> = BTreeMap::new();
    for (path, content) in disk.files() {
        if !path.contains("/new/") && !path.contains("/cur/") {
            continue;
        }
        let serial = (1..=4).find(|serial| path.contains(id(*serial).as_str())).unwrap_or(0);
        found.entry(serial).or_default().push((path, content));
    }
    found
}

/// A disk that came back, against the promises made before.
fn check(disk: &SimDisk, promises: &Promises) -> Result<(), String> {
    let found = messages(disk);
    for (serial, copies) in &found {
        let whole = format!("Return-Path: <a@example.net>\n{}", body(*serial).replace("\r\n", "\n")).into_bytes();
        if copies.len() != 1 || copies[0].1 != whole {
            return Err(format!("{serial} is there {} times, or not whole: {:?}", copies.len(), copies[0].0));
        }
    }
    for serial in &promises.delivered {
        if !found.contains_key(serial) && !promises.removing.contains(serial) {
            return Err(format!("{serial} was delivered and is not there"));
        }
    }
    match promises.removed.iter().find(|serial| found.contains_key(serial)) {
        Some(serial) => Err(format!("{serial} was removed and is there")),
        None => Ok(()),
    }
}

/// The next process: repeats what has no outcome, and finds a true ledger and a free maildrop.
fn recover(disk: &SimDisk, promises: &Promises) -> Result<(), String> {
    let mailboxes = mailboxes(disk).map_err(|error| error.to_string())?;
    for serial in 1..=4 {
        if !promises.removing.contains(&serial) {
            deliver(&mailboxes, account_of(serial), serial, &body(serial), true).map_err(|error| error.to_string())?;
        }
    }
    check(disk, promises)?;
    for account in [MINJI, "sora@example.kr"] {
        let told = mailboxes.usage(account).map_err(|error| error.to_string())?;
        let counted = mailboxes.recount(account).map_err(|error| error.to_string())?;
        if told != counted {
            return Err(format!("the ledger of {account} says {told:?}, there is {counted:?}"));
        }
        mailboxes.maildrop(account).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// Runs with the disk cut after each call, as `prepare` made it; the first violation.
fn replay(way: Way, prepare: impl Fn(&SimDisk)) -> Result<u64, String> {
    let whole = SimDisk::new();
    prepare(&whole);
    run(&whole, way);
    let calls = whole.calls();
    for cut in 0..=calls {
        let disk = SimDisk::new();
        prepare(&disk);
        disk.cut_after(cut);
        let promises = run(&disk, way);
        let after = (0..SEEDS).map(|seed| (format!("power cut, seed {seed}"), disk.power_cut(seed)));
        for (how, left) in after.chain([("kill".to_owned(), disk.kill())]) {
            let named = |what| format!("after {} of {calls} calls, {how}: {what}; {:?}", cut, disk.trace().last());
            check(&left, &promises).map_err(named)?;
            recover(&left, &promises).map_err(named)?;
        }
    }
    Ok(calls)
}

#[test]
fn whatever_call_is_the_last_the_rows_hold() {
    let calls = replay(Way::OneByOne, |_| {}).unwrap();
    assert!(calls > 60, "{calls}");
}

#[test]
fn they_hold_for_copies_that_are_delivered_together() {
    replay(Way::Together, |_| {}).unwrap();
    let calls = replay(Way::Together, SimDisk::can_sync_all).unwrap();
    assert!(calls > 50, "{calls}");
}

#[test]
fn they_hold_where_a_name_needs_its_directory_synced() {
    replay(Way::OneByOne, SimDisk::names_need_directory_sync).unwrap();
    replay(Way::Together, SimDisk::names_need_directory_sync).unwrap();
}

#[test]
fn without_the_file_sync_half_messages_show() {
    for way in [Way::OneByOne, Way::Together] {
        let violation = replay(way, |disk| disk.skip(Purpose::MaildirFile)).unwrap_err();
        assert!(violation.contains("not whole") || violation.contains("not there"), "{violation}");
    }
    let violation = replay(Way::Together, |disk| {
        disk.can_sync_all();
        disk.skip(Purpose::MaildirFile);
    });
    let violation = violation.unwrap_err();
    assert!(violation.contains("not whole"), "{violation}");
}

#[test]
fn without_the_directory_sync_messages_are_lost() {
    for way in [Way::OneByOne, Way::Together] {
        let violation = replay(way, |disk| disk.skip(Purpose::MaildirDirectory)).unwrap_err();
        assert!(violation.contains("not there"), "{violation}");
    }
    let violation = replay(Way::Together, |disk| {
        disk.can_sync_all();
        disk.skip(Purpose::MaildirDirectory);
    });
    let violation = violation.unwrap_err();
    assert!(violation.contains("not there"), "{violation}");
}

/// A sync that fails leaves no copy that was not claimed, and the next attempt delivers one.
#[test]
fn a_failed_call_never_leaves_two_copies_or_a_false_claim() {
    let prepared = [(Way::OneByOne, false), (Way::Together, false), (Way::Together, true)];
    for (way, syncs_all) in prepared {
        let new = || {
            let disk = SimDisk::new();
            if syncs_all {
                disk.can_sync_all();
            }
            disk
        };
        let whole = new();
        run(&whole, way);
        (0..whole.calls()).for_each(|failing| fail(&new(), way, failing));
    }
}

fn fail(disk: &SimDisk, way: Way, failing: u64) {
    disk.fail_after(failing, io::ErrorKind::Other);
    let promises = run(disk, way);
    for left in [disk.kill(), disk.power_cut(0), disk.power_cut(1), disk.power_cut(9)] {
        let named = |what| format!("call {failing} fails ({:?}): {what}", disk.trace().get(failing as usize));
        check(&left, &promises).map_err(named).unwrap();
        recover(&left, &promises).map_err(named).unwrap();
    }
}

#[test]
fn a_full_disk_takes_nothing_and_gives_back_everything() {
    let disk = SimDisk::new();
    let mailboxes = mailboxes(&disk).unwrap();
    deliver(&mailboxes, MINJI, 4, &body(4), false).unwrap();
    disk.set_room(10, 0);
    assert!(deliver(&mailboxes, MINJI, 2, &body(2), false).is_err());
    let maildrop = mailboxes.maildrop(MINJI).unwrap();
    maildrop.remove(&[0]).unwrap();
    drop(maildrop);
    deliver(&mailboxes, MINJI, 2, &body(2), true).unwrap();
    assert_eq!(messages(&disk).keys().copied().collect::<Vec<_>>(), [2]);
}
