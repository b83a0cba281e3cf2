//! One client's session as the driver sees it: what the SMTP session puts out becomes an answer, a piece of work, or a wait.

mod judge;

use std::sync::Arc;
use std::time::Duration;

use lib_mail::{Address, Enhanced, Envelope, Peer, Status};
use lib_net::auth::{Login, Service, Verdict};
use lib_net::conversation::{Arrival, Conversation, End, Interruption, Next, Turn};
use lib_net::tls::TlsInfo;
use lib_net::wake::{Consumer, Wake};
use lib_policy::{Door, fixes};
use lib_record::What;
use lib_smtp::server::{Ask, Credentials, Input, Output, Phase, Session};
use lib_spool::{Committed, Queue};
use tokio::task::spawn_blocking;

use crate::answers;
use crate::handover::{Handover, listed};
use crate::message::{Envelopes, Message, Store};
use crate::rules::{Rules, door};
use crate::shared::Shared;

/// A session with one client.
pub(crate) struct Dialogue {
    shared: Arc<Shared>,
    rules: Arc<Rules>,
    session: Session<Committed>,
    peer: Peer,
    door: Door,
    phase: Phase,
    /// The account that authenticated, as its key.
    account: Option<String>,
    /// Boxed, as all that an idle session does not need.
    message: Option<Box<Message>>,
    job: Option<Job>,
    /// With a peer of a pair.
    handover: Option<Box<Handover>>,
}

/// What waits for the driver to run [`Conversation::work`].
enum Job {
    /// Ask `auth`.
    Authenticate(Box<Credentials>),
    /// Write a piece of the message.
    Write,
    /// Make the message durable.
    Commit,
}

impl Dialogue {
    pub(crate) fn new(shared: Arc<Shared>, arrival: Arrival) -> Dialogue {
        let rules = shared.rules.load_full();
        let address = arrival.peer.address().ip();
        let config = rules.config(&arrival.port, address, !shared.certificates.is_empty());
        let (peer, listener) = (arrival.peer.address().to_string(), arrival.port.name.clone());
        shared.record(None, What::Connected { peer, listener });
        Dialogue {
            session: Session::new(config),
            peer: arrival.peer,
            door: door(&arrival.port),
            phase: Phase::Command,
            account: None,
            message: None,
            job: None,
            handover: None,
            rules,
            shared,
        }
    }

    /// Does what the session put out.
    fn follow(&mut self, output: Output<'_>) -> Next {
        match output {
            Output::Read(phase) => {
                self.phase = phase;
                return Next::Read;
            }
            Output::Flush => return Next::Write,
            Output::Ask(ask) => return self.answer(ask),
            Output::Begin => self.begin(),
            Output::Append(octets) => return self.append(octets),
            Output::Commit => return self.work(Job::Commit),
            Output::Discard => self.discard(),
            Output::StartTls => return Next::StartTls,
            Output::Refused(refusal) => {
                let status = Status::local(refusal.code, refusal.enhanced, refusal.text, self.shared.now());
                let stage = if refusal.stage.is_empty() { "command" } else { refusal.stage };
                self.refused(&stage.to_lowercase(), "", status);
            }
            // A question that nobody will answer: every question below is answered, or becomes work.
            Output::Pending | Output::Close => return Next::Close,
        }
        Next::Again
    }

    fn work(&mut self, job: Job) -> Next {
        self.job = Some(job);
        Next::Work
    }

    fn answer(&mut self, ask: Ask) -> Next {
        let (now, maps, domain) = (self.shared.now(), self.shared.maps(), &self.rules.default_domain);
        let status = match ask {
            Ask::Auth(credentials) => return self.work(Job::Authenticate(Box::new(credentials))),
            Ask::Content => {
                self.judge_content();
                return Next::Again;
            }
            Ask::Mail(mail) => self.judge_mail(&mail),
            Ask::Rcpt(to) => {
                let status = self.judge_recipient(&to, &maps, now);
                if !status.is_success() {
                    self.refused("rcpt", to.address.as_str(), status.clone());
                }
                status
            }
            Ask::Vrfy(user) => answers::vrfy(&user, &maps, domain, now),
            Ask::Expn(list) => match answers::expn(&list, &maps, domain, now) {
                Ok(members) => {
                    self.session.handle(Input::Members(members));
                    return Next::Again;
                }
                Err(status) => status,
            },
            Ask::Pair(peer) => self.know(&peer),
            Ask::List { have, from } => match self.shared.recipients() {
                Some(all) => {
                    self.session.handle(Input::Lines(listed(&all, &have, from)));
                    return Next::Again;
                }
                None => answers::cannot_tell(now),
            },
            // With `@` or without, the run is for all below the entry of relay-domains.
            Ask::Etrn { domain, .. } => {
                let interval = self.handover.as_ref().map_or(self.rules.settings.smtp.etrn_interval, |_| Duration::ZERO);
                let (status, run) = self.shared.runs.ask(&domain, &maps.relay, interval, now);
                if let Some(entry) = run {
                    self.shared.waker.send(Consumer::Relay, &Wake::Below(entry));
                    let order = format!("etrn {domain}");
                    self.shared.record(None, What::Ordered { order, result: format!("asked by {}", self.named()) });
                }
                status
            }
        };
        self.session.handle(Input::Answer(status));
        Next::Again
    }

    fn begin(&mut self) {
        let (maps, domain) = (self.shared.maps(), &self.rules.default_domain);
        let first = self.session.transaction().and_then(|transaction| transaction.recipients.first());
        let local = first.is_none_or(|to| answers::is_for_deliver(&to.address, &maps, domain));
        let queue = if local { Queue::Local } else { Queue::Relay };
        self.message = Some(Box::new(Message::begin(&self.shared, self.door == Door::Submission, queue)));
    }

    fn append(&mut self, octets: &[u8]) -> Next {
        // The session drops octets after a break, so a message that is gone gets none.
        let Some(message) = &mut self.message else { return Next::Again };
        match message.take(octets) {
            Ok(false) => Next::Again,
            Ok(true) => self.work(Job::Write),
            Err(error) => {
                let status = answers::spool_error(&error, self.shared.now());
                self.session.handle(Input::Broken(status));
                Next::Again
            }
        }
    }

    /// The message goes, and its file with it; to unlink a long one takes the disk its time.
    fn discard(&mut self) {
        let store = self.message.take().map(|message| message.into_store());
        if let Some(store) = store.filter(Store::is_on_disk) {
            spawn_blocking(move || drop(store));
        }
    }

    /// The envelope of the message that is whole now, and its Message-ID.
    fn envelope(&self, message: &Message) -> Option<(Envelope, String)> {
        let transaction = self.session.transaction()?;
        let mail = &transaction.mail;
        let fixes = match self.door {
            Door::Mx => lib_policy::Fixes::default(),
            Door::Submission => {
                let unique = message.id();
                fixes(&message.scan, message.arrived, &self.rules.zone, unique.as_str(), &self.rules.host)
            }
        };
        let envelope = Envelope {
            sender: mail.sender.clone(),
            recipients: transaction.recipients.clone(),
            ret: mail.ret,
            envid: mail.envid.clone(),
            body: mail.body,
            utf8: mail.utf8,
            arrived: message.arrived,
            deadline: message.arrived.plus(self.rules.settings.queue.return_after),
            peer: Some(self.named().peer),
            helo: self.named().helo.to_owned(),
            protocol: self.session.protocol(),
            account: self.session.account().map(str::to_owned),
            added: fixes.added,
            parent: None,
        };
        Some((envelope, fixes.message_id.or_else(|| message.scan.message_id()).unwrap_or_default()))
    }

    async fn authenticate(&mut self, credentials: Credentials) {
        let Credentials { user, password } = credentials;
        let address = self.peer.address().ip();
        let login = Login { user: user.clone(), password, service: Service::Smtp, address };
        let verdict = self.shared.auth.verify(login).await;
        let refusal = answers::login(&verdict, self.shared.now());
        let (ok, peer, tls) = (refusal.is_none(), address.to_canonical().to_string(), self.session.is_tls());
        self.shared.record(None, What::Login { user, ok, peer, service: lib_record::Service::Smtp, tls });
        self.session.handle(match (verdict, refusal) {
            (Verdict::Verified { account }, None) => {
                self.account = Some(account_key(&account));
                Input::Authenticated { account }
            }
            (_, refusal) => Input::Answer(refusal.unwrap_or_else(|| answers::no_room(self.shared.now()))),
        });
    }

    async fn write(&mut self) {
        let Some(message) = self.message.take() else { return };
        let (parts, mut store) = message.lend();
        let shared = self.shared.clone();
        let written = spawn_blocking(move || store.write(&shared).map(|()| store)).await;
        match written.unwrap_or_else(|_| Err(self.failed())) {
            Ok(store) => self.message = Some(Box::new(Message::put_back(parts, store))),
            Err(status) => self.session.handle(Input::Broken(status)),
        }
    }

    async fn commit(&mut self) {
        let Some(message) = self.message.take() else {
            return self.session.handle(Input::Committed(Err(self.failed())));
        };
        let Some((envelope, msgid)) = self.envelope(&message) else {
            return self.session.handle(Input::Committed(Err(self.failed())));
        };
        let accepted = self.accepted(&envelope, message.len(), msgid);
        let maps = self.shared.maps();
        let held = self.why_held();
        let mut envelopes = Envelopes::split(envelope, |to| answers::is_for_deliver(to, &maps, &self.rules.default_domain));
        envelopes.held = held.clone();
        let (shared, store) = (self.shared.clone(), message.into_store());
        let committed = spawn_blocking(move || store.commit(envelopes, &shared)).await;
        let committed = committed.unwrap_or_else(|_| Err(self.failed()));
        match &committed {
            Ok(receipt) => {
                self.shared.record(Some(receipt.id()), accepted);
                if let Some(why) = held {
                    self.shared.record(Some(receipt.id()), What::Notice { text: format!("on hold: {}", why.text) });
                }
            }
            Err(status) => self.refused("data", "", status.clone()),
        }
        self.session.handle(Input::Committed(committed));
    }

    fn accepted(&self, envelope: &Envelope, size: u64, msgid: String) -> What {
        What::Accepted {
            from: envelope.sender.as_ref().map(ToString::to_string).unwrap_or_default(),
            size,
            nrcpts: u32::try_from(envelope.recipients.len()).unwrap_or(u32::MAX),
            msgid,
            proto: envelope.protocol.name().to_owned(),
            relay: self.named().to_string(),
            account: envelope.account.clone(),
            parent: None,
        }
    }

    /// A mistake of ours is temporary for the message.
    fn failed(&self) -> Status {
        Status::local(451, Enhanced::new(4, 3, 0), "Internal error; try again later", self.shared.now())
    }
}

/// The key of an account that `auth` named by its full address.
fn account_key(account: &str) -> String {
    account.parse::<Address>().map_or_else(|_| account.to_lowercase(), |address| address.key())
}

impl Conversation for Dialogue {
    fn turn(&mut self, input: &[u8], output: &mut Vec<u8>) -> Turn {
        let step = self.session.poll(input);
        let next = self.follow(step.output);
        output.append(self.session.replies());
        Turn::new(step.taken, next)
    }

    async fn work(&mut self) {
        match self.job.take() {
            Some(Job::Authenticate(credentials)) => self.authenticate(*credentials).await,
            Some(Job::Write) => self.write().await,
            Some(Job::Commit) => self.commit().await,
            None => {}
        }
    }

    fn patience(&self) -> Duration {
        match self.phase {
            Phase::Command => self.rules.settings.smtp.idle_timeout,
            Phase::Message => self.rules.settings.smtp.data_timeout,
        }
    }

    fn at_rest(&self) -> bool {
        self.session.transaction().is_none()
    }

    fn secured(&mut self, tls: &TlsInfo) {
        self.account = None;
        self.session.handle(Input::TlsStarted);
        if let Some(peer) = self.peer_shown(tls) {
            self.session.handle(Input::Shown(peer));
        }
    }

    fn interrupted(&mut self, why: Interruption, output: &mut Vec<u8>) {
        self.session.handle(match why {
            Interruption::Idle | Interruption::Total => Input::Timeout,
            Interruption::Drain => Input::Drain,
        });
        // The session says its last words and closes; in the middle of a message it has none.
        let _ = self.session.poll(&[]);
        output.append(self.session.replies());
    }

    fn ended(&mut self, end: &End) {
        self.discard();
        let why = match end {
            End::Closed | End::Interrupted(Interruption::Drain) => return,
            End::Gone if self.at_rest() => return,
            End::Gone => "the client went away within a transaction".into(),
            End::Interrupted(Interruption::Idle) => "the client was silent for too long".into(),
            End::Interrupted(Interruption::Total) => "the session lasted too long".into(),
            End::SlowReader => "the client did not take the replies".into(),
            End::Tls(why) => format!("the TLS handshake failed: {why}"),
            End::Stuck => "the input was not understood (a mistake of ours)".into(),
        };
        self.shared.record(None, What::Dropped { peer: self.peer.address().to_string(), why });
    }
}
