//! The record of a run, for people and for CI: one HTML page, JUnit XML, a live view in the terminal, plots.
//!
//! Everything here is drawn from [`crate::record`] and knows nothing else, so a record that was kept as JSON gives the same page later.
//! The page is one file without scripts and without a request to anywhere: it can be mailed, archived and opened from a disk.

use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::Result;
use crate::record::Run;

pub mod bench;
mod books;
mod dialogues;
pub mod html;
pub mod junit;
pub mod live;
mod moments;
pub mod plot;
mod timeline;
mod ways;
mod words;

/// The files of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The page.
    pub html: PathBuf,
    /// The same outcome for CI.
    pub junit: PathBuf,
}

/// Writes `report.html` and `junit.xml` into `dir`, which is made where it does not exist; older ones are replaced.
/// An error names the file that could not be written.
pub fn write(run: &Run, dir: &Path) -> Result<Written> {
    std::fs::create_dir_all(dir).with_context(|| format!("make {}", dir.display()))?;
    let written = Written { html: dir.join("report.html"), junit: dir.join("junit.xml") };
    for (path, text) in [(&written.html, html::page(run)), (&written.junit, junit::suites(run))] {
        std::fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(written)
}
