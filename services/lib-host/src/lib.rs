//! The machine under the services: disk calls, queue clock, randomness.
