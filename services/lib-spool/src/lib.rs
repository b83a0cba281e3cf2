//! The shared queue directory.
