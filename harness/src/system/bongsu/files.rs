//! A node's files and listings, read as anybody could: the queue, the mailboxes, the kept events.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;

use crate::Result;
use crate::ledger::{Found, Place, token};
use crate::server::{Copy, Event};

/// Characters of a queue id, which is the name of a message file.
const ID: usize = 20;

/// A file of a node: its path below the directory that was asked for, and its octets.
pub(crate) type File = (PathBuf, Vec<u8>);

/// Every file below `root`. What vanishes meanwhile is left out: a queue moves.
pub(crate) fn read_below(root: &Path) -> Result<Vec<File>> {
    let (mut files, mut todo) = (Vec::new(), vec![root.to_owned()]);
    while let Some(dir) = todo.pop() {
        let Ok(entries) = std::fs::read_dir(&dir) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
            } else if let Ok(octets) = std::fs::read(&path) {
                files.push((path.strip_prefix(root).unwrap_or(&path).to_owned(), octets));
            }
        }
    }
    Ok(files)
}

fn is_message(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.len() == ID)
}

/// Message files in `local` and `relay`; a message with both kinds of recipients counts once.
pub(crate) fn count_queued(spool: &Path) -> Result<usize> {
    let mut ids = std::collections::BTreeSet::new();
    for queue in ["local", "relay"] {
        let Ok(shards) = std::fs::read_dir(spool.join(queue)) else { continue };
        for shard in shards.map_while(std::result::Result::ok) {
            let Ok(entries) = std::fs::read_dir(shard.path()) else { continue };
            ids.extend(
                entries.map_while(std::result::Result::ok).map(|entry| entry.file_name()).filter(|name| name.len() == ID),
            );
        }
    }
    Ok(ids.len())
}

/// What waits: recipients as `mailq --json` lists them, tokens from the files.
pub(crate) fn queued(node: &str, listing: &[u8], spool: &[File]) -> Result<Vec<Found>> {
    let mut tokens: BTreeMap<String, String> = BTreeMap::new();
    for (path, octets) in spool.iter().filter(|(path, _)| is_message(path)) {
        if let (Some(name), Some(token)) = (path.file_name(), token(octets)) {
            tokens.insert(name.to_string_lossy().into_owned(), token);
        }
    }
    let listing = String::from_utf8_lossy(listing);
    let mut found = Vec::new();
    for line in listing.lines() {
        let message: Value = serde_json::from_str(line).with_context(|| format!("mailq --json printed {line}"))?;
        let id = message["id"].as_str().context("a message without id")?.to_owned();
        let recipients = message["recipients"].as_array().context("a message without recipients")?;
        let recipients: Vec<String> = recipients.iter().filter_map(|to| to["address"].as_str().map(str::to_owned)).collect();
        // A notification that waits has the token of the message that it is about, and is no copy of it.
        let bounce = message["sender"].as_str() == Some("");
        let token = tokens.get(&id).filter(|_| !bounce).cloned().unwrap_or_default();
        found.push(Found { token, place: Place::Queue { node: node.to_owned(), id, recipients }, text: None });
    }
    Ok(found)
}

/// Copies in Maildirs, from the files below `mail/`: `DOMAIN/USER/Maildir/new/NAME`.
pub(crate) fn copies(mail: Vec<File>) -> Vec<Copy> {
    let copy = |(path, text): File| {
        let parts: Vec<&str> = path.iter().filter_map(|part| part.to_str()).collect();
        match parts[..] {
            [domain, user, "Maildir", .., "new" | "cur", _] => Some(Copy { address: format!("{user}@{domain}"), text }),
            _ => None,
        }
    };
    mail.into_iter().filter_map(copy).collect()
}

/// The kept events, oldest first.
pub(crate) fn events(files: &[File]) -> Vec<Event> {
    let lines = files.iter().flat_map(|(_, octets)| octets.split(|octet| *octet == b'\n'));
    let mut events: Vec<Event> = lines.filter_map(|line| event(&serde_json::from_slice(line).ok()?)).collect();
    events.sort_by_key(|event| event.at);
    events
}

fn event(value: &Value) -> Option<Event> {
    let (at, id) = (value["at"].as_i64()?, value["id"].as_str()?.to_owned());
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let status = || format!("{} {}", value["status"]["code"], value["status"]["text"].as_str().unwrap_or_default());
    let (what, detail, message_id) = match value["event"].as_str()? {
        "accepted" => ("accepted".into(), format!("from {} by {}", text("from"), text("relay")), Some(text("msgid"))),
        "attempt" => (text("outcome"), format!("{} via {}: {}", text("to"), text("relay"), status()), None),
        "bounced" => ("bounced".into(), format!("{} notification to {}", text("kind"), text("to")), None),
        _ => return None,
    };
    Some(Event { at, id, message_id, what, detail })
}
