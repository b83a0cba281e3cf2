//! `bongsu account …`, and the first account of a node that nobody configured.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lib_account::{Account, Register};
use lib_mail::Address;
use lib_settings::Settings;

use crate::cli;
use crate::layout::Layout;
use crate::owner::act_as_owner;
use crate::supervisor::control::{self, Looked, Request};
use crate::tree;

/// Names the password where a program adds accounts.
const PASSWORD_VARIABLE: &str = "BONGSU_PASSWORD";
/// Name of the first account of a node that nobody configured.
const FIRST_NAME: &str = "you";

/// The account to try the node with.
#[derive(Debug)]
pub(crate) struct First {
    /// Its address.
    pub(crate) address: String,
    /// Its password, if it was made just now.
    pub(crate) password: Option<String>,
}

/// The account to try the node with; made where there is none at all.
pub(crate) fn first(layout: &Layout, settings: &Settings) -> Result<Option<First>> {
    let register = register(layout);
    if let Some(account) = register.list()?.first() {
        return Ok(Some(First { address: account.address.to_string(), password: None }));
    }
    let address = Address::new(FIRST_NAME, &settings.default_domain())?;
    let password = lib_account::random_password();
    register.add(Account::new(address.clone()), &password)?;
    Ok(Some(First { address: address.to_string(), password: Some(password) }))
}

/// The accounts of the node.
pub(crate) fn register(layout: &Layout) -> Register {
    Register::open(&layout.data().join("state"))
}

/// Runs one of the account commands.
pub(crate) fn run(layout: &Layout, command: cli::Account) -> Result<ExitCode> {
    if let Some(code) = act_as_owner(&layout.accounts())? {
        return Ok(code);
    }
    if !layout.accounts().is_dir() {
        match command {
            cli::Account::Add { .. } => tree::prepare(layout)?,
            _ => bail!("{} is no data directory of bongsu; name it with --data DIR", layout.data().display()),
        }
    }
    let register = register(layout);
    match command {
        cli::Account::Add { address, random, no_send, no_pop3, owns } => {
            let mut account = Account::new(parse(&address)?);
            (account.may_send, account.pop3) = (!no_send, !no_pop3);
            account.owns = owns.iter().map(|address| parse(address)).collect::<Result<_>>()?;
            let password = password(random, &address)?;
            register.add(account, &password)?;
            println!("added {address}{}", shown(random, &password));
            wait_until_known(layout);
        }
        cli::Account::Remove { address } => {
            register.remove(&parse(&address)?.key())?;
            println!("removed {address}; its mailbox stays in {}", layout.mail().display());
            wait_until_known(layout);
        }
        cli::Account::Passwd { address, random } => {
            let password = password(random, &address)?;
            register.passwd(&parse(&address)?.key(), &password)?;
            println!("new password for {address}{}", shown(random, &password));
            wait_until_known(layout);
        }
        cli::Account::List { json } => list(&register.list()?, json)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Waits until each role of the running server knows of the change. One line says so where it does not know yet; the change stands in any
/// case, so this is no failure.
fn wait_until_known(layout: &Layout) {
    if !tree::is_held(layout) {
        eprintln!("no bongsu runs on {}; it counts from the next start on", layout.data().display());
        return;
    }
    match control::ask::<Looked>(layout, Request::Look) {
        Ok(Looked { late }) if late.is_empty() => {}
        Ok(Looked { late }) => eprintln!("{} did not answer yet; there it counts within seconds", late.join(", ")),
        Err(error) => eprintln!("it counts within seconds; the running server could not be asked: {error:#}"),
    }
}

fn shown(random: bool, password: &str) -> String {
    if random { format!(", password {password}") } else { String::new() }
}

/// An address as a person types it.
pub(crate) fn parse(text: &str) -> Result<Address> {
    text.parse().map_err(|error| anyhow::anyhow!("{text:?} is no address such as kim@example.net: {error}"))
}

/// A password: made, from the environment, or from standard input.
pub(crate) fn password(random: bool, who: &str) -> Result<String> {
    if random {
        return Ok(lib_account::random_password());
    }
    if let Some(password) = std::env::var_os(PASSWORD_VARIABLE) {
        return password.into_string().ok().with_context(|| format!("${PASSWORD_VARIABLE} is not UTF-8"));
    }
    if std::io::stdin().is_terminal() {
        return ask_unseen(who);
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        bail!("no password: give it in ${PASSWORD_VARIABLE}, on standard input, or let one be made with --random");
    }
    Ok(password.to_owned())
}

/// Asks on the terminal without showing what is typed.
fn ask_unseen(who: &str) -> Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut unseen = before.clone();
    unseen.local_modes.remove(LocalModes::ECHO);
    eprint!("Password for {who}: ");
    std::io::stderr().flush()?;
    tcsetattr(&stdin, OptionalActions::Flush, &unseen)?;
    let mut line = String::new();
    let read = stdin.lock().read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Flush, &before)?;
    eprintln!();
    read?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn list(accounts: &[Account], json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(accounts)?);
        return Ok(());
    }
    if accounts.is_empty() {
        println!("no accounts; add one with: bongsu account add NAME@DOMAIN --random");
    }
    let yes = |yes: bool| if yes { "yes" } else { "no" };
    for account in accounts {
        let owns: Vec<String> = account.owns.iter().map(ToString::to_string).collect();
        let owns = if owns.is_empty() { String::new() } else { format!("  owns {}", owns.join(" ")) };
        println!("{:<40} send {:<3} pop3 {:<3}{owns}", account.address, yes(account.may_send), yes(account.pop3));
    }
    Ok(())
}
