//! What all attempts share: the stores, the clock, and the settings and maps as they are now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};

use arc_swap::ArcSwap;
use jiff::tz::TimeZone;
use lib_account::{MapFiles, Maps};
use lib_host::Clock;
use lib_mail::{Address, Domain, QueueId};
use lib_mailbox::Mailboxes;
use lib_net::wake::{Consumer, Wake, Waker};
use lib_policy::{Route, Schedule, route};
use lib_settings::Settings;
use lib_spool::{Queue, ReportingMta, Spool, Told};

use crate::events::Journal;

/// The settings in the form in which attempts use them.
#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) host: Domain,
    pub(crate) default_domain: Domain,
    pub(crate) zone: TimeZone,
    pub(crate) schedule: Schedule,
    pub(crate) reporting: ReportingMta,
    /// Octets of the largest message that a mailbox takes.
    pub(crate) size_limit: u64,
}

impl Rules {
    pub(crate) fn new(settings: &Settings) -> Result<Rules, String> {
        let (host, default_domain) = (settings.hostname.clone(), settings.default_domain());
        let zone = settings.time_zone.rules();
        let queue = &settings.queue;
        let address = |local: &str, domain| Address::new(local, domain).map_err(|error| format!("{local:?}: {error}"));
        let reporting = ReportingMta {
            host: host.clone(),
            from: address(&queue.bounce_sender, &host).map_err(|error| format!("queue.bounce_sender {error}"))?,
            postmaster: address("postmaster", &default_domain)?,
            zone: zone.clone(),
        };
        let schedule = lib_spool::schedule_of(queue);
        Ok(Rules { host, default_domain, zone, schedule, reporting, size_limit: settings.smtp.local_size_limit.0 })
    }
}

/// The map files, and the settings that name them.
pub(crate) type Watched = Option<(MapFiles, Settings)>;

/// What all attempts share.
pub(crate) struct Office {
    pub(crate) spool: Spool,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) clock: Clock,
    pub(crate) journal: Journal,
    pub(crate) waker: Waker,
    pub(crate) rules: ArcSwap<Rules>,
    pub(crate) maps: ArcSwap<Maps>,
    /// Where the maps come from; nothing before the first settings.
    pub(crate) files: Mutex<Watched>,
    /// Held by each who writes a copy; alone by one who found no room.
    pub(crate) room: RwLock<()>,
}

impl Office {
    /// Watches these files from now on. Blocks.
    pub(crate) fn watch(&self, files: MapFiles, settings: Settings) {
        let mut watched = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        *watched = Some((files, settings));
        self.look_at(watched, true);
    }

    /// Looks at the files, whoever else does: what they say now counts on return. Blocks.
    pub(crate) fn look(&self) {
        self.look_at(self.files.lock().unwrap_or_else(PoisonError::into_inner), false);
    }

    /// As [`Office::look`], unless another look is under way.
    pub(crate) fn look_if_free(&self) {
        match self.files.try_lock() {
            Ok(watched) => self.look_at(watched, false),
            Err(TryLockError::Poisoned(error)) => self.look_at(error.into_inner(), false),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    fn look_at(&self, mut watched: MutexGuard<'_, Watched>, first: bool) {
        let Some((files, settings)) = watched.as_mut() else { return };
        let (new, troubles) = files.look(settings, first);
        for trouble in troubles {
            self.journal.warn(&trouble.subject, trouble.text);
        }
        if let Some(new) = new {
            self.maps.store(Arc::new(new));
        }
    }

    /// Wakes the consumers of notifications and of messages passed on, which are durable and let go by now.
    pub(crate) fn wake(&self, told: &[Told]) {
        for told in told {
            let consumer = if told.queue == Queue::Local { Consumer::Local } else { Consumer::Relay };
            self.waker.send(consumer, &Wake::New(told.id));
        }
    }

    /// Wakes `relay-out` for messages that were passed on.
    pub(crate) fn wake_relay(&self, ids: &[QueueId]) {
        ids.iter().for_each(|id| self.waker.send(Consumer::Relay, &Wake::New(*id)));
    }
}

/// The queue for mail to an address: `relay` for what is not ours. What is ours and unknown fails in `local`.
pub(crate) fn queue_of(address: &Address, maps: &Maps, rules: &Arc<Rules>) -> Queue {
    match route(address, &maps.facts(&rules.default_domain)) {
        Route::Relay | Route::Unsure => Queue::Relay,
        _ => Queue::Local,
    }
}
