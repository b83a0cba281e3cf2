//! What callers see: accounts added and found, files edited by hand, changes at the same time.

mod crash;

use std::os::unix::fs::PermissionsExt;

use super::*;

const CHEAP: Cost = Cost { memory: 64, passes: 1 };

struct Yard {
    dir: tempfile::TempDir,
    register: Register,
    names: Names,
    hashes: Hashes,
}

impl Yard {
    fn new() -> Yard {
        let dir = tempfile::tempdir().unwrap();
        let register = Register::open(dir.path()).with_cost(CHEAP);
        let names = Names::open(&dir.path().join("accounts"));
        let hashes = Hashes::open(&dir.path().join("secrets"));
        Yard { dir, register, names, hashes }
    }

    fn edit(&self, text: &str) {
        let file = self.dir.path().join("accounts/accounts");
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    fn keys(&self) -> Vec<String> {
        self.names.current().unwrap().iter().map(Account::key).collect()
    }
}

fn account(address: &str) -> Account {
    Account::new(address.parse().unwrap())
}

#[test]
fn an_account_lives_from_add_to_remove() {
    let yard = Yard::new();
    assert!(yard.keys().is_empty() && yard.names.problem().is_none() && yard.register.list().unwrap().is_empty());
    assert!(!yard.hashes.verify("minji@example.kr", b"x").unwrap());
    yard.register.add(account("Minji@example.kr"), "first").unwrap();
    assert_eq!(yard.keys(), ["minji@example.kr"]);
    assert!(matches!(yard.register.add(account("minji@EXAMPLE.kr"), "x"), Err(Error::Exists(_))));
    assert!(yard.hashes.verify("minji@example.kr", b"first").unwrap());
    assert!(!yard.hashes.verify("minji@example.kr", b"other").unwrap());
    assert!(!yard.hashes.verify("nobody@example.kr", b"first").unwrap());
    let before = yard.hashes.version().unwrap();
    yard.register.passwd("minji@example.kr", "second").unwrap();
    assert_ne!(yard.hashes.version().unwrap(), before);
    assert!(yard.hashes.verify("minji@example.kr", b"second").unwrap());
    let mut changed = account("minji@example.kr");
    changed.may_send = false;
    yard.register.change(changed.clone()).unwrap();
    assert_eq!(yard.register.list().unwrap(), [changed]);
    yard.register.remove("minji@example.kr").unwrap();
    assert!(yard.keys().is_empty() && !yard.hashes.verify("minji@example.kr", b"second").unwrap());
}

#[test]
fn what_cannot_be_is_refused() {
    let yard = Yard::new();
    let long = format!("{}@example.kr", "x".repeat(65));
    assert!(matches!(yard.register.add(account(&long), "x"), Err(Error::TooLong(_))));
    assert!(matches!(yard.register.add(account("a@example.kr"), ""), Err(Error::Password)));
    for refused in [
        yard.register.remove("a@example.kr"),
        yard.register.passwd("a@example.kr", "x"),
        yard.register.change(account("a@example.kr")),
    ] {
        assert!(matches!(refused, Err(Error::Unknown(_))), "{refused:?}");
    }
    assert!(yard.keys().is_empty());
}

#[test]
fn only_the_owner_reads_hashes() {
    let yard = Yard::new();
    yard.register.add(account("minji@example.kr"), "x").unwrap();
    for (file, mode) in [("accounts/accounts", 0o644), ("secrets/passwords", 0o640)] {
        let found = std::fs::metadata(yard.dir.path().join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{file}");
    }
}

#[test]
fn a_bad_edit_leaves_the_last_good_state_and_is_told_once() {
    let yard = Yard::new();
    yard.register.add(account("minji@example.kr"), "x").unwrap();
    assert_eq!(yard.keys().len(), 1);
    yard.edit("bongsu-accounts 1\n{\"address\":\"a@example.kr\"}\n");
    assert_eq!(yard.keys(), ["minji@example.kr"]);
    let problem = yard.names.problem().unwrap();
    assert!(problem.contains("accounts/accounts:2: missing field `may_send`"), "{problem}");
    assert_eq!(yard.names.problem(), None);
    // A change over a wrong file would lose what its writer meant.
    let refused = yard.register.add(account("sora@example.kr"), "x");
    assert!(matches!(refused, Err(Error::Line { line: 2, .. })), "{refused:?}");
    yard.edit("bongsu-accounts 1\n{\"address\":\"a@example.kr\",\"may_send\":true,\"pop3\":true}\n");
    assert_eq!(yard.keys(), ["a@example.kr"]);
    assert_eq!(yard.names.problem(), None);
    std::fs::remove_file(yard.dir.path().join("accounts/accounts")).unwrap();
    assert_eq!(yard.keys(), ["a@example.kr"]);
    assert!(yard.names.problem().unwrap().contains("cannot read"));
}

#[test]
fn a_file_that_was_never_good_is_an_error_not_an_empty_house() {
    let yard = Yard::new();
    yard.edit("nonsense\n");
    assert!(matches!(yard.names.current(), Err(Error::Line { line: 1, .. })));
    yard.edit("bongsu-accounts 1\n");
    assert!(yard.keys().is_empty());
}

#[test]
fn a_newer_format_is_left_untouched() {
    let yard = Yard::new();
    yard.edit("bongsu-accounts 2\nwhatever\n");
    let refused = yard.register.add(account("minji@example.kr"), "x").unwrap_err().to_string();
    assert!(refused.contains("format 2"), "{refused}");
    let text = std::fs::read_to_string(yard.dir.path().join("accounts/accounts")).unwrap();
    assert_eq!(text, "bongsu-accounts 2\nwhatever\n");
}

#[test]
fn changes_at_the_same_time_all_count() {
    let yard = Yard::new();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let register = &yard.register;
            scope.spawn(move || {
                for serial in 0..5 {
                    register.add(account(&format!("a{thread}-{serial}@example.kr")), "x").unwrap();
                }
            });
        }
    });
    assert_eq!(yard.keys().len(), 40);
    assert!(yard.hashes.verify("a7-4@example.kr", b"x").unwrap());
}
