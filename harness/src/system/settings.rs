//! Settings of a topology, which are named as bongsu names them, for a system of another make.

use crate::Result;
use crate::scenario::SKIPPED;

/// Settings that are so on every node of another make.
const ALREADY: &[&str] = &[
    "smtp.max_sessions_per_address",
    "smtp.connection_rate_per_address",
    "pop3.max_sessions_per_address",
    "pop3.connection_rate_per_address",
    // Dovecot's passwords are in the clear: there is nothing to remember.
    "auth.remember",
];

/// Names and values of a system's own.
pub(super) type Own = Vec<(String, String)>;

/// Lines `key = value` as a system has them, a later one over an earlier; `one` translates one of them. A setting without its like is an error that
/// begins `SKIPPED: `: a scenario that depends on it can't judge the system.
pub(super) fn translated(text: &str, system: &str, one: impl Fn(&str, &str) -> Option<Own>) -> Result<Own> {
    let mut parameters = Own::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (key, value) = line.split_once('=').map_or((line, ""), |(key, value)| (key.trim(), value.trim()));
        let of_it = one(key, value).or_else(|| ALREADY.contains(&key).then(Own::new));
        let Some(of_it) = of_it else { anyhow::bail!("{SKIPPED}{system} has nothing like {key} = {value}") };
        for (name, value) in of_it {
            parameters.retain(|(known, _)| *known != name);
            parameters.push((name, value));
        }
    }
    Ok(parameters)
}

/// The same value under each of these names.
pub(super) fn named(names: &[&str], value: &str) -> Own {
    names.iter().map(|name| ((*name).to_owned(), value.to_owned())).collect()
}

/// The steps of `["1s", "2s"]`.
pub(super) fn steps(list: &str) -> Vec<&str> {
    list.trim_matches(['[', ']']).split(',').map(|step| step.trim().trim_matches('"')).collect()
}

/// `100 kB` in octets.
pub(super) fn octets(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok().map(|number| number * unit)
}
