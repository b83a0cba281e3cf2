//! When a message that waits is tried again, when its sender is warned, and when it is given up (R3.2).
//!
//! A message is never given up because a clock says so: that takes an attempt, made after the deadline, that failed; and if far more
//! time than a retry interval seems to have passed since the attempt before (a machine that slept, a clock that jumped), one more
//! attempt comes first.

use std::time::Duration;

use lib_mail::{Envelope, Timestamp};

/// A gap between two attempts is believed up to so many times the longest interval.
const BELIEVED_INTERVALS: u32 = 4;
/// And at least up to this, so that a restart or a short outage is not taken for a jump.
const BELIEVED_AT_LEAST: Duration = Duration::from_secs(15 * 60);

const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

/// The times of `[queue]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The waits after the first, second … failed attempt. Empty means half an hour.
    pub retry: Vec<Duration>,
    /// Once they are used up, each wait is so many times the one before.
    pub growth: u32,
    /// As far as that leads.
    pub most: Duration,
    /// After this time a failed attempt is the last.
    pub return_after: Duration,
    /// The same for notifications.
    pub return_bounce_after: Duration,
    /// After this time the sender is told that the message waits.
    pub warn_after: Duration,
}

/// A failed attempt, temporary for at least one recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// When it ended, on the queue clock.
    pub now: Timestamp,
    /// Failed attempts so far, this one included.
    pub attempts: u32,
    /// When the attempt before this one ended; `None` for the first.
    pub previous: Option<Timestamp>,
    /// Whether the sender was warned already.
    pub warned: bool,
}

/// What follows from a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterFailure {
    /// Try again.
    Wait {
        /// Not before this moment.
        due: Timestamp,
        /// Tell the sender now that the message waits.
        warn: bool,
    },
    /// It was the last attempt: tell the sender that the message failed.
    GiveUp,
}

impl Schedule {
    /// The deadline of a message that arrives now.
    pub fn deadline(&self, arrived: Timestamp) -> Timestamp {
        arrived.plus(self.return_after)
    }

    /// The deadline of a notification that is made now.
    pub fn bounce_deadline(&self, made: Timestamp) -> Timestamp {
        made.plus(self.return_bounce_after)
    }

    /// How long to wait after `attempts` failed attempts; nothing before the first.
    pub fn next(&self, attempts: u32) -> Duration {
        let Some(index) = attempts.checked_sub(1) else { return Duration::ZERO };
        let last = self.retry.last().copied().unwrap_or(HALF_AN_HOUR);
        if let Some(wait) = self.retry.get(index as usize) {
            return *wait;
        }
        let beyond = index - (self.retry.len().max(1) as u32 - 1);
        let grown = last.saturating_mul(self.growth.saturating_pow(beyond));
        grown.min(self.most.max(last))
    }

    /// The longest wait: an mtime further ahead than this is a clock's mistake.
    pub fn longest(&self) -> Duration {
        let listed = self.retry.iter().copied().max().unwrap_or(HALF_AN_HOUR);
        if self.growth > 1 { listed.max(self.most) } else { listed }
    }

    /// What follows from a failed attempt for a message with this envelope.
    pub fn verdict_after_failure(&self, envelope: &Envelope, failure: Failure) -> AfterFailure {
        let Failure { now, attempts, previous, warned } = failure;
        let last = previous.unwrap_or(envelope.arrived);
        // Two failures beyond the deadline are enough, whatever lies between them: nothing waits for ever.
        if now > envelope.deadline && (last > envelope.deadline || self.believed(now, last)) {
            return AfterFailure::GiveUp;
        }
        let late = now.since(envelope.arrived) >= self.warn_after;
        AfterFailure::Wait { due: now.plus(self.next(attempts)), warn: late && !warned }
    }

    /// Whether the time since the last sign of this message can have passed on a clock that runs.
    fn believed(&self, now: Timestamp, last: Timestamp) -> bool {
        now.since(last) <= (self.longest() * BELIEVED_INTERVALS).max(BELIEVED_AT_LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lib_mail::{BodyType, Protocol};

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(86_400);

    fn schedule(retry: &[Duration], growth: u32) -> Schedule {
        Schedule {
            retry: retry.to_vec(),
            growth,
            most: 4 * HOUR,
            return_after: 5 * DAY,
            return_bounce_after: 2 * DAY,
            warn_after: 4 * HOUR,
        }
    }

    fn office() -> Schedule {
        schedule(&[5 * MINUTE, 15 * MINUTE, 30 * MINUTE], 1)
    }

    fn at(after: Duration) -> Timestamp {
        Timestamp(1_795_401_000_000).plus(after)
    }

    fn envelope(schedule: &Schedule) -> Envelope {
        Envelope {
            sender: None,
            recipients: Vec::new(),
            ret: None,
            envid: None,
            body: BodyType::SevenBit,
            utf8: false,
            arrived: at(Duration::ZERO),
            deadline: schedule.deadline(at(Duration::ZERO)),
            peer: None,
            helo: String::new(),
            protocol: Protocol { extended: true, tls: false, auth: false, utf8: false, local: false },
            account: None,
            added: String::new(),
            parent: None,
        }
    }

    #[test]
    fn the_waits_of_both_profiles() {
        let office = office();
        assert_eq!([0, 1, 2, 3, 4, 999].map(|n| office.next(n).as_secs() / 60), [0, 5, 15, 30, 30, 30]);
        let classic = schedule(&[30 * MINUTE], 1);
        assert_eq!([0, 1, 2, 240].map(|n| classic.next(n).as_secs() / 60), [0, 30, 30, 30]);
        assert_eq!([schedule(&[], 1).next(1), schedule(&[], 2).next(2)], [30 * MINUTE, HOUR]);
        assert_eq!((office.longest(), office.bounce_deadline(at(HOUR))), (30 * MINUTE, at(2 * DAY + HOUR)));
    }

    #[test]
    fn an_exponential_schedule() {
        let doubling = schedule(&[5 * MINUTE, 10 * MINUTE], 2);
        let minutes = [1, 2, 3, 4, 5, 6, 7, 8, u32::MAX].map(|attempts| doubling.next(attempts).as_secs() / 60);
        assert_eq!(minutes, [5, 10, 20, 40, 80, 160, 240, 240, 240]);
        assert_eq!(doubling.longest(), 4 * HOUR);
        assert_eq!(schedule(&[6 * HOUR], 3).next(9), 6 * HOUR, "never shorter than what is listed");
    }

    #[test]
    fn what_follows_from_a_failure() {
        let schedule = office();
        let envelope = envelope(&schedule);
        let wait = |now: Duration, minutes: u32, warn| AfterFailure::Wait { due: at(now + minutes * MINUTE), warn };
        let beyond = 5 * DAY + MINUTE;
        for (name, now, attempts, previous, warned, expected) in [
            ("the first failure", MINUTE, 1, None, false, wait(MINUTE, 5, false)),
            ("the second failure", 6 * MINUTE, 2, Some(MINUTE), false, wait(6 * MINUTE, 15, false)),
            ("late, not yet warned", 4 * HOUR, 10, Some(4 * HOUR - 30 * MINUTE), false, wait(4 * HOUR, 30, true)),
            ("late, warned", 5 * HOUR, 12, Some(5 * HOUR - 30 * MINUTE), true, wait(5 * HOUR, 30, false)),
            ("just before the deadline", 5 * DAY, 240, Some(5 * DAY - 30 * MINUTE), true, wait(5 * DAY, 30, false)),
            ("after the deadline", beyond, 241, Some(beyond - 30 * MINUTE), true, AfterFailure::GiveUp),
            ("after a jump of the clock", 6 * DAY, 3, Some(HOUR), false, wait(6 * DAY, 30, true)),
            ("the attempt after that", 6 * DAY + 30 * MINUTE, 4, Some(6 * DAY), true, AfterFailure::GiveUp),
            ("a clock that runs very fast", 9 * DAY, 4, Some(6 * DAY), true, AfterFailure::GiveUp),
            ("first attempt after days asleep", 9 * DAY, 1, None, false, wait(9 * DAY, 5, true)),
        ] {
            let failure = Failure { now: at(now), attempts, previous: previous.map(at), warned };
            assert_eq!(schedule.verdict_after_failure(&envelope, failure), expected, "{name}");
        }
    }

    #[test]
    fn a_clock_that_went_back_gives_nothing_up() {
        let schedule = office();
        let failure = Failure { now: Timestamp(0), attempts: 500, previous: Some(at(DAY)), warned: false };
        let expected = AfterFailure::Wait { due: Timestamp(0).plus(30 * MINUTE), warn: false };
        assert_eq!(schedule.verdict_after_failure(&envelope(&schedule), failure), expected);
    }
}
