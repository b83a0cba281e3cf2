//! From the supervisor's line to the socket and back.

use std::collections::HashMap;
use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lib_host::Clock;
use lib_net::role::{Line, Order, Reporter, State};
use lib_net::{Recorder, Role};
use lib_record::{Event, RoleName, What};
use lib_settings::Settings;
use tokio::net::UnixListener;

use crate::judge::{Judge, Rules, Warn};
use crate::server::{Users, serve};

/// The same subject is warned of at most this often; a question comes for each login.
const WARN_EVERY: Duration = Duration::from_secs(60);
/// Subjects whose last warning is remembered.
const SUBJECTS: usize = 1000;
/// How long the last events may take on their way out.
const FLUSH: Duration = Duration::from_secs(1);

/// Runs the role until it is drained. The exit code is a failure where it could not begin.
pub fn run(role: Role) -> ExitCode {
    match begin(role) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("auth: cannot begin: {error}");
            ExitCode::FAILURE
        }
    }
}

fn begin(mut role: Role) -> io::Result<()> {
    let listener = role.take_auth_server().ok_or_else(|| io::Error::other("the supervisor passed no socket for it"))?;
    let recorder = Recorder::to_standard_output()?;
    let clock = Clock::open(role.clock_file().as_deref())?;
    // One thread serves the socket and remembered logins; each check has a thread of its own.
    let checks = role.settings.auth.concurrency as usize;
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(checks.max(1)).enable_all().build()?;
    runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        let warn = warner(recorder.clone(), clock);
        let judge = Arc::new(Judge::new(&role.data.join("state"), rules(&role.settings), checks, warn));
        let reporter = role.line.reporter();
        reporter.ready();
        let serving = serve(listener, judge.clone(), users(&role.settings), |sessions| tell(&reporter, sessions));
        tokio::select! {
            () = serving => {}
            () = orders(&mut role.line, &judge) => {}
        }
        io::Result::Ok(())
    })?;
    recorder.flush(FLUSH);
    Ok(())
}

/// Follows the supervisor's orders until the one to stop. Whoever waits for a verdict asks the next process.
async fn orders(line: &mut Line, judge: &Judge) {
    loop {
        match line.next().await {
            Order::Reload(new) => {
                judge.rule(rules(&new.settings));
                line.reporter().in_force(new.generation);
            }
            // The files are looked at for each question.
            Order::Look(number) => line.reporter().looked(number),
            Order::Drain => return,
        }
    }
}

fn rules(settings: &Settings) -> Rules {
    Rules {
        default_domain: settings.default_domain().key(),
        remember: settings.auth.remember,
        exempt: settings.exempt_networks.clone(),
    }
}

fn users(settings: &Settings) -> Users {
    let users = &settings.users;
    [users.queue, users.pop3].into_iter().flatten().collect()
}

fn tell(reporter: &Reporter, sessions: usize) {
    reporter.state(&State { sessions: sessions as u64, accepting: "running".into(), why: String::new() });
}

fn warner(recorder: Recorder, clock: Clock) -> Warn {
    let told: Mutex<HashMap<String, Instant>> = Mutex::default();
    Box::new(move |subject, text| {
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if told.get(&subject).is_some_and(|at| now.duration_since(*at) < WARN_EVERY) {
            return;
        }
        if told.len() >= SUBJECTS {
            told.clear();
        }
        told.insert(subject.clone(), now);
        recorder.record(Event { at: clock.now(), role: RoleName::Auth, id: None, what: What::Warning { subject, text } });
    })
}
