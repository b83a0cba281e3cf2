//! The file `aliases`, in sendmail's format: `name: target, target`, lines that begin with a space or tab go on, `#` begins a comment
//! line.
//!
//! A name is a local part, which then holds in every local domain, or a full address, which wins over it. A target is a name, a full
//! address, `:include:/file`, `|program` or `/file`. The last three are read, so that an old file loads, but mail for them is
//! refused as not supported yet; each such line is told as a warning.

use std::collections::HashMap;

use lib_mail::{Address, Domain};

use crate::maps::LineProblem;

/// Targets of one name; a longer list belongs into a file of its own.
const MAX_TARGETS: usize = 10_000;
/// Octets of one logical line, with its continuations.
const MAX_ENTRY: usize = 1 << 20;

/// Where an alias leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A local part without domain: it means the default domain.
    Name(String),
    /// A full address.
    Address(Address),
    /// `:include:FILE`: the addresses in a file.
    List(String),
    /// `|COMMAND`.
    Pipe(String),
    /// `/FILE`.
    File(String),
}

impl Target {
    /// The target as an address; `None` for lists, programs and files.
    pub fn address(&self, default_domain: &Domain) -> Option<Address> {
        match self {
            Target::Name(local) => Address::new(local, default_domain).ok(),
            Target::Address(address) => Some(address.clone()),
            Target::List(_) | Target::Pipe(_) | Target::File(_) => None,
        }
    }
}

/// What `newaliases` prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Names.
    pub aliases: usize,
    /// Octets of the longest right side.
    pub longest: usize,
    /// Octets of all names and right sides.
    pub total: usize,
}

/// `40 aliases, longest 28 bytes, 434 bytes total`
impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} aliases, longest {} bytes, {} bytes total", self.aliases, self.longest, self.total)
    }
}

/// All aliases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aliases {
    entries: HashMap<String, Entry>,
    warnings: Vec<LineProblem>,
    summary: Summary,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    line: usize,
    targets: Vec<Target>,
}

impl Aliases {
    /// The aliases of a text; or every bad line.
    pub fn parse(text: &str) -> Result<Aliases, Vec<LineProblem>> {
        let mut aliases = Aliases::default();
        let mut problems = Vec::new();
        for (line, entry) in logical_lines(text, &mut problems) {
            if let Err(what) = aliases.add(line, &entry) {
                problems.push(LineProblem { line, what });
            }
        }
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() { Ok(aliases) } else { Err(problems) }
    }

    /// Lines that are right but not in force: lists, programs and files.
    pub fn warnings(&self) -> &[LineProblem] {
        &self.warnings
    }

    /// What `newaliases` prints.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The line and targets of a key: a local part in lower case, or `local@domain` as `Address::key` gives it.
    pub fn of(&self, key: &str) -> Option<(usize, &[Target])> {
        self.entries.get(key).map(|entry| (entry.line, entry.targets.as_slice()))
    }

    /// All keys with their targets, sorted, as `praliases` lists them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[Target])> {
        let mut all: Vec<_> = self.entries.iter().map(|(key, entry)| (key.as_str(), entry.targets.as_slice())).collect();
        all.sort_by_key(|(key, _)| *key);
        all.into_iter()
    }

    fn add(&mut self, line: usize, entry: &str) -> Result<(), String> {
        let colon = colon(entry).ok_or("an alias is `name: target, target`; there is no colon")?;
        let (name, right) = (entry[..colon].trim(), entry[colon + 1..].trim());
        let key = key(name)?;
        let mut targets = Vec::new();
        for text in split_targets(right) {
            let target = target(&text)?;
            if let Some(kind) = unsupported(&target) {
                let what = format!("{name}: {kind} `{}` is not supported yet; mail for it is refused", shown(&text));
                self.warnings.push(LineProblem { line, what });
            }
            targets.push(target);
        }
        if targets.is_empty() {
            return Err(format!("{} has no target", shown(name)));
        }
        if targets.len() > MAX_TARGETS {
            return Err(format!("{} has over {MAX_TARGETS} targets", shown(name)));
        }
        if let Some(earlier) = self.entries.get(&key) {
            return Err(format!("{} stands already in line {}", shown(name), earlier.line));
        }
        self.summary.aliases += 1;
        self.summary.longest = self.summary.longest.max(right.len());
        self.summary.total += name.len() + right.len();
        self.entries.insert(key, Entry { line, targets });
        Ok(())
    }
}

fn unsupported(target: &Target) -> Option<&'static str> {
    match target {
        Target::List(_) => Some("the list"),
        Target::Pipe(_) => Some("the program"),
        Target::File(_) => Some("the file"),
        Target::Name(_) | Target::Address(_) => None,
    }
}

/// Entries with their continuation lines joined, and the number of the first.
fn logical_lines(text: &str, problems: &mut Vec<LineProblem>) -> Vec<(usize, String)> {
    let mut entries: Vec<(usize, String)> = Vec::new();
    // A comment or an empty line between an entry and its continuation does not part them; sendmail reads it so too.
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if !line.starts_with([' ', '\t']) {
            entries.push((index + 1, line.to_owned()));
            continue;
        }
        let problem = match entries.last_mut() {
            None => "the line goes on, but nothing is before it",
            Some((_, entry)) if entry.len() + line.len() > MAX_ENTRY => "the entry is too long",
            Some((_, entry)) => {
                entry.push(' ');
                entry.push_str(line.trim());
                continue;
            }
        };
        problems.push(LineProblem { line: index + 1, what: problem.to_owned() });
    }
    entries
}

/// The place of the colon behind the name: the first one outside quotes.
fn colon(entry: &str) -> Option<usize> {
    let mut quoted = false;
    for (at, c) in entry.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ':' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

fn key(name: &str) -> Result<String, String> {
    let refused = || format!("`{}` is neither a mailbox name nor an address", shown(name));
    if name.contains('@') && !name.starts_with('"') {
        return name.parse::<Address>().map(|address| address.key()).map_err(|_| refused());
    }
    local_part(name).map(|address| address.mailbox().to_lowercase()).ok_or_else(refused)
}

/// A name without domain, as an address whose domain means nothing.
fn local_part(name: &str) -> Option<Address> {
    let domain: Domain = "invalid".parse().ok()?;
    Address::new(name, &domain).ok()
}

/// The right side at its commas, but for those in quotes or angle brackets.
fn split_targets(right: &str) -> Vec<String> {
    let (mut parts, mut part, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in right.chars() {
        match c {
            ',' if !quoted => parts.push(std::mem::take(&mut part)),
            _ => {
                quoted ^= c == '"' && !escaped;
                part.push(c);
            }
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(part);
    parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn target(text: &str) -> Result<Target, String> {
    // `"|program argument"` and `"/file name"` stand in quotes where they hold a space or comma.
    let inner = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    if let Some(command) = inner.strip_prefix('|') {
        return Ok(Target::Pipe(command.trim().to_owned()));
    }
    if inner.starts_with('/') {
        return Ok(Target::File(inner.to_owned()));
    }
    if let Some(file) = inner.get(..9).filter(|tag| tag.eq_ignore_ascii_case(":include:")).map(|_| inner[9..].trim()) {
        return Ok(Target::List(file.to_owned()));
    }
    // `\name` stops sendmail from looking at .forward; it names the mailbox all the same.
    let plain = text.strip_prefix('\\').unwrap_or(text);
    let plain = plain.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(plain);
    if let Ok(address) = plain.parse::<Address>() {
        return Ok(Target::Address(address));
    }
    match local_part(plain) {
        Some(_) => Ok(Target::Name(plain.to_owned())),
        None => Err(format!("`{}` is no target: write a name, an address, or several parted by commas", shown(text))),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests;
