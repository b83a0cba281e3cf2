//! RSET (RFC 5321 §4.1.1.5).

use std::fmt;

use super::Session;
use super::print::Reply;

impl<R: fmt::Display> Session<R> {
    pub(super) fn rset(&mut self) {
        self.reset();
        self.say(&Reply::new(250, 0, 0, "Ok"));
    }
}
