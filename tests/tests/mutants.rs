//! The harness notices what it is there to notice: with a node that lacks a lock or never tries again, a scenario fails; without, it passes.
//!
//! The mutants are compiled only into the test build that `tests/all` makes (`HARNESS_MUTANTS`). That a sync is missing shows after a power
//! cut alone: `power_cuts.rs`.

use std::path::PathBuf;
use std::time::Duration;

use bongsu_harness::client::{Ran, run_command};
use bongsu_harness::driver::DriverKind;
use bongsu_harness::ledger::{Line, Told};
use bongsu_harness::stage::Stage;
use bongsu_harness::topology::Topology;

/// The binary with the mutants.
fn mutants() -> Option<PathBuf> {
    let binary = std::env::var_os("HARNESS_MUTANTS").map(PathBuf::from);
    if binary.is_none() {
        eprintln!("SKIPPED: HARNESS_MUTANTS names no binary: tests/all builds it as root");
    }
    binary
}

/// `bongsu-harness`, beside this test's own folder of the build.
fn harness() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let found = test.ancestors().skip(1).take(3).map(|dir| dir.join("bongsu-harness")).find(|path| path.is_file());
    found.expect("cargo builds the harness with the tests")
}

fn play(binary: &PathBuf, mutant: &str, scenario: &str) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(harness());
    command.args(["run", scenario, "--jobs", "1", "--report"]).arg(dir.path());
    command.env("HARNESS_BINARY", binary).env("HARNESS_MUTANT", mutant).env("CI", "true");
    run_command(command, b"").unwrap()
}

#[test]
fn each_mutant_is_caught_by_a_scenario() {
    let Some(binary) = mutants() else { return };
    for (mutant, scenario) in
        [("no-lock", "second_pop3_session_is_told_in_use"), ("no-retry", "primary_killed_and_the_secondaries_take_over")]
    {
        let sound = play(&binary, "none", scenario);
        assert_eq!(sound.code, 0, "{scenario} passes without a mutant\n{}", sound.text);
        let broken = play(&binary, mutant, scenario);
        assert_eq!(broken.code, 1, "{scenario} does not notice {mutant}\n{}", broken.text);
    }
}

/// A server that says 250 and keeps nothing.
#[test]
fn a_lie_in_a_reply_is_caught_by_the_books() {
    let stage = Stage::set(Topology::shipped("single").unwrap(), DriverKind::Processes, None).unwrap();
    stage.ledger().enter("kept-nowhere", Line::new(Told::Accepted, &["minji@office.example"]));
    let error = stage.settle(Duration::from_secs(20)).unwrap_err().to_string();
    assert!(error.contains("lost 1 (kept-nowhere for minji@office.example)"), "{error}");
}
