//! SMTP wire and server and client sessions, without input or output of their own.
