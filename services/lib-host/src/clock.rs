//! The queue clock: the system's, or for tests and lessons one that runs faster or jumps.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use lib_mail::Timestamp;

/// How often a clock file is looked at, and so the longest real wait while one is in use.
const REREAD: Duration = Duration::from_secs(1);

/// The clock of everything virtual: schedule, deadlines, Date, Received, log. Sockets, DNS and sweeping use real time. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    System,
    File { path: PathBuf, state: Mutex<State> },
    Manual { virtual_ms: AtomicI64, ticks_ms: AtomicI64 },
}

#[derive(Debug)]
struct State {
    looked: Instant,
    setting: Setting,
}

/// At `real` of the system clock it is `shown`, and from there it runs `rate` times as fast.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Setting {
    real: i64,
    shown: i64,
    rate: f64,
}

impl Clock {
    /// The system's time.
    pub fn system() -> Clock {
        Clock(Arc::new(Source::System))
    }

    /// The time that this file tells, or where there is none, the system's. The error names the file.
    pub fn open(file: Option<&Path>) -> io::Result<Clock> {
        let Some(path) = file else { return Ok(Clock::system()) };
        let named = |error: io::Error| io::Error::new(error.kind(), format!("testing.clock {}: {error}", path.display()));
        Clock::from_file(path).map_err(named)
    }

    /// The time that a file tells: one line `REAL_MS VIRTUAL_MS RATE`, replaced by rename. It is read again each second; a file that
    /// is missing or wrong later leaves the clock as it was. An error where it cannot be read or understood now.
    fn from_file(path: &Path) -> io::Result<Clock> {
        let setting = Setting::read(path)?;
        let state = Mutex::new(State { looked: Instant::now(), setting });
        Ok(Clock(Arc::new(Source::File { path: path.to_owned(), state })))
    }

    /// A clock that stands still until [`advance`](Self::advance) moves it; for tests.
    pub fn manual(start: Timestamp) -> Clock {
        Clock(Arc::new(Source::Manual { virtual_ms: AtomicI64::new(start.0), ticks_ms: AtomicI64::new(0) }))
    }

    /// Moves a manual clock, both its time and its ticks; does nothing to another.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { virtual_ms, ticks_ms } = &*self.0 {
            let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            virtual_ms.fetch_add(by, Ordering::SeqCst);
            ticks_ms.fetch_add(by, Ordering::SeqCst);
        }
    }

    /// The moment.
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Source::System => Timestamp(system_ms()),
            Source::File { .. } => Timestamp(self.setting().map_or_else(system_ms, |setting| setting.at(system_ms()))),
            Source::Manual { virtual_ms, .. } => Timestamp(virtual_ms.load(Ordering::SeqCst)),
        }
    }

    /// How long to wait, in real time, for that moment; at most a second while a clock file is in use, since it may jump meanwhile.
    pub fn real_until(&self, moment: Timestamp) -> Duration {
        let ahead = moment.since(self.now());
        // Also where the clock stands still: what is due is due.
        if ahead.is_zero() {
            return Duration::ZERO;
        }
        match &*self.0 {
            Source::System => ahead,
            Source::Manual { .. } => ahead.min(REREAD),
            Source::File { .. } => {
                let rate = self.setting().map_or(1.0, |setting| setting.rate);
                if rate <= 0.0 { REREAD } else { ahead.div_f64(rate.max(1e-6)).min(REREAD) }
            }
        }
    }

    /// Time that only passes: since some fixed moment, never virtual, never set back.
    pub fn ticks(&self) -> Duration {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        match &*self.0 {
            Source::Manual { ticks_ms, .. } => Duration::from_millis(ticks_ms.load(Ordering::SeqCst).max(0).unsigned_abs()),
            _ => START.get_or_init(Instant::now).elapsed(),
        }
    }

    fn setting(&self) -> Option<Setting> {
        let Source::File { path, state } = &*self.0 else { return None };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= REREAD {
            state.looked = Instant::now();
            if let Ok(setting) = Setting::read(path) {
                state.setting = setting;
            }
        }
        Some(state.setting)
    }
}

fn system_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Setting {
    fn read(path: &Path) -> io::Result<Setting> {
        Setting::parse(&std::fs::read_to_string(path)?).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "a clock file is one line: real_ms virtual_ms rate, as 1795401000000 1795401000000 60",
            )
        })
    }

    fn parse(text: &str) -> Option<Setting> {
        let mut words = text.split_ascii_whitespace();
        let setting = Setting {
            real: words.next()?.parse().ok()?,
            shown: words.next()?.parse().ok()?,
            rate: words.next()?.parse().ok()?,
        };
        (words.next().is_none() && setting.rate.is_finite() && setting.rate >= 0.0).then_some(setting)
    }

    fn at(self, real: i64) -> i64 {
        let passed = real.saturating_sub(self.real) as f64 * self.rate;
        self.shown.saturating_add(passed as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_file_is_three_numbers() {
        for (text, at_2000) in [
            ("1000 5000 1", Some(6000)),
            ("1000 5000 60\n", Some(65_000)),
            ("1000 5000 0", Some(5000)),
            ("1000 5000 0.5", Some(5500)),
            ("1000 5000 -1", None),
            ("1000 5000 nan", None),
            ("1000 5000", None),
            ("1000 5000 1 1", None),
            ("", None),
        ] {
            assert_eq!(Setting::parse(text).map(|setting| setting.at(2000)), at_2000, "{text}");
        }
    }

    #[test]
    fn a_replaced_file_makes_the_clock_jump() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clock");
        let missing = Clock::open(Some(&path)).unwrap_err().to_string();
        assert!(missing.starts_with(&format!("testing.clock {}: ", path.display())), "{missing}");
        std::fs::write(&path, "0 0 0").unwrap();
        let clock = Clock::open(Some(&path)).unwrap();
        assert_eq!(clock.now(), Timestamp(0));
        assert_eq!(clock.real_until(Timestamp(10)), REREAD);
        std::fs::write(&path, "nonsense").unwrap();
        std::thread::sleep(REREAD);
        assert_eq!(clock.now(), Timestamp(0));
        std::fs::write(&path, "0 7000 0").unwrap();
        std::thread::sleep(REREAD);
        assert_eq!(clock.now(), Timestamp(7000));
        assert_eq!(clock.real_until(Timestamp(7000)), Duration::ZERO);
    }

    #[test]
    fn waits_are_real_time() {
        let clock = Clock::manual(Timestamp(1000));
        assert_eq!(clock.real_until(Timestamp(1200)), Duration::from_millis(200));
        assert_eq!(clock.real_until(Timestamp(900)), Duration::ZERO);
        clock.advance(Duration::from_millis(200));
        assert_eq!((clock.now(), clock.ticks()), (Timestamp(1200), Duration::from_millis(200)));
        let system = Clock::system();
        assert!(system.real_until(system.now().plus(Duration::from_secs(3600))) > Duration::from_secs(3500));
    }
}
