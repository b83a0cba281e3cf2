//! Syncs that are left out on purpose, so that the crash tests can show that each is needed.

use crate::Purpose;

/// Whether `BONGSU_MUTANT` leaves syncs for this purpose out. Always `false` without the cargo feature `mutants`.
#[cfg(feature = "mutants")]
pub(crate) fn skips(purpose: Purpose) -> bool {
    static SKIPPED: std::sync::OnceLock<Vec<Purpose>> = std::sync::OnceLock::new();
    SKIPPED
        .get_or_init(|| match std::env::var("BONGSU_MUTANT").as_deref() {
            Ok("no-spool-sync") => vec![Purpose::SpoolMessage, Purpose::SpoolDirectory],
            Ok("no-outcome-sync") => vec![Purpose::Outcome],
            Ok("no-maildir-sync") => vec![Purpose::MaildirFile],
            Ok("no-maildir-dir-sync") => vec![Purpose::MaildirDirectory],
            _ => Vec::new(),
        })
        .contains(&purpose)
}

#[cfg(not(feature = "mutants"))]
pub(crate) fn skips(_: Purpose) -> bool {
    false
}
