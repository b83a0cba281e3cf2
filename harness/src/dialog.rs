//! Dialogue files: what is said and what must be answered, readable by a person, replayable against any server.
//!
//! The format is described in `tests/dialogs/README.md`.
