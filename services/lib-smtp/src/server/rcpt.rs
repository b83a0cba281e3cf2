//! RCPT (RFC 5321 §4.1.1.3): only the driver's answer makes a recipient.

use std::fmt;

use lib_mail::{Address, Notify, Recipient, Status};

use super::print::Reply;
use super::{Ask, Question, Session};
use crate::command::Rcpt;
use crate::path::ForwardPath;

impl<R: fmt::Display> Session<R> {
    pub(super) fn rcpt(&mut self, rcpt: Rcpt) {
        let Some(transaction) = &self.transaction else {
            return self.complain(Reply::new(503, 5, 1, "MAIL comes first"));
        };
        if self.message.is_some() {
            return self.complain(Reply::new(503, 5, 1, "The message has begun; go on with BDAT"));
        }
        let utf8 = transaction.mail.utf8;
        let address = match rcpt.path {
            ForwardPath::Address(address) => address,
            ForwardPath::Postmaster => match Address::new("postmaster", &self.config.postmaster_domain) {
                Ok(address) => address,
                Err(_) => return self.complain(Reply::new(501, 1, 3, "There is no postmaster without a domain here")),
            },
        };
        let ascii = address.is_ascii() && rcpt.orcpt.as_ref().is_none_or(|orcpt| orcpt.is_ascii());
        if !utf8 && !ascii {
            return self.complain(Reply::new(553, 6, 7, "An address beyond ASCII needs SMTPUTF8"));
        }
        if !self.config.extensions.dsn && (rcpt.notify != Notify::Default || rcpt.orcpt.is_some()) {
            return self.complain(Reply::new(555, 5, 4, "A parameter is not known"));
        }
        self.admit_recipient(Recipient { address, notify: rcpt.notify, orcpt: rcpt.orcpt });
    }

    fn admit_recipient(&mut self, recipient: Recipient) {
        let known = self.transaction.as_ref().map_or(&[][..], |transaction| &transaction.recipients);
        // Octets are compared, not addresses: at another host `A@` may be another mailbox than `a@`.
        if known.iter().any(|known| known.address.as_str() == recipient.address.as_str()) {
            return self.say(&Reply::new(250, 1, 5, "Recipient ok, once"));
        }
        if known.len() >= self.config.max_recipients {
            return self.refuse("RCPT", Reply::new(452, 5, 3, "Too many recipients; send the rest in another message"));
        }
        self.ask(Question::Rcpt(recipient.clone()), Ask::Rcpt(recipient));
    }

    pub(super) fn rcpt_answered(&mut self, recipient: Recipient, status: &Status) {
        if status.is_success()
            && let Some(transaction) = &mut self.transaction
        {
            transaction.recipients.push(recipient);
        }
        self.tell(Reply::from(status));
    }
}
