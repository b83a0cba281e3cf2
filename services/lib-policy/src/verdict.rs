//! What a decision returns.

use lib_mail::Status;
use serde::{Deserialize, Serialize};

/// One check and its result, in the order they were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What was looked at, and the setting or map that it came from: `relay-domains`, `aliases`, `smtp.relay_networks`.
    pub check: String,
    /// What was found, in words.
    pub found: String,
}

/// The checks made so far; or none, where nobody will read them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trail(Option<Vec<Step>>);

impl Trail {
    /// A trail that keeps its steps.
    pub fn kept() -> Trail {
        Trail(Some(Vec::new()))
    }

    /// A trail that keeps nothing and costs nothing.
    pub fn off() -> Trail {
        Trail(None)
    }

    /// Adds a step; the words are made only where they are kept.
    pub fn note(&mut self, check: &str, found: impl FnOnce() -> String) {
        if let Some(steps) = &mut self.0 {
            steps.push(Step { check: check.to_owned(), found: found() });
        }
    }

    /// The steps.
    pub fn into_steps(self) -> Vec<Step> {
        self.0.unwrap_or_default()
    }
}

/// A decision: what the client is told, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// 2yz lets the client go on.
    pub status: Status,
    /// The checks that led to it; empty where the caller asked for none.
    pub trail: Vec<Step>,
}

impl Verdict {
    /// Whether the client may go on.
    pub fn is_yes(&self) -> bool {
        self.status.is_success()
    }
}
