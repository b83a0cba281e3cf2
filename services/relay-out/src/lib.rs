//! The program that passes mail on to other servers.
