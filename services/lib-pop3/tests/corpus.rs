//! Replays the corpora of the fuzz targets through the functions that the targets call.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        body(&std::fs::read(path).unwrap());
        replayed += 1;
    }
    assert!((10..=50).contains(&replayed), "{target} has {replayed} files");
}

#[test]
fn pop3_command() {
    replay("pop3_command", lib_pop3::fuzzing::command);
}

#[test]
fn pop3_message() {
    replay("pop3_message", lib_pop3::fuzzing::message);
}

#[test]
fn pop3_session() {
    replay("pop3_session", lib_pop3::fuzzing::session);
}
