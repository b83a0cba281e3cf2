//! What must stay true however long a message waits and however full the disk is.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{LIMIT, START, open_with, outcome, paths, put, to};
use lib_host::{Clock, Disk, SimDisk};
use lib_mail::{By, Enhanced, Status, Timestamp};
use lib_settings::{Profile, Settings};
use lib_spool::{Ended, Limits, Options, Outcome, Queue, Spool, What};

const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

fn worded(what: What, index: usize, at: Timestamp) -> (usize, Outcome) {
    let (code, class) = if what == What::Failed { (550, 5) } else { (450, 4) };
    let text = format!("<user{index}@example.org>: {}", "later ".repeat(100));
    let by = By::Remote("mx.example.org [192.0.2.1]".into());
    (index, Outcome { what, status: Status::new(code, Enhanced::new(class, 2, 0), by, text, at) })
}

/// Each attempt adds more than half a megabyte of a stranger's words. Without a bound the history is soon too long to be read.
#[test]
fn a_message_deferred_for_ever_can_still_be_claimed_and_returned() {
    const RECIPIENTS: usize = 1000;
    let (disk, clock) = (SimDisk::new(), Clock::manual(START));
    let spool = open_with(&disk, &clock).unwrap();
    let addresses: Vec<String> = (0..RECIPIENTS).map(|index| format!("user{index}@example.org")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let id = put(&spool, b"x", to(Queue::Relay, &addresses)).unwrap();
    for attempt in 0..150 {
        let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
        let recipients = claim.recipients();
        assert_eq!(recipients.deferrals(RECIPIENTS - 1), attempt);
        assert_eq!(recipients.last_at(), (attempt > 0).then(|| clock.now()), "the schedule knows of the attempt before");
        clock.advance(HALF_AN_HOUR);
        let deferred: Vec<_> = (0..RECIPIENTS).map(|index| worded(What::Deferred, index, clock.now())).collect();
        claim.record(&deferred).unwrap();
        assert_eq!(claim.defer(clock.now()).unwrap(), Ended::Deferred(clock.now()));
    }
    let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
    let failed: Vec<_> = (0..RECIPIENTS).map(|index| worded(What::Failed, index, clock.now())).collect();
    claim.record(&failed).unwrap();
    claim.defer(clock.now()).unwrap();
    let len = disk.files().iter().map(|(_, octets)| octets.len()).max().unwrap();
    assert!(len < 3 << 20, "{len}");
    let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
    assert_eq!(claim.recipients().failed().len(), RECIPIENTS);
    claim.record(&(0..RECIPIENTS).map(|index| (index, outcome(What::Notified(None)))).collect::<Vec<_>>()).unwrap();
    claim.finish().unwrap();
    assert!(paths(&disk).is_empty());
}

#[test]
fn aliases_with_too_many_members_are_refused_before_they_are_written() {
    let (disk, clock) = (SimDisk::new(), Clock::manual(START));
    let spool = open_with(&disk, &clock).unwrap();
    let id = put(&spool, b"x", to(Queue::Local, &["a@b.example"])).unwrap();
    let claim = spool.claim(Queue::Local, &id).unwrap().unwrap();
    let before = disk.files();
    let many = What::Expanded(vec![String::new(); 1_000_000]);
    assert!(claim.record(&[(0, outcome(many))]).is_err());
    assert_eq!(disk.files(), before);
    assert_eq!(claim.pending(), [0]);
}

#[test]
fn the_reserve_is_what_the_settings_say_and_a_reload_changes_it() {
    let mut settings = Settings::defaults(Profile::Office);
    settings.hostname = "mail.example.net".parse().unwrap();
    settings.spool.reserve_percent = 20;
    let (disk, clock) = (SimDisk::new(), Clock::manual(START));
    disk.set_room(1_000_000_000_000, 1000);
    let options = Options { disk: Disk::from(&disk), ..Options::of(&settings, clock.clone()) };
    let spool = Spool::open("/spool".as_ref(), options).unwrap();
    let needed = || {
        let space = spool.space().unwrap();
        (space.needed_bytes / 10_000_000_000, space.needed_inodes / 10)
    };
    assert_eq!(needed(), (20, 20));
    settings.spool.reserve_percent = 1;
    spool.limit(Limits::of(&settings));
    assert_eq!(needed(), (1, 1));
    settings.spool.reserve_percent = 0;
    spool.limit(Limits::of(&settings));
    assert_eq!(spool.space().unwrap().needed_bytes, settings.largest_message() * 3 / 2);
}

#[test]
fn what_was_written_since_the_last_look_counts_at_once() {
    let (disk, clock) = (SimDisk::new(), Clock::manual(START));
    let spool = open_with(&disk, &clock).unwrap();
    disk.set_room(10 * LIMIT, 1000);
    let before = spool.space().unwrap();
    let mut taken = 0;
    while spool.space().unwrap().admits(0) {
        put(&spool, &common::message(LIMIT as usize - 1000), to(Queue::Local, &["a@b.example"])).unwrap();
        taken += 1;
    }
    // By the figures of a second ago the disk would have been filled up to the last octet. The last message may reach into the reserve.
    assert_eq!((taken, before.needed_bytes), (9, LIMIT * 3 / 2));
    assert_eq!(spool.space().unwrap().free_inodes, before.free_inodes - taken);
    disk.set_room(10 * LIMIT, 1000);
    assert!(!spool.space().unwrap().admits(0), "they are looked up once a second");
    clock.advance(Duration::from_secs(1));
    assert!(spool.space().unwrap().admits(0));
}

#[test]
fn no_ballast_is_kept_where_the_settings_want_none() {
    let mut settings = Settings::defaults(Profile::Office);
    let (disk, clock) = (SimDisk::new(), Clock::manual(START));
    let open = |settings: &Settings| {
        let options = Options { disk: Disk::from(&disk), ..Options::of(settings, clock.clone()) };
        let limits = Limits { size: LIMIT, ..options.limits };
        Spool::open("/spool".as_ref(), Options { limits, ..options }).unwrap()
    };
    assert!(open(&settings).sweep(Queue::Local).unwrap().ballast_restored);
    settings.spool.ballast = false;
    let spool = open(&settings);
    assert!(!spool.sweep(Queue::Local).unwrap().ballast_restored);
    assert!(!spool.release_ballast(), "what lay there was given up");
}

#[test]
fn where_outcomes_cannot_be_recorded_nothing_is_attempted_until_they_can_be() {
    let (disk, clock) = (SimDisk::new(), Clock::manual(START));
    let spool = open_with(&disk, &clock).unwrap();
    let [first, second] = [0, 1].map(|_| put(&spool, b"x", to(Queue::Relay, &["a@b.example"])).unwrap());
    let claim = spool.claim(Queue::Relay, &first).unwrap().unwrap();
    disk.set_room(0, 0);
    assert!(claim.record(&[(0, outcome(What::Relayed))]).unwrap_err().is_full());
    assert!(spool.in_trouble());
    let pause = spool.pause();
    assert_eq!(claim.defer(clock.now().plus(pause)).unwrap(), Ended::Deferred(START.plus(pause)));
    assert!(spool.claim(Queue::Relay, &second).unwrap_err().is_full(), "the disk takes no test");
    assert_eq!(common::due(&spool, Queue::Relay, START), [], "both wait");
    assert!(spool.claim(Queue::Relay, &first).unwrap().is_none(), "one test is enough for a while");
    clock.advance(Duration::from_secs(600));
    assert!(spool.claim(Queue::Relay, &first).unwrap_err().is_full());
    assert!(spool.pause() > pause, "the pause grows");
    disk.set_room(40 * LIMIT, 1000);
    clock.advance(Duration::from_secs(60));
    assert!(spool.claim(Queue::Relay, &first).unwrap().is_some());
    assert!(!spool.in_trouble());
}

#[test]
fn a_message_whose_sync_failed_is_not_due_at_once() {
    let (disk, clock) = (SimDisk::new(), Clock::manual(START));
    let spool = open_with(&disk, &clock).unwrap();
    let id = put(&spool, b"x", to(Queue::Relay, &["a@b.example", "c@d.example"])).unwrap();
    let claim = spool.claim(Queue::Relay, &id).unwrap().unwrap();
    claim.record(&[(0, outcome(What::Relayed))]).unwrap();
    disk.fail_after(0, std::io::ErrorKind::Other);
    let later = START.plus(HALF_AN_HOUR);
    assert!(claim.defer(later).is_err());
    assert_eq!(common::due(&spool, Queue::Relay, START), []);
    assert_eq!(common::due(&spool, Queue::Relay, later), [id]);
}
