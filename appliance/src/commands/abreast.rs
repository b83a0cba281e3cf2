//! Work on many messages by several threads, with results in the order of the messages.

use std::num::NonZero;
use std::thread;

/// Most threads: a listing waits for the kernel's directory look-ups, which gain little from more.
const THREADS: usize = 8;
/// Items that a thread takes at one time: so many that starting the thread costs little beside them, and so few that the results of
/// very large messages fit into memory.
const SHARE: usize = 64;

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
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(THREADS);
    for window in items.chunks(threads * SHARE) {
        if window.len() <= SHARE || threads == 1 {
            window.iter().try_for_each(|item| then(make(item)))?;
            continue;
        }
        let make = &make;
        let made: Vec<Vec<U>> = thread::scope(|scope| {
            let (mine, others) = window.split_at(SHARE);
            let work = |share: &[T]| share.iter().map(make).collect::<Vec<U>>();
            let begin = |share| (share, thread::Builder::new().spawn_scoped(scope, move || work(share)));
            let others: Vec<_> = others.chunks(SHARE).map(begin).collect();
            let mut made = vec![work(mine)];
            made.extend(others.into_iter().map(|(share, thread)| match thread {
                Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                Err(_) => work(share),
            }));
            made
        });
        made.into_iter().flatten().try_for_each(&mut then)?;
    }
    Ok(())
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
