//! When outcomes cannot be recorded nothing must be sent, or it would be sent again and again: the spool remembers that a record failed,
//! and gives no message to a consumer before the disk has shown that it takes one.

use std::io::{self, ErrorKind};
use std::sync::Mutex;
use std::time::Duration;

use lib_host::{File, Purpose};

use crate::ballast;
use crate::layout::{Shared, locked};

/// How long a message is left alone whose outcomes could not be recorded; longer while the trouble lasts.
const LEAST_PAUSE: Duration = Duration::from_secs(60);
/// The longest such time.
pub(crate) const MOST_PAUSE: Duration = Duration::from_secs(3600);
/// After a try that failed nothing is claimed for this long.
const TRY_AGAIN: Duration = Duration::from_secs(10);
/// Trouble that comes back within this time never went away.
const SAME: Duration = Duration::from_secs(2 * 3600);
/// Octets that must be free besides what could not be written.
const ROOM: u64 = 64 * 1024;

/// Whether outcomes can be recorded, as far as this process knows.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Mutex<Option<State>>);

/// All times by the ticks.
#[derive(Debug, Clone, Copy)]
struct State {
    since: Duration,
    /// `None` while it lasts.
    over: Option<Duration>,
    /// The last try that failed.
    tried: Option<Duration>,
    /// The longest write that failed.
    octets: u64,
}

impl Trouble {
    /// A write of so many octets, or a sync, failed.
    pub(crate) fn begin(&self, now: Duration, octets: usize) {
        let mut state = locked(&self.0);
        let before = state.filter(|state| state.over.is_none_or(|over| now.saturating_sub(over) < SAME));
        let octets = octets as u64;
        *state = Some(match before {
            Some(state) => State { over: None, octets: state.octets.max(octets), ..state },
            None => State { since: now, over: None, tried: None, octets },
        });
    }

    /// A try showed: no change.
    fn stay(&self, now: Duration) {
        if let Some(state) = &mut *locked(&self.0) {
            state.tried = Some(now);
        }
    }

    fn end(&self, now: Duration) {
        if let Some(state) = &mut *locked(&self.0) {
            (state.over, state.tried) = (Some(now), None);
        }
    }

    /// Octets that a disk must have room for, while there is trouble.
    fn lasts(&self) -> Option<u64> {
        locked(&self.0).filter(|state| state.over.is_none()).map(|state| state.octets)
    }

    /// Whether there is trouble.
    pub(crate) fn is_there(&self) -> bool {
        self.lasts().is_some()
    }

    /// Whether a try failed a moment ago.
    pub(crate) fn rests(&self, now: Duration) -> bool {
        let tried = locked(&self.0).filter(|state| state.over.is_none()).and_then(|state| state.tried);
        tried.is_some_and(|tried| now.saturating_sub(tried) < TRY_AGAIN)
    }

    /// How long to leave a message alone: as long as the trouble lasts already, so that the pauses double.
    pub(crate) fn pause(&self, now: Duration) -> Duration {
        let lasted = locked(&self.0).map_or(Duration::ZERO, |state| now.saturating_sub(state.since));
        lasted.clamp(LEAST_PAUSE, MOST_PAUSE)
    }
}

/// Where there was trouble: shows, before anything is sent, that this file takes an outcome. An empty line is one that readers skip.
pub(crate) fn try_out(shared: &Shared, file: &File) -> io::Result<()> {
    let Some(octets) = shared.trouble.lasts() else { return Ok(()) };
    let room = || -> io::Result<()> {
        let full = |shared: &Shared| shared.root.space().map(|space| space.free_bytes < octets.saturating_add(ROOM));
        if full(shared)? && (!ballast::release(shared) || full(shared)?) {
            return Err(ErrorKind::StorageFull.into());
        }
        file.append(b"\n")?;
        file.sync(Purpose::Outcome)
    };
    let tried = room();
    let now = shared.options.clock.ticks();
    match &tried {
        Ok(()) => shared.trouble.end(now),
        Err(_) => shared.trouble.stay(now),
    }
    tried
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_with_the_trouble() {
        let trouble = Trouble::default();
        let at = Duration::from_secs;
        assert!(!trouble.is_there() && trouble.pause(at(500)) == LEAST_PAUSE);
        trouble.begin(at(1000), 10);
        for (now, pause) in [(1000, 60), (1060, 60), (1120, 120), (1300, 300), (90_000, 3600)] {
            assert_eq!(trouble.pause(at(now)), at(pause), "{now}");
        }
    }

    #[test]
    fn trouble_that_comes_back_soon_never_went_away() {
        let trouble = Trouble::default();
        let at = Duration::from_secs;
        trouble.begin(at(1000), 10);
        trouble.stay(at(1001));
        assert!(trouble.rests(at(1005)) && !trouble.rests(at(1011)));
        trouble.end(at(1400));
        assert!(!trouble.is_there() && !trouble.rests(at(1400)));
        trouble.begin(at(1600), 5);
        assert_eq!((trouble.pause(at(1600)), trouble.lasts()), (at(600), Some(10)));
        trouble.end(at(1600));
        trouble.begin(at(20_000), 5);
        assert_eq!((trouble.pause(at(20_000)), trouble.lasts()), (LEAST_PAUSE, Some(5)));
    }
}
