//! The directories of a spool, and what the handles of one process share.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use lib_host::{Dir, Purpose, Together, random_bytes};
use lib_mail::{QueueId, Timestamp};

use crate::spool::Limits;
use crate::trouble::Trouble;
use crate::{Error, Options, Place, Queue, Space};

/// Messages let go without a record that are remembered.
const MOST_UNRECORDED: usize = 100_000;

/// Where in the spool a message file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Spot {
    pub(crate) queue: Queue,
    pub(crate) place: Place,
    pub(crate) id: QueueId,
}

/// What all handles on a spool in one process share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) root: Dir,
    pub(crate) mount: String,
    /// A new file's name is durable with the file.
    pub(crate) names_follow: bool,
    pub(crate) together: Together,
    /// By queue, place and shard; opened when first used.
    shards: [[[OnceLock<Dir>; 32]; 3]; 2],
    serial: AtomicU32,
    /// Unfinished files nobody had a lock on, and when by the ticks they were first met.
    pub(crate) suspects: Mutex<HashMap<Spot, (u64, Duration)>>,
    /// By queue: every message that was there when this process first claimed one came in at this moment or before.
    horizon: [OnceLock<Timestamp>; 2],
    looking: Mutex<()>,
    /// Messages that a claim of this process let go without a record; `None` where they became too many to know each.
    unrecorded: Mutex<Option<HashSet<(Queue, QueueId)>>>,
    /// What a reload may change.
    limits: Mutex<Limits>,
    pub(crate) trouble: Trouble,
    /// The last look at the room, and when by the ticks.
    pub(crate) room: Mutex<Option<(Duration, Space)>>,
}

/// A lock that a panicking thread held still guards a whole value: each critical section here is one assignment or a map call.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Opens the directories, making what is missing. The layout is durable on return.
    pub(crate) fn open(dir: &Path, options: Options) -> Result<Shared, Error> {
        let layout = |doing: String| move |source: io::Error| Error::Layout { doing, source };
        let root = options.disk.dir(dir).map_err(layout(format!("open {}", dir.display())))?;
        let make =
            |parent: &Dir, name: &str| parent.dir_or_make(name).map_err(layout(format!("make {name} in {}", dir.display())));
        let sync = |made: &Dir| made.sync(Purpose::Layout).map_err(layout(format!("sync a directory of {}", dir.display())));
        for parent in ["hold", "corrupt"] {
            make(&root, parent)?;
        }
        for (queue, place) in queues_and_places() {
            let directory = make(&root, place.directory(queue))?;
            let there = directory.list().map_err(layout(format!("read {} in {}", place.directory(queue), dir.display())))?;
            for shard in QueueId::shards().filter(|shard| there.iter().all(|entry| entry.name != shard.to_string().as_str())) {
                make(&directory, shard.encode_utf8(&mut [0; 4]))?;
            }
            sync(&directory)?;
        }
        for parent in ["hold", "corrupt"] {
            sync(&make(&root, parent)?)?;
        }
        sync(&root)?;
        let names_follow = root.names_follow_files().map_err(layout(format!("look at {}", dir.display())))?;
        let together = Together::on(&root).map_err(layout(format!("look at {}", dir.display())))?;
        Ok(Shared {
            mount: lib_host::mount_point(dir).display().to_string(),
            names_follow,
            together,
            root,
            limits: Mutex::new(options.limits),
            trouble: Trouble::default(),
            options,
            shards: Default::default(),
            // A start at random keeps the processes of a node apart, which share its number and the millisecond.
            serial: AtomicU32::new(u32::from_le_bytes(random_bytes())),
            suspects: Mutex::default(),
            horizon: Default::default(),
            looking: Mutex::default(),
            unrecorded: Mutex::new(Some(HashSet::new())),
            room: Mutex::default(),
        })
    }

    pub(crate) fn new_id(&self) -> QueueId {
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        QueueId::new(self.options.clock.now(), self.options.node, serial)
    }

    /// Finds, once, the latest arrival among the messages of a queue. Taken from the names and not from a clock, because the clock may
    /// have been set back by the same power cut that interrupted a delivery.
    pub(crate) fn begin_consuming(&self, queue: Queue) -> io::Result<()> {
        if self.horizon[queue as usize].get().is_some() {
            return Ok(());
        }
        // The first claims come many at one time; one of them looks.
        let _looking = locked(&self.looking);
        if self.horizon[queue as usize].get().is_some() {
            return Ok(());
        }
        let mut latest = self.options.clock.now();
        for place in [Place::Queued, Place::Held] {
            for shard in QueueId::shards() {
                let ids = self.ids(queue, place, shard)?;
                latest = ids.iter().map(QueueId::arrived).fold(latest, Timestamp::max);
            }
        }
        let _ = self.horizon[queue as usize].set(latest);
        Ok(())
    }

    /// Whether no earlier claim can have attempted a message that has no history.
    pub(crate) fn never_met(&self, spot: Spot) -> bool {
        let later = self.horizon[spot.queue as usize].get().is_some_and(|horizon| spot.id.arrived() > *horizon);
        later && locked(&self.unrecorded).as_ref().is_some_and(|known| !known.contains(&(spot.queue, spot.id)))
    }

    /// Remembers a message that was claimed and let go without a record.
    pub(crate) fn remember(&self, spot: Spot) {
        let mut unrecorded = locked(&self.unrecorded);
        if let Some(known) = &mut *unrecorded {
            known.insert((spot.queue, spot.id));
        }
        if unrecorded.as_ref().is_some_and(|known| known.len() > MOST_UNRECORDED) {
            *unrecorded = None;
        }
    }

    /// Forgets a message that is gone.
    pub(crate) fn forget(&self, spot: Spot) {
        if let Some(known) = &mut *locked(&self.unrecorded) {
            known.remove(&(spot.queue, spot.id));
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        *locked(&self.limits)
    }

    pub(crate) fn set_limits(&self, limits: Limits) {
        *locked(&self.limits) = limits;
        // The reserve may be another now.
        *locked(&self.room) = None;
    }

    /// The ids in a directory; other names are ignored.
    pub(crate) fn ids(&self, queue: Queue, place: Place, shard: char) -> io::Result<Vec<QueueId>> {
        let entries = self.shard_of(queue, place, shard)?.list()?;
        let ids = entries.iter().filter_map(|entry| entry.name.to_str()?.parse::<QueueId>().ok());
        Ok(ids.filter(|id| id.shard() == shard).collect())
    }

    /// The directory of a file.
    pub(crate) fn shard(&self, spot: Spot) -> io::Result<&Dir> {
        self.shard_of(spot.queue, spot.place, spot.id.shard())
    }

    pub(crate) fn shard_of(&self, queue: Queue, place: Place, shard: char) -> io::Result<&Dir> {
        let number = QueueId::shards().position(|of| of == shard).unwrap_or(0);
        let slot = &self.shards[queue as usize][place as usize][number];
        if slot.get().is_none() {
            let opened = self.root.dir(format!("{}/{shard}", place.directory(queue)))?;
            // Another thread may have been faster: its descriptor is as good.
            let _ = slot.set(opened);
        }
        slot.get().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Moves a file that the caller holds the lock of, never over another. Durable on return.
    pub(crate) fn relocate(&self, from: Spot, place: Place) -> io::Result<()> {
        let to = Spot { place, ..from };
        let (old, new) = (self.shard(from)?, self.shard(to)?);
        old.rename_new(from.id.as_str(), new, to.id.as_str())?;
        new.sync(Purpose::SpoolDirectory)?;
        old.sync(Purpose::SpoolDirectory)
    }

    /// Removes a file that the caller holds the lock of. Durable on return.
    pub(crate) fn remove(&self, spot: Spot) -> io::Result<()> {
        let shard = self.shard(spot)?;
        shard.unlink(spot.id.as_str())?;
        shard.sync(Purpose::SpoolDirectory)
    }
}

pub(crate) fn queues_and_places() -> impl Iterator<Item = (Queue, Place)> {
    Queue::ALL.into_iter().flat_map(|queue| Place::ALL.into_iter().map(move |place| (queue, place)))
}
