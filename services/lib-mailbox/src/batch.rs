//! One sync for all who wait: concurrent callers that need the same directory on disk share the calls.
//!
//! A sync covers everything that was done before it *began*. So who comes while one runs waits for the next, and the first of
//! those to wake runs it for all of them.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The syncs of one directory.
#[derive(Default)]
pub(crate) struct Batcher {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    /// One is under way.
    running: bool,
    /// The round that has not begun yet, and those who wait for it.
    next: Arc<Round>,
}

/// One sync and what came of it; `None` until it has ended.
#[derive(Default)]
struct Round(Mutex<Option<Result<(), Failure>>>);

/// A copy of an error that several callers get.
#[derive(Debug, Clone)]
pub(crate) struct Failure(io::ErrorKind, String, Option<i32>);

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure(error.kind(), error.to_string(), error.raw_os_error())
    }
}

impl From<Failure> for io::Error {
    fn from(Failure(kind, text, code): Failure) -> io::Error {
        code.map_or_else(|| io::Error::new(kind, text), io::Error::from_raw_os_error)
    }
}

impl Batcher {
    /// Returns when a sync that began after this call has ended, with its result. `sync` is called by one of those who wait.
    pub(crate) fn sync(&self, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.lock();
        let round = Arc::clone(&state.next);
        loop {
            if let Some(result) = round.result() {
                return result.map_err(io::Error::from);
            }
            if !state.running {
                break;
            }
            state = self.ended.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.running = true;
        state.next = Arc::default();
        drop(state);
        let result = sync().map_err(Failure::from);
        round.end(result.clone());
        self.lock().running = false;
        self.ended.notify_all();
        result.map_err(io::Error::from)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Round {
    fn result(&self) -> Option<Result<(), Failure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn end(&self, result: Result<(), Failure>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn one_alone_syncs_at_once_and_hears_of_failure() {
        let batcher = Batcher::default();
        batcher.sync(|| Ok(())).unwrap();
        let error = batcher.sync(|| Err(io::Error::from_raw_os_error(28))).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(28));
        batcher.sync(|| Ok(())).unwrap();
    }

    /// Everyone's work is done before a sync that covers it begins, and there are fewer syncs than callers.
    #[test]
    fn callers_share_a_sync_that_began_after_their_work() {
        const CALLERS: usize = 32;
        let (batcher, done, synced, calls) = (Batcher::default(), Mutex::new(0usize), AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..CALLERS {
                scope.spawn(|| {
                    let mine = {
                        let mut done = done.lock().unwrap();
                        *done += 1;
                        *done
                    };
                    let sync = || {
                        let covered = *done.lock().unwrap();
                        std::thread::sleep(std::time::Duration::from_millis(5));
                        synced.fetch_max(covered, Ordering::SeqCst);
                        calls.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    };
                    batcher.sync(sync).unwrap();
                    assert!(synced.load(Ordering::SeqCst) >= mine);
                });
            }
        });
        assert!(calls.load(Ordering::SeqCst) < CALLERS, "each synced for itself");
    }

    #[test]
    fn all_of_a_round_hear_of_its_failure() {
        let batcher = Batcher::default();
        let failures = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let sync = || {
                        std::thread::sleep(std::time::Duration::from_millis(5));
                        Err(io::Error::other("no"))
                    };
                    failures.fetch_add(usize::from(batcher.sync(sync).is_err()), Ordering::SeqCst);
                });
            }
        });
        assert_eq!(failures.load(Ordering::SeqCst), 8);
    }
}
