//! The service: what all sessions share, and what clients are told that cannot have one.

use std::borrow::Cow;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lib_host::Clock;
use lib_mail::Peer;
use lib_mailbox::Mailboxes;
use lib_net::auth::AuthClient;
use lib_net::bounds::Bounds;
use lib_net::conversation::Refusal;
use lib_net::listen::TlsMode;
use lib_net::tls::Certificates;
use lib_net::{Arrival, Recorder, Service};
use lib_policy::Limits;
use lib_pop3::Rules;
use lib_record::{Event, RoleName, What};
use lib_settings::{Plaintext, Settings};

use crate::conversation::Pop3Conversation;

/// How long a client may take to log in, unless the settings allow less silence at all.
const LOGIN_PATIENCE: Duration = Duration::from_secs(180);
/// The same warning is given at most this often.
const WARN_EVERY: Duration = Duration::from_secs(60);
const WRITE: Duration = Duration::from_secs(120);
const HANDSHAKE: Duration = Duration::from_secs(30);
/// What a drain leaves to a client that has begun to fetch.
const GRACE: Duration = Duration::from_secs(10);
const REFUSED: &str = "-ERR [SYS/TEMP] Too many connections; try again later\r\n";

/// What the settings say, prepared for sessions.
#[derive(Debug)]
pub(crate) struct InForce {
    bounds: Bounds,
    plaintext: Plaintext,
    /// With and without STLS, with and without passwords before TLS: see [`InForce::rules`].
    rules: [Arc<Rules>; 4],
    /// How long a client may be silent.
    pub(crate) idle: Duration,
}

impl InForce {
    /// From the settings.
    pub(crate) fn new(settings: &Settings) -> InForce {
        let pop3 = &settings.pop3;
        let greeting = pop3.greeting.replace("$host", settings.hostname.as_str());
        let rules = |stls, clear_passwords| {
            let limit = pop3.error_limit;
            Arc::new(Rules { greeting: one_line(&greeting), stls, clear_passwords, bad_commands: limit, failed_logins: limit })
        };
        InForce {
            bounds: Bounds { total: pop3.session_timeout, write: WRITE, handshake: HANDSHAKE, grace: GRACE },
            plaintext: pop3.plaintext_login,
            rules: [rules(false, false), rules(false, true), rules(true, false), rules(true, true)],
            idle: pop3.idle_timeout,
        }
    }

    /// The rules of a session.
    fn rules(&self, stls: bool, clear_passwords: bool) -> Arc<Rules> {
        self.rules[usize::from(stls) * 2 + usize::from(clear_passwords)].clone()
    }

    /// How long a client may be silent before it has logged in.
    pub(crate) fn login_idle(&self) -> Duration {
        self.idle.min(LOGIN_PATIENCE)
    }
}

/// The limits of the settings on those who are let in (R5.3).
pub(crate) fn limits(settings: &Settings) -> Limits {
    let pop3 = &settings.pop3;
    Limits {
        sessions: pop3.max_sessions,
        sessions_per_address: pop3.max_sessions_per_address,
        connections: pop3.connection_rate_per_address.count,
        window: pop3.connection_rate_per_address.per,
        exempt: settings.exempt_networks.clone(),
    }
}

/// What an operator wrote, as one reply line of at most 500 octets without angle brackets (a client would take `<…>` for an APOP
/// challenge, RFC 1939 §7).
fn one_line(text: &str) -> String {
    let mut line: String = text.chars().filter(|c| !c.is_control() && !"<>".contains(*c)).collect();
    let end = (0..=line.len().min(500)).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    line.truncate(end);
    line
}

/// What all sessions share.
pub(crate) struct Shared {
    pub(crate) mailboxes: Mailboxes,
    pub(crate) auth: AuthClient,
    recorder: Recorder,
    clock: Clock,
    in_force: Mutex<Arc<InForce>>,
    certificates: Certificates,
    /// Octets read ahead.
    pub(crate) ahead: Arc<AtomicUsize>,
    warned: Mutex<Option<Instant>>,
}

impl Shared {
    /// Records what happened.
    pub(crate) fn record(&self, what: What) {
        self.recorder.record(Event { at: self.clock.now(), role: RoleName::Pop3, id: None, what });
    }

    /// Tells the operator, unless something was told just now: such troubles come once for each session.
    pub(crate) fn warn(&self, subject: &str, text: String) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if warned.is_none_or(|at| now.duration_since(at) >= WARN_EVERY) {
            *warned = Some(now);
            self.record(What::Warning { subject: subject.to_owned(), text });
        }
    }

    fn in_force(&self) -> Arc<InForce> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the service works with.
pub(crate) struct Surroundings {
    pub(crate) mailboxes: Mailboxes,
    pub(crate) auth: AuthClient,
    pub(crate) recorder: Recorder,
    pub(crate) clock: Clock,
    pub(crate) certificates: Certificates,
}

/// The service. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Pop3 {
    shared: Arc<Shared>,
}

impl Pop3 {
    pub(crate) fn new(surroundings: Surroundings, settings: &Settings) -> Pop3 {
        let Surroundings { mailboxes, auth, recorder, clock, certificates } = surroundings;
        let in_force = Mutex::new(Arc::new(InForce::new(settings)));
        let (ahead, warned) = (Arc::default(), Mutex::default());
        Pop3 { shared: Arc::new(Shared { mailboxes, auth, recorder, clock, in_force, certificates, ahead, warned }) }
    }

    /// New settings for sessions that begin from now on.
    pub(crate) fn rule(&self, settings: &Settings) {
        *self.shared.in_force.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(InForce::new(settings));
    }
}

impl Service for Pop3 {
    type Conversation = Pop3Conversation;

    fn open(&self, arrival: Arrival) -> Pop3Conversation {
        let in_force = self.shared.in_force();
        let clear = in_force.plaintext.allows(arrival.peer.address().ip());
        let stls = arrival.port.tls == TlsMode::StartTls && !self.shared.certificates.is_empty();
        let rules = in_force.rules(stls, clear);
        Pop3Conversation::new(self.shared.clone(), in_force, rules, &arrival)
    }

    fn refusal(&self, _: Refusal) -> Cow<'static, str> {
        Cow::Borrowed(REFUSED)
    }

    fn refused(&self, peer: Peer, why: Refusal, times: u64) {
        self.shared.record(What::Dropped { peer: peer.address().to_string(), why: format!("{why} ({times} times)") });
    }

    fn bounds(&self) -> Bounds {
        self.shared.in_force().bounds
    }
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn a_greeting_is_one_short_line_without_a_challenge() {
        assert_eq!(one_line("mail.example.kr POP3"), "mail.example.kr POP3");
        assert_eq!(one_line("a\r\n+OK <1.2@b>"), "a+OK 1.2@b");
        assert_eq!(one_line(&"비".repeat(400)).len(), 498);
    }
}
