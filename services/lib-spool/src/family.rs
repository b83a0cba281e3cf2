//! Messages that another message causes: they wait until their parent has recorded them.

use std::sync::Mutex;

use lib_host::{Access, File, Purpose};
use lib_mail::QueueId;

use crate::error::{Doing, Error};
use crate::layout::{Shared, Spot, locked};
use crate::lock::{Taken, take};
use crate::stored::{self, Care, Content};
use crate::{Place, Queue};

/// The children that a claim made and still holds locked.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) parent: QueueId,
    pub(crate) queue: Queue,
    waiting: Mutex<Vec<(QueueId, Vec<File>)>>,
}

impl Family {
    pub(crate) fn new(parent: QueueId, queue: Queue) -> Family {
        Family { parent, queue, waiting: Mutex::default() }
    }

    /// The id of a child: the same three give the same one. The queue is part of it, because an index means another recipient in the
    /// other.
    pub(crate) fn child_id(&self, cause: &str, member: usize) -> QueueId {
        QueueId::derived(&self.parent, format!("{} {cause} {member}", self.queue).as_bytes())
    }

    /// Keeps a committed child locked.
    pub(crate) fn adopt(&self, child: QueueId, files: Vec<File>) {
        locked(&self.waiting).push((child, files));
    }

    /// Whether the child was committed by this claim and is not released yet.
    pub(crate) fn has(&self, child: &QueueId) -> bool {
        locked(&self.waiting).iter().any(|(id, _)| id == child)
    }

    pub(crate) fn is_empty(&self) -> bool {
        locked(&self.waiting).is_empty()
    }

    /// Lets those children go that `named` knows; their locks go with them.
    pub(crate) fn release(&self, named: impl Fn(&QueueId) -> bool) {
        locked(&self.waiting).retain(|(child, _)| !named(child));
    }
}

/// Row E' to nothing: removes what an earlier attempt of the parent left of a child that the parent does not name, so nobody can have
/// attempted it. (Taking it over instead would keep a child of two files of which a power cut left one.)
pub(crate) fn clear(shared: &Shared, child: QueueId) -> Result<(), Error> {
    for queue in Queue::ALL {
        for place in [Place::Queued, Place::Held] {
            let spot = Spot { queue, place, id: child };
            match take(shared, spot).doing("take a child message")? {
                Taken::Gone => {}
                // A scan looks at it, for a moment, or a person's command: the next attempt finds it free.
                Taken::Busy(_) => {
                    return Err(std::io::Error::from(std::io::ErrorKind::WouldBlock)).doing("take a child message");
                }
                Taken::Ours(..) => shared.remove(spot).doing("remove a child message")?,
            }
        }
    }
    Ok(())
}

/// Whether a child may be attempted: its parent is gone, or has a durable line that names it. Reads the parent without a lock: a
/// line with its check sum is there or not.
pub(crate) fn released(shared: &Shared, child: &QueueId, parent: QueueId, queue: Queue) -> Result<bool, Error> {
    // Once more in its queue: between the first two looks a release may have moved it there.
    for place in [Place::Queued, Place::Held, Place::Queued] {
        let spot = Spot { queue, place, id: parent };
        let opened = shared.shard(spot).and_then(|shard| shard.open(parent.as_str(), Access::Read));
        let file = match opened {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            opened => opened.doing("look at a parent message")?,
        };
        let len = file.meta().doing("look at a parent message")?.len;
        let parent = match stored::read(&file, len, &parent, Care::Look).doing("look at a parent message")? {
            Content::Good(parent) => parent,
            // Whether it names the child, only the version that wrote it can tell.
            Content::Newer => return Ok(false),
            Content::Blank | Content::Wrong(_) => continue,
        };
        if !parent.history.recipients.names(child) {
            return Ok(false);
        }
        // Its owner may have died before the sync. A sync of what is durable already costs next to nothing.
        file.sync(Purpose::Outcome).doing("sync a parent message")?;
        return Ok(true);
    }
    Ok(true)
}
