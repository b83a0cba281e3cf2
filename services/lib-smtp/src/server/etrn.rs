//! ETRN (RFC 1985): asks that a domain's queue be started. Whose it is, and how often, is the driver's to say; what is queued goes to
//! the domain's MX, never to the asker.

use std::fmt;

use lib_mail::Domain;

use super::print::Reply;
use super::{Ask, Question, Session};

impl<R: fmt::Display> Session<R> {
    pub(super) fn etrn(&mut self, domain: Domain, subdomains: bool) {
        if !self.config.etrn {
            self.complain(Reply::new(502, 5, 1, "ETRN is not offered"));
        } else if self.extended.is_none() {
            self.complain(Reply::new(503, 5, 1, "EHLO or HELO comes first"));
        } else if self.transaction.is_some() {
            self.complain(Reply::new(503, 5, 1, "Not within a transaction"));
        } else {
            self.ask(Question::Told, Ask::Etrn { domain, subdomains });
        }
    }
}
