//! The program's frame: what it opens, the orders it takes, the end.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use lib_account::{MapFiles, Maps};
use lib_host::Clock;
use lib_net::Role;
use lib_net::auth::{self, AuthClient};
use lib_net::drain::Drain;
use lib_net::gate::Gate;
use lib_net::line::NewSettings;
use lib_net::recorder::Recorder;
use lib_net::role::{Line, Order, Reporter, State};
use lib_net::runtime;
use lib_net::serve::serve;
use lib_net::tls::Certificates;
use lib_net::wake::Waker;
use lib_record::{Event, RoleName, What};
use lib_spool::{Limits, Options, Spool};
use tokio::time::{MissedTickBehavior, interval};

use crate::etrn::Runs;
use crate::rules::Rules;
use crate::service::SmtpService;
use crate::shared::Shared;

/// How often maps are looked at and the state is told.
const TICK: Duration = Duration::from_secs(1);
/// How long the last events may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs the role to its end.
pub(crate) fn run(role: Role) -> ExitCode {
    let recorder = match Recorder::to_standard_output() {
        Ok(recorder) => recorder,
        Err(error) => {
            eprintln!("{}: cannot start the writer of events: {error}", role.name);
            return ExitCode::FAILURE;
        }
    };
    let name = RoleName::from(role.name);
    let done = start(role, &recorder);
    if let Err(why) = &done {
        let what = What::Warning { subject: name.as_str().into(), text: why.clone() };
        recorder.record(Event { at: Clock::system().now(), role: name, id: None, what });
        eprintln!("{name}: {why}");
    }
    recorder.flush(LAST_WORDS);
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Opens everything and serves. An error is in words, for the operator.
fn start(mut role: Role, recorder: &Recorder) -> Result<(), String> {
    let blocking = usize::try_from(role.settings.spool.sync_threads).unwrap_or(runtime::BLOCKING_THREADS);
    let runtime = runtime::build("smtp", blocking).map_err(|error| format!("cannot start threads: {error}"))?;
    let listeners = role.take_listeners();
    let shared = Arc::new(open(&role, recorder)?);
    let mut program = Program {
        files: MapFiles::new(&role.settings, role.config.as_deref(), &role.data),
        config: role.config,
        data: role.data,
        reporter: role.line.reporter(),
        full: false,
        shared,
    };
    program.look_at_maps(true);
    let served = runtime.block_on(async {
        let drain = Drain::new();
        let certificates = program.shared.certificates.clone();
        let service = Arc::new(SmtpService(program.shared.clone()));
        let serving = serve(service, listeners, certificates, drain.clone(), program.shared.gate.clone());
        let serving = tokio::spawn(serving);
        program.reporter.ready();
        program.follow_orders(&mut role.line).await;
        drain.begin();
        serving.await
    });
    runtime.shutdown_timeout(LAST_WORDS);
    match served {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(format!("cannot serve a listener: {error}")),
        Err(error) => Err(format!("stopped by a mistake of ours: {error}")),
    }
}

fn open(role: &Role, recorder: &Recorder) -> Result<Shared, String> {
    let settings = &role.settings;
    let clock = Clock::open(role.clock_file().as_deref()).map_err(|error| error.to_string())?;
    let options = Options::of(settings, clock.clone());
    let spool = Spool::open(&role.data.join("spool"), options).map_err(|error| error.to_string())?;
    let rules = Rules::new(settings.clone());
    Ok(Shared {
        role: RoleName::from(role.name),
        spool,
        clock,
        recorder: recorder.clone(),
        waker: Waker::new(&role.data.join("run")),
        auth: AuthClient::new(role.data.join(auth::SOCKET)),
        certificates: Certificates::load(&role.secrets.certificates).map_err(|error| error.to_string())?,
        runs: Runs::default(),
        gate: Gate::new(rules.limits()),
        rules: ArcSwap::from_pointee(rules),
        recipients: ArcSwapOption::empty(),
        maps: ArcSwap::from_pointee(Maps::default()),
    })
}

struct Program {
    shared: Arc<Shared>,
    files: MapFiles,
    config: Option<PathBuf>,
    data: PathBuf,
    reporter: Reporter,
    /// There was no room at the last look.
    full: bool,
}

impl Program {
    /// Until the order to drain.
    async fn follow_orders(&mut self, line: &mut Line) {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = line.next() => match order {
                    Order::Reload(new) => self.reload(*new),
                    Order::Look(number) => {
                        self.look_at_maps(false);
                        self.reporter.looked(number);
                    }
                    Order::Drain => return,
                },
                _ = tick.tick() => {
                    self.look_at_maps(false);
                    self.tell_state();
                }
            }
        }
    }

    /// New sessions use the new settings; those that run keep theirs to their end.
    fn reload(&mut self, new: NewSettings) {
        if let Err(error) = self.shared.certificates.replace(&new.secrets.certificates) {
            self.reporter.refused(new.generation, error.to_string());
            return;
        }
        self.files = MapFiles::new(&new.settings, self.config.as_deref(), &self.data);
        self.shared.spool.limit(Limits::of(&new.settings));
        let rules = Rules::new(new.settings);
        self.shared.gate.set_limits(rules.limits());
        self.shared.rules.store(Arc::new(rules));
        self.look_at_maps(true);
        self.reporter.in_force(new.generation);
    }

    fn look_at_maps(&mut self, first: bool) {
        let (maps, troubles) = self.files.look(&self.shared.rules.load().settings, first);
        for trouble in troubles {
            self.shared.warn(trouble.subject, trouble.text);
        }
        if let Some(maps) = maps {
            self.shared.set_maps(maps);
        }
    }

    fn tell_state(&mut self) {
        let space = self.shared.spool.space().ok();
        let full = space.clone().filter(|space| !space.admits(0));
        // What clients hear names no mount and no figure; whoever reads the log needs them, once.
        if let Some(space) = space
            && std::mem::replace(&mut self.full, full.is_some()) != full.is_some()
        {
            match &full {
                Some(_) => self.shared.warn("spool", format!("no room, mail is answered 452 until there is: {space}")),
                None => self.shared.record(None, What::Notice { text: format!("mail is taken again: {space}") }),
            }
        }
        let (accepting, why) = match full {
            None => ("accepting", String::new()),
            Some(space) => ("rejecting", space.to_string()),
        };
        self.reporter.state(&State { sessions: self.shared.gate.sessions().into(), accepting: accepting.into(), why });
    }
}
