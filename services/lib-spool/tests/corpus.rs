//! The fuzzer's corpus, through the same code as the fuzzer's target.

use std::path::Path;

#[test]
fn every_file_of_the_corpus_holds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/spool_file");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        lib_spool::fuzzing::message_file(&std::fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!((10..=50).contains(&count), "{count}");
}
