//! The verdict on a login: throttle, remembered logins, the hash itself, the right to the service.

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use lib_account::{Account, Accounts, Error, Hashes, Names};
use lib_net::auth::{Request, Service, Verdict};
use tokio::sync::Semaphore;

use crate::remembered::{Mark, Remembered};
use crate::throttle::{Throttle, Turn};

/// Logins that may wait for a hash to be checked, beyond those being checked. At 20 ms each this is within the patience of
/// whoever asks; more are answered at once as a temporary failure.
pub(crate) const WAITING: usize = 1024;

/// What the settings say.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    /// The domain of a login without one.
    pub(crate) default_domain: String,
    /// How long a verified login is remembered.
    pub(crate) remember: Duration,
    /// Addresses that never wait for their failures.
    pub(crate) exempt: Vec<IpNet>,
}

/// What is wrong, or going on, that the operator should know: subject and text.
pub(crate) type Warn = Box<dyn Fn(String, String) + Send + Sync>;

/// Judges logins.
pub(crate) struct Judge {
    names: Names,
    hashes: Hashes,
    rules: Mutex<Arc<Rules>>,
    remembered: Mutex<Remembered>,
    throttle: Mutex<Throttle>,
    /// Each permit is a hash being checked.
    checks: Semaphore,
    /// Each permit is a login that waits for one of those, or has it.
    places: Semaphore,
    warn: Warn,
}

impl Judge {
    /// Judges by the accounts below the directory `state`, checking at most `concurrency` hashes at one time.
    pub(crate) fn new(state: &Path, rules: Rules, concurrency: usize, warn: Warn) -> Judge {
        Judge {
            names: Names::open(&state.join("accounts")),
            hashes: Hashes::open(&state.join("secrets")),
            rules: Mutex::new(Arc::new(rules)),
            remembered: Mutex::new(Remembered::new(&lib_host::random_bytes())),
            throttle: Mutex::default(),
            checks: Semaphore::new(concurrency),
            places: Semaphore::new(concurrency + WAITING),
            warn,
        }
    }

    /// New settings are in force.
    pub(crate) fn rule(&self, rules: Rules) {
        *lock(&self.rules) = Arc::new(rules);
    }

    /// The verdict where it can be given without waiting: the login is remembered. Two `stat` calls and a keyed hash.
    pub(crate) fn at_once(&self, request: &Request) -> Option<Verdict> {
        let (accounts, version) = self.current().ok()?;
        let account = accounts.login(&request.user, &self.rules().default_domain)?;
        let remembered = lock(&self.remembered);
        let mark = remembered.mark(&account.key(), &request.password);
        remembered.knows(&mark, version, Instant::now()).then(|| verdict(account, request.service))
    }

    /// The verdict. Waits for the address's turn and for a place among the checks.
    pub(crate) async fn judge(self: Arc<Self>, request: Request) -> Verdict {
        let exempt = self.is_exempt(request.address);
        let turn = if exempt { Turn::Now } else { lock(&self.throttle).turn(request.address, Instant::now()) };
        match turn {
            Turn::Now => {}
            Turn::At(at) => tokio::time::sleep_until(at.into()).await,
            Turn::Never => return Verdict::Unavailable,
        }
        let Ok(_place) = self.places.try_acquire() else { return Verdict::Unavailable };
        let Ok(_check) = self.checks.acquire().await else { return Verdict::Unavailable };
        // Many sessions of one client may have come at once; the first of them has paid.
        if let Some(verdict) = self.at_once(&request) {
            return verdict;
        }
        let address = request.address;
        let judge = self.clone();
        let checked = tokio::task::spawn_blocking(move || judge.check(&request)).await;
        let verdict = checked.unwrap_or(Verdict::Unavailable);
        if verdict == Verdict::Refused && !exempt && lock(&self.throttle).failed(address, Instant::now()) {
            (self.warn)(address.to_string(), "too many failed logins from this address: it waits from now on".into());
        }
        verdict
    }

    /// Checks the password; blocks. An unknown account costs as much as a wrong password, or the time would tell who exists.
    fn check(&self, request: &Request) -> Verdict {
        let rules = self.rules();
        // The version is taken before the hash is read: a change in between makes the note below stale, never wrong.
        let Ok((accounts, version)) = self.current() else { return Verdict::Unavailable };
        let account = accounts.login(&request.user, &rules.default_domain);
        let key = account.map_or_else(|| request.user.to_lowercase(), Account::key);
        match (self.hashes.verify(&key, request.password.as_bytes()), account) {
            (Err(error), _) => {
                self.report(&error);
                Verdict::Unavailable
            }
            (Ok(true), Some(account)) => {
                let mark: Mark = lock(&self.remembered).mark(&key, &request.password);
                lock(&self.remembered).note(mark, version, Instant::now(), rules.remember);
                verdict(account, request.service)
            }
            (Ok(_), _) => Verdict::Refused,
        }
    }

    fn current(&self) -> Result<(Arc<Accounts>, u64), Error> {
        let current = self.names.current().and_then(|accounts| Ok((accounts, self.hashes.version()?)));
        if let Some(problem) = self.names.problem() {
            (self.warn)("accounts".into(), problem);
        }
        current.inspect_err(|error| self.report(error))
    }

    fn report(&self, error: &Error) {
        (self.warn)("accounts".into(), format!("no login can be verified: {error}"));
    }

    fn rules(&self) -> Arc<Rules> {
        lock(&self.rules).clone()
    }

    fn is_exempt(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.rules().exempt.iter().any(|network| network.contains(&address))
    }
}

/// What a right password is worth.
fn verdict(account: &Account, service: Service) -> Verdict {
    let allowed = match service {
        Service::Smtp => account.may_send,
        Service::Pop3 => account.pop3,
    };
    if allowed { Verdict::Verified { account: account.address.to_string() } } else { Verdict::Forbidden }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
