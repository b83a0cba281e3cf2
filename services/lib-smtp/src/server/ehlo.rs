//! EHLO (RFC 5321 §4.1.1.1): greets, ends a transaction, and lists what is on.

use std::borrow::Cow;
use std::fmt;

use super::print;
use super::{Mechanism, Session, Tls};
use crate::forward::OFFER;

impl<R: fmt::Display> Session<R> {
    pub(super) fn ehlo(&mut self, name: String) {
        self.reset();
        self.helo = name;
        self.extended = Some(true);
        let lines = self.offer();
        print::lines(&mut self.out, 250, &lines);
    }

    fn offer(&self) -> Vec<Cow<'static, str>> {
        let config = &self.config;
        let on = config.extensions;
        let mut lines: Vec<Cow<'static, str>> = vec![config.hostname.clone().into()];
        let mut offer = |is_on: bool, line: &'static str| {
            if is_on {
                lines.push(line.into());
            }
        };
        offer(on.pipelining, "PIPELINING");
        offer(on.eight_bit_mime, "8BITMIME");
        offer(on.smtp_utf8, "SMTPUTF8");
        offer(on.chunking, "CHUNKING");
        offer(on.dsn, "DSN");
        offer(true, "ENHANCEDSTATUSCODES");
        offer(config.etrn, "ETRN");
        offer(self.may_start_tls(), "STARTTLS");
        // RFC 5321 §3.5.2.
        offer(!config.privacy.noexpn, "EXPN");
        offer(true, "HELP");
        // RFC 1870 §4: zero says that there is no fixed limit.
        let limit = config.size_limit.filter(|_| self.shown.is_none());
        lines.push(format!("SIZE {}", limit.unwrap_or(0)).into());
        if self.shown.is_some() {
            lines.extend([OFFER.into(), "XLIST".into()]);
        }
        if self.may_authenticate() || self.may_prove() {
            let all = config.auth.mechanisms.iter().filter(|_| self.may_authenticate());
            let mut names: Vec<&str> = all.map(|mechanism| mechanism.name()).collect();
            names.extend(self.may_prove().then_some("EXTERNAL"));
            lines.push(format!("AUTH {}", names.join(" ")).into());
        }
        lines
    }

    /// Whether STARTTLS would be accepted.
    pub(super) fn may_start_tls(&self) -> bool {
        self.config.tls == Tls::Offered && !self.tls
    }

    /// Whether AUTH would be accepted here and now.
    pub(super) fn may_authenticate(&self) -> bool {
        let auth = &self.config.auth;
        !auth.mechanisms.is_empty() && (self.tls || auth.without_tls) && self.account.is_none() && self.pair.is_none()
    }
}

impl Mechanism {
    pub(super) fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
        }
    }
}
