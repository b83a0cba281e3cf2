//! `memory`: of all processes of a server while nothing happens, and of each connection that stands and says nothing.

use std::net::SocketAddr;
use std::time::Duration;

use super::figures::{Quantity, Turned};
use super::subject::{HOME, Subject, Wanted, names};
use super::{Bench, Turn};
use crate::Result;
use crate::pop::Pop;
use crate::server::Port;
use crate::smtp::Smtp;

/// The bench.
pub(super) const MEMORY: Bench = Bench {
    name: "memory",
    shows: "Memory (PSS) of all processes: idle, and for each connection that stands, over SMTP after EHLO, over POP3 logged in.",
    once: true,
    turn: memory,
};

/// Connections over SMTP.
const SMTP: usize = 1000;
/// Connections over POP3, each to a mailbox of its own.
const POP3: usize = 500;
/// A server that greets nobody within this time has no room for another connection.
const GREETING: Duration = Duration::from_secs(10);

const IDLE: Quantity = Quantity::less("kB idle");
const EACH: Quantity = Quantity::less("kB a connection");
const HELD: Quantity = Quantity::more("connections held");

fn memory(turn: &Turn) -> Result<Turned> {
    let (smtp, pop3) = (turn.some(SMTP, 40), if turn.quick { 4 } else { POP3 });
    let users = names(pop3);
    let subject = Subject::start(turn.system, &Wanted { accounts: users.clone(), ..Wanted::default() })?;
    let mut turned = Turned::default();
    turned.add("nothing happens", IDLE, subject.kilobytes());
    let at = subject.server().at(Port::Mx);
    hold(&subject, &mut turned, &format!("{smtp} SMTP connections"), (0..smtp).map(|_| greeted(at)))?;
    let at = subject.server().at(Port::Pop3);
    let logged_in = |user: &String| Pop::login(at, &format!("{user}@{HOME}"), &format!("secret-{user}"), GREETING);
    hold(&subject, &mut turned, &format!("{pop3} POP3 connections"), users.iter().map(logged_in))?;
    subject.server().kill()?;
    Ok(turned)
}

fn greeted(at: SocketAddr) -> Result<Smtp> {
    let mut smtp = Smtp::connect(at, GREETING)?;
    smtp.command("EHLO idle.example")?.expect(250)?;
    Ok(smtp)
}

/// Opens connections until one gets no answer, and notes what the server needs for those that stand.
fn hold<C>(subject: &Subject, turned: &mut Turned, workload: &str, connections: impl Iterator<Item = Result<C>>) -> Result<()> {
    let before = subject.kilobytes();
    let mut held = Vec::new();
    for connection in connections {
        match connection {
            Ok(connection) => held.push(connection),
            Err(error) if held.is_empty() => return Err(subject.told(&error)),
            Err(_) => break,
        }
    }
    turned.add(workload, EACH, (subject.kilobytes() - before).max(0.0) / held.len() as f64);
    turned.add(workload, HELD, held.len() as f64);
    Ok(())
}
