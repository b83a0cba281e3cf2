//! What becomes of the roles' events: kept as JSON lines below caps, and printed in the operator's format.
//!
//! Nothing here may hold mail up. Keeping costs the thread of the role that wrote the event; printing goes over a bounded
//! buffer to a thread of its own, and what a slow reader leaves no room for is dropped and counted.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use anyhow::Result;

use super::journal::Journal;

/// A longer event is none of ours.
const LINE_MAX: usize = 64 * 1024;
/// Octets of printed lines that may wait for a slow reader.
const WAITING_MAX: usize = 1 << 20;

/// Cuts a stream of octets into whole lines.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// The line is too long; what still comes of it is dropped.
    skipping: bool,
}

impl Cutter {
    /// Takes the next octets and gives all lines that are whole now, with their line feeds, in one call.
    pub(crate) fn feed(&mut self, mut octets: &[u8], mut lines: impl FnMut(&[u8])) {
        if self.skipping {
            let Some(end) = octets.iter().position(|octet| *octet == b'\n') else { return };
            octets = &octets[end + 1..];
            self.skipping = false;
        }
        let whole = octets.iter().rposition(|octet| *octet == b'\n').map_or(0, |last| last + 1);
        let (done, rest) = octets.split_at(whole);
        if !done.is_empty() {
            self.begun.extend_from_slice(done);
            lines(&self.begun);
            self.begun.clear();
        }
        self.begun.extend_from_slice(rest);
        if self.begun.len() > LINE_MAX {
            self.begun.clear();
            self.skipping = true;
        }
    }
}

/// Turns the JSON lines of roles into printed lines; nothing for a line that is no event.
pub(crate) type Printer = Box<dyn Fn(&[u8], &mut String) + Send + Sync>;

/// Where all events go.
pub(crate) struct Outlet {
    journal: Mutex<Journal>,
    printer: Mutex<Printer>,
    printed: Arc<Printed>,
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outlet")
    }
}

impl Outlet {
    /// Starts the thread that prints.
    pub(crate) fn start(journal: Journal, printer: Printer, to: impl Write + Send + 'static) -> Result<Arc<Self>> {
        let printed = Arc::new(Printed::default());
        let reader = Arc::clone(&printed);
        std::thread::Builder::new().name("print".into()).stack_size(128 * 1024).spawn(move || reader.print(to))?;
        Ok(Arc::new(Self { journal: Mutex::new(journal), printer: Mutex::new(printer), printed }))
    }

    /// Takes whole lines of events.
    pub(crate) fn write(&self, lines: &[u8]) {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).append(lines);
        let mut text = String::new();
        {
            let printer = self.printer.lock().unwrap_or_else(PoisonError::into_inner);
            for line in lines.split(|octet| *octet == b'\n').filter(|line| !line.is_empty()) {
                printer(line, &mut text);
            }
        }
        self.printed.put(text);
    }

    /// Prints text as it is, without keeping it.
    pub(crate) fn print(&self, text: String) {
        self.printed.put(text);
    }

    /// Other caps and another format from now on.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Journal), printer: Printer) {
        change(&mut self.journal.lock().unwrap_or_else(PoisonError::into_inner));
        *self.printer.lock().unwrap_or_else(PoisonError::into_inner) = printer;
    }

    /// Waits until all is printed, or a second has gone: the last words before the process ends.
    pub(crate) fn flush(&self) {
        let waiting = self.printed.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let limit = std::time::Duration::from_secs(1);
        let _ = self.printed.changed.wait_timeout_while(waiting, limit, |waiting| waiting.octets > 0);
    }
}

/// The buffer between those who write events and the one thread that prints them.
#[derive(Debug, Default)]
struct Printed {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    texts: VecDeque<String>,
    /// Octets of `texts` and of what is being written.
    octets: usize,
    /// Lines that found no room.
    dropped: u64,
}

impl Printed {
    fn put(&self, text: String) {
        if text.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.octets + text.len() > WAITING_MAX && waiting.octets > 0 {
            waiting.dropped += text.lines().count() as u64;
            return;
        }
        if waiting.dropped > 0 {
            let dropped = std::mem::take(&mut waiting.dropped);
            let note = format!("({dropped} lines were dropped here: nobody read fast enough; all are kept in state/events)\n");
            waiting.octets += note.len();
            waiting.texts.push_back(note);
        }
        waiting.octets += text.len();
        waiting.texts.push_back(text);
        self.changed.notify_all();
    }

    fn print(&self, mut to: impl Write) {
        loop {
            let text = {
                let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
                let filled = self.changed.wait_while(waiting, |waiting| waiting.texts.is_empty());
                filled.unwrap_or_else(PoisonError::into_inner).texts.pop_front().unwrap_or_default()
            };
            // A reader that went away costs us the printed lines, not the service.
            let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).octets -= text.len();
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn lines_are_cut_the_same_however_the_octets_come() {
        let text = b"one\ntwo\n\nthree\nfou";
        for step in 1..=text.len() {
            let mut cutter = Cutter::default();
            let mut seen = Vec::new();
            for piece in text.chunks(step) {
                cutter.feed(piece, |lines| seen.extend_from_slice(lines));
            }
            assert_eq!(seen, b"one\ntwo\n\nthree\n", "step {step}");
        }
    }

    #[test]
    fn an_endless_line_is_dropped_and_the_next_one_is_not() {
        let mut cutter = Cutter::default();
        let mut seen = Vec::new();
        for _ in 0..100 {
            cutter.feed(&[b'x'; 4096], |lines| seen.extend_from_slice(lines));
        }
        cutter.feed(b"end of it\nnext\n", |lines| seen.extend_from_slice(lines));
        assert_eq!(seen, b"next\n");
    }

    /// A reader that reads nothing until it is told to.
    struct Stuck {
        go: mpsc::Receiver<()>,
        into: mpsc::Sender<String>,
        waited: bool,
    }

    impl Write for Stuck {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            if !self.waited {
                self.go.recv().unwrap();
                self.waited = true;
            }
            self.into.send(String::from_utf8_lossy(octets).into_owned()).unwrap();
            Ok(octets.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_reader_blocks_nobody_and_the_drops_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let (go, wait) = mpsc::channel();
        let (into, out) = mpsc::channel();
        let journal = Journal::open(dir.path(), 10_000_000, Duration::from_secs(3600));
        let printer: Printer = Box::new(|line, text| text.push_str(&format!("{}\n", String::from_utf8_lossy(line))));
        let outlet = Outlet::start(journal, printer, Stuck { go: wait, into, waited: false }).unwrap();
        let line = format!("{}\n", "e".repeat(999));
        for _ in 0..2000 {
            outlet.write(line.as_bytes());
        }
        go.send(()).unwrap();
        outlet.flush();
        outlet.write(b"last\n");
        outlet.flush();
        let printed: String = out.try_iter().collect();
        let note = printed.lines().find(|line| line.contains("dropped")).unwrap();
        let dropped: usize = note.trim_start_matches('(').split(' ').next().unwrap().parse().unwrap();
        assert_eq!(printed.lines().filter(|line| line.starts_with('e')).count() + dropped, 2000);
        assert!(printed.ends_with("last\n"));
    }
}
