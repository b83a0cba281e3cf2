//! ETRN (RFC 1985): anybody may ask that we try the queue of a domain that we are backup MX for; not too often.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lib_mail::{Domain, Enhanced, Status, Timestamp};
use lib_policy::RelayDomains;
use tokio::time::Instant;

/// Domains whose last run is remembered. Relay domains are few; subdomains of them can be made up.
const MAX_REMEMBERED: usize = 10_000;

/// When each domain's queue was started last.
#[derive(Debug, Default)]
pub(crate) struct Runs(Mutex<HashMap<String, Instant>>);

impl Runs {
    /// The answer; a success means that the queue of the domain is to be started now.
    pub(crate) fn ask(&self, domain: &Domain, relay: &RelayDomains, interval: Duration, now: Timestamp) -> Status {
        if !relay.has(domain) {
            return Status::local(459, Enhanced::new(4, 7, 1), format!("No mail is queued for {domain} here"), now);
        }
        if !self.may_run(domain.key(), interval) {
            let text = format!("The queue of {domain} was started a moment ago; try again later");
            return Status::local(458, Enhanced::new(4, 7, 0), text, now);
        }
        Status::local(250, Enhanced::new(2, 0, 0), format!("Queuing for {domain} started"), now)
    }

    fn may_run(&self, key: String, interval: Duration) -> bool {
        let now = Instant::now();
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.get(&key).is_some_and(|last| now.duration_since(*last) < interval) {
            return false;
        }
        if runs.len() >= MAX_REMEMBERED {
            runs.retain(|_, last| now.duration_since(*last) < interval);
        }
        if runs.len() >= MAX_REMEMBERED {
            return false;
        }
        runs.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_started_for_relay_domains_and_once_in_the_interval() {
        let relay = RelayDomains::parse("a.example\n").unwrap();
        let runs = Runs::default();
        let minute = Duration::from_secs(60);
        let ask = |domain: &str| runs.ask(&domain.parse().unwrap(), &relay, minute, Timestamp(0)).code;
        for (domain, want) in
            [("a.example", 250), ("a.example", 458), ("A.Example", 458), ("mail.a.example", 250), ("b.example", 459)]
        {
            assert_eq!(ask(domain), want, "{domain}");
        }
        tokio::time::advance(minute).await;
        assert_eq!(ask("a.example"), 250);
    }

    #[test]
    fn made_up_subdomains_do_not_fill_the_memory() {
        let relay = RelayDomains::parse("a.example\n").unwrap();
        let runs = Runs::default();
        for n in 0..MAX_REMEMBERED + 100 {
            runs.ask(&format!("x{n}.a.example").parse().unwrap(), &relay, Duration::from_secs(60), Timestamp(0));
        }
        assert_eq!(runs.0.lock().unwrap().len(), MAX_REMEMBERED);
    }
}
