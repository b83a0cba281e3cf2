//! Decisions: route, rights, limits, as pure functions from facts to a verdict.
