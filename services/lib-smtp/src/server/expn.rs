//! EXPN (RFC 5321 §3.5): the driver's to answer, unless it is off (R1.7).

use std::fmt;

use super::print::Reply;
use super::{Ask, Question, Session};

impl<R: fmt::Display> Session<R> {
    pub(super) fn expn(&mut self, list: String) {
        if self.config.privacy.noexpn {
            return self.complain(Reply::new(502, 7, 0, "EXPN is not allowed"));
        }
        self.ask(Question::Told, Ask::Expn(list));
    }
}
