//! The program that puts mail into local mailboxes.
