//! Maildir, usage ledger, maildrop lock.
