//! The spool as its users see it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::settle::schedule_of;
use lib_host::{Clock, Disk, Locked};
use lib_mail::{QueueId, Timestamp};
use lib_settings::Settings;

use crate::error::Doing;
use crate::layout::{Shared, Spot};
use crate::trouble::MOST_PAUSE;
use crate::{
    Arrival, Arrived, Child, Claim, Command, Departure, Due, Effect, Error, Examined, InWork, Incoming, Listing, Listings,
    Place, Queue, Removals, Space, Swept, ballast, claim, command, examine, family, listing, space, sweep, transfer,
};

/// How a spool is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Tells the nodes of a network apart; its low 24 bits count.
    pub node: u32,
    /// The queue clock.
    pub clock: Clock,
    /// The disk; the real one but in tests.
    pub disk: Disk,
    /// Keep a ballast.
    pub ballast: bool,
    /// What a reload may change.
    pub limits: Limits,
}

/// What [`Spool::limit`] may change while the spool is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The largest message that is accepted, in octets.
    pub size: u64,
    /// The part of the disk, in octets and in files, that stays free where that is more than 1.5 × `size`.
    pub reserve_percent: u32,
    /// A next attempt that lies further ahead than this is a clock's mistake and is due at once.
    pub longest_interval: Duration,
}

impl Limits {
    /// What the settings say.
    pub fn of(settings: &Settings) -> Limits {
        let queue = &settings.queue;
        let longest = schedule_of(queue).longest();
        Limits {
            size: settings.largest_message(),
            reserve_percent: settings.spool.reserve_percent,
            longest_interval: longest.max(MOST_PAUSE),
        }
    }
}

impl Options {
    /// Defaults: node 0, the real disk, a ballast, 5 %, 8 days.
    pub fn new(clock: Clock, size_limit: u64) -> Options {
        Options {
            node: 0,
            clock,
            disk: Disk::real(),
            ballast: true,
            limits: Limits { size: size_limit, reserve_percent: 5, longest_interval: Duration::from_secs(8 * 24 * 3600) },
        }
    }

    /// What the settings say, for every program that opens the spool.
    pub fn of(settings: &Settings, clock: Clock) -> Options {
        // FNV-1a: no secret, only spread over the nodes of a network.
        let spread = |hash: u32, octet: u8| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193);
        let node = settings.hostname.key().bytes().fold(0x811c_9dc5, spread);
        let limits = Limits::of(settings);
        Options { node, ballast: settings.spool.ballast, limits, ..Options::new(clock, limits.size) }
    }
}

/// The queue directory. Cheap to clone; shared by all threads of a process.
#[derive(Debug, Clone)]
pub struct Spool {
    shared: Arc<Shared>,
}

impl Spool {
    /// Opens the spool in that directory, which exists; makes what is missing below it. `Layout` where it cannot be used.
    pub fn open(dir: &Path, options: Options) -> Result<Spool, Error> {
        Ok(Spool { shared: Arc::new(Shared::open(dir, options)?) })
    }

    /// New limits, from now on.
    pub fn limit(&self, limits: Limits) {
        self.shared.set_limits(limits);
    }

    /// Begins a message. Touches no disk.
    pub fn begin(&self) -> Incoming {
        Incoming::new(self.shared.clone(), self.shared.new_id(), None)
    }

    /// Begins a message that `parent` causes. `cause` (one word) says why, as `dsn` or `forward`, and `member` whom it is for (the first
    /// recipient's index, in general): the same three name the same message. The child is not attempted before the parent has a synced line that names
    /// it ([`What::Notified`](crate::What::Notified), [`What::Forwarded`](crate::What::Forwarded)). Its envelope's `parent` is set here.
    pub fn begin_child(&self, parent: &Claim, cause: &str, member: usize) -> Result<Child, Error> {
        let family = parent.family();
        let child = family.child_id(cause, member);
        if family.has(&child) || parent.recipients().names(&child) {
            return Ok(Child::Made(child));
        }
        family::clear(&self.shared, child)?;
        Ok(Child::New(Box::new(Incoming::new(self.shared.clone(), child, Some(family.clone())))))
    }

    /// Takes a queued message, for this process alone. `None` where another has it, it is gone, not yet committed, or waits for
    /// its parent. After outcomes could not be recorded, none is given before the disk took a test; that is tried every few seconds, and
    /// in between `None` is for all.
    pub fn claim(&self, queue: Queue, id: &QueueId) -> Result<Option<Claim>, Error> {
        claim::claim(&self.shared, queue, id)
    }

    /// Whether messages that end at the same time should be settled together, as one sync stands for the removals of many here and now.
    pub fn shares_removals(&self) -> bool {
        self.shared.together.is_of_use()
    }

    /// Begins to settle so many messages together; `None` where each should be settled by itself.
    pub fn removals(&self, count: usize) -> Option<Removals<'_>> {
        Removals::begin(&self.shared, count)
    }

    /// Looks for what is due, shard by shard. Nothing is opened.
    pub fn due(&self, queue: Queue, now: Timestamp) -> Due {
        Due::new(self.shared.clone(), queue, now)
    }

    /// What was due by a moment in the past and is still there, shard by shard.
    pub fn overdue(&self, queue: Queue, by: Timestamp) -> Due {
        self.due(queue, by).strictly()
    }

    /// All messages of a queue, queued and held, without a lock.
    pub fn list(&self, queue: Queue) -> Listings {
        Listings::new(self.shared.clone(), queue)
    }

    /// The ids of a queue's messages in one place, in the order of their arrival. Opens nothing.
    pub fn ids(&self, queue: Queue, place: Place) -> Result<Vec<QueueId>, Error> {
        let mut found = Vec::new();
        for shard in QueueId::shards() {
            found.extend(self.shared.ids(queue, place, shard).doing("list a queue")?);
        }
        found.sort_unstable();
        Ok(found)
    }

    /// One message in one place, without a lock. `None` where it is gone, or being written.
    pub fn look(&self, queue: Queue, place: Place, id: &QueueId) -> Result<Option<Listing>, Error> {
        listing::look(&self.shared, Spot { queue, place, id: *id })
    }

    /// Whom somebody is at work on now.
    pub fn in_work(&self) -> InWork {
        InWork(Locked::now())
    }

    /// All that can be told of a message, from every place it lies in, damaged or not, without a lock. Empty where it is unknown.
    pub fn examine(&self, id: &QueueId) -> Result<Vec<Examined>, Error> {
        examine::examine(&self.shared, id)
    }

    /// One message in all the places it lies, without a lock. Empty where it is unknown.
    pub fn show(&self, id: &QueueId) -> Result<Vec<Listing>, Error> {
        let places =
            Queue::ALL.into_iter().flat_map(|queue| [Place::Queued, Place::Held].map(|place| Spot { queue, place, id: *id }));
        places.filter_map(|spot| listing::look(&self.shared, spot).transpose()).collect()
    }

    /// Messages in `corrupt/`.
    pub fn corrupt(&self) -> Result<Vec<(Queue, QueueId)>, Error> {
        let mut found = Vec::new();
        for queue in Queue::ALL {
            for shard in QueueId::shards() {
                let ids = self.shared.ids(queue, Place::Corrupt, shard).doing("look at damaged messages")?;
                found.extend(ids.into_iter().map(|id| (queue, id)));
            }
        }
        Ok(found)
    }

    /// Opens a message to be copied to another node. `take`: to be moved there: it is locked until what this returns is dropped, and can be
    /// removed. `Corrupt` and `Newer` where it cannot go.
    pub fn depart(&self, queue: Queue, place: Place, id: &QueueId, take: bool) -> Result<Departure, Error> {
        transfer::depart(&self.shared, Spot { queue, place, id: *id }, take)
    }

    /// Commits a message that left another node, under its own id: `arrival.len` octets of `from`. Where it did not come to be committed,
    /// some of them may be unread.
    pub fn arrive(&self, arrival: Arrival, from: &mut dyn std::io::Read) -> Result<Arrived, Error> {
        transfer::arrive(&self.shared, arrival, from)
    }

    /// Orders a message about, in both queues and wherever it lies. Where its consumer is busy with it, waits up to `patience` for the
    /// answer. Empty where the id is unknown.
    pub fn command(&self, id: &QueueId, command: Command, patience: Duration) -> Result<Vec<Effect>, Error> {
        command::command(&self.shared, id, command, patience)
    }

    /// Removes what crashed writers left an hour ago or longer, in real time since this process first met it, and restores the
    /// ballast. Call it every few minutes from each consumer.
    pub fn sweep(&self, queue: Queue) -> Result<Swept, Error> {
        sweep::sweep(&self.shared, queue)
    }

    /// Room for mail, at most a second old. Cheap.
    pub fn space(&self) -> Result<Space, Error> {
        space::space(&self.shared).doing("look at the room on the disk")
    }

    /// How long to leave a message alone whose outcomes could not be recorded: a minute, and longer while the trouble lasts.
    pub fn pause(&self) -> Duration {
        self.shared.trouble.pause(self.shared.options.clock.ticks())
    }

    /// Whether outcomes could not be recorded, and the disk has taken none since: nothing is attempted.
    pub fn in_trouble(&self) -> bool {
        self.shared.trouble.is_there()
    }

    /// Gives up the ballast, so that on a full disk delivery and removal go on. `false` where it was already given up. The spool does
    /// so by itself for its own writes; a consumer calls it where a mailbox on the same file system is full.
    pub fn release_ballast(&self) -> bool {
        ballast::release(&self.shared)
    }
}
