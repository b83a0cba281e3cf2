//! A file of this crate, reread when it changes; a bad edit leaves the last good state in force.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use lib_host::{Change, Watched};

use crate::Error;
use crate::file::{Line, Wrong, parse};

/// What was read, as the file tells it.
type Lines<T> = Arc<BTreeMap<String, T>>;

/// The file and what it last said.
pub(crate) struct Watch<T>(Mutex<State<T>>);

struct State<T> {
    file: Watched<Lines<T>>,
    /// Counts the good states.
    version: u64,
    /// What is wrong with the file now.
    trouble: Option<Trouble>,
    /// The trouble has been told.
    told: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    Wrong(Wrong),
    Unreadable(ErrorKind),
}

impl<T: Line> Watch<T> {
    pub(crate) fn new(dir: &Path) -> Watch<T> {
        let file = Watched::new(dir.join(T::FILE), Lines::default());
        Watch(Mutex::new(State { file, version: 0, trouble: None, told: true }))
    }

    /// The last good state and its number, which grows with each change. A file that was never there holds nothing.
    pub(crate) fn current(&self) -> Result<(Lines<T>, u64), Error> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.look();
        match &state.trouble {
            // Without any good state before, there is nothing to stand on but an empty start.
            Some(trouble) if state.version == 0 && *trouble != Trouble::Unreadable(ErrorKind::NotFound) => {
                Err(trouble.error(&state.path()))
            }
            _ => Ok((Arc::clone(state.file.value()), state.version)),
        }
    }

    /// What is wrong with the file, once for each change.
    pub(crate) fn problem(&self) -> Option<String> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.look();
        if std::mem::replace(&mut state.told, true) {
            return None;
        }
        state.trouble.as_ref().map(|trouble| trouble.error(&state.path()).to_string())
    }
}

impl<T: Line> State<T> {
    fn look(&mut self) {
        match self.file.look(|text| parse::<T>(text).map(Arc::new)) {
            Change::None => {}
            Change::New => {
                self.version += 1;
                self.trouble = None;
            }
            Change::Bad(wrong) => self.note(Trouble::Wrong(wrong)),
            Change::Unreadable(kind) => self.note(Trouble::Unreadable(kind)),
        }
    }

    fn note(&mut self, trouble: Trouble) {
        // Before the first account there is no file, which is no trouble.
        self.told = self.version == 0 && trouble == Trouble::Unreadable(ErrorKind::NotFound);
        self.trouble = Some(trouble);
    }

    fn path(&self) -> String {
        self.file.path().display().to_string()
    }
}

impl Trouble {
    fn error(&self, file: &str) -> Error {
        let file = file.to_owned();
        match self {
            Trouble::Wrong(Wrong { line, what }) => Error::Line { file, line: *line, what: what.clone() },
            Trouble::Unreadable(kind) => Error::Disk { doing: "read", file, source: (*kind).into() },
        }
    }
}
