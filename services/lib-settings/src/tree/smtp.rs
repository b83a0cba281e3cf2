//! Receiving mail.

use std::time::Duration;

use ipnet::IpNet;

use super::Plaintext;
use crate::declare::{choice, group};
use crate::{Bytes, Rate};

choice! {
    /// What strangers may not ask.
    pub enum Privacy {
        /// EXPN is refused.
        Noexpn = "noexpn",
        /// VRFY is answered without telling whether the mailbox exists.
        Novrfy = "novrfy",
        /// Both.
        Goaway = "goaway",
        /// Strangers on this machine may not see the queue. Always so.
        Restrictmailq = "restrictmailq",
        /// Strangers on this machine may not start a queue run. Always so.
        Restrictqrun = "restrictqrun",
    }
}

choice! {
    /// An SMTP extension that can be left unoffered.
    pub enum Extension {
        /// RFC 2920.
        Pipelining = "pipelining",
        /// RFC 6152.
        EightBitMime = "8bitmime",
        /// RFC 6531.
        Smtputf8 = "smtputf8",
        /// RFC 3030.
        Chunking = "chunking",
        /// RFC 3461.
        Dsn = "dsn",
        /// RFC 1985.
        Etrn = "etrn",
    }
}

group! {
    /// Receiving mail: the listeners `mx`, `submission` and `submissions`.
    pub struct Smtp {
        /// The largest message taken from other servers, announced in EHLO. What is larger is refused with 552.
        message_size_limit: Bytes { office: "50 MB", classic: Some("5024000"), least: "64 kB", most: "2 GB", origin: "sendmail MaxMessageSize", id: "R1.1", }
        /// The largest message taken from our own users.
        submission_size_limit: Bytes { office: "50 MB", classic: Some("5024000"), least: "64 kB", most: "2 GB", origin: "sendmail M= of a mailer", id: "R1.2", }
        /// The largest message put into a local mailbox. A larger one is refused with 552; one that was taken nevertheless, for an alias or for
        /// other recipients too, comes back to its sender.
        local_size_limit: Bytes { office: "50 MB", classic: Some("5024000"), least: "64 kB", most: "2 GB", origin: "sendmail LOCAL_MAILER_MAX", id: "R1.2", }
        /// Recipients of one message; further ones are told to come again with 452. RFC 5321 forbids refusing under 100.
        recipients_limit: u32 { office: "1000", classic: Some("20"), least: "1", most: "50000", origin: "sendmail MaxRecipientsPerMessage", id: "R1.3", }
        /// The greeting behind 220; `$host` is the host name. Name no product and no version.
        greeting: String { office: "$host ESMTP", origin: "sendmail SmtpGreetingMessage", id: "R1.6", }
        /// A message with more Received fields than this is in a loop and is refused with 554.
        hop_limit: u32 { office: "100", classic: Some("25"), least: "10", most: "1000", origin: "sendmail MaxHopCount", id: "R3.6", }
        /// After so many errors a session is closed with 421.
        error_limit: u32 { office: "20", classic: Some("25"), least: "1", most: "1000", origin: "sendmail MAXBADCOMMANDS", id: "R1.14", }
        /// After so many senders, recipients and users refused for good (5yz) a session is closed with 421: somebody tries names. It is
        /// far above the dead addresses of an honest list; a sender who reaches it comes again with what was not refused.
        refusal_limit: u32 { office: "100", least: "1", most: "100000", id: "R1.14", }
        /// How long a client may be silent between commands, and how long it may take to read a reply.
        idle_timeout: Duration { office: "5m", least: "1s", most: "1h", origin: "sendmail Timeout.command", id: "R1.14", }
        /// How long a client may be silent within a message.
        data_timeout: Duration { office: "5m", least: "1s", most: "1h", origin: "sendmail Timeout.datablock", id: "R1.14", }
        /// How long a session may last in all.
        session_timeout: Duration { office: "1h", least: "10s", most: "24h", id: "R1.14", }
        /// Whether AUTH is offered without TLS.
        plaintext_login: Plaintext { office: "never", origin: "sendmail AuthOptions p", id: "R1.12", }
        /// What strangers may not ask: `noexpn`, `novrfy`, or `goaway` for both. `restrictmailq` and `restrictqrun` are taken and always in
        /// force: the queue is seen, run and changed by the user that the server runs as and by root, and nobody else can.
        privacy: Vec<Privacy> { office: "goaway", classic: Some(""), origin: "sendmail PrivacyOptions", id: "R1.7", }
        /// The extensions that are offered. SIZE, ENHANCEDSTATUSCODES, STARTTLS and AUTH follow from other settings.
        extensions: Vec<Extension> { office: "pipelining, 8bitmime, smtputf8, chunking, dsn, etrn", id: "R1.1", }
        /// A queue run for a domain is started by ETRN at most once in this time.
        etrn_interval: Duration { office: "1m", least: "0s", most: "24h", id: "R3.3", }
        /// Sessions at one time in each of the two roles (mx; submission and submissions together). Further clients are told 421.
        max_sessions: u32 { office: "2000", classic: Some("200"), least: "1", most: "100000", origin: "sendmail MaxDaemonChildren", id: "R1.14", }
        /// Sessions at one time from one address (IPv6: one /64); 0 means no limit.
        max_sessions_per_address: u32 { office: "50", classic: Some("20"), most: "100000", origin: "sendmail ClientConn", id: "R1.14", }
        /// New connections from one address (IPv6: one /64) in a time; a count of 0 means no limit.
        connection_rate_per_address: Rate { office: "200/60s", classic: Some("40/60s"), origin: "sendmail ClientRate, inetd 40 in 60 s", id: "R1.14", }
        /// Networks that may send to everywhere through us without AUTH. None by default, not even loopback: each entry is a way in
        /// for whoever gets hold of one of its machines.
        relay_networks: Vec<IpNet> { office: "", example: "192.0.2.0/28", origin: "sendmail access RELAY", id: "R1.11", }
    }
}

impl Smtp {
    /// Whether an extension is offered.
    pub fn offers(&self, extension: Extension) -> bool {
        self.extensions.contains(&extension)
    }

    /// Whether EXPN is refused.
    pub fn refuses_expn(&self) -> bool {
        self.privacy.iter().any(|privacy| matches!(privacy, Privacy::Noexpn | Privacy::Goaway))
    }

    /// Whether VRFY tells nothing.
    pub fn refuses_vrfy(&self) -> bool {
        self.privacy.iter().any(|privacy| matches!(privacy, Privacy::Novrfy | Privacy::Goaway))
    }

    /// The greeting for `host`.
    pub fn greeting_for(&self, host: &str) -> String {
        self.greeting.replace("$host", host)
    }
}
