//! The only program that reads password hashes.
