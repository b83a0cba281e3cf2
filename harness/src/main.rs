//! `bongsu-harness`: the pieces of the harness that stand alone, against any mail server.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context;
use bongsu_harness::Result;
use bongsu_harness::cli::{bench, compose, cut, demo, run, up};
use bongsu_harness::dialog::Dialog;
use bongsu_harness::ledger::Ledger;
use bongsu_harness::load::{Load, histogram};
use bongsu_harness::{dns, gate, peer};
use clap::{CommandFactory, Parser, Subcommand};

/// Tools that test mail servers: play a dialogue, send a load, be a peer that obeys a script.
#[derive(Debug, Parser)]
#[command(name = "bongsu-harness", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List every scenario: its name, what it shows, rows of the requirement book, where it runs
    List,
    /// Run scenarios; exit code 1 where one fails
    Run(run::RunArguments),
    /// Write a topology as files for Docker Compose
    Compose(compose::Command),
    /// Break a connection between two mail servers at every point of the dialogue, one message each; exit code 1 where one is lost or stuck
    Cut(cut::CutArguments),
    /// Show, in under a minute, what the product is for: three MX, the primary killed under load, nothing lost
    Demo(demo::DemoArguments),
    /// Measure mail servers side by side, in turn; exit code 1 where books do not balance
    Bench(bench::BenchArguments),
    /// Keep a topology running, to be watched, loaded and broken by hand
    Up(up::UpArguments),
    #[command(flatten)]
    Ask(up::Ask),
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Clean up after a harness that is gone; started by the others
    #[command(hide = true)]
    Sweep,
    /// Play dialogue files against a mail server; exit code 1 where an answer differs
    Dialog {
        /// The server, as 127.0.0.1:25
        #[arg(long)]
        to: SocketAddr,
        /// TLS from the first octet
        #[arg(long)]
        tls: bool,
        /// Send every octet in a segment of its own
        #[arg(long)]
        octet_by_octet: bool,
        /// Dialogue files (the format: tests/dialogs/README.md)
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Send many messages over many sessions and say how fast they were accepted
    Load {
        /// The server, as 127.0.0.1:25; only loopback addresses are taken
        #[arg(long)]
        to: SocketAddr,
        /// Recipients, taken in turn
        #[arg(long, required = true)]
        rcpt: Vec<String>,
        /// Sessions at once
        #[arg(long, default_value_t = 10)]
        sessions: usize,
        /// Messages in all
        #[arg(long, default_value_t = 1000)]
        messages: usize,
        /// Messages of one session
        #[arg(long, default_value_t = 10)]
        per_session: usize,
        /// Octets of a message
        #[arg(long, default_value_t = 2048)]
        size: usize,
        /// Draws what is drawn
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Be a mail server that obeys a script and prints every message it takes, as a line
    Peer(peer::Command),
    /// Stand between mail servers: pass, delay, cut at an exact point, and print each dialogue
    Gate(gate::Command),
    /// Be a name server that fails on demand
    Dns(dns::Command),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bongsu-harness: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::List => Ok(run::list()),
        Command::Run(arguments) => swept(|stop| run::run(&arguments, stop)),
        Command::Compose(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Cut(arguments) => swept(|_| cut::cut(&arguments)),
        Command::Bench(arguments) => swept(|stop| bench::bench(&arguments, stop)),
        Command::Demo(arguments) => swept(|stop| demo::demo(&arguments, stop)),
        Command::Up(arguments) => swept(|stop| up::up(&arguments, stop)),
        Command::Ask(request) => up::tell(&request),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "bongsu-harness", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Sweep => {
            bongsu_harness::sweep::serve(std::io::stdin().lock());
            Ok(ExitCode::SUCCESS)
        }
        Command::Dialog { to, tls, octet_by_octet, files } => dialogs(to, tls, octet_by_octet, &files),
        Command::Load { to, rcpt, sessions, messages, per_session, size, seed } => {
            anyhow::ensure!(to.ip().to_canonical().is_loopback(), "a load goes to loopback addresses only, not to {}", to.ip());
            let recipients: Vec<&str> = rcpt.iter().map(String::as_str).collect();
            let load = Load {
                sessions: sessions.max(1),
                messages,
                per_session: per_session.max(1),
                size: (size, size),
                tag: format!("load-{}", std::process::id()),
                seed,
                timeout: Duration::from_secs(60),
                ..Load::new(&[to], &recipients)
            };
            let report = load.run(&Ledger::default(), &AtomicBool::new(false));
            println!(
                "{} accepted, {} refused, {} in doubt in {:.1} s: {:.0} messages a second; half within {:.1} ms, 99 % within {:.1} ms",
                report.accepted,
                report.refused,
                report.in_doubt,
                report.took.as_secs_f64(),
                report.rate(),
                report.percentile(0.5).as_secs_f64() * 1000.0,
                report.percentile(0.99).as_secs_f64() * 1000.0
            );
            print!("{}", histogram(&report.latencies));
            Ok(if report.accepted == messages { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Peer(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Dns(command) => command.run().map(|()| ExitCode::SUCCESS),
        Command::Gate(command) => command.run().map(|()| ExitCode::SUCCESS),
    }
}

/// Runs something that makes nodes: with a sweeper that cleans up however it ends, and a flag that a signal sets.
fn swept(run: impl FnOnce(&AtomicBool) -> Result<ExitCode>) -> Result<ExitCode> {
    static STOP: AtomicBool = AtomicBool::new(false);
    bongsu_harness::sweep::start(&std::env::current_exe()?)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.spawn(async {
        use tokio::signal::unix::{SignalKind, signal};
        let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) else {
            return;
        };
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        STOP.store(true, std::sync::atomic::Ordering::Relaxed);
        eprintln!("bongsu-harness: ending; once more ends at once");
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        // The sweeper cleans up what is left.
        std::process::exit(130);
    });
    let code = run(&STOP);
    bongsu_harness::sweep::end();
    code
}

fn dialogs(to: SocketAddr, tls: bool, octet_by_octet: bool, files: &[PathBuf]) -> Result<ExitCode> {
    let mut failed = false;
    for file in files {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        match Dialog::parse(&text)?.play(to, tls, octet_by_octet) {
            Ok(()) => println!("ok      {}", file.display()),
            Err(error) => {
                failed = true;
                println!("DIFFERS {}: {error:#}", file.display());
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
