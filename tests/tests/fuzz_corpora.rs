//! Replays the corpora of the fuzz targets through the functions that the targets call (fuzz/README.md).

use std::collections::BTreeSet;
use std::path::PathBuf;

use lib_net::auth::prove_line;
use lib_policy::fuzzing as policy;
use lib_pop3::fuzzing as pop3;
use lib_smtp::fuzzing as smtp;

/// A target, and what it calls.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 18] = [
    ("auth_line", prove_line),
    ("mail_message", lib_mail::fuzzing::message),
    ("policy_aliases", policy::aliases),
    ("policy_domains", policy::domains),
    ("policy_message", policy::message),
    ("policy_recipients", policy::recipients),
    ("pop3_command", pop3::command),
    ("pop3_message", pop3::message),
    ("pop3_session", pop3::session),
    ("settings", lib_settings::fuzzing::settings),
    ("smtp_bdat", smtp::bdat),
    ("smtp_client", smtp::client),
    ("smtp_command", smtp::command),
    ("smtp_data", smtp::data),
    ("smtp_forward", smtp::forward),
    ("smtp_reply", smtp::reply),
    ("smtp_session", smtp::session),
    ("spool_file", lib_spool::fuzzing::message_file),
];

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

/// The names in a folder, without their endings.
fn names(folder: &str) -> BTreeSet<String> {
    let entries = std::fs::read_dir(fuzz().join(folder)).unwrap();
    entries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn every_file_of_every_corpus_holds() {
    for (target, body) in TARGETS {
        let mut replayed = 0;
        for entry in std::fs::read_dir(fuzz().join("corpus").join(target)).unwrap() {
            let path = entry.unwrap().path();
            // What was replayed when it panics is the last line.
            println!("{}", path.display());
            body(&std::fs::read(path).unwrap());
            replayed += 1;
        }
        assert!((10..=50).contains(&replayed), "{target} has {replayed} files");
    }
}

#[test]
fn no_target_is_without_a_corpus_and_none_is_forgotten_here() {
    let here: BTreeSet<String> = TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    assert_eq!(names("corpus"), here);
    assert_eq!(names("fuzz_targets"), here);
}
