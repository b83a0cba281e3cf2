//! Listeners, TLS, the loop that drives a session, name look-ups, the supervisor's line.
