//! Work on many messages by several threads, with results in the order of the messages.

use std::collections::BTreeMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

/// More than most machines have processors: from an empty cache a listing waits for the disk, which serves several reads at one time in a part of
/// the time that it takes for one after the other.
const THREADS: usize = 8;
/// Items that a thread takes at one time.
const SHARE: usize = 32;
/// Shares of each thread that are begun and not yet passed on: so few that the results of very large messages fit into memory.
const AHEAD: usize = 2;

/// Which share is next, and how far what was passed on has come.
#[derive(Default)]
struct Turns {
    at: Mutex<At>,
    moved: Condvar,
}

#[derive(Default)]
struct At {
    taken: usize,
    passed: usize,
    waiting: usize,
    over: bool,
}

impl Turns {
    fn at(&self) -> MutexGuard<'_, At> {
        self.at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next share, once it is not too far ahead; `None` where it is over.
    fn take(&self, ahead: usize) -> Option<usize> {
        let mut at = self.at();
        while !at.over && at.taken >= at.passed + ahead {
            at.waiting += 1;
            at = self.moved.wait(at).unwrap_or_else(PoisonError::into_inner);
            at.waiting -= 1;
        }
        at.taken += 1;
        (!at.over).then_some(at.taken - 1)
    }

    fn pass(&self) {
        let mut at = self.at();
        at.passed += 1;
        let waited_for = at.waiting > 0;
        drop(at);
        if waited_for {
            // There is one share more to take.
            self.moved.notify_one();
        }
    }

    fn end(&self) {
        self.at().over = true;
        self.moved.notify_all();
    }
}

/// Ends all turns with its own, by a panic too: nobody waits for the share of a thread that has gone.
struct Ends<'a>(&'a Turns);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Calls `then` with what `make` gives for each item, in order. Of results only those of some hundred items are held.
/// Where no thread can be had, the calling one does it all.
///
/// # Errors
/// The first of `then`; no more is made after it.
pub(crate) fn abreast<T: Sync, U: Send, E>(
    items: &[T],
    make: impl Fn(&T) -> U + Sync,
    mut then: impl FnMut(U) -> Result<(), E>,
) -> Result<(), E> {
    let shares: Vec<&[T]> = items.chunks(SHARE).collect();
    let threads = THREADS.min(shares.len());
    let (turns, (sender, made)) = (Turns::default(), channel());
    let work = |sender: Sender<(usize, Vec<U>)>| {
        // Whoever finds no share any more ends it: all are taken.
        let _ends = Ends(&turns);
        while let Some(share) = turns.take(threads * AHEAD).and_then(|number| Some((number, shares.get(number)?))) {
            let (number, items) = share;
            if sender.send((number, items.iter().map(&make).collect())).is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        let work = &work;
        let begun = (0..if threads > 1 { threads } else { 0 }).map_while(|_| {
            let sender = sender.clone();
            thread::Builder::new().spawn_scoped(scope, move || work(sender)).ok()
        });
        if begun.count() == 0 {
            return items.iter().try_for_each(|item| then(make(item)));
        }
        drop(sender);
        let _ends = Ends(&turns);
        let (mut early, mut next) = (BTreeMap::new(), 0);
        for (number, results) in made {
            early.insert(number, results);
            while let Some(results) = early.remove(&next) {
                results.into_iter().try_for_each(&mut then)?;
                next += 1;
                turns.pass();
            }
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::abreast;

    #[test]
    fn all_come_in_order() {
        for count in [0, 1, 63, 64, 65, 5000, 20_000] {
            let items: Vec<usize> = (0..count).collect();
            let mut seen = Vec::new();
            let end = abreast(
                &items,
                |item| item * 2,
                |made| -> Result<(), ()> {
                    seen.push(made);
                    Ok(())
                },
            );
            assert_eq!(end, Ok(()));
            assert_eq!(seen, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_panic_is_passed_on_and_nobody_waits_for_it() {
        let items: Vec<usize> = (0..20_000).collect();
        let run = || abreast(&items, |item| assert_ne!(*item, 700), |()| -> Result<(), ()> { Ok(()) });
        assert!(std::panic::catch_unwind(run).is_err());
    }

    #[test]
    fn an_error_ends_it() {
        let (items, mut seen): (Vec<usize>, usize) = ((0..20_000).collect(), 0);
        let end = abreast(
            &items,
            |item| *item,
            |item| {
                seen += 1;
                if item == 700 { Err("enough") } else { Ok(()) }
            },
        );
        assert_eq!((end, seen), (Err("enough"), 701));
    }
}
