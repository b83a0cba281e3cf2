//! From a role to a running program.

use std::panic::resume_unwind;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use lib_account::Lists;
use lib_host::Clock;
use lib_net::Role;
use lib_net::dns::Dns;
use lib_net::recorder::Recorder;
use lib_net::runtime;
use lib_net::wake::{Consumer, Receiver, Waker};
use lib_spool::{Options, Spool};
use tokio::sync::Semaphore;

use crate::destinations::{Destinations, Resumed};
use crate::dial::Dialer;
use crate::ending::Endings;
use crate::pair::{Board, attend};
use crate::scheduler::Scheduler;
use crate::shared::{LocalMap, Shared, UNRECORDED};
use crate::targets::Directory;
use crate::terms::Terms;

/// How long one try at one name server may take.
const DNS_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the last events may take to be written.
const FLUSH: Duration = Duration::from_secs(2);

/// Passes mail on to other servers until the supervisor orders to stop.
pub fn run(role: Role) -> ExitCode {
    match begin(role) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay-out: cannot begin: {error}");
            ExitCode::FAILURE
        }
    }
}

fn begin(mut role: Role) -> Result<(), String> {
    let wakes = role.take_wake(Consumer::Relay).ok_or("the supervisor passed no wake socket")?;
    let recorder = Recorder::to_standard_output().map_err(|error| error.to_string())?;
    let threads = role.settings.spool.sync_threads as usize;
    let runtime = runtime::build("relay-out", threads).map_err(|error| error.to_string())?;
    // The supervisor's line is kept until all events are written.
    let _role = runtime.block_on(async {
        let wakes = Receiver::new(wakes).map_err(|error| error.to_string())?;
        let (shared, resumed) = open(&role, recorder.clone())?;
        role.line.reporter().ready();
        let shared = Arc::new(shared);
        tokio::spawn(attend(shared.clone()));
        // Among those whom it waits for: on the thread that is blocked here, each of their ends would have to wake another one.
        let scheduler = tokio::spawn(async move {
            Scheduler::new(shared, resumed).run(wakes, &mut role.line).await;
            role
        });
        match scheduler.await {
            Ok(role) => Ok(role),
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(error) => Err(error.to_string()),
        }
    })?;
    // What is still in work is cut: its claims end with the process, and it is attempted again.
    runtime.shutdown_background();
    recorder.flush(FLUSH);
    Ok(())
}

fn open(role: &Role, recorder: Recorder) -> Result<(Shared, Resumed), String> {
    let settings = &role.settings;
    let base = role.config.as_deref().unwrap_or(&role.data);
    let clock = Clock::open(role.clock_file().as_deref()).map_err(|error| error.to_string())?;
    let terms = Terms::new(settings, &role.secrets);
    let spool =
        Spool::open(&role.data.join("spool"), Options::of(settings, clock.clone())).map_err(|error| error.to_string())?;
    let dns = Dns::new(&settings.relay.nameservers, DNS_TIMEOUT)
        .map_err(|error| format!("{error}; name the servers in relay.nameservers"))?;
    let (destinations, resumed) = Destinations::new(terms.relay.concurrency);
    let shared = Shared {
        spool,
        recorder,
        waker: Waker::new(&role.data.join("run")),
        directory: Directory::new(dns),
        dialer: Dialer::new(clock.clone()),
        local: LocalMap::new(base),
        board: Board::new(Lists::open(&role.data.join("state"))),
        destinations,
        unrecorded: Arc::new(Semaphore::new(UNRECORDED)),
        endings: Endings::default(),
        terms: ArcSwap::from_pointee(terms),
        clock,
    };
    Ok((shared, resumed))
}
