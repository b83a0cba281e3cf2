//! Behaviour that is left out on purpose, so that the tests can show that each piece of it is needed and that its loss is caught.

use crate::Purpose;

/// Whether `BONGSU_MUTANT` names this mutant. Always `false` without the cargo feature `mutants`, which no build for use has.
#[cfg(feature = "mutants")]
pub fn is_mutant(name: &str) -> bool {
    static CHOSEN: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("BONGSU_MUTANT").unwrap_or_default()) == name
}

/// Whether `BONGSU_MUTANT` names this mutant. Always `false` without the cargo feature `mutants`, which no build for use has.
#[cfg(not(feature = "mutants"))]
pub fn is_mutant(_: &str) -> bool {
    false
}

/// Whether syncs for this purpose are left out.
pub(crate) fn skips(purpose: Purpose) -> bool {
    match purpose {
        Purpose::SpoolMessage | Purpose::SpoolDirectory => is_mutant("no-spool-sync"),
        Purpose::Outcome => is_mutant("no-outcome-sync"),
        Purpose::MaildirFile => is_mutant("no-maildir-sync"),
        Purpose::MaildirDirectory => is_mutant("no-maildir-dir-sync"),
        _ => false,
    }
}
