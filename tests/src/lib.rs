//! The scenarios stand in `tests/`.
