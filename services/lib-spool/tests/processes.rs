//! Two processes on one real directory: locks exclude, and die with their process.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use common::{START, body, due, message, outcome, put, to, to_both};
use lib_host::Clock;
use lib_spool::{Options, Queue, Spool, What};

/// Where the second process finds its spool; unset in an ordinary run.
const SPOOL: &str = "BONGSU_TEST_SPOOL";

fn open(dir: &Path) -> Spool {
    Spool::open(dir, Options::new(Clock::manual(START), 100_000)).unwrap()
}

/// The second process: claims everything that is due, says so, and holds it until it is killed.
#[test]
fn second_process() {
    let Some(dir) = std::env::var_os(SPOOL) else { return };
    let spool = open(Path::new(&dir));
    let claims: Vec<_> =
        due(&spool, Queue::Local, START).iter().filter_map(|id| spool.claim(Queue::Local, id).unwrap()).collect();
    let mut writing = spool.begin();
    writing.append(&message(100_000)).unwrap();
    println!("\nholding {} {}", claims.len(), writing.id());
    std::io::stdout().flush().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(600));
}

fn start_second(dir: &Path) -> (Child, String) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "second_process", "--nocapture"])
        .env(SPOOL, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.map_while(Result::ok).find(|line| line.starts_with("holding ")).unwrap();
    (child, told)
}

#[test]
fn a_killed_process_leaves_no_lock_and_no_half_message() {
    let dir = tempfile::tempdir().unwrap();
    let spool = open(dir.path());
    let id = put(&spool, &message(2000), to(Queue::Local, &["a@b.example"])).unwrap();
    let (mut second, told) = start_second(dir.path());
    let writing = told.strip_prefix("holding 1 ").unwrap().parse().unwrap();
    assert!(spool.claim(Queue::Local, &id).unwrap().is_none());
    assert!(spool.claim(Queue::Local, &writing).unwrap().is_none());
    second.kill().unwrap();
    second.wait().unwrap();
    let claim = spool.claim(Queue::Local, &id).unwrap().unwrap();
    assert!(body(&claim) == message(2000) && !claim.first_attempt());
    assert!(spool.claim(Queue::Local, &writing).unwrap().is_none());
    assert_eq!(spool.list(Queue::Local).count(), 1);
    assert_eq!(spool.sweep(Queue::Local).unwrap().waiting, 1);
}

/// Threads of two handles, as of two processes, put in and take out at once: each message is taken once.
#[test]
fn every_message_is_claimed_once() {
    const EACH: usize = 50;
    let dir = tempfile::tempdir().unwrap();
    let taken = Mutex::new(Vec::new());
    let made = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let spool = open(dir.path());
                for size in 0..EACH {
                    let id = put(&spool, &message(size * 2000), to_both()).unwrap();
                    made.lock().unwrap().insert(id);
                }
            });
        }
        for queue in [Queue::Local, Queue::Relay, Queue::Local, Queue::Relay] {
            let (taken, path) = (&taken, dir.path());
            scope.spawn(move || {
                let spool = open(path);
                while taken.lock().unwrap().len() < 2 * 3 * EACH {
                    for id in due(&spool, queue, START) {
                        let Some(claim) = spool.claim(queue, &id).unwrap() else { continue };
                        claim.record(&[(0, outcome(What::Delivered))]).unwrap();
                        claim.finish().unwrap();
                        taken.lock().unwrap().push((queue, id));
                    }
                }
            });
        }
    });
    let taken = taken.into_inner().unwrap();
    assert_eq!((taken.len(), taken.iter().collect::<BTreeSet<_>>().len()), (2 * 3 * EACH, 2 * 3 * EACH));
    assert_eq!(made.into_inner().unwrap().len(), 3 * EACH);
    let spool = open(dir.path());
    assert_eq!(Queue::ALL.map(|queue| spool.list(queue).count()), [0, 0]);
}

#[test]
fn the_room_names_its_mount() {
    let dir = tempfile::tempdir().unwrap();
    let space = open(dir.path()).space().unwrap();
    assert!(dir.path().starts_with(&space.mount), "{space}");
    assert!(space.needed_bytes >= 150_000 && space.free_bytes > 0, "{space}");
    assert!(!space.admits(u64::MAX));
}

#[test]
fn what_cannot_be_used_is_told_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    let told = Spool::open(&missing, Options::new(Clock::system(), 1)).unwrap_err().to_string();
    assert!(told.contains(missing.to_str().unwrap()), "{told}");
    std::fs::write(dir.path().join("relay"), "x").unwrap();
    let told = Spool::open(dir.path(), Options::new(Clock::system(), 1)).unwrap_err().to_string();
    assert!(told.contains("make relay in"), "{told}");
}
