//! Accounts, password hashes, rights.
