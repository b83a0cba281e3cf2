//! What is worked out once and said of many messages: most of a long queue came within a few hours, and waits for a few domains.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

/// Answers that are remembered; others are worked out each time.
const REMEMBERED: usize = 1000;

/// Answers by what was asked.
pub(super) struct Said<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Said<K, V> {
    fn default() -> Self {
        Said(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Said<K, V> {
    /// The answer, worked out by `say` where it is asked for the first time. Others are served meanwhile: threads that ask the same at one
    /// time may each work it out.
    pub(super) fn of<Q>(&self, asked: &Q, say: impl FnOnce() -> V) -> V
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lock().get(asked).cloned();
        if let Some(answer) = known {
            return answer;
        }
        let answer = say();
        let mut said = lock();
        if said.len() < REMEMBERED {
            said.insert(asked.to_owned(), answer.clone());
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_worked_out_once_and_memory_is_bounded() {
        let said: Said<String, usize> = Said::default();
        assert_eq!((said.of("a", || 1), said.of("a", || 2), said.of("b", || 3)), (1, 1, 3));
        (0..2 * REMEMBERED).for_each(|n| assert_eq!(said.of(&n.to_string() as &str, || n), n));
        assert_eq!(said.0.lock().unwrap().len(), REMEMBERED);
    }
}
