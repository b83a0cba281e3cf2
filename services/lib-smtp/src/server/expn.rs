//! EXPN (RFC 5321 §3.5): the driver's to answer, unless it is off (R1.7).

use std::borrow::Cow;
use std::fmt;

use super::print::{self, Reply};
use super::{Ask, Question, Session, State};

impl<R: fmt::Display> Session<R> {
    pub(super) fn expn(&mut self, list: String) {
        if self.config.privacy.noexpn {
            return self.complain(Reply::new(502, 7, 0, "EXPN is not allowed"));
        }
        self.ask(Question::Told, Ask::Expn(list));
    }

    /// One member a line (RFC 5321 §3.5.1).
    pub(super) fn members(&mut self, members: &[String]) {
        if !matches!(self.state, State::Asked(Question::Told)) {
            return;
        }
        self.state = State::Command;
        if members.is_empty() {
            return self.say(&Reply::new(252, 5, 2, "Nobody is shown"));
        }
        let lines: Vec<Cow<'_, str>> = members.iter().map(|member| format!("2.1.5 {member}").into()).collect();
        print::lines(&mut self.out, 250, &lines);
    }
}
