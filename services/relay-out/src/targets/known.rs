//! Hosts that were looked up a moment ago: messages that leave in a run do not each ask. What is kept says nothing that a name server's
//! cache would not say just then.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lib_mail::Status;
use lib_net::dns::Families;

use super::{Found, Resolved};

/// The longest that anything is kept, whatever its TTL.
const LONGEST: Duration = Duration::from_secs(10);
/// Destinations that are kept at most.
const MOST: usize = 4096;

#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<String, Entry>>);

struct Entry {
    families: Families,
    until: Instant,
    hosts: Arc<Resolved>,
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of a destination, or else what is found now.
    pub(super) async fn or(
        &self,
        key: String,
        families: Families,
        find: impl Future<Output = Result<Found, Status>>,
    ) -> Result<Arc<Resolved>, Status> {
        if let Some(hosts) = self.get(&key, families, Instant::now()) {
            return Ok(hosts);
        }
        // In a box, since few need it.
        let Found { hosts, until } = Box::pin(find).await?;
        let hosts = Arc::new(hosts);
        if let Some(until) = until {
            self.keep(key, Entry { families, until, hosts: hosts.clone() }, Instant::now());
        }
        Ok(hosts)
    }

    fn get(&self, key: &str, families: Families, now: Instant) -> Option<Arc<Resolved>> {
        let known = self.lock();
        let entry = known.get(key).filter(|entry| entry.families == families && now < entry.until)?;
        Some(entry.hosts.clone())
    }

    fn keep(&self, key: String, mut entry: Entry, now: Instant) {
        entry.until = entry.until.min(now + LONGEST);
        if entry.until <= now {
            return;
        }
        let mut known = self.lock();
        if known.len() >= MOST {
            known.retain(|_, entry| now < entry.until);
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, entry);
    }

    pub(super) fn forget(&self) {
        self.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Families = Families { v4: true, v6: true };
    const V4: Families = Families { v4: true, v6: false };

    fn entry(until: Instant) -> Entry {
        Entry { families: ALL, until, hosts: Arc::default() }
    }

    #[test]
    fn an_answer_is_kept_as_long_as_it_holds_and_not_for_long() {
        let (known, now) = (Known::default(), Instant::now());
        let second = Duration::from_secs(1);
        for (key, until, at, want) in [
            ("holds", now + second, now + second / 2, true),
            ("expired", now + second, now + second, false),
            ("of no time", now, now, false),
            ("for a day", now + 86_400 * second, now + LONGEST - second, true),
            ("for a day and long ago", now + 86_400 * second, now + LONGEST, false),
        ] {
            known.keep(key.into(), entry(until), now);
            assert_eq!(known.get(key, ALL, at).is_some(), want, "{key}");
            assert!(known.get(key, V4, at).is_none(), "{key}: other families were asked for");
        }
        known.forget();
        assert!(known.get("holds", ALL, now).is_none());
    }

    #[test]
    fn there_is_room_for_what_is_new() {
        let (known, now) = (Known::default(), Instant::now());
        let until = now + Duration::from_secs(1);
        for number in 0..2 * MOST {
            known.keep(number.to_string(), entry(until), now);
            assert!(known.get(&number.to_string(), ALL, now).is_some() && known.lock().len() <= MOST);
        }
        known.keep("later".into(), entry(until + LONGEST), until);
        assert_eq!(known.lock().len(), 1, "what no longer holds makes room first");
    }
}
