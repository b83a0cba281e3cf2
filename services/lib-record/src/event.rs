//! The event.

use std::time::Duration;

use lib_mail::{QueueId, Status, Timestamp};
use serde::{Deserialize, Serialize};

/// Who recorded it: the roles, the supervisor, and the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoleName {
    /// Receives mail from other servers.
    SmtpIn,
    /// Receives mail from our users.
    Submission,
    /// Puts mail into mailboxes.
    Deliver,
    /// Sends mail to other servers.
    RelayOut,
    /// Serves mailboxes.
    Pop3,
    /// Checks passwords.
    Auth,
    /// Starts and watches the others.
    Supervisor,
    /// A command that an administrator gave.
    Command,
}

impl RoleName {
    /// All of them.
    pub const ALL: [RoleName; 8] = [
        RoleName::SmtpIn,
        RoleName::Submission,
        RoleName::Deliver,
        RoleName::RelayOut,
        RoleName::Pop3,
        RoleName::Auth,
        RoleName::Supervisor,
        RoleName::Command,
    ];

    /// The name in log lines and on the command line: `smtp-in`, …
    pub fn as_str(self) -> &'static str {
        match self {
            RoleName::SmtpIn => "smtp-in",
            RoleName::Submission => "submission",
            RoleName::Deliver => "deliver",
            RoleName::RelayOut => "relay-out",
            RoleName::Pop3 => "pop3",
            RoleName::Auth => "auth",
            RoleName::Supervisor => "supervisor",
            RoleName::Command => "command",
        }
    }
}

impl std::fmt::Display for RoleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for RoleName {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        RoleName::ALL.into_iter().find(|role| role.as_str() == text).ok_or("no such role")
    }
}

/// Which door a login or a connection used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// SMTP, of either role.
    Smtp,
    /// POP3.
    Pop3,
}

/// What became of a recipient in one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// In a mailbox here.
    Delivered,
    /// Taken by another server.
    Relayed,
    /// Replaced by the members of an alias, list or forward.
    Expanded,
    /// Waits for another attempt.
    Deferred,
    /// Will not be tried again.
    Failed,
    /// Dropped by a rule or by an administrator.
    Discarded,
}

/// One thing that happened. Written whole, as one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, on the queue clock.
    pub at: Timestamp,
    /// Who recorded it.
    pub role: RoleName,
    /// The message, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<QueueId>,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// What happened. All texts are as they were given: neutralised on writing, capped there too.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// A client was let in.
    Connected {
        /// Address and port of the client.
        peer: String,
        /// The listener's name.
        listener: String,
    },
    /// A client was turned away before its session began, or a session ended otherwise than by QUIT.
    Dropped {
        /// Address and port of the client.
        peer: String,
        /// Why: a limit, a time-out, an error of the connection.
        why: String,
    },
    /// A message was committed: from now on it is ours.
    Accepted {
        /// The sender; empty for `<>`.
        from: String,
        /// Octets of the message as received.
        size: u64,
        /// How many recipients.
        nrcpts: u32,
        /// The Message-ID field's value, angle brackets included; empty where there is none.
        msgid: String,
        /// As in a Received field: `ESMTPS`.
        proto: String,
        /// The client: HELO name and address; empty for a message that arose here.
        relay: String,
        /// The account that authenticated, as its full address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// The message that caused this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        parent: Option<QueueId>,
    },
    /// A command or a message was refused.
    Rejected {
        /// The client: HELO name and address.
        relay: String,
        /// Where: `connect`, `auth`, `mail`, `rcpt`, `data`.
        stage: String,
        /// The sender as far as known.
        from: String,
        /// The recipient, at stage `rcpt`.
        to: String,
        /// What the client was told.
        status: Status,
    },
    /// An attempt for one recipient ended.
    Attempt {
        /// The recipient.
        to: String,
        /// What became of it.
        outcome: Outcome,
        /// Since the message arrived.
        #[serde(with = "millis")]
        delay: Duration,
        /// The other server, as `mx1.example.net [192.0.2.1]`, or `local`, or empty.
        relay: String,
        /// Octets of the message.
        size: u64,
        /// The words, our own or the remote's.
        status: Status,
    },
    /// A notification about `parent` was committed under this event's id.
    Bounced {
        /// The message it is about.
        parent: QueueId,
        /// Whom it is to.
        to: String,
        /// `failed`, `delayed`, `delivered`, …
        kind: String,
    },
    /// Nothing is left to do for the message.
    Done {
        /// Since the message arrived.
        #[serde(with = "millis")]
        delay: Duration,
    },
    /// An administrator changed a message's fate: `hold`, `release`, `delete`, `bounce`, `run`.
    Ordered {
        /// The order.
        order: String,
        /// What came of it.
        result: String,
    },
    /// A name and password were checked.
    Login {
        /// As given.
        user: String,
        /// Whether they fit.
        ok: bool,
        /// The client's address.
        peer: String,
        /// For which service.
        service: Service,
        /// Whether it was under TLS.
        tls: bool,
    },
    /// A maildrop session ended.
    Fetched {
        /// The account.
        account: String,
        /// The client's address.
        peer: String,
        /// Messages sent.
        retrieved: u32,
        /// Octets of them, as on the wire.
        octets: u64,
        /// Messages removed at QUIT.
        deleted: u32,
        /// Messages left.
        left: u32,
    },
    /// A role began, came into force with settings, or ended.
    Role {
        /// The role's name.
        name: String,
        /// What it did: `started`, `ready`, `in force`, `draining`, `ended`, `restarting`.
        did: String,
        /// Generation of its settings, exit status, or reason; may be empty.
        detail: String,
    },
    /// Something an operator should know and can act on: a disk near full, a map with a bad line, a failed sync.
    Warning {
        /// Where: a mount, a file and line, a setting.
        subject: String,
        /// What is wrong and what to do.
        text: String,
    },
    /// For the reader's information only.
    Notice {
        /// One sentence.
        text: String,
    },
    /// Events that were lost because the writer could not keep up; mail is never blocked for its log.
    Lost {
        /// How many.
        count: u64,
    },
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(delay: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}
