//! QUIT (RFC 5321 §4.1.1.10). A transaction under way is dropped: only the reply to a message accepts it.

use std::fmt;

use super::Session;
use super::print::Reply;

impl<R: fmt::Display> Session<R> {
    pub(super) fn quit(&mut self) {
        self.reset();
        self.say(&Reply::new(221, 0, 0, "Goodbye"));
        self.close();
    }
}
