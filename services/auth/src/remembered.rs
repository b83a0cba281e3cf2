//! Logins that were verified a moment ago, so that a client that comes every few seconds does not cost a password hash each time.
//!
//! What is kept is a keyed hash of account and password under a key that this process made and nobody else knows; a copy of
//! the memory of another process, or of this one without the key, tells nothing. Failures are not remembered.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

/// Logins kept. A full table is emptied: each forgotten login costs one hash, once.
const ENTRIES: usize = 16 * 1024;

/// A keyed hash of account and password.
pub(crate) type Mark = [u8; 32];

struct Entry {
    until: Instant,
    /// Of the file of hashes when the login was verified.
    version: u64,
}

/// The logins remembered.
pub(crate) struct Remembered {
    key: hmac::Key,
    entries: HashMap<Mark, Entry>,
}

impl Remembered {
    /// Remembers nothing yet; `secret` must be random.
    pub(crate) fn new(secret: &[u8; 32]) -> Self {
        Remembered { key: hmac::Key::new(hmac::HMAC_SHA256, secret), entries: HashMap::new() }
    }

    /// The mark of a login. The length in front keeps `ab` + `c` apart from `a` + `bc`.
    pub(crate) fn mark(&self, account: &str, password: &str) -> Mark {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&(account.len() as u64).to_le_bytes());
        context.update(account.as_bytes());
        context.update(password.as_bytes());
        let mut mark = Mark::default();
        mark.copy_from_slice(context.sign().as_ref());
        mark
    }

    /// Whether this login was verified lately against this version of the hashes.
    pub(crate) fn knows(&self, mark: &Mark, version: u64, now: Instant) -> bool {
        self.entries.get(mark).is_some_and(|entry| entry.version == version && now < entry.until)
    }

    /// Notes a login that was verified against this version of the hashes.
    pub(crate) fn note(&mut self, mark: Mark, version: u64, now: Instant, time: Duration) {
        if time.is_zero() {
            return;
        }
        if self.entries.len() >= ENTRIES {
            self.entries.retain(|_, entry| entry.version == version && now < entry.until);
        }
        if self.entries.len() >= ENTRIES {
            self.entries.clear();
        }
        self.entries.insert(mark, Entry { until: now + time, version });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_login_is_known_until_its_time_or_a_change() {
        let (mut remembered, start) = (Remembered::new(&[7; 32]), Instant::now());
        let mark = remembered.mark("minji@example.kr", "secret");
        assert!(!remembered.knows(&mark, 1, start));
        remembered.note(mark, 1, start, MINUTE);
        assert!(remembered.knows(&mark, 1, start + MINUTE / 2));
        assert!(!remembered.knows(&mark, 1, start + MINUTE), "its time is over");
        assert!(!remembered.knows(&mark, 2, start), "the hashes changed");
        for (account, password) in
            [("minji@example.kr", "secres"), ("minji@example.k", "rsecret"), ("minji@example.krs", "ecret")]
        {
            assert!(!remembered.knows(&remembered.mark(account, password), 1, start), "{account} {password}");
        }
    }

    #[test]
    fn another_key_gives_another_mark() {
        let mark = |secret| Remembered::new(&[secret; 32]).mark("a@b", "c");
        assert_ne!(mark(1), mark(2));
    }

    #[test]
    fn no_time_means_nothing_is_kept() {
        let (mut remembered, now) = (Remembered::new(&[7; 32]), Instant::now());
        remembered.note([1; 32], 1, now, Duration::ZERO);
        assert!(remembered.entries.is_empty());
    }

    #[test]
    fn the_table_is_bounded() {
        let (mut remembered, now) = (Remembered::new(&[7; 32]), Instant::now());
        for entry in 0..2 * ENTRIES as u64 {
            let mut mark = Mark::default();
            mark[..8].copy_from_slice(&entry.to_le_bytes());
            remembered.note(mark, 1, now, MINUTE);
            assert!(remembered.entries.len() <= ENTRIES);
        }
    }
}
