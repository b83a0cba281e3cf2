//! The name of a message in a queue.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Timestamp;

/// Digits in ascending order, so that ids sort by time; no letter that is taken for a digit or another letter.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LEN: usize = 20;

/// The name of a message: 20 characters of `0-9a-z` without `i l o u`, that sort by the time of arrival and are unique over all
/// nodes. From the left: 45 bits of milliseconds since 1970 (until the year 3084), 24 bits of the node, 31 bits that tell the messages
/// of a node apart.
///
/// ```
/// use lib_mail::{QueueId, Timestamp};
/// let id = QueueId::new(Timestamp(1_795_401_000_123), 7, 42);
/// assert_eq!(id.to_string().parse::<QueueId>().unwrap(), id);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueId([u8; LEN]);

/// The text is no queue id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a queue id is 20 characters of 0-9 and a-z without i, l, o and u")]
pub struct QueueIdError;

impl QueueId {
    /// The id of a new message: `node` counts with its low 24 bits, `serial` with its low 31.
    pub fn new(at: Timestamp, node: u32, serial: u32) -> Self {
        let millis = (at.0.max(0) as u128) & ((1 << 45) - 1);
        QueueId::from_bits(millis << 55 | u128::from(node & 0xff_ffff) << 31 | u128::from(serial & 0x7fff_ffff))
    }

    /// The id of a message that another caused (a notification, a forward): the same `parent` and `cause` give the same id, so a
    /// repeat after a crash is the same message. It sorts beside its parent.
    pub fn derived(parent: &QueueId, cause: &[u8]) -> Self {
        // FNV-1a over parent and cause, twice with different seeds: no secret, only spread.
        let hash = |seed: u64| {
            parent.0.iter().chain(cause).fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
        };
        let spread = u128::from(hash(0xcbf2_9ce4_8422_2325)) ^ u128::from(hash(0x9ae1_6a3b_2f90_404f)).rotate_left(23);
        let millis = parent.bits() >> 55;
        QueueId::from_bits(millis << 55 | spread & ((1 << 55) - 1))
    }

    /// The 20 characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("because every byte is one of DIGITS")
    }

    /// The last character, which spreads evenly: the directory of a queue that holds the message.
    pub fn shard(&self) -> char {
        char::from(self.0[LEN - 1])
    }

    /// All shards, in order.
    pub fn shards() -> impl Iterator<Item = char> {
        DIGITS.iter().map(|digit| char::from(*digit))
    }

    /// When the message (or its oldest ancestor) arrived, by the queue clock.
    pub fn arrived(&self) -> Timestamp {
        Timestamp((self.bits() >> 55) as i64)
    }

    fn bits(&self) -> u128 {
        self.0.iter().fold(0, |bits, digit| bits << 5 | DIGITS.iter().position(|d| d == digit).unwrap_or(0) as u128)
    }

    fn from_bits(bits: u128) -> Self {
        let mut text = [0; LEN];
        for (place, digit) in text.iter_mut().rev().enumerate() {
            *digit = DIGITS[(bits >> (5 * place)) as usize & 31];
        }
        QueueId(text)
    }
}

impl FromStr for QueueId {
    type Err = QueueIdError;
    fn from_str(text: &str) -> Result<Self, QueueIdError> {
        let bytes: [u8; LEN] = text.as_bytes().try_into().map_err(|_| QueueIdError)?;
        if bytes.iter().all(|byte| DIGITS.contains(byte)) { Ok(QueueId(bytes)) } else { Err(QueueIdError) }
    }
}

impl TryFrom<String> for QueueId {
    type Error = QueueIdError;
    fn try_from(text: String) -> Result<Self, QueueIdError> {
        text.parse()
    }
}

impl From<QueueId> for String {
    fn from(id: QueueId) -> String {
        id.as_str().to_owned()
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_then_serial() {
        let at = Timestamp(1_795_401_000_123);
        let first = QueueId::new(at, 0xff_ffff, 0x7fff_ffff);
        assert!(first < QueueId::new(Timestamp(at.0 + 1), 0, 0));
        assert!(QueueId::new(at, 1, 1) < QueueId::new(at, 1, 2));
        assert_eq!(first.arrived(), at);
    }

    #[test]
    fn a_derived_id_repeats_and_differs_by_cause() {
        let parent = QueueId::new(Timestamp(1_795_401_000_123), 5, 9);
        let child = QueueId::derived(&parent, b"dsn 1");
        assert_eq!(child, QueueId::derived(&parent, b"dsn 1"));
        assert_ne!(child, QueueId::derived(&parent, b"dsn 2"));
        assert_eq!(child.arrived(), parent.arrived());
    }

    #[test]
    fn only_its_own_form_is_read() {
        for text in [
            "",
            "0000000000000000000",
            "000000000000000000000",
            "0000000000000000000i",
            "0000000000000000000A",
            "../../../../etc/passw",
        ] {
            assert!(text.parse::<QueueId>().is_err(), "{text}");
        }
    }
}
