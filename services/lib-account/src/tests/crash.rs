//! Every disk call as the last one: each change is wholly there or not at all, and no account is without its password.

use std::path::Path;

use lib_host::{Disk, Purpose, SimDisk};

use super::*;
use crate::hash::matches;

const SEEDS: u64 = 8;
const MINJI: &str = "minji@example.kr";
const SORA: &str = "sora@example.kr";

fn register(disk: &SimDisk) -> Register {
    Register::open_on(&Disk::from(disk), Path::new("/state")).with_cost(CHEAP)
}

type Step = fn(&Register) -> Result<(), Error>;

/// The changes, one after another, and the passwords that hold after each: Minji's, then Sora's.
const STEPS: [(Step, [Option<&str>; 2]); 4] = [
    (|register| register.add(account(MINJI), "one"), [Some("one"), None]),
    (|register| register.add(account(SORA), "two"), [Some("one"), Some("two")]),
    (|register| register.passwd(MINJI, "three"), [Some("three"), Some("two")]),
    (|register| register.remove(SORA), [Some("three"), None]),
];

/// How many changes returned.
fn run(disk: &SimDisk) -> usize {
    let register = register(disk);
    STEPS.iter().take_while(|(step, _)| step(&register).is_ok()).count()
}

/// Which of the known passwords hold, as the two files say.
fn state(disk: &SimDisk) -> Result<[Option<&'static str>; 2], String> {
    let accounts = register(disk).list().map_err(|error| error.to_string())?;
    let secrets = disk.files().into_iter().find(|(path, _)| path.ends_with("secrets/passwords")).map(|(_, text)| text);
    let secrets = file::parse::<Secret>(&secrets.unwrap_or_default()).map_err(|wrong| wrong.what)?;
    let mut found = [None; 2];
    for account in accounts {
        let place = usize::from(account.key() == SORA);
        let secret = secrets.get(&account.key()).ok_or_else(|| format!("{} has no password", account.key()))?;
        found[place] = ["one", "two", "three"].into_iter().find(|word| matches(word.as_bytes(), &secret.hash).unwrap());
    }
    Ok(found)
}

fn replay(prepare: impl Fn(&SimDisk)) -> Result<(), String> {
    let whole = SimDisk::new();
    prepare(&whole);
    assert_eq!(run(&whole), STEPS.len());
    for cut in 0..=whole.calls() {
        let disk = SimDisk::new();
        prepare(&disk);
        disk.cut_after(cut);
        let done = run(&disk);
        let before = done.checked_sub(1).map_or([None, None], |last| STEPS[last].1);
        let after = STEPS.get(done).map_or(before, |(_, state)| *state);
        for left in (0..SEEDS).map(|seed| disk.power_cut(seed)).chain([disk.kill()]) {
            let found = state(&left)?;
            if found != before && found != after {
                return Err(format!("cut after {cut}: {found:?} is neither {before:?} nor {after:?}"));
            }
            // Whatever was left, the next change works.
            register(&left).add(account("new@example.kr"), "x").map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

#[test]
fn whatever_call_is_the_last_a_change_is_whole() {
    replay(|_| {}).unwrap();
}

#[test]
fn without_its_syncs_a_change_is_lost() {
    replay(|disk| disk.skip(Purpose::Account)).unwrap_err();
}
