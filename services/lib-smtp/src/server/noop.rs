//! NOOP (RFC 5321 §4.1.1.9).

use std::fmt;

use super::Session;
use super::print::Reply;

impl<R: fmt::Display> Session<R> {
    pub(super) fn noop(&mut self) {
        self.say(&Reply::new(250, 0, 0, "Ok"));
    }
}
