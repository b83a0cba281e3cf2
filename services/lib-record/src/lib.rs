//! One event type, written as maillog line, JSON line and counters.
