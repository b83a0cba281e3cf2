//! The form of both files: a first line with name and version, then one JSON object for each account.
//!
//! ```text
//! bongsu-accounts 1
//! {"address":"minji@example.kr","may_send":true,"pop3":true,"owns":["sales@example.kr"]}
//! ```
//! ```text
//! bongsu-passwords 1
//! {"account":"minji@example.kr","hash":"$argon2id$v=19$m=19456,t=2,p=1$…"}
//! ```
//! Empty lines are skipped; anything else that is not understood makes the whole file wrong, because half of it is not what anybody meant.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Account;

/// The version written, and the newest that is read.
const VERSION: u32 = 1;
/// More octets than this are not read as a file of accounts.
pub(crate) const MAX_LEN: usize = 64 * 1024 * 1024;

/// A line of a file that is sorted by account.
pub(crate) trait Line: Serialize + DeserializeOwned {
    /// The file's name, and its first word less the prefix.
    const FILE: &'static str;
    /// The permission bits of the file.
    const MODE: u32;

    /// The key of the account that the line is about.
    fn key(&self) -> String;
}

impl Line for Account {
    const FILE: &'static str = "accounts";
    const MODE: u32 = 0o644;

    fn key(&self) -> String {
        self.address.key()
    }
}

/// The password hash of an account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secret {
    /// The account's key.
    pub(crate) account: String,
    /// As PHC string.
    pub(crate) hash: String,
}

impl Line for Secret {
    const FILE: &'static str = "passwords";
    // Closed by its directory; the group is for the set-up in which an administrator writes and another user, `auth`, reads.
    const MODE: u32 = 0o640;

    fn key(&self) -> String {
        self.account.clone()
    }
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// Counted from 1.
    pub(crate) line: usize,
    /// What, and what would be right.
    pub(crate) what: String,
}

/// Reads a file's text. A file without even a first line holds nothing.
pub(crate) fn parse<T: Line>(text: &[u8]) -> Result<BTreeMap<String, T>, Wrong> {
    let mut all = BTreeMap::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let wrong = |what: String| Wrong { line: index + 1, what };
        if line.is_empty() {
            continue;
        }
        if index == 0 {
            check_first::<T>(line).map_err(wrong)?;
            continue;
        }
        let entry: T = serde_json::from_slice(line).map_err(|error| wrong(describe(&error)))?;
        let key = entry.key();
        if all.insert(key.clone(), entry).is_some() {
            return Err(wrong(format!("a second line for {key}")));
        }
    }
    if !all.is_empty() && text.first() == Some(&b'\n') {
        return Err(Wrong { line: 1, what: format!("the first line must be {:?}", first::<T>()) });
    }
    Ok(all)
}

fn first<T: Line>() -> String {
    format!("bongsu-{} {VERSION}", T::FILE)
}

fn check_first<T: Line>(line: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(line);
    let version = text.strip_prefix(&format!("bongsu-{} ", T::FILE)).and_then(|digits| digits.parse::<u32>().ok());
    match version {
        Some(VERSION) => Ok(()),
        Some(newer) if newer > VERSION => Err(format!(
            "the file has format {newer}, this program reads up to {VERSION}: use the newer program; nothing was changed"
        )),
        _ => Err(format!("the first line must be {:?}", first::<T>())),
    }
}

/// The words of a JSON error without its line, which is always 1.
fn describe(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let words = text.rsplit_once(" at line ").map_or(text.as_str(), |(words, _)| words);
    format!("{words} (column {})", error.column())
}

/// The text of a file.
pub(crate) fn print<T: Line>(all: &BTreeMap<String, T>) -> Result<String, serde_json::Error> {
    let mut text = first::<T>() + "\n";
    for entry in all.values() {
        text.push_str(&serde_json::to_string(entry)?);
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back() {
        let mut all = BTreeMap::new();
        for address in ["minji@example.kr", "\"a b\"@example.kr", "민지@메일.example"] {
            let mut account = Account::new(address.parse().unwrap());
            account.pop3 = address.len() % 2 == 0;
            account.owns.push("sales@example.kr".parse().unwrap());
            all.insert(account.key(), account);
        }
        assert_eq!(parse::<Account>(print(&all).unwrap().as_bytes()).unwrap(), all);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let minji = r#"{"address":"minji@example.kr","may_send":true,"pop3":true}"#;
        for (text, line, says) in [
            ("bongsu-accounts 2\n", 1, "format 2"),
            ("bongsu-passwords 1\n", 1, "the first line must be \"bongsu-accounts 1\""),
            ("minji\n", 1, "the first line must be"),
            (&format!("\n{minji}\n"), 1, "the first line must be"),
            (&format!("bongsu-accounts 1\n{minji}\n\nminji\n"), 4, "expected value (column 1)"),
            (&format!("bongsu-accounts 1\n{minji}\n{minji}\n"), 3, "a second line for minji@example.kr"),
            (
                &format!("bongsu-accounts 1\n{}\n", minji.replace("pop3", "pop")),
                2,
                "unknown field `pop`, expected one of `address`",
            ),
            (&format!("bongsu-accounts 1\n{}\n", minji.replace("@example.kr", "")), 2, "an address is local-part@domain"),
            (&format!("bongsu-accounts 1\n{}", &minji[..20]), 2, "EOF while parsing"),
            ("bongsu-accounts 1\n\u{0}", 2, "expected value"),
        ] {
            let wrong = parse::<Account>(text.as_bytes()).unwrap_err();
            assert_eq!(wrong.line, line, "{text}: {}", wrong.what);
            assert!(wrong.what.contains(says), "{text}: {}", wrong.what);
        }
        assert!(parse::<Account>(b"").unwrap().is_empty());
        assert_eq!(parse::<Account>(format!("bongsu-accounts 1\n\n{minji}").as_bytes()).unwrap().len(), 1);
    }
}
