//! Where the events of a node are read from.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use lib_record::{Event, from_json};
use serde::Deserialize;

use crate::commands::log::kept::Kept;
use crate::layout::Layout;

/// A node's events and its name.
pub(super) struct Source {
    pub(super) name: String,
    kept: Kept,
}

/// What a line of `log --json` says besides its event.
#[derive(Deserialize)]
struct Named {
    host: String,
}

impl Source {
    /// This node.
    pub(super) fn own(layout: &Layout, name: &str) -> Source {
        Source { name: name.to_owned(), kept: Kept::of_dir(&layout.events()) }
    }

    /// Another node, as `[NAME=]PATH`: its data directory, its directory of events, or a file of `log --json`.
    pub(super) fn named(with: &str) -> Result<Source> {
        let (name, path) = match with.split_once('=') {
            Some((name, path)) if !name.is_empty() && !name.contains('/') => (Some(name.to_owned()), PathBuf::from(path)),
            _ => (None, PathBuf::from(with)),
        };
        let found = std::fs::metadata(&path).with_context(|| format!("cannot look at {}", path.display()))?;
        let last = || path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        if !found.is_dir() {
            let mut source = Source { name: String::new(), kept: Kept::of_file(&path) };
            source.name = match name {
                Some(name) => name,
                None => source.told_name()?.unwrap_or_else(last),
            };
            return Ok(source);
        }
        let events = [path.join("state/events"), path.clone()].into_iter().find(|dir| has_events(dir));
        let Some(events) = events else {
            bail!(
                "{} holds no events: name the data directory of a node, or a file that \"bongsu log --json\" wrote",
                path.display()
            );
        };
        let name = name.or_else(|| host_name(&path)).unwrap_or_else(last);
        Ok(Source { name, kept: Kept::of_dir(&events) })
    }

    /// The name of the node that wrote the file.
    fn told_name(&mut self) -> Result<Option<String>> {
        let mut told = None;
        self.lines(&mut |line| {
            told = told.take().or_else(|| serde_json::from_slice::<Named>(line).ok().map(|named| named.host));
            Ok(())
        })?;
        self.again();
        Ok(told)
    }

    pub(super) fn again(&mut self) {
        self.kept.again();
    }

    pub(super) fn lines(&mut self, each: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.kept.lines(each)
    }

    /// Each event; lines that are none are left out.
    pub(super) fn events(&mut self, each: &mut dyn FnMut(Event)) -> Result<()> {
        self.lines(&mut |line| {
            from_json(line).into_iter().for_each(&mut *each);
            Ok(())
        })
    }
}

fn has_events(dir: &Path) -> bool {
    !crate::supervisor::journal::Journal::files(dir).is_empty()
}

/// The host name in the settings of another data directory, where they lie beside it.
fn host_name(data: &Path) -> Option<String> {
    let layout = Layout::find(Some(data), None).ok()?;
    layout.settings_file()?;
    Some(crate::plan::load_settings(&layout).ok()?.0.hostname.to_string())
}
