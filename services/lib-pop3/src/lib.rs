//! POP3 wire and session, without input or output of their own.
