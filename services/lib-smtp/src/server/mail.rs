//! MAIL (RFC 5321 §4.1.1.2): checked here for what the protocol says, then asked.

use std::fmt;

use lib_mail::{BodyType, Status};

use super::print::Reply;
use super::{Ask, Mail, Question, Role, Session, Transaction};

impl<R: fmt::Display> Session<R> {
    pub(super) fn mail(&mut self, mail: Mail) {
        if self.extended.is_none() {
            return self.complain(Reply::new(503, 5, 1, "EHLO or HELO comes first"));
        }
        if self.transaction.is_some() {
            return self.complain(Reply::new(503, 5, 1, "A sender was given already"));
        }
        if self.config.role == Role::Submission && self.account.is_none() {
            self.refuse("MAIL", Reply::new(530, 7, 0, "Authentication is required"));
            return self.count_refusal();
        }
        if self.is_beyond_offer(&mail) {
            return self.complain(Reply::new(555, 5, 4, "A parameter is not known"));
        }
        if mail.size.is_some_and(|size| self.is_too_large(size)) {
            // At MAIL it is 5.3.4 in every profile (R1.1).
            self.refuse("MAIL", Reply { enhanced: lib_mail::Enhanced::new(5, 3, 4), ..self.too_large() });
            return self.count_refusal();
        }
        self.ask(Question::Mail(mail.clone()), Ask::Mail(mail));
    }

    /// Whether a parameter belongs to an extension that is off.
    fn is_beyond_offer(&self, mail: &Mail) -> bool {
        let on = self.config.extensions;
        (mail.body == BodyType::EightBitMime && !on.eight_bit_mime)
            || (mail.utf8 && !on.smtp_utf8)
            || ((mail.ret.is_some() || mail.envid.is_some()) && !on.dsn)
            || (mail.auth.is_some() && self.config.auth.mechanisms.is_empty())
    }

    pub(super) fn mail_answered(&mut self, mail: Mail, status: &Status) {
        let forward = self.forward.take();
        if status.is_success() {
            self.transaction = Some(Transaction { mail, recipients: Vec::new(), forward });
        }
        self.tell(Reply::from(status));
    }
}
