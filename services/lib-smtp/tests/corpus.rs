//! Replays the corpora of the fuzz targets through the functions that the targets call.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use lib_smtp::fuzzing;

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
fn smtp_command() {
    replay("smtp_command", fuzzing::command);
}

#[test]
fn smtp_data() {
    replay("smtp_data", fuzzing::data);
}

#[test]
fn smtp_bdat() {
    replay("smtp_bdat", fuzzing::bdat);
}

#[test]
fn smtp_session() {
    replay("smtp_session", fuzzing::session);
}

#[test]
fn smtp_reply() {
    replay("smtp_reply", fuzzing::reply);
}

#[test]
fn smtp_client() {
    replay("smtp_client", fuzzing::client);
}
