//! What is wrong with a configuration, and where a value came from.

use std::collections::BTreeMap;
use std::fmt;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The profile's default.
    Default,
    /// What the appliance assumes when it runs without a configuration.
    Assumed,
    /// A line of the configuration file; 0 where the line is not known.
    File {
        /// As it was named in `Sources`.
        name: String,
        /// Counted from 1.
        line: usize,
    },
    /// An environment variable.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::Assumed => f.write_str("assumed without a configuration"),
            Origin::File { name, line: 0 } => f.write_str(name),
            Origin::File { name, line } => write!(f, "{name}:{line}"),
            Origin::Environment(variable) => f.write_str(variable),
        }
    }
}

/// Where each value that is no default came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(pub(crate) BTreeMap<String, Origin>);

impl Origins {
    /// Where the value of `key` (as `smtp.hop_limit` or `listen[0].port`) came from.
    pub fn of(&self, key: &str) -> &Origin {
        self.0.get(key).unwrap_or(&Origin::Default)
    }

    /// All keys that were set, with their origins.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.0.iter().map(|(key, origin)| (key.as_str(), origin))
    }
}

/// One thing that the operator must mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub origin: Origin,
    /// The setting, as `smtp.hop_limit`; empty for a text that is no TOML.
    pub key: String,
    /// What is wrong and what is allowed, to be read after the key.
    pub what: String,
    /// The valid name that was probably meant.
    pub nearest: Option<String>,
}

/// `bongsu.toml:12: smtp.mesage_size_limit is no setting; the nearest is smtp.message_size_limit`
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.origin)?;
        if !self.key.is_empty() {
            write!(f, "{} ", self.key)?;
        }
        f.write_str(&self.what)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; the nearest is {nearest}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}
