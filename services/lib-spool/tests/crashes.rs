//! Every operation, cut after each of its disk calls, by a kill and by power cuts that lose different things; then the next start must
//! find what docs/spool.md says.
#![allow(clippy::unwrap_used)]

mod common;
mod replay;

use std::time::Duration;

use common::{LIMIT, START, message, outcome, put, to, to_both};
use lib_host::{Purpose, SimDisk};
use lib_settings::{Profile, Settings};
use lib_spool::{Claim, Command, Commit, Ended, Error, Queue, Removals, ReportingMta, Settling, Spool, What, schedule_of};
use replay::{Log, Scenario, attempt, replay};

fn held(commit: Commit) -> Commit {
    Commit { held: true, ..commit }
}

/// All operations; what each needs is there and durable before it begins.
fn scenarios() -> Vec<Scenario> {
    let commit = |name, size: usize, what: fn() -> Commit| {
        Scenario::new(name, |_, _| {}, move |spool, log| log.commit(spool, &message(size), what()))
    };
    let two = || to(Queue::Relay, &["a@far.example", "b@far.example"]);
    vec![
        commit("a small message", 2000, || to(Queue::Local, &["a@b.example"])),
        commit("a small message for both queues", 2000, to_both),
        commit("a long message", 300_000, || to(Queue::Local, &["a@b.example"])),
        commit("a long message in the other queue than expected", 300_000, || to(Queue::Relay, &["a@b.example"])),
        commit("a long message for both queues", 300_000, to_both),
        commit("a held message", 2000, || held(to(Queue::Local, &["a@b.example"]))),
        commit("a long held message for both queues", 300_000, || held(to_both())),
        Scenario::new(
            "a long message given up",
            |_, _| {},
            |spool, log| {
                let mut incoming = spool.begin();
                log.begin(incoming.id(), &message(200_000));
                incoming.append(&message(200_000))?;
                incoming.discard();
                Ok(())
            },
        ),
        Scenario::new(
            "all delivered",
            |spool, log| log.commit(spool, &message(500), to(Queue::Local, &["a@b.example", "c@d.example"])).unwrap(),
            |spool, log| attempt(spool, log, Queue::Local),
        ),
        Scenario::new(
            "one delivered, one deferred",
            move |spool, log| log.commit(spool, &message(500), two()).unwrap(),
            |spool, log| {
                let id = log.first();
                let Some(claim) = spool.claim(Queue::Relay, &id)? else { return Ok(()) };
                log.deliver(id, Queue::Relay, 0);
                claim.record(&[(0, outcome(What::Relayed)), (1, outcome(What::Deferred))])?;
                claim.sync()?;
                log.synced(id, Queue::Relay, 0);
                claim.defer(START.plus(Duration::from_secs(60))).map(drop)
            },
        ),
        // As relay-out does where the first of two destinations is done before the second.
        Scenario::new(
            "one relayed and synced, then one deferred",
            move |spool, log| log.commit(spool, &message(500), two()).unwrap(),
            |spool, log| {
                let id = log.first();
                let Some(claim) = spool.claim(Queue::Relay, &id)? else { return Ok(()) };
                log.deliver(id, Queue::Relay, 0);
                claim.record(&[(0, outcome(What::Relayed))])?;
                claim.sync()?;
                log.synced(id, Queue::Relay, 0);
                claim.record(&[(1, outcome(What::Deferred))])?;
                claim.defer(START.plus(Duration::from_secs(60))).map(drop)
            },
        ),
        // As relay-out does with those that another server took at about the same time; one of them waits for its second recipient.
        Scenario::new(
            "relayed and settled together",
            move |spool, log| {
                (0..3).for_each(|_| log.commit(spool, &message(500), to(Queue::Relay, &["a@far.example"])).unwrap());
                log.commit(spool, &message(500), two()).unwrap();
            },
            settle_together,
        ),
        Scenario::new(
            "hold by its consumer",
            move |spool, log| log.commit(spool, &message(500), two()).unwrap(),
            |spool, log| spool.claim(Queue::Relay, &log.first())?.unwrap().hold().map(|_| log.held(log.first())),
        ),
        Scenario::new(
            "hold and release of both files",
            |spool, log| log.commit(spool, &message(500), to_both()).unwrap(),
            |spool, log| {
                let id = log.first();
                spool.command(&id, Command::Hold, Duration::ZERO)?;
                log.held(id);
                log.released(id);
                spool.command(&id, Command::Release, Duration::ZERO).map(drop)
            },
        ),
        Scenario::new(
            "a fresh start of held files",
            |spool, log| log.commit(spool, &message(500), held(to_both())).unwrap(),
            |spool, log| {
                let id = log.first();
                log.released(id);
                spool.command(&id, Command::Requeue(START), Duration::ZERO).map(drop)
            },
        ),
        Scenario::new(
            "delete both files",
            |spool, log| log.commit(spool, &message(500), to_both()).unwrap(),
            |spool, log| {
                let id = log.first();
                log.may_be_deleted(id);
                spool.command(&id, Command::Delete, Duration::ZERO)?;
                log.deleted(id);
                Ok(())
            },
        ),
        Scenario::new(
            "bounce a held message",
            |spool, log| {
                log.commit(spool, &message(500), to(Queue::Local, &["a@b.example"])).unwrap();
                spool.command(&log.first(), Command::Hold, Duration::ZERO).unwrap();
            },
            |spool, log| spool.command(&log.first(), Command::Bounce, Duration::ZERO).map(drop),
        ),
        Scenario::new(
            "delete while it is attempted",
            |spool, log| log.commit(spool, &message(500), to(Queue::Local, &["a@b.example"])).unwrap(),
            |spool, log| {
                let id = log.first();
                let Some(claim) = spool.claim(Queue::Local, &id)? else { return Ok(()) };
                log.may_be_deleted(id);
                spool.command(&id, Command::Delete, Duration::ZERO)?;
                claim.defer(START)?;
                log.deleted(id);
                Ok(())
            },
        ),
        Scenario::new(
            "hold while it is attempted, then release",
            |spool, log| log.commit(spool, &message(500), to(Queue::Local, &["a@b.example"])).unwrap(),
            |spool, log| {
                let id = log.first();
                let Some(claim) = spool.claim(Queue::Local, &id)? else { return Ok(()) };
                spool.command(&id, Command::Hold, Duration::ZERO)?;
                claim.defer(START)?;
                log.held(id);
                log.released(id);
                spool.command(&id, Command::Release, Duration::ZERO).map(drop)
            },
        ),
        Scenario::new(
            "sweep",
            |spool, log| {
                let mut incoming = spool.begin();
                log.begin(incoming.id(), &message(200_000));
                incoming.append(&message(200_000)).unwrap();
                // Its writer is gone without a word.
                std::mem::forget(incoming);
            },
            |spool, log| {
                assert!(spool.claim(Queue::Local, &log.first())?.is_none());
                log.advance(Duration::from_secs(3599));
                let waiting = spool.sweep(Queue::Local)?;
                assert_eq!((waiting.removed, waiting.waiting), (0, 1));
                log.advance(Duration::from_secs(1));
                let swept = spool.sweep(Queue::Local)?;
                assert_eq!((swept.removed, swept.waiting), (1, 0));
                Ok(())
            },
        ),
        Scenario::new(
            "a failure and its notification",
            |spool, log| log.commit(spool, &message(500), to(Queue::Relay, &["a@far.example", "fails@far.example"])).unwrap(),
            |spool, log| attempt(spool, log, Queue::Relay),
        ),
        Scenario::new(
            "a failure and its notification, and the notification's delivery",
            |spool, log| {
                log.commit(spool, &message(500), to(Queue::Relay, &["waits@far.example", "fails@far.example"])).unwrap()
            },
            |spool, log| attempt(spool, log, Queue::Relay).and_then(|()| attempt(spool, log, Queue::Local)),
        ),
    ]
}

fn settle_together(spool: &Spool, log: &mut Log) -> Result<(), Error> {
    let settings = Settings::defaults(Profile::Office);
    let reporting = ReportingMta {
        host: "mail.example.net".parse().unwrap(),
        from: "MAILER-DAEMON@mail.example.net".parse().unwrap(),
        postmaster: "postmaster@mail.example.net".parse().unwrap(),
        zone: jiff::tz::TimeZone::UTC,
    };
    let settling = Settling {
        spool,
        schedule: &schedule_of(&settings.queue),
        reporting: &reporting,
        queue_of: &|_| Queue::Local,
        meant: &|_| None,
        now: START,
    };
    let claims: Vec<_> =
        log.all().into_iter().filter_map(|id| spool.claim(Queue::Relay, &id).transpose()).collect::<Result<_, _>>()?;
    claims.iter().for_each(|claim| log.deliver(claim.id(), Queue::Relay, 0));
    let removals = spool.removals(claims.len());
    let ids: Vec<_> = claims.iter().map(Claim::id).collect();
    for claim in claims {
        let mut outcomes = vec![(0, outcome(What::Relayed))];
        outcomes.extend(claim.pending().get(1).map(|second| (*second, outcome(What::Deferred))));
        let ended = match &removals {
            Some(removals) => {
                claim.record_at_end(&outcomes)?;
                settling.settle_among(removals, claim, None)?
            }
            None => {
                claim.record(&outcomes)?;
                settling.settle(claim, None)?
            }
        };
        assert!(matches!(ended.ended, Ended::Finished | Ended::Deferred(_)));
    }
    removals.map_or(Ok(()), Removals::sync)?;
    ids.into_iter().for_each(|id| log.synced(id, Queue::Relay, 0));
    Ok(())
}

fn that_syncs_all() -> SimDisk {
    let disk = SimDisk::new();
    disk.can_sync_all();
    disk
}

#[test]
fn also_where_one_sync_stands_for_the_removals_of_many() {
    for scenario in scenarios() {
        replay(&scenario, that_syncs_all).unwrap_or_else(|wrong| panic!("{}: {wrong}", scenario.name));
    }
    let (disk, mut log) = (that_syncs_all(), Log::default());
    let spool = common::open(&disk);
    for _ in 0..3 {
        log.commit(&spool, &message(500), to(Queue::Relay, &["a@far.example"])).unwrap();
    }
    let before = disk.trace().len();
    settle_together(&spool, &mut log).unwrap();
    let calls = disk.trace().split_off(before);
    let syncs: Vec<_> = calls.iter().filter(|call| call.contains("sync")).collect();
    assert_eq!(syncs, ["syncfs ."], "one for three, and no line was written: {calls:?}");
    assert!(!calls.iter().any(|call| call.starts_with("append")), "{calls:?}");
}

/// They are gone, and what is tried next waits until the disk has taken a test.
#[test]
fn a_sync_for_many_that_fails_is_told_and_loses_nothing() {
    let (disk, mut log) = (that_syncs_all(), Log::default());
    let spool = common::open(&disk);
    for _ in 0..3 {
        log.commit(&spool, &message(500), to(Queue::Relay, &["a@far.example"])).unwrap();
    }
    let other = put(&spool, &message(500), to(Queue::Local, &["a@b.example"])).unwrap();
    disk.fail_next("syncfs", std::io::ErrorKind::Other);
    let error = settle_together(&spool, &mut log).unwrap_err();
    assert!(error.to_string().contains("removal of relayed messages"), "{error}");
    assert!(spool.in_trouble());
    disk.fail_next("sync", std::io::ErrorKind::Other);
    assert!(!matches!(spool.claim(Queue::Local, &other), Ok(Some(_))), "nothing is attempted before the test");
    // What a power cut brings back is whole.
    let spool = common::open(&disk.power_cut(0));
    assert_eq!(common::due(&spool, Queue::Relay, START).len(), 3);
}

#[test]
fn every_cut_of_every_operation_leaves_a_lawful_state() {
    let mut cuts = 0;
    for scenario in scenarios() {
        cuts += replay(&scenario, SimDisk::new).unwrap_or_else(|wrong| panic!("{}: {wrong}", scenario.name));
    }
    assert!(cuts > 100, "{cuts}");
}

#[test]
fn also_where_a_name_needs_its_directory_synced() {
    for scenario in scenarios() {
        let disk = || {
            let disk = SimDisk::new();
            disk.names_need_directory_sync();
            disk
        };
        replay(&scenario, disk).unwrap_or_else(|wrong| panic!("{}: {wrong}", scenario.name));
    }
}

/// The replay notices each sync that is left out.
#[test]
fn a_mutant_without_a_sync_is_caught() {
    for (purpose, name) in [
        (Purpose::SpoolMessage, "a small message"),
        (Purpose::SpoolMessage, "a long held message for both queues"),
        (Purpose::SpoolDirectory, "hold by its consumer"),
        (Purpose::SpoolDirectory, "delete both files"),
        (Purpose::Outcome, "one delivered, one deferred"),
        (Purpose::Outcome, "a failure and its notification, and the notification's delivery"),
    ] {
        let mutant = || {
            let disk = SimDisk::new();
            disk.skip(purpose);
            disk
        };
        let scenario = scenarios().into_iter().find(|scenario| scenario.name == name).unwrap();
        assert!(replay(&scenario, mutant).is_err(), "{name} does not need {purpose:?}");
    }
    let mutant = || {
        let disk = that_syncs_all();
        disk.skip(Purpose::Outcome);
        disk
    };
    let scenario = scenarios().into_iter().find(|scenario| scenario.name == "relayed and settled together").unwrap();
    assert!(replay(&scenario, mutant).is_err(), "the sync for all is not needed");
}

/// One call fails, nothing dies: either all is well, or there is an error and nothing, also after a power cut.
#[test]
fn a_failing_call_of_a_commit_leaves_all_or_nothing() {
    let commits: [(usize, fn() -> Commit); 4] = [
        (2000, || to(Queue::Local, &["a@b.example"])),
        (2000, to_both),
        (300_000, || to(Queue::Relay, &["a@b.example"])),
        (300_000, to_both),
    ];
    let kinds = [std::io::ErrorKind::StorageFull, std::io::ErrorKind::Other];
    for ((size, commit), kind) in commits.into_iter().flat_map(|commit| kinds.map(|kind| (commit, kind))) {
        for nth in 0.. {
            let disk = SimDisk::new();
            let spool = common::open(&disk);
            let before = disk.calls();
            disk.fail_after(nth, kind);
            let result = put(&spool, &message(size), commit());
            if disk.calls() - before <= nth {
                break;
            }
            assert_eq!(disk.locks(), 0);
            for disk in [disk.kill(), disk.power_cut(0), disk.power_cut(1), disk.power_cut(2), disk.power_cut(3)] {
                let spool = common::open(&disk);
                let there: Vec<_> = Queue::ALL.iter().map(|queue| common::due(&spool, *queue, START).len()).collect();
                match &result {
                    Ok(id) => assert_eq!(spool.show(id).unwrap().len(), there.iter().sum(), "{nth}"),
                    Err(error) => {
                        assert_eq!(error.is_full(), kind == std::io::ErrorKind::StorageFull, "{nth}: {error}");
                        let claimed = Queue::ALL.map(|queue| {
                            common::due(&spool, queue, START)
                                .iter()
                                .filter(|id| !matches!(spool.claim(queue, id), Ok(None)))
                                .count()
                        });
                        assert_eq!(claimed, [0, 0], "{nth}: {error}");
                    }
                }
            }
        }
    }
}

/// The ballast lets delivery and removal go on at zero free octets.
#[test]
fn a_full_disk_refuses_mail_and_finishes_what_it_has() {
    let disk = SimDisk::new();
    disk.set_room(40 * LIMIT, 1000);
    let spool = common::open(&disk);
    let mut log = Log::default();
    log.commit(&spool, &message(500), to(Queue::Local, &["a@b.example", "c@d.example"])).unwrap();
    assert!(spool.sweep(Queue::Local).unwrap().ballast_restored);
    disk.set_room(0, 0);
    let error = put(&spool, &message(10), to(Queue::Local, &["a@b.example"])).unwrap_err();
    assert!(error.is_full());
    let claim = spool.claim(Queue::Local, &log.first()).unwrap().unwrap();
    claim.record(&[(0, outcome(What::Delivered)), (1, outcome(What::Discarded))]).unwrap();
    claim.finish().unwrap();
    assert!(common::paths(&disk).is_empty());
    assert!(!spool.release_ballast(), "it was given up already");
    assert!(!spool.sweep(Queue::Local).unwrap().ballast_restored, "no ample room");
    disk.set_room(40 * LIMIT, 1000);
    assert!(spool.sweep(Queue::Local).unwrap().ballast_restored);
    assert!(spool.release_ballast());
}
