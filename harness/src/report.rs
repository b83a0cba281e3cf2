//! The record of a run, for people and for CI: one HTML page, JUnit XML, a live view in the terminal, plots.
//!
//! Everything here is drawn from [`crate::record`] and knows nothing else, so a record that was kept as JSON gives the same page later.
//! The page is one file without scripts and without a request to anywhere: it can be mailed, archived and opened from a disk.

mod books;
pub mod junit;
pub mod plot;
mod words;
