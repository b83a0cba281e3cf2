//! What all attempts share.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use lib_host::{Change, Clock, Watched};
use lib_mail::{Address, Domain, QueueId, meant_domain};
use lib_net::recorder::Recorder;
use lib_net::wake::{Consumer, Wake, Waker};
use lib_policy::{LineProblem, LocalDomains, RelayDomains};
use lib_record::{Event, RoleName, What};
use lib_spool::{Queue, Spool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::destinations::Destinations;
use crate::dial::Dialer;
use crate::ending::Endings;
use crate::pair::Board;
use crate::targets::Directory;
use crate::terms::Terms;

/// Answers of peers that are not recorded yet, in all: docs/spool.md names this number.
pub(crate) const UNRECORDED: usize = 32;

pub(crate) struct Shared {
    pub(crate) spool: Spool,
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) waker: Waker,
    pub(crate) directory: Directory,
    pub(crate) dialer: Dialer,
    pub(crate) terms: ArcSwap<Terms>,
    pub(crate) local: LocalMap,
    pub(crate) destinations: Destinations,
    pub(crate) unrecorded: Arc<Semaphore>,
    pub(crate) endings: Endings,
    pub(crate) board: Board,
}

impl Shared {
    pub(crate) fn record(&self, id: Option<QueueId>, what: What) {
        self.recorder.record(Event { at: self.clock.now(), role: RoleName::RelayOut, id, what });
    }

    pub(crate) fn warn(&self, id: Option<QueueId>, subject: &str, text: impl Into<String>) {
        self.record(id, What::Warning { subject: subject.into(), text: text.into() });
    }

    /// Waits until fewer than the allowed number of answers are unrecorded; the permit is kept until the new one is recorded.
    pub(crate) async fn unrecorded(&self) -> Option<OwnedSemaphorePermit> {
        self.unrecorded.clone().acquire_owned().await.ok()
    }

    /// Wakes the consumer of a new message.
    pub(crate) fn wake(&self, queue: Queue, id: QueueId) {
        let consumer = match queue {
            Queue::Local => Consumer::Local,
            Queue::Relay => Consumer::Relay,
        };
        self.waker.send(consumer, &Wake::New(id));
    }

    /// The queue that takes mail for an address. Reads the map of local domains where it changed; blocks.
    pub(crate) fn queue_of(&self, address: &Address, terms: &Terms) -> Queue {
        let (is_local, problem) = self.local.is_local(address, terms);
        if let Some((file, text)) = problem {
            self.warn(None, &file, text);
        }
        if is_local { Queue::Local } else { Queue::Relay }
    }
}

/// `local-host-names`, for where notifications go.
pub(crate) struct LocalMap {
    base: PathBuf,
    watched: Mutex<Option<Watched<LocalDomains>>>,
}

impl LocalMap {
    /// The map lies in `base`, the directory of the configuration.
    pub(crate) fn new(base: &Path) -> LocalMap {
        LocalMap { base: base.to_owned(), watched: Mutex::default() }
    }

    /// The domains whose mailboxes are here. Blocks.
    pub(crate) fn domains(&self, terms: &Terms) -> Vec<Domain> {
        let text = std::fs::read_to_string(self.base.join(&terms.domains.local_file)).unwrap_or_default();
        let listed = LocalDomains::parse(&text).unwrap_or_default().with(&terms.domains.local).with([&terms.default_domain]);
        listed.iter().filter_map(|key| key.parse().ok()).collect()
    }

    /// The domain that was probably meant by one that is none of ours and looks mistyped. Blocks.
    pub(crate) fn meant(&self, address: &Address, terms: &Terms) -> Option<String> {
        let text = std::fs::read_to_string(self.base.join(&terms.domains.relay_file)).unwrap_or_default();
        let relay = RelayDomains::parse(&text).unwrap_or_default().with(&terms.domains.relay);
        let local: Vec<String> = self.domains(terms).iter().map(Domain::key).collect();
        meant_domain(&address.domain(), local.iter().map(String::as_str).chain(relay.iter())).map(str::to_owned)
    }

    /// Whether mailboxes of that domain are here; and what is wrong with the map, once for each change.
    fn is_local(&self, address: &Address, terms: &Terms) -> (bool, Option<(String, String)>) {
        let domains = &terms.domains;
        let mut watched: MutexGuard<'_, _> = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.base.join(&domains.local_file);
        let map = match &mut *watched {
            Some(map) if map.path() == path => map,
            other => other.insert(Watched::new(path, LocalDomains::default())),
        };
        let parse = |octets: &[u8]| LocalDomains::parse(&String::from_utf8_lossy(octets));
        let problem = match map.look(parse) {
            Change::Bad(lines) => Some((map.path().display().to_string(), lines_text(&lines))),
            _ => None,
        };
        let domain = address.domain();
        let listed = map.value().has(&domain) || domains.local.contains(&domain);
        let unlisted = map.value().is_empty() && domains.local.is_empty() && domain == terms.hostname;
        (listed || unlisted || domain == terms.default_domain, problem)
    }
}

fn lines_text(lines: &[LineProblem]) -> String {
    lines.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use lib_settings::{Profile, Secrets, Settings};

    use super::*;

    #[test]
    fn where_notifications_go() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults(Profile::Office);
        settings.hostname = "mail.example.net".parse().unwrap();
        let terms = Terms::new(&settings, &Secrets::default());
        let map = LocalMap::new(dir.path());
        let local = |text: &str| map.is_local(&text.parse().unwrap(), &terms);
        assert!(local("a@example.net").0 && local("a@mail.example.net").0 && !local("a@example.org").0);
        std::fs::write(dir.path().join("local-host-names"), "example.org\n").unwrap();
        assert!(local("a@example.org").0 && local("a@example.net").0 && !local("a@mail.example.net").0);
        std::fs::write(dir.path().join("local-host-names"), "two words\nx\n").unwrap();
        let (is_local, problem) = local("a@example.org");
        assert!(is_local && problem.unwrap().1.starts_with("1: "), "the last good map stays");
        assert_eq!(local("a@example.org").1, None, "told once");
    }

    #[test]
    fn a_mistyped_domain_is_measured_against_our_own_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults(Profile::Office);
        settings.hostname = "mail.seouloffice.kr".parse().unwrap();
        let terms = Terms::new(&settings, &Secrets::default());
        let map = LocalMap::new(dir.path());
        std::fs::write(dir.path().join("relay-domains"), "branchoffice.kr\nnaver.co\n").unwrap();
        for (address, want) in [
            ("a@kebi.net", Some("kebi.com")),
            ("a@seoulofice.kr", Some("seouloffice.kr")),
            ("a@branchofice.kr", Some("branchoffice.kr")),
            ("a@naver.co", None),
            ("a@example.org", None),
        ] {
            assert_eq!(map.meant(&address.parse().unwrap(), &terms).as_deref(), want, "{address}");
        }
    }
}
