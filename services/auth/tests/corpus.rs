//! Replays the corpus of the fuzz target of the protocol that this role speaks.
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
fn auth_line() {
    replay("auth_line", lib_net::auth::prove_line);
}
