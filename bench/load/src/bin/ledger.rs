//! ledger --tokens FILE --spool DIR --dirs 'BASE/%d/new' --n 200 --limit S: is every accepted message there exactly once?
//!
//! FILE is what `smtpload --tokens` wrote: a line for each message, `+ TOKEN` where its 250 was seen, `? TOKEN` where the connection broke
//! before a reply. The token stands in the message's Message-ID. All files below DIR and in the directories are looked at; a message that is
//! on its way from one to the other shows twice for a moment, so an account that does not balance is made again until S seconds are over.
//! Exits with 1 where it still does not: lost, duplicated, or nobody's.
use popload::*;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

/// The Message-ID stands within so many octets of a spool file or a Maildir file.
const HEAD: u64 = 4096;
const FIELD: &[u8] = b"Message-ID: <";
const DOMAIN: &[u8] = b"@load.test>";
/// Directories below each other.
const DEEP: usize = 6;

/// The token of a file; nothing where it is no message of the load, or has just gone.
fn token(path: &Path) -> Option<String> {
    let mut head = Vec::new();
    std::fs::File::open(path).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    let from = head.windows(FIELD.len()).position(|w| w == FIELD)? + FIELD.len();
    let len = head[from..].windows(DOMAIN.len()).position(|w| w == DOMAIN)?;
    String::from_utf8(head[from..from + len].to_vec()).ok()
}

fn look(dir: &Path, deep: usize, found: &mut HashMap<String, usize>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && deep > 0 => look(&entry.path(), deep - 1, found),
            Ok(kind) if kind.is_file() => {
                if let Some(token) = token(&entry.path()) {
                    *found.entry(token).or_default() += 1;
                }
            }
            _ => {}
        }
    }
}

/// What the account says, and whether it balances.
fn account(a: &Args, told: &HashMap<String, bool>) -> (String, bool) {
    let mut found = HashMap::new();
    look(Path::new(&a.s("spool", "/nonexistent")), DEEP, &mut found);
    (0..a.n("n", 0)).for_each(|i| look(Path::new(&subst(&a.s("dirs", "./%d/new"), i)), 0, &mut found));
    let accepted = told.values().filter(|sure| **sure).count();
    let there = told.iter().filter(|(token, sure)| **sure && found.contains_key(*token)).count();
    let doubt = told.iter().filter(|(token, sure)| !**sure && found.contains_key(*token)).count();
    let twice: usize = found.values().map(|times| times - 1).sum();
    let nobodys = found.keys().filter(|token| !told.contains_key(*token)).count();
    let mut text = format!("ledger: accepted {accepted} = found {there}, lost {}, duplicated {twice}", accepted - there);
    if doubt > 0 {
        text += &format!(", found without a reply {doubt}");
    }
    if nobodys > 0 {
        text += &format!(", of nobody {nobodys}");
    }
    (text, accepted > 0 && there == accepted && twice == 0 && nobodys == 0)
}

fn main() {
    let a = Args::parse();
    let lines = std::fs::read_to_string(a.s("tokens", "")).expect("--tokens: a file that smtpload wrote");
    let told = lines.lines().filter_map(|line| line.split_once(' ')).map(|(sure, token)| (token.to_string(), sure == "+")).collect();
    let limit = Instant::now() + Duration::from_secs(a.n("limit", 5) as u64);
    loop {
        let (text, balances) = account(&a, &told);
        if balances {
            println!("{text}");
            return;
        }
        if Instant::now() > limit {
            println!("{text}: DOES NOT BALANCE");
            std::process::exit(1);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
