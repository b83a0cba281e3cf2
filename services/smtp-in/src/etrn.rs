//! ETRN (RFC 1985): anybody may ask that we try the queue of a domain that we are backup MX for; not too often.
//!
//! A run is for an entry of `relay-domains` with all names below it, whichever of them was asked for, and is counted against that entry.
//! So names that are made up below an entry bring nobody further runs, and keep nobody from one: who is told "a moment ago" has had
//! his run.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lib_mail::{Domain, Enhanced, Status, Timestamp};
use lib_policy::RelayDomains;
use tokio::time::Instant;

/// Entries remembered before those are forgotten that may run again. There are no more than `relay-domains` has.
const FORGET_AT: usize = 1000;

/// When each entry's queue was started last.
#[derive(Debug, Default)]
pub(crate) struct Runs(Mutex<HashMap<String, Instant>>);

impl Runs {
    /// The answer; where it is a success, also the domain whose queue is to be started now, with those below it.
    pub(crate) fn ask(
        &self,
        domain: &Domain,
        relay: &RelayDomains,
        interval: Duration,
        now: Timestamp,
    ) -> (Status, Option<Domain>) {
        let Some(entry) = relay.covering(domain).and_then(|entry| entry.parse::<Domain>().ok()) else {
            return (Status::local(459, Enhanced::new(4, 7, 1), format!("No mail is queued for {domain} here"), now), None);
        };
        if !self.may_run(entry.key(), interval) {
            let text = format!("The queue of {domain} was started a moment ago; try again later");
            return (Status::local(458, Enhanced::new(4, 7, 0), text, now), None);
        }
        (Status::local(250, Enhanced::new(2, 0, 0), format!("Queuing for {domain} started"), now), Some(entry))
    }

    fn may_run(&self, key: String, interval: Duration) -> bool {
        let now = Instant::now();
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.get(&key).is_some_and(|last| now.duration_since(*last) < interval) {
            return false;
        }
        if runs.len() >= FORGET_AT {
            runs.retain(|_, last| now.duration_since(*last) < interval);
        }
        runs.insert(key, now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn relay() -> RelayDomains {
        RelayDomains::parse("a.example\nb.example\nmail.b.example\n").unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_started_for_relay_domains_and_once_in_the_interval() {
        let runs = Runs::default();
        let ask = |domain: &str| {
            let (status, run) = runs.ask(&domain.parse().unwrap(), &relay(), MINUTE, Timestamp(0));
            (status.code, run.map(|domain| domain.to_string()))
        };
        for (domain, want) in [
            ("A.Example", (250, Some("a.example"))),
            ("a.example", (458, None)),
            ("mail.a.example", (458, None)),
            ("x.mail.b.example", (250, Some("mail.b.example"))),
            ("mail.b.example", (458, None)),
            ("b.example", (250, Some("b.example"))),
            ("c.example", (459, None)),
        ] {
            assert_eq!(ask(domain), (want.0, want.1.map(str::to_owned)), "{domain}");
        }
        tokio::time::advance(MINUTE).await;
        assert_eq!(ask("a.example"), (250, Some("a.example".into())));
    }

    #[tokio::test(start_paused = true)]
    async fn made_up_subdomains_bring_one_run_and_keep_no_primary_from_its_own() {
        let runs = Runs::default();
        let ask = |domain: &str| runs.ask(&domain.parse().unwrap(), &relay(), MINUTE, Timestamp(0)).1;
        let started: Vec<_> = (0..20_000).filter_map(|n| ask(&format!("x{n}.a.example"))).collect();
        // The primary is told that its queue was started a moment ago, and it was.
        assert_eq!(started, ["a.example".parse().unwrap()]);
        assert_eq!(ask("a.example"), None);
        assert_eq!(ask("b.example"), Some("b.example".parse().unwrap()));
        assert_eq!(runs.0.lock().unwrap().len(), 2);
    }
}
