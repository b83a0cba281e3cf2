//! From the supervisor's line to the crew and back: wakes, scans, maps, settings, the end.

use std::io;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use lib_account::{MapFiles, Maps};
use lib_host::Clock;
use lib_mailbox::Mailboxes;
use lib_net::role::{Order, Reporter, State};
use lib_net::runtime::build;
use lib_net::wake::{Consumer, Receiver, Wake, Waker};
use lib_net::{Recorder, Role};
use lib_settings::Settings;
use lib_spool::{Limits, Options, Queue, Spool};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::crew::Crew;
use crate::events::Journal;
use crate::office::{Office, Rules};

/// How often maps are looked at and the state is told.
const TICK: Duration = Duration::from_secs(1);
/// The net under lost wakes.
const SCAN_AT_LEAST: Duration = Duration::from_secs(30);
/// A scan is not followed by another before this; what is due at moments close together is found at once.
const SCAN_AT_MOST: Duration = Duration::from_millis(500);
/// Nor before this for each message that it found: one costs some 2 µs of a core, so scans stay under 1 % of it.
const PAUSE_FOR_EACH: Duration = Duration::from_micros(220);
const SWEEP_EVERY: Duration = Duration::from_secs(300);
/// Wakes that are taken at one time.
const MAX_WAKES: usize = 512;
/// Blocking threads besides the crew's: a scan, a sweep, a look at the maps.
const OTHER_THREADS: usize = 3;
/// How long the last events may take on their way out.
const FLUSH: Duration = Duration::from_secs(1);

/// Runs the role until it is drained. The exit code is a failure where it could not begin.
pub(crate) fn run(role: Role) -> ExitCode {
    match begin(role) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("deliver: cannot begin: {error}");
            ExitCode::FAILURE
        }
    }
}

fn begin(mut role: Role) -> Result<(), String> {
    let recorder = Recorder::to_standard_output().map_err(|error| error.to_string())?;
    let wakes = role.take_wake(Consumer::Local).ok_or("the supervisor passed no socket for wakes")?;
    let office = Arc::new(open(&role, recorder)?);
    let most = role.settings.deliver.concurrency.max(1) as usize;
    let runtime = build("deliver", most + OTHER_THREADS).map_err(|error| format!("cannot start threads: {error}"))?;
    let served = runtime.block_on(async {
        let wakes = Receiver::new(wakes)?;
        let files = MapFiles::new(&role.settings, role.config.as_deref(), &role.data);
        let program = Program { crew: Crew::new(office.clone(), most), office: office.clone() };
        office.watch(files, role.settings.clone());
        program.serve(&mut role, &wakes).await;
        io::Result::Ok(())
    });
    office.journal.recorder().flush(FLUSH);
    served.map_err(|error| error.to_string())
}

fn open(role: &Role, recorder: Recorder) -> Result<Office, String> {
    let settings = &role.settings;
    let clock = Clock::open(role.clock_file().as_deref()).map_err(|error| error.to_string())?;
    let mail = role.data.join("mail");
    let options = Options::of(settings, clock.clone());
    Ok(Office {
        spool: Spool::open(&role.data.join("spool"), options).map_err(|error| error.to_string())?,
        mailboxes: Mailboxes::open(&mail).map_err(|error| format!("cannot open {}: {error}", mail.display()))?,
        journal: Journal::new(recorder, clock.clone()),
        clock,
        waker: Waker::new(&role.data.join("run")),
        rules: ArcSwap::from_pointee(Rules::new(settings)?),
        maps: ArcSwap::from_pointee(Maps::default()),
        files: Mutex::default(),
        room: RwLock::default(),
    })
}

struct Program {
    crew: Arc<Crew>,
    office: Arc<Office>,
}

/// What a turn of the loop is about.
enum Turn {
    Order(Order),
    Wakes(Vec<Wake>),
    Scanned,
    Tick,
    /// A moment was learned at which something is due, or a thread has no more work.
    Changed,
    ScanDue,
}

/// The scan that runs, or when the last one ended.
struct Scan {
    /// It gives the number of messages in the queue.
    running: Option<JoinHandle<usize>>,
    ended: Instant,
    pause: Duration,
    /// Somebody asked for one.
    wanted: bool,
    /// It is to find also what is not due yet.
    all: bool,
}

impl Program {
    async fn serve(&self, role: &mut Role, wakes: &Receiver) {
        let reporter = role.line.reporter();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut scan = Scan { running: None, ended: Instant::now(), pause: Duration::ZERO, wanted: true, all: false };
        let mut swept: Option<Instant> = None;
        reporter.ready();
        loop {
            let (until_scan, scanning) = (self.until_scan(&scan), scan.running.is_some());
            let turn = tokio::select! {
                order = role.line.next() => Turn::Order(order),
                wakes = wakes.receive(MAX_WAKES) => Turn::Wakes(self.heard(wakes)),
                () = scan.end() => Turn::Scanned,
                _ = tick.tick() => Turn::Tick,
                () = self.crew.changed.notified() => Turn::Changed,
                () = sleep(until_scan), if !scanning => Turn::ScanDue,
            };
            match turn {
                Turn::Order(Order::Drain) => break,
                Turn::Order(Order::Reload(new)) => self.reload(&reporter, new.generation, &new.settings, role),
                Turn::Order(Order::Look(number)) => self.look(&reporter, number),
                Turn::Wakes(wakes) => self.wake(wakes, &mut scan),
                Turn::Scanned | Turn::Changed => {}
                Turn::ScanDue => scan.wanted = true,
                Turn::Tick => {
                    self.tick(&reporter);
                    if swept.is_none_or(|at| at.elapsed() >= SWEEP_EVERY) {
                        swept = Some(Instant::now());
                        self.sweep();
                    }
                }
            }
            if scan.is_due() {
                scan.start(&self.crew);
            }
        }
        self.drain().await;
    }

    fn heard(&self, wakes: io::Result<Vec<Wake>>) -> Vec<Wake> {
        wakes.unwrap_or_else(|error| {
            self.office.journal.warn("wakes", error.to_string());
            Vec::new()
        })
    }

    fn wake(&self, wakes: Vec<Wake>, scan: &mut Scan) {
        let mut new = Vec::with_capacity(wakes.len());
        for wake in wakes {
            match wake {
                Wake::New(id) => new.push(id),
                Wake::Run => (scan.wanted, scan.all) = (true, true),
                Wake::Flush(_) | Wake::Below(_) | Wake::Look => scan.wanted = true,
                Wake::Fetch => {}
            }
        }
        self.crew.add(new);
    }

    /// How long to the next scan: until something is due, in any case not longer than half a minute after the last one. Asked anew
    /// at each turn of the loop, so it counts from the last scan and not from now.
    fn until_scan(&self, scan: &Scan) -> Duration {
        let since = scan.ended.elapsed();
        let net = SCAN_AT_LEAST.saturating_sub(since);
        let due = self.crew.next_due().map_or(net, |at| self.office.clock.real_until(at).min(net));
        due.max(scan.pause.saturating_sub(since))
    }

    fn tick(&self, reporter: &Reporter) {
        self.crew.add([]);
        let sessions = self.crew.len() as u64;
        let why = if self.office.spool.in_trouble() { "outcomes cannot be recorded: nothing is delivered" } else { "" };
        reporter.state(&State { sessions, accepting: "running".into(), why: why.into() });
        let office = Arc::clone(&self.office);
        spawn_blocking(move || office.look_if_free());
    }

    /// Looks at the maps and says so, off the loop.
    fn look(&self, reporter: &Reporter, number: u64) {
        let (office, reporter) = (Arc::clone(&self.office), reporter.clone());
        spawn_blocking(move || {
            office.look();
            reporter.looked(number);
        });
    }

    fn reload(&self, reporter: &Reporter, generation: u64, settings: &Settings, role: &Role) {
        match Rules::new(settings) {
            Ok(rules) => {
                self.office.rules.store(Arc::new(rules));
                self.office.spool.limit(Limits::of(settings));
                self.office.watch(MapFiles::new(settings, role.config.as_deref(), &role.data), settings.clone());
                reporter.in_force(generation);
            }
            Err(why) => reporter.refused(generation, why),
        }
    }

    fn sweep(&self) {
        let office = Arc::clone(&self.office);
        spawn_blocking(move || match office.spool.sweep(Queue::Local) {
            Ok(swept) if swept.corrupt > 0 => {
                let text = format!("{} damaged messages lie in corrupt/; look at them, then delete them", swept.corrupt);
                office.journal.warn("spool", text);
            }
            Ok(_) => {}
            Err(error) => office.journal.warn("spool", error.to_string()),
        });
    }

    /// Finishes what is in work. The supervisor's patience is the limit.
    async fn drain(&self) {
        self.crew.drain();
        while !self.crew.is_idle() {
            self.crew.changed.notified().await;
        }
    }
}

impl Scan {
    /// Ends when the running scan has; never where none runs.
    async fn end(&mut self) {
        match &mut self.running {
            None => std::future::pending().await,
            Some(running) => {
                let messages = u32::try_from(running.await.unwrap_or_default()).unwrap_or(u32::MAX);
                self.running = None;
                self.ended = Instant::now();
                self.pause = SCAN_AT_MOST.max(PAUSE_FOR_EACH.saturating_mul(messages));
            }
        }
    }

    fn is_due(&self) -> bool {
        self.wanted && self.running.is_none()
    }

    fn start(&mut self, crew: &Arc<Crew>) {
        self.wanted = false;
        let all = std::mem::take(&mut self.all);
        let crew = Arc::clone(crew);
        let runtime = tokio::runtime::Handle::current();
        self.running = Some(spawn_blocking(move || {
            let (due, messages) = crew.scan(all);
            let _inside = runtime.enter();
            crew.add(due);
            messages
        }));
    }
}
