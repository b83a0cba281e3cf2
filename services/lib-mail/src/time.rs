//! A moment on the queue clock, and the ways a reader sees it.

use std::fmt;
use std::time::Duration;

use jiff::tz::TimeZone;

/// A moment on the queue clock, in milliseconds since 1970-01-01T00:00:00Z. It may be virtual (`testing.clock`), so it is
/// never compared with the system clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Whole seconds since the epoch, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The moment `by` later; saturates at the end of time.
    #[must_use]
    pub fn plus(self, by: Duration) -> Timestamp {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        Timestamp(self.0.saturating_add(millis))
    }

    /// How long after `earlier` this moment is; zero where it is not after it.
    pub fn since(self, earlier: Timestamp) -> Duration {
        let millis = self.0.saturating_sub(earlier.0).max(0);
        Duration::from_millis(millis.unsigned_abs())
    }

    /// `Mon, 23 Nov 2026 12:30:00 +0900`, as a Date or Received field shows it (RFC 5322 §3.3).
    pub fn rfc5322(self, zone: &TimeZone) -> String {
        self.zoned(zone).strftime("%a, %d %b %Y %H:%M:%S %z").to_string()
    }

    /// `2026-11-23T12:30:00.123+09:00` (RFC 3339), as the JSON log shows it.
    pub fn rfc3339(self, zone: &TimeZone) -> String {
        self.zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string()
    }

    /// `Nov 23 12:30:00`, as a maillog line begins; the day is padded with a space.
    pub fn maillog(self, zone: &TimeZone) -> String {
        self.zoned(zone).strftime("%b %e %H:%M:%S").to_string()
    }

    /// `Mon Nov 23 12:30`, as mailq shows it.
    pub fn mailq(self, zone: &TimeZone) -> String {
        self.zoned(zone).strftime("%a %b %e %H:%M").to_string()
    }

    fn zoned(self, zone: &TimeZone) -> jiff::Zoned {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::MAX).to_zoned(zone.clone())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_readers_know() {
        let at = Timestamp(1_795_401_000_123);
        let zone = TimeZone::get("Asia/Seoul").unwrap();
        assert_eq!(at.rfc5322(&zone), "Mon, 23 Nov 2026 11:30:00 +0900");
        assert_eq!(at.rfc3339(&zone), "2026-11-23T11:30:00.123+09:00");
        assert_eq!(at.maillog(&TimeZone::UTC), "Nov 23 02:30:00");
        assert_eq!(Timestamp(1_793_500_000_000).mailq(&TimeZone::UTC), "Sun Nov  1 02:26");
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Timestamp(5).since(Timestamp(9)), Duration::ZERO);
        assert_eq!(Timestamp(i64::MAX).plus(Duration::from_secs(1)), Timestamp(i64::MAX));
        assert_eq!(Timestamp(i64::MAX).rfc5322(&TimeZone::UTC).len(), 31);
    }
}
