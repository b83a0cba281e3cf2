//! HELP (RFC 5321 §4.1.1.8): lists what is on, and nothing else (R1.7).

use std::fmt;

use super::{Session, print};

impl<R: fmt::Display> Session<R> {
    pub(super) fn help(&mut self) {
        let config = &self.config;
        let mut verbs = vec!["EHLO", "HELO", "MAIL", "RCPT", "DATA"];
        for (is_on, verb) in [
            (config.extensions.chunking, "BDAT"),
            (true, "RSET"),
            (true, "NOOP"),
            (true, "QUIT"),
            (true, "HELP"),
            (!config.privacy.novrfy, "VRFY"),
            (!config.privacy.noexpn, "EXPN"),
            (self.may_start_tls(), "STARTTLS"),
            (self.may_authenticate(), "AUTH"),
            (config.etrn, "ETRN"),
        ] {
            if is_on {
                verbs.push(verb);
            }
        }
        let lines = ["2.0.0 The commands are:".into(), format!("2.0.0 {}", verbs.join(" ")).into()];
        print::lines(&mut self.out, 214, &lines);
    }
}
