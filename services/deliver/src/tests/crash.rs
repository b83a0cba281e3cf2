//! Every disk call of a delivery as the last one: after a restart each recipient has one copy, each child is one message, and the
//! sender is told once.

use lib_host::{Purpose, SimDisk};

use super::*;

/// Two mailboxes, one of them through an alias, a server elsewhere, and a name that nobody has.
const ALIASES: &str = "team: sora, lee@away.example\n";
const TO: [&str; 3] = [MINJI, "team@example.kr", "nobody@example.kr"];
/// Attempts after which all must be done, whatever had happened.
const ATTEMPTS: usize = 3;
/// How often a kill is tried: it leaves what a lucky power cut leaves.
const KILL_EVERY: u64 = 5;

fn opened(disk: &SimDisk, clock: &Clock) -> Result<Office, String> {
    office(&Disk::from(disk), Path::new("/spool"), Path::new("/mail"), clock, ALIASES)
}

/// Copies of the message in a batch, enough for them to share their syncs.
const BATCH: usize = 3;

/// Commits a message and attempts it; whether the commit was acknowledged.
fn run(disk: &SimDisk, clock: &Clock) -> bool {
    let Ok(office) = opened(disk, clock) else { return false };
    let Ok(id) = commit(&office, envelope(&TO), BODY) else { return false };
    attempt(&office, id);
    true
}

/// What a new process makes of the disk.
fn recover(disk: &SimDisk, clock: &Clock) -> Result<Count, String> {
    let office = opened(disk, clock)?;
    for _ in 0..ATTEMPTS {
        clock.advance(Duration::from_secs(3600));
        for shard in office.spool.due(Queue::Local, clock.now()) {
            for id in shard.map_err(|error| error.to_string())?.due {
                attempt(&office, id);
            }
        }
    }
    let relayed: Vec<_> = office.spool.list(Queue::Relay).filter_map(Result::ok).collect();
    let whole = |account| copies(&office, account).map_err(|error| error.to_string());
    Ok(Count::from([
        ("minji", whole(MINJI)?),
        ("sora", whole(SORA)?),
        ("passed on", relayed.iter().filter(|message| message.envelope.sender.is_some()).count()),
        ("told", relayed.iter().filter(|message| message.envelope.sender.is_none()).count()),
        ("left in local", office.spool.list(Queue::Local).count()),
    ]))
}

/// The copies in a mailbox that are the message, and two for each that is not.
fn copies(office: &Office, account: &str) -> Result<usize, lib_mailbox::Error> {
    let maildrop = office.mailboxes.maildrop(account)?;
    let mut count = 0;
    for index in 0..maildrop.len() {
        let (mut body, mut block) = (maildrop.read(index)?, Vec::new());
        body.block(&mut block)?;
        count += if block.ends_with(BODY.as_bytes()) { 1 } else { 2 };
    }
    Ok(count)
}

/// Cuts after each call behind the opening of the stores, whose own tests show what that leaves. How many there are.
fn replay(prepare: impl Fn(&SimDisk)) -> Result<u64, String> {
    let (fresh, whole) = (SimDisk::new(), SimDisk::new());
    [&fresh, &whole].into_iter().for_each(&prepare);
    opened(&fresh, &Clock::manual(START))?;
    assert!(run(&whole, &Clock::manual(START)));
    let calls = whole.calls();
    for cut in fresh.calls()..=calls {
        let (disk, clock) = (SimDisk::new(), Clock::manual(START));
        prepare(&disk);
        disk.cut_after(cut - disk.calls());
        let acknowledged = run(&disk, &clock);
        let kill = (cut % KILL_EVERY == 0).then(|| ("killed", disk.kill()));
        for (how, left) in [("all lost", disk.power_cut(0)), ("some lost", disk.power_cut(cut + 2))].into_iter().chain(kill) {
            let count = recover(&left, &clock)?;
            let complete = ["minji", "sora", "passed on", "told"].into_iter().all(|name| count[name] == 1);
            let nothing = count.values().all(|count| *count == 0);
            if !(complete && count["left in local"] == 0 || !acknowledged && nothing) {
                return Err(format!("{how} after call {cut} of {calls}: {count:?}; {:?}", disk.trace().last()));
            }
        }
    }
    Ok(calls - fresh.calls())
}

#[test]
fn whatever_call_is_the_last_nothing_is_lost_or_doubled() {
    assert!(replay(|_| {}).unwrap() > 100);
}

#[test]
fn a_spool_without_syncs_is_caught() {
    replay(|disk| disk.skip(Purpose::SpoolMessage)).unwrap_err();
}

#[test]
fn copies_without_syncs_are_caught() {
    replay(|disk| disk.skip(Purpose::MaildirFile)).unwrap_err();
}

#[test]
fn names_of_copies_without_syncs_are_caught() {
    replay(|disk| disk.skip(Purpose::MaildirDirectory)).unwrap_err();
}

/// Several messages in one batch: after a cut at any call each is in its mailbox once.
#[test]
fn a_batch_that_shares_its_syncs_loses_nothing_either() {
    let run = |disk: &SimDisk, clock: &Clock| {
        let Ok(office) = opened(disk, clock) else { return 0 };
        let ids: Vec<_> = (0..BATCH).map_while(|_| commit(&office, envelope(&[MINJI, SORA]), BODY).ok()).collect();
        if ids.len() == BATCH {
            attempt_all(&office, &ids);
        }
        ids.len()
    };
    let new = || {
        let disk = SimDisk::new();
        disk.can_sync_all();
        disk
    };
    let (fresh, whole) = (new(), new());
    opened(&fresh, &Clock::manual(START)).unwrap();
    assert_eq!(run(&whole, &Clock::manual(START)), BATCH);
    assert!(whole.trace().iter().any(|call| call.starts_with("syncfs")));
    for cut in fresh.calls()..=whole.calls() {
        let (disk, clock) = (new(), Clock::manual(START));
        disk.cut_after(cut);
        let acknowledged = run(&disk, &clock);
        for (how, left) in [("all lost", disk.power_cut(0)), ("some lost", disk.power_cut(cut + 2)), ("killed", disk.kill())] {
            let count = recover(&left, &clock).unwrap();
            let there = |account| (acknowledged..=BATCH).contains(&count[account]);
            let complete = there("minji") && count["minji"] == count["sora"] && count["left in local"] == 0;
            assert!(complete, "{how} after call {cut}: {acknowledged} {count:?}; {:?}", disk.trace().last());
        }
    }
}
