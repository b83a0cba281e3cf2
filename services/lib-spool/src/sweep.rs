//! Taking away what crashed writers left.

use std::io;
use std::time::Duration;

use lib_host::Access;
use lib_mail::QueueId;

use crate::error::{Doing, Error};
use crate::first_line::{FIRST_LINE, FirstLine};
use crate::layout::{Shared, Spot, locked};
use crate::lock::{Taken, take};
use crate::{Place, Queue, ballast};

/// How long an unfinished file without a lock is left alone, by the ticks of the process that met it.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Unfinished messages of crashed writers that were removed.
    pub removed: usize,
    /// Unfinished messages that are not old enough yet.
    pub waiting: usize,
    /// Damaged messages that lie in `corrupt/`.
    pub corrupt: usize,
    /// The ballast was taken up again.
    pub ballast_restored: bool,
}

pub(crate) fn sweep(shared: &Shared, queue: Queue) -> Result<Swept, Error> {
    meet_held(shared, queue).doing("look at held messages")?;
    let mut swept = Swept::default();
    let now = shared.options.clock.ticks();
    let suspects: Vec<_> =
        locked(&shared.suspects).iter().filter(|(spot, _)| spot.queue == queue).map(|(spot, met)| (*spot, *met)).collect();
    for (spot, (inode, since)) in suspects {
        if now.saturating_sub(since) < PATIENCE {
            swept.waiting += 1;
            continue;
        }
        swept.removed += usize::from(remove_if_blank(shared, spot, inode).doing("sweep")?);
        locked(&shared.suspects).remove(&spot);
    }
    for shard in QueueId::shards() {
        swept.corrupt += shared.ids(queue, Place::Corrupt, shard).doing("look at damaged messages")?.len();
    }
    // A disk that has no room for ballast now may have some at the next sweep.
    swept.ballast_restored = ballast::restore(shared).unwrap_or(false);
    Ok(swept)
}

/// No claim meets what lies in `hold/`, so it is looked at here.
fn meet_held(shared: &Shared, queue: Queue) -> io::Result<()> {
    for shard in QueueId::shards() {
        for id in shared.ids(queue, Place::Held, shard)? {
            let spot = Spot { queue, place: Place::Held, id };
            let Ok(file) = shared.shard(spot)?.open(id.as_str(), Access::Read) else { continue };
            let mut first = [0; FIRST_LINE];
            let count = file.read_at(&mut first, 0)?;
            if FirstLine::read(&first[..count]) == FirstLine::Blank {
                let inode = file.meta()?.inode;
                locked(&shared.suspects).entry(spot).or_insert((inode, shared.options.clock.ticks()));
            }
        }
    }
    Ok(())
}

fn remove_if_blank(shared: &Shared, spot: Spot, inode: u64) -> io::Result<bool> {
    let Taken::Ours(file, _) = take(shared, spot)? else { return Ok(false) };
    let mut first = [0; FIRST_LINE];
    let count = file.read_at(&mut first, 0)?;
    if FirstLine::read(&first[..count]) != FirstLine::Blank || file.meta()?.inode != inode {
        return Ok(false);
    }
    // Not synced: undone by a power cut it is swept again.
    shared.shard(spot)?.unlink(spot.id.as_str())?;
    Ok(true)
}
