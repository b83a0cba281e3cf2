//! One client: the session's questions, and who answers them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lib_mail::Address;
use lib_mailbox::{Error, Maildrop};
use lib_net::auth::{self, Login};
use lib_net::conversation::{End, Interruption, Next, Turn};
use lib_net::tls::TlsInfo;
use lib_net::{Arrival, Conversation};
use lib_pop3::{Answer, Ask, NotOpened, Password, Rules, Session, Verdict};
use lib_record::{Service, What};
use tokio::task::spawn_blocking;

use crate::reading::{Errand, Piece, Reading, Trip};
use crate::service::{InForce, Shared};

/// A maildrop as the session sees it.
struct Listed(Arc<Maildrop>);

impl lib_pop3::Maildrop for Listed {
    fn count(&self) -> usize {
        self.0.len()
    }
    fn size(&self, index: usize) -> u64 {
        self.0.size(index)
    }
    fn uid(&self, index: usize) -> &str {
        self.0.uid(index)
    }
}

/// A question that takes time.
enum Work {
    Login { user: String, password: Password },
    Open,
    Read(Errand),
    Commit(Vec<usize>),
}

/// What the work came to.
enum Found {
    Login(Verdict),
    Opened(Arc<Maildrop>),
    NotOpened(NotOpened),
    Read(Result<Trip, Error>),
    Committed { complete: bool },
}

/// What there is once the password was right; boxed, since most idle clients of an open port have not logged in.
struct LoggedIn {
    /// The account's full address.
    account: String,
    /// Released before the farewell, and with the conversation.
    maildrop: Option<Arc<Maildrop>>,
    reading: Reading,
    retrieved: u32,
    octets: u64,
    deleted: u32,
    left: u32,
}

impl LoggedIn {
    /// Begins to read a message; `whole` for one that is retrieved, not looked at.
    fn begin(&mut self, index: usize, whole: bool) -> Result<Piece, Errand> {
        if whole && let Some(maildrop) = &self.maildrop {
            self.retrieved = self.retrieved.saturating_add(1);
            self.octets = self.octets.saturating_add(maildrop.size(index));
        }
        self.reading.begin(index)
    }
}

/// A client's session.
pub(crate) struct Pop3Conversation {
    shared: Arc<Shared>,
    in_force: Arc<InForce>,
    session: Session<Listed>,
    peer: SocketAddr,
    tls: bool,
    work: Option<Work>,
    found: Option<Found>,
    logged_in: Option<Box<LoggedIn>>,
}

impl Pop3Conversation {
    pub(crate) fn new(shared: Arc<Shared>, in_force: Arc<InForce>, rules: Arc<Rules>, arrival: &Arrival) -> Self {
        let tls = arrival.tls.is_some();
        Pop3Conversation {
            shared,
            in_force,
            session: Session::new(rules, tls),
            peer: arrival.peer.address(),
            tls,
            work: None,
            found: None,
            logged_in: None,
        }
    }

    /// Gives the session what the work came to.
    fn give(&mut self, found: Found, output: &mut Vec<u8>) -> lib_pop3::Next {
        let answer = match found {
            Found::Login(verdict) => Answer::Login(verdict),
            Found::Opened(maildrop) => Answer::Opened(Listed(maildrop)),
            Found::NotOpened(why) => Answer::NotOpened(why),
            Found::Committed { complete } => Answer::Committed { complete },
            Found::Read(Ok(trip)) => {
                let Some(logged_in) = &mut self.logged_in else { return lib_pop3::Next::Close };
                logged_in.reading.back(trip);
                return lib_pop3::Next::Ask(Ask::More);
            }
            Found::Read(Err(error)) => {
                self.shared.warn("mailbox", error.to_string());
                Answer::Unreadable
            }
        };
        self.session.answer(answer, output)
    }

    /// Answers what needs no work; what does is kept for [`Conversation::work`].
    fn settle(&mut self, mut next: lib_pop3::Next, output: &mut Vec<u8>) -> Next {
        loop {
            let ask = match next {
                lib_pop3::Next::Again => return Next::Again,
                lib_pop3::Next::Read => return Next::Read,
                lib_pop3::Next::Write => return Next::Write,
                lib_pop3::Next::StartTls => return Next::StartTls,
                lib_pop3::Next::Close => return Next::Close,
                lib_pop3::Next::Ask(ask) => ask,
            };
            match self.ask(ask, output) {
                Ok(answered) => next = answered,
                Err(work) => {
                    self.work = Some(work);
                    return Next::Work;
                }
            }
        }
    }

    /// Answers the question at once, or says what work its answer is.
    fn ask(&mut self, ask: Ask, output: &mut Vec<u8>) -> Result<lib_pop3::Next, Work> {
        let logged_in = self.logged_in.as_deref_mut();
        let piece = match (ask, logged_in) {
            (Ask::Login { user, password }, _) => return Err(Work::Login { user, password }),
            (Ask::Open, _) => return Err(Work::Open),
            (Ask::Commit { deleted }, _) if deleted.is_empty() => {
                // No more than a lock to let go, which waits for no disk.
                self.release(0);
                return Ok(self.session.answer(Answer::Committed { complete: true }, output));
            }
            (Ask::Commit { deleted }, _) => return Err(Work::Commit(deleted)),
            (Ask::Read { index, lines }, Some(logged_in)) => logged_in.begin(index, lines.is_none()),
            (Ask::More, Some(logged_in)) => logged_in.reading.go_on(),
            (Ask::Read { .. } | Ask::More, None) => return Ok(lib_pop3::Next::Close),
        };
        let piece = piece.map_err(Work::Read)?;
        Ok(self.session.answer(Answer::Piece { octets: &piece.octets, last: piece.last }, output))
    }

    /// Lets the maildrop go.
    fn release(&mut self, deleted: usize) -> Option<Arc<Maildrop>> {
        let logged_in = self.logged_in.as_mut()?;
        let maildrop = logged_in.maildrop.take()?;
        logged_in.deleted = u32::try_from(deleted).unwrap_or(u32::MAX);
        logged_in.left = u32::try_from(maildrop.len()).unwrap_or(u32::MAX).saturating_sub(logged_in.deleted);
        Some(maildrop)
    }

    async fn log_in(&mut self, user: String, password: Password) -> Verdict {
        let login = Login { user: user.clone(), password: password.0, service: auth::Service::Pop3, address: self.peer.ip() };
        let verdict = match self.shared.auth.verify(login).await {
            auth::Verdict::Verified { account } => {
                let reading = Reading::new(self.shared.ahead.clone());
                let (retrieved, octets, deleted, left) = (0, 0, 0, 0);
                let logged_in = LoggedIn { account, maildrop: None, reading, retrieved, octets, deleted, left };
                self.logged_in = Some(Box::new(logged_in));
                Verdict::Verified
            }
            auth::Verdict::Refused => Verdict::Refused,
            auth::Verdict::Forbidden => Verdict::Forbidden,
            auth::Verdict::Unavailable => {
                self.shared.warn("auth", "a login could not be verified: the role auth does not answer".into());
                return Verdict::Unavailable;
            }
        };
        let (ok, peer) = (verdict == Verdict::Verified, self.peer.ip().to_string());
        self.shared.record(What::Login { user, ok, peer, service: Service::Pop3, tls: self.tls });
        verdict
    }

    async fn open_maildrop(&mut self) -> Found {
        let Some(logged_in) = &mut self.logged_in else { return Found::NotOpened(NotOpened::Unavailable) };
        let key = logged_in.account.parse().map_or_else(|_| logged_in.account.to_lowercase(), |account: Address| account.key());
        let mailboxes = self.shared.mailboxes.clone();
        let opened = spawn_blocking(move || mailboxes.maildrop(&key)).await;
        let why = match opened {
            Ok(Ok(maildrop)) => {
                let maildrop = Arc::new(maildrop);
                logged_in.maildrop = Some(maildrop.clone());
                logged_in.left = u32::try_from(maildrop.len()).unwrap_or(u32::MAX);
                return Found::Opened(maildrop);
            }
            Ok(Err(Error::InUse)) => NotOpened::InUse,
            Ok(Err(error)) => {
                self.shared.warn("mailbox", error.to_string());
                NotOpened::Unavailable
            }
            Err(_) => NotOpened::Unavailable,
        };
        self.logged_in = None;
        Found::NotOpened(why)
    }

    async fn read(&self, errand: Errand) -> Result<Trip, Error> {
        let maildrop = self.logged_in.as_ref().and_then(|logged_in| logged_in.maildrop.clone()).ok_or(Error::Gone)?;
        spawn_blocking(move || errand.run(&maildrop)).await.unwrap_or(Err(Error::Gone))
    }

    /// Removes, and lets the lock go before the client hears of it: its next session may come at once.
    async fn commit(&mut self, deleted: Vec<usize>) -> bool {
        let Some(maildrop) = self.release(deleted.len()) else { return false };
        let removed = spawn_blocking(move || maildrop.remove(&deleted)).await;
        match removed {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                self.shared.warn("mailbox", error.to_string());
                false
            }
            Err(_) => false,
        }
    }
}

impl Conversation for Pop3Conversation {
    fn turn(&mut self, input: &[u8], output: &mut Vec<u8>) -> Turn {
        let (taken, next) = match self.found.take() {
            Some(found) => (0, self.give(found, output)),
            None => self.session.turn(input, output),
        };
        Turn::new(taken, self.settle(next, output))
    }

    async fn work(&mut self) {
        self.found = match self.work.take() {
            Some(Work::Login { user, password }) => Some(Found::Login(self.log_in(user, password).await)),
            Some(Work::Open) => Some(self.open_maildrop().await),
            Some(Work::Read(errand)) => Some(Found::Read(self.read(errand).await)),
            Some(Work::Commit(deleted)) => Some(Found::Committed { complete: self.commit(deleted).await }),
            None => None,
        };
    }

    fn patience(&self) -> Duration {
        if self.session.is_transaction() { self.in_force.idle } else { self.in_force.login_idle() }
    }

    fn at_rest(&self) -> bool {
        self.session.is_at_rest()
    }

    fn secured(&mut self, _: &TlsInfo) {
        self.tls = true;
        self.session.secured();
    }

    /// A client that is cut off hears nothing (RFC 1939 §3): it would take the words for the reply to its next command.
    fn interrupted(&mut self, _: Interruption, _: &mut Vec<u8>) {}

    fn ended(&mut self, end: &End) {
        // The driver may linger over the connection; the maildrop's lock must not.
        self.session.cut_off();
        (self.work, self.found) = (None, None);
        let why = match end {
            End::Closed | End::Gone | End::Interrupted(Interruption::Drain) => None,
            End::Interrupted(Interruption::Idle) => Some("silent for too long".to_owned()),
            End::Interrupted(Interruption::Total) => Some("the session lasted too long".to_owned()),
            End::SlowReader => Some("does not read its replies".to_owned()),
            End::Tls(why) => Some(why.clone()),
            End::Stuck => Some("its input could not be taken".to_owned()),
        };
        if let Some(why) = why {
            self.shared.record(What::Dropped { peer: self.peer.to_string(), why });
        }
        if let Some(logged_in) = self.logged_in.take() {
            let LoggedIn { account, retrieved, octets, deleted, left, .. } = *logged_in;
            let peer = self.peer.ip().to_string();
            self.shared.record(What::Fetched { account, peer, retrieved, octets, deleted, left });
        }
    }
}
