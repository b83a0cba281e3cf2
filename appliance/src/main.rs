//! The binary `bongsu`: command line, supervisor, isolation. Everything that carries mail is in the programs that it starts.

mod certificate;
mod cli;
mod commands;
mod dialogue;
mod isolation;
mod layout;
mod maps;
mod owner;
mod plan;
mod role_process;
mod sockets;
mod supervisor;
mod tree;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use layout::Layout;

/// Called by this name the binary is `bongsu mailq`.
const MAILQ: &str = "mailq";

fn main() -> ExitCode {
    let mut arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let called = arguments.first().map(std::path::PathBuf::from);
    if called.as_deref().and_then(|path| path.file_name()).is_some_and(|name| name == MAILQ) {
        arguments.splice(..1, ["bongsu".into(), MAILQ.into()]);
    }
    let cli = Cli::parse_from(arguments);
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            for line in format!("{error:#}").lines() {
                eprintln!("bongsu: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    // Who has which account is for all roles to read; everything else is for its owner.
    let open =
        matches!(cli.command, Command::Account(_) | Command::Init(_) | Command::Pair(_) | Command::Up { .. } | Command::Owners);
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(if open { 0o022 } else { 0o077 }));
    match cli.command {
        Command::Role { name } => return role_process::run(name),
        Command::Completions { shell } => {
            use clap::CommandFactory;
            clap_complete::generate(shell, &mut Cli::command(), "bongsu", &mut std::io::stdout());
            return Ok(ExitCode::SUCCESS);
        }
        Command::Init(init) => {
            return commands::init::run(&Layout::find_new(cli.place.data.as_deref(), cli.place.config.as_deref())?, &init);
        }
        Command::Pair(cli::Pair::New(wanted)) => return commands::pair::new(&wanted),
        _ => {}
    }
    let layout = Layout::find(cli.place.data.as_deref(), cli.place.config.as_deref())?;
    match cli.command {
        Command::Up { without_volume } => commands::up::run(layout, without_volume),
        Command::Check { isolation: true, json } => commands::check::isolation(&layout, json),
        Command::Check { json, .. } => commands::check::run(&layout, json),
        Command::Reload => commands::status::reload(&layout),
        Command::Stop => commands::status::stop(&layout),
        Command::Status { json, quiet } => commands::status::run(&layout, json, quiet),
        Command::Account(account) => commands::account::run(&layout, account),
        Command::Mailq(list) => commands::mailq::run(&layout, &list),
        Command::Queue(queue) => commands::queue::run(&layout, queue),
        Command::Pair(pair) => commands::pair::run(&layout, pair),
        Command::Log(log) => commands::log::run(&layout, &log),
        Command::Trace(trace) => commands::trace::run(&layout, &trace),
        Command::Send(send) => commands::send::run(&layout, send),
        Command::Owners => owner::give(&layout),
        Command::RoleProbe { name } => commands::check::probe(&layout, name),
        Command::Init(_) | Command::Role { .. } | Command::Completions { .. } => Ok(ExitCode::SUCCESS),
    }
}
