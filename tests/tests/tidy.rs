//! The house rules that a compiler does not keep: floors, sans-IO, no path in the stores' interfaces, registers that tell the truth.
//!
//! It reads the tree as text. A rule that it keeps stands in docs/architecture.md under *Invariants*.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The floor of each crate; an arrow may only go to a lower one.
const FLOORS: &[(&str, u8)] = &[
    ("lib-mail", 0),
    ("lib-smtp", 1),
    ("lib-pop3", 1),
    ("lib-policy", 1),
    ("lib-settings", 1),
    ("lib-record", 1),
    ("lib-host", 2),
    ("lib-net", 2),
    ("lib-spool", 3),
    ("lib-mailbox", 3),
    ("lib-account", 3),
    ("smtp-in", 4),
    ("relay-out", 4),
    ("deliver", 4),
    ("pop3", 4),
    ("auth", 4),
    ("bongsu", 5),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ stands in the repository").to_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in std::fs::read_dir(&at).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() && name != "target" && !name.starts_with('.') {
                todo.push(path);
            } else if name.ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Every crate: its name, its folder, and the crates of ours in its `[dependencies]`.
fn crates() -> BTreeMap<String, (PathBuf, BTreeSet<String>)> {
    let names: BTreeSet<&str> = FLOORS.iter().map(|(name, _)| *name).collect();
    let mut crates = BTreeMap::new();
    for manifest in files(&root(), "Cargo.toml") {
        let text = read(&manifest);
        let Some(name) = text.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"')) else { continue };
        let dependencies = text.split("[dependencies]").nth(1).unwrap_or_default().split("\n[").next().unwrap_or_default();
        let ours = dependencies
            .lines()
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .filter(|dependency| names.contains(dependency) || *dependency == "bongsu-harness")
            .map(str::to_owned)
            .collect();
        crates.insert(name.to_owned(), (manifest.parent().expect("a manifest stands in a folder").to_owned(), ours));
    }
    crates
}

/// The code of a file, without the unit tests at its end and without comments.
fn code(path: &Path) -> String {
    let text = read(path);
    let body = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code: Vec<&str> = body.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    code.join("\n")
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut sources = files(&dir.join("src"), ".rs");
    sources.retain(|path| !path.ends_with("tests.rs") && !path.components().any(|part| part.as_os_str() == "tests"));
    sources
}

#[test]
fn arrows_go_to_a_lower_floor() {
    let floors: BTreeMap<&str, u8> = FLOORS.iter().copied().collect();
    let crates = crates();
    for (name, floor) in FLOORS {
        let (_, ours) = crates.get(*name).unwrap_or_else(|| panic!("{name} is in the list of floors but not in the tree"));
        for dependency in ours {
            let below =
                floors.get(dependency.as_str()).unwrap_or_else(|| panic!("{name} depends on {dependency}, which has no floor"));
            assert!(below < floor, "{name} (floor {floor}) depends on {dependency} (floor {below})");
        }
    }
    let apart = ["bongsu-harness", "tests"];
    for (name, (dir, ours)) in &crates {
        let known =
            floors.contains_key(name.as_str()) || apart.contains(&name.as_str()) || dir.starts_with(root().join("fuzz"));
        assert!(known, "{name} has no floor: give it one here and in docs/architecture.md");
        if apart.contains(&name.as_str()) {
            let product: Vec<_> = ours.iter().filter(|name| *name != "bongsu-harness").collect();
            assert!(product.is_empty(), "{name} must see ports, files and the command line only, not {product:?}");
        }
    }
}

#[test]
fn stores_do_not_know_each_other() {
    let crates = crates();
    for (store, other) in [("lib-spool", "lib-mailbox"), ("lib-mailbox", "lib-spool")] {
        assert!(!crates[store].1.contains(other), "{store} knows {other}");
    }
}

#[test]
fn floors_0_and_1_touch_nothing() {
    const FORBIDDEN: &[&str] = &[
        "std::fs",
        "std::thread",
        "std::process",
        "std::env",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "UnixStream",
        "SystemTime",
        "Instant::now",
        "Timestamp::now",
        "Zoned::now",
        "tokio",
        "rand::",
        "getrandom",
        "rustix",
        "println!",
    ];
    let crates = crates();
    for (name, _) in FLOORS.iter().filter(|(_, floor)| *floor <= 1) {
        for file in sources(&crates[*name].0) {
            let code = code(&file);
            for word in FORBIDDEN {
                assert!(!code.contains(word), "{} (floor 0 or 1) uses {word}", file.display());
            }
        }
    }
}

#[test]
fn no_path_in_the_stores_public_interfaces() {
    const FORBIDDEN: &[&str] = &["Path", "PathBuf", "File", "OwnedFd", "RawFd", "BorrowedFd", "AsFd"];
    let crates = crates();
    for store in ["lib-spool", "lib-mailbox"] {
        for file in sources(&crates[store].0) {
            let code = code(&file);
            for (at, _) in code.match_indices("pub ") {
                let item = code[at..].split(['{', ';']).next().unwrap_or_default();
                // The one call that opens a store is given its directory.
                if item.starts_with("pub fn open") || item.starts_with("pub use") || item.starts_with("pub mod") {
                    continue;
                }
                let words: BTreeSet<&str> = item.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
                for word in FORBIDDEN {
                    assert!(!words.contains(word), "{}: {} shows a {word}", file.display(), item.trim());
                }
            }
        }
    }
}

#[test]
fn every_source_file_is_part_of_its_crate() {
    for (dir, _) in crates().values() {
        for file in files(&dir.join("src"), ".rs") {
            let stem = file.file_stem().expect("it ends in .rs").to_string_lossy().into_owned();
            let folder = file.parent().expect("it stands in src/");
            if matches!(stem.as_str(), "lib" | "main" | "mod") || folder.ends_with("bin") {
                continue;
            }
            let parents = [folder.join("mod.rs"), folder.join("lib.rs"), folder.join("main.rs"), folder.with_extension("rs")];
            let declared = parents.iter().filter(|path| path.exists()).any(|path| read(path).contains(&format!("mod {stem};")));
            assert!(declared, "{} is named by no mod line", file.display());
        }
    }
}

/// The numbers of every `RFC 1234` in `text`.
fn rfcs(text: &str) -> BTreeSet<u32> {
    text.match_indices("RFC ")
        .filter_map(|(at, _)| {
            let digits: String = text[at + 4..].chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        })
        .collect()
}

/// docs/rfc.md is a table: `| 5321 | title | status | sections | where |`; *where* names files of this tree in backquotes.
#[test]
fn the_rfc_register_tells_the_truth() {
    let register = read(&root().join("docs/rfc.md"));
    let rows: Vec<Vec<&str>> = register
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert!(rows.len() >= 20, "docs/rfc.md has {} rows", rows.len());
    let known: BTreeSet<u32> = rows.iter().filter_map(|row| row[0].parse().ok()).collect();
    for (dir, _) in crates().values() {
        for file in files(&dir.join("src"), ".rs") {
            for rfc in rfcs(&read(&file)) {
                assert!(known.contains(&rfc), "{} names RFC {rfc}, which docs/rfc.md does not list", file.display());
            }
        }
    }
    for row in rows {
        assert!(row.len() >= 5, "docs/rfc.md: a row has five columns: {row:?}");
        assert!(matches!(row[2], "yes" | "partial" | "no"), "docs/rfc.md: RFC {} has the status {}", row[0], row[2]);
        for place in row[4].split('`').skip(1).step_by(2) {
            assert!(root().join(place).exists(), "docs/rfc.md: RFC {} names {place}, which is not there", row[0]);
        }
        assert!(row[2] == "no" || row[4].contains('`'), "docs/rfc.md: RFC {} is {} but names no place", row[0], row[2]);
    }
}

/// The requirement ids of docs/requirements.md, as `R1.11`.
fn requirement_ids(text: &str) -> BTreeSet<String> {
    text.match_indices('R')
        .filter_map(|(at, _)| {
            let id: String = text[at + 1..].chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            let id = id.trim_end_matches('.');
            let (major, minor) = id.split_once('.')?;
            (major.len() == 1 && major.parse::<u8>().is_ok() && minor.parse::<u8>().is_ok()).then(|| format!("R{id}"))
        })
        .collect()
}

#[test]
fn requirement_ids_in_the_code_exist() {
    let book = requirement_ids(&read(&root().join("docs/requirements.md")));
    assert!(book.len() > 40, "docs/requirements.md has {} ids", book.len());
    for (dir, _) in crates().values() {
        for file in files(dir, ".rs") {
            if file.ends_with("tidy.rs") {
                continue;
            }
            for line in read(&file).lines().filter(|line| line.trim_start().starts_with("//")) {
                for id in requirement_ids(line) {
                    assert!(book.contains(&id), "{} names {id}, which docs/requirements.md does not have", file.display());
                }
            }
        }
    }
}

/// docs/known-attacks.md names its proofs: tests as `crate::test`, dialogues of POP3 as `name.dialog`, fuzz targets behind the word *fuzz*.
/// (The dialogues of SMTP are held to it in `lib-smtp`.)
#[test]
fn every_proof_that_the_attacks_register_names_exists() {
    let register = read(&root().join("docs/known-attacks.md"));
    let crates = crates();
    let (mut tests, mut before) = (0, "");
    for (place, piece) in register.split('`').enumerate() {
        if place % 2 == 0 {
            before = piece;
            continue;
        }
        let exists = match piece.split_once("::") {
            Some(("", "")) => true,
            Some((name, test)) => {
                tests += 1;
                let declared = format!("fn {test}(");
                crates.get(name).is_some_and(|(dir, _)| files(dir, ".rs").iter().any(|file| read(file).contains(&declared)))
            }
            None if before.ends_with("fuzz ") || before.ends_with("fuzz target ") => {
                root().join(format!("fuzz/fuzz_targets/{piece}.rs")).exists()
            }
            None if piece.len() > ".dialog".len() && piece.ends_with(".dialog") => {
                root().join("tests/dialogs").join(piece).exists()
            }
            None => !piece.ends_with(".rs") || root().join(piece).exists(),
        };
        assert!(exists, "docs/known-attacks.md names {piece}, which is not there");
    }
    assert!(tests >= 40, "docs/known-attacks.md names {tests} tests");
}

/// The last column of R3 in docs/requirements.md names scenarios by their names, and tests as `crate::test`.
#[test]
fn every_scenario_and_test_that_shows_a_requirement_exists() {
    let book = read(&root().join("docs/requirements.md"));
    let crates = crates();
    let declares = |name: &str, text: &str| {
        let below = crates.get(name).map(|(dir, _)| files(dir, ".rs")).unwrap_or_default();
        below.iter().any(|file| read(file).contains(text))
    };
    let rows: Vec<&str> = book.lines().filter(|line| line.starts_with("| R3.")).collect();
    assert!(rows.len() >= 9, "docs/requirements.md has {} rows of R3", rows.len());
    for row in rows {
        let (_, shown) = row.trim_end_matches('|').rsplit_once('|').expect("a row has columns");
        let names: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "nothing shows {row}");
        for name in names {
            let exists = match name.split_once("::") {
                Some((of, test)) => declares(of, &format!("fn {test}(")),
                None => declares("bongsu-harness", &format!("name: \"{name}\"")),
            };
            assert!(exists, "docs/requirements.md names {name}, which is not there");
        }
    }
}

#[test]
fn links_in_the_docs_lead_somewhere() {
    for file in files(&root(), ".md") {
        let text = read(&file);
        let folder = file.parent().expect("a page stands in a folder");
        for (at, _) in text.match_indices("](") {
            let target = text[at + 2..].split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.contains(' ') {
                continue;
            }
            assert!(folder.join(target).exists(), "{} links to {target}, which is not there", file.display());
        }
    }
}

#[test]
fn the_tree_names_no_machine() {
    // Built from pieces, so that this file does not find itself.
    let words = ["/work".to_owned() + "/", "../sha".to_owned() + "red", "/ro".to_owned() + "ot/.", "farm".to_owned() + "-"];
    for ending in [".rs", ".md", ".toml", ".yaml", ".sh", ".dialog"] {
        for file in files(&root(), ending) {
            let text = read(&file);
            for word in &words {
                assert!(!text.contains(word.as_str()), "{} names {word}", file.display());
            }
        }
    }
}
