//! VRFY (RFC 5321 §3.5): the driver's to answer, unless it is off (R1.7).

use std::fmt;

use super::print::Reply;
use super::{Ask, Question, Session};

impl<R: fmt::Display> Session<R> {
    pub(super) fn vrfy(&mut self, user: String) {
        if self.config.privacy.novrfy {
            return self.complain(Reply::new(502, 7, 0, "VRFY is not allowed"));
        }
        self.ask(Question::Told, Ask::Vrfy(user));
    }
}
