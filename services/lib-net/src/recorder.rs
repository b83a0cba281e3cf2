//! The way of events to the supervisor: recorded from anywhere, written in batches by one thread, never waited for.
//!
//! Mail is not held up by its log. Where the reader of our standard output is slow, events gather up to a bound; beyond it they are
//! dropped and counted, and the count is written as soon as there is room again.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lib_record::{Event, What, json_line};

/// Events that wait for the writer, at most: some megabytes.
const MAX_WAITING: usize = 16 * 1024;
/// The writer gathers events for this long, so that a busy program pays one wake-up and one write for many of them.
const GATHER: Duration = Duration::from_millis(20);
/// The text of a batch is kept for the next one, unless it is larger than this.
const KEPT_TEXT: usize = 64 * 1024;

/// Records events. Cheap to clone; callable from any thread; never blocks.
#[derive(Debug, Clone)]
pub struct Recorder {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Told when something waits, and when all of it was written.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    events: Vec<Event>,
    dropped: u64,
    /// The writer is at work on a batch.
    writing: bool,
}

impl Recorder {
    /// Writes to the role's standard output, by a thread that lives as long as the process.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn to_standard_output() -> io::Result<Recorder> {
        // Not through std's handle: its line buffer would make a write of each line.
        let output = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Recorder::to(output)
    }

    /// Writes to `output`, which may block. An error of it loses the batch: nobody is there to be told.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn to(mut output: impl Write + Send + 'static) -> io::Result<Recorder> {
        let shared = Arc::<Shared>::default();
        let recorder = Recorder { shared: shared.clone() };
        let write = move || {
            let mut text = Vec::new();
            loop {
                let (events, dropped) = shared.take();
                render(&events, dropped, &mut text);
                drop(events);
                let _ = output.write_all(&text);
                text.clear();
                text.shrink_to(KEPT_TEXT);
                shared.written();
            }
        };
        thread::Builder::new().name("recorder".into()).stack_size(128 * 1024).spawn(write)?;
        Ok(recorder)
    }

    /// For tests and tools that want no events.
    pub fn silent() -> Recorder {
        Recorder { shared: Arc::default() }
    }

    /// Records an event, or drops and counts it where too many wait.
    pub fn record(&self, event: Event) {
        let mut waiting = self.shared.lock();
        if waiting.events.len() >= MAX_WAITING {
            waiting.dropped += 1;
            return;
        }
        waiting.events.push(event);
        if waiting.events.len() == 1 && !waiting.writing {
            self.shared.changed.notify_all();
        }
    }

    /// Waits until what was recorded so far is written, at most for `within`: for the end of a program.
    pub fn flush(&self, within: Duration) {
        let until = Instant::now() + within;
        let mut waiting = self.shared.lock();
        while waiting.writing || !waiting.events.is_empty() {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            waiting = self.shared.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the first event, then a little for more.
    fn take(&self) -> (Vec<Event>, u64) {
        let mut waiting = self.lock();
        while waiting.events.is_empty() {
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.writing = true;
        drop(waiting);
        thread::sleep(GATHER);
        let mut waiting = self.lock();
        (std::mem::take(&mut waiting.events), std::mem::take(&mut waiting.dropped))
    }

    fn written(&self) {
        self.lock().writing = false;
        self.changed.notify_all();
    }
}

fn render(events: &[Event], dropped: u64, text: &mut Vec<u8>) {
    for event in events {
        json_line(event, None, text);
    }
    if let Some(last) = events.last().filter(|_| dropped > 0) {
        let lost = Event { at: last.at, role: last.role, id: None, what: What::Lost { count: dropped } };
        json_line(&lost, None, text);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use lib_mail::Timestamp;
    use lib_record::{RoleName, from_json};

    use super::*;

    fn notice(number: usize) -> Event {
        let what = What::Notice { text: number.to_string() };
        Event { at: Timestamp(number as i64), role: RoleName::SmtpIn, id: None, what }
    }

    /// Passes each write on, and blocks while nobody takes it.
    struct Pipe(mpsc::SyncSender<Vec<u8>>);
    impl Write for Pipe {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.send(octets.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(octets.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn events_come_in_order_and_in_batches() {
        let (sender, writes) = mpsc::sync_channel(100);
        let recorder = Recorder::to(Pipe(sender)).unwrap();
        (0..1000).for_each(|number| recorder.record(notice(number)));
        recorder.flush(Duration::from_secs(10));
        let batches: Vec<_> = writes.try_iter().collect();
        assert!(batches.len() < 100, "{}", batches.len());
        let all = batches.concat();
        let lines: Vec<_> = all.split_inclusive(|octet| *octet == b'\n').map(|line| from_json(line).unwrap()).collect();
        assert_eq!(lines, (0..1000).map(notice).collect::<Vec<_>>());
    }

    #[test]
    fn a_reader_that_hangs_costs_events_and_no_time() {
        let (sender, writes) = mpsc::sync_channel(0);
        let recorder = Recorder::to(Pipe(sender)).unwrap();
        let start = Instant::now();
        (0..MAX_WAITING * 3).for_each(|number| recorder.record(notice(number)));
        recorder.flush(Duration::from_millis(50));
        assert!(start.elapsed() < Duration::from_secs(5));
        let reader = thread::spawn(move || {
            let mut lost = 0;
            // Two batches may tell of it: the writer can have begun while events were lost.
            while lost < MAX_WAITING as u64 {
                let Ok(write) = writes.recv_timeout(Duration::from_secs(10)) else { break };
                for line in write.split_inclusive(|octet| *octet == b'\n') {
                    if let What::Lost { count } = from_json(line).unwrap().what {
                        lost += count;
                    }
                }
            }
            lost
        });
        recorder.flush(Duration::from_secs(10));
        recorder.record(notice(0));
        let lost = reader.join().unwrap();
        assert!(lost >= MAX_WAITING as u64, "{lost}");
    }
}
