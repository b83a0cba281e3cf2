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
pub(super) struct Known(Mutex<Memory>);

#[derive(Default)]
struct Memory {
    entries: HashMap<String, Entry>,
    /// How often all was forgotten.
    forgotten: u64,
}

struct Entry {
    families: Families,
    until: Instant,
    hosts: Arc<Resolved>,
}

impl Known {
    fn lock(&self) -> MutexGuard<'_, Memory> {
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
        let forgotten = self.lock().forgotten;
        // In a box, since few need it.
        let Found { hosts, until } = Box::pin(find).await?;
        let hosts = Arc::new(hosts);
        if let Some(until) = until {
            self.keep(key, Entry { families, until, hosts: hosts.clone() }, forgotten, Instant::now());
        }
        Ok(hosts)
    }

    fn get(&self, key: &str, families: Families, now: Instant) -> Option<Arc<Resolved>> {
        let known = self.lock();
        let entry = known.entries.get(key).filter(|entry| entry.families == families && now < entry.until)?;
        Some(entry.hosts.clone())
    }

    /// Keeps what was found, unless all was forgotten since the look-up began.
    fn keep(&self, key: String, mut entry: Entry, forgotten: u64, now: Instant) {
        entry.until = entry.until.min(now + LONGEST);
        let mut known = self.lock();
        if entry.until <= now || known.forgotten != forgotten {
            return;
        }
        if known.entries.len() >= MOST {
            known.entries.retain(|_, entry| now < entry.until);
        }
        if known.entries.len() >= MOST {
            known.entries.clear();
        }
        known.entries.insert(key, entry);
    }

    pub(super) fn forget(&self) {
        let mut known = self.lock();
        known.entries.clear();
        known.forgotten += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

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
            known.keep(key.into(), entry(until), 0, now);
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
            known.keep(number.to_string(), entry(until), 0, now);
            assert!(known.get(&number.to_string(), ALL, now).is_some() && known.lock().entries.len() <= MOST);
        }
        known.keep("later".into(), entry(until + LONGEST), 0, until);
        assert_eq!(known.lock().entries.len(), 1, "what no longer holds makes room first");
    }

    #[tokio::test]
    async fn each_is_found_once_until_it_is_forgotten() {
        let (known, asked) = (Known::default(), Cell::new(0));
        let until = Instant::now() + Duration::from_secs(60);
        let find = async |until| {
            asked.set(asked.get() + 1);
            Ok(Found { hosts: Vec::new(), until })
        };
        for (until, want) in [(None, 1), (Some(until), 2), (None, 2), (Some(until), 2)] {
            known.or("a.example".into(), ALL, find(until)).await.unwrap();
            assert_eq!(asked.get(), want);
        }
        let failed = Status::local(451, lib_mail::Enhanced::new(4, 4, 3), "no answer", lib_mail::Timestamp(0));
        assert_eq!(known.or("b.example".into(), ALL, async { Err(failed.clone()) }).await.unwrap_err(), failed);
        // A look-up on its way is of before.
        known
            .or("b.example".into(), ALL, async {
                known.forget();
                find(Some(until)).await
            })
            .await
            .unwrap();
        for key in ["a.example", "b.example"] {
            let before = asked.get();
            known.or(key.into(), ALL, find(Some(until))).await.unwrap();
            assert_eq!(asked.get(), before + 1, "{key}");
        }
    }
}
