//! Scenarios: what is set up, what happens to it, and what must hold then.

mod known;
mod play;

use crate::Result;
use crate::driver::DriverKind;
use crate::scenarios;
use crate::stage::Stage;
use crate::topology::{SystemKind, Topology};

pub use play::{Choice, Watch, play_all};

/// A scenario.
pub struct Scenario {
    /// Its name, by what happens: `primary_killed_and_the_secondaries_take_over`.
    pub name: &'static str,
    /// What it shows, one sentence.
    pub shows: &'static str,
    /// Rows of the requirement book.
    pub rows: &'static [&'static str],
    /// The topology it runs on.
    pub topology: fn() -> Result<Topology>,
    /// Where it can run.
    pub drivers: &'static [DriverKind],
    /// Which systems it can judge: it asks nothing of them that they do not have.
    pub systems: &'static [SystemKind],
    /// Whether others may run beside it. A scenario that measures or fills the machine runs alone.
    pub alone: bool,
    /// What happens.
    pub run: fn(&Stage) -> Result<()>,
}

/// Both drivers.
pub const EVERYWHERE: &[DriverKind] = &[DriverKind::Processes, DriverKind::Containers];
/// Only as processes: it needs a gate in a link, or to reach into a node.
pub const PROCESSES: &[DriverKind] = &[DriverKind::Processes];
/// bongsu alone.
pub const BONGSU: &[SystemKind] = &[SystemKind::Bongsu];
/// Those whose services can be told from each other.
pub const SERVED: &[SystemKind] = &[SystemKind::Bongsu, SystemKind::Postfix];
/// Any mail system.
pub const ANY: &[SystemKind] = &[SystemKind::Bongsu, SystemKind::Postfix, SystemKind::Exim, SystemKind::OpenSmtpd];

/// All scenarios.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    scenarios::ALL.iter().flat_map(|group| group.iter())
}

/// An error with this beginning says that a scenario can't run here, and why.
pub const SKIPPED: &str = "SKIPPED: ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_named_once_and_its_topology_is_right() {
        let mut names: Vec<&str> = all().map(|scenario| scenario.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for scenario in all() {
            assert!(scenario.shows.ends_with('.') && !scenario.rows.is_empty(), "{}", scenario.name);
            (scenario.topology)().unwrap();
        }
    }
}
