//! VRFY (RFC 5321 §3.5): the driver's to answer, unless it is off (R1.7). Then the answer is 252, as RFC 5321 §7.3 asks and sendmail
//! has it: it tells nothing, and no client takes it for a broken server.

use std::fmt;

use super::print::Reply;
use super::{Ask, Question, Session};

impl<R: fmt::Display> Session<R> {
    pub(super) fn vrfy(&mut self, user: String) {
        if self.config.privacy.novrfy {
            return self.say(&Reply::new(252, 5, 2, "Users are not told; send, and see"));
        }
        self.ask(Question::Told, Ask::Vrfy(user));
    }
}
