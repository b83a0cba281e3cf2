//! HELO (RFC 5321 §4.1.1.1).

use std::fmt;

use super::{Session, print};

impl<R: fmt::Display> Session<R> {
    pub(super) fn helo_command(&mut self, name: String) {
        self.reset();
        self.helo = name;
        self.extended = Some(false);
        print::lines(&mut self.out, 250, &[self.config.hostname.as_str().into()]);
    }
}
