//! Too much of everything: clients, mail, messages that wait; and too little: descriptors, memory. Those who behave are served.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};

use super::networks::{FAR, OFFICE, office, office_and_far};
use crate::Result;
use crate::faults::{DESCRIPTORS, FULL_QUEUE, MEMORY};
use crate::load::Load;
use crate::scenario::{ANY, BONGSU, EVERYWHERE, PROCESSES, Scenario};
use crate::stage::{PATIENCE, REPLY, Stage};
use crate::wait::wait_until;

/// Sessions that a node takes in the spike, and sessions that come.
const TAKEN: usize = 20;
const COME: usize = 10 * TAKEN;
/// Clients that send an octet a second.
const SLOW: usize = 500;
/// Clients that come where descriptors are few: more than there are.
const CROWD: usize = 120;
/// Messages that wait.
const WAITING: usize = 1000;

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario {
        name: "ten_times_as_many_clients_as_are_taken",
        shows: "Ten times as many clients come as a node takes: the rest is told 421, everybody gets through in the end, and nothing is lost.",
        rows: &["R1.14", "R8"],
        topology: || office(&format!("smtp.max_sessions = {TAKEN}")),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: spike,
    },
    Scenario {
        name: "five_hundred_clients_send_an_octet_a_second",
        shows: "500 sessions send an octet a second: everybody else is served meanwhile, as fast as ever.",
        rows: &["R1.14", "R8"],
        topology: || office(""),
        drivers: EVERYWHERE,
        systems: ANY,
        alone: true,
        run: slow_clients,
    },
    Scenario {
        name: "queue_is_full_of_messages_that_nobody_takes",
        shows: "A thousand messages wait: mail goes on to be accepted and delivered, status and mailq answer, and all leave when they can.",
        rows: &["R3.2", "R3.5", "R6.1"],
        topology: || office_and_far(""),
        drivers: EVERYWHERE,
        systems: BONGSU,
        alone: false,
        run: full_queue,
    },
    Scenario {
        name: "no_descriptors_are_left_for_new_clients",
        shows: "The service that takes mail has no descriptors left: those who are in are served, nothing is lost, and the others come in once some leave.",
        rows: &["R8"],
        topology: || office(""),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: descriptors,
    },
    Scenario {
        name: "services_get_no_more_memory",
        shows: "Each service is refused all further memory: it goes on, refuses, or dies and is started again, and nothing is lost.",
        rows: &["R8"],
        topology: || office_and_far(""),
        drivers: PROCESSES,
        systems: BONGSU,
        alone: false,
        run: memory,
    },
];

fn spike(stage: &Stage) -> Result<()> {
    let load = stage.load(&["office"], OFFICE)?;
    let load = Load { sessions: COME, messages: COME, timeout: REPLY, patience: PATIENCE, per_session: 4, ..load };
    let report = load.run(stage.ledger(), &AtomicBool::new(false));
    ensure!(report.accepted == COME, "{report:?}");
    ensure!(report.broken > 0, "nobody was ever turned away: this was no spike");
    stage.held(format!("all {} messages got in, though {} connections were turned away", report.accepted, report.broken));
    stage.smtp("office")?.quit()?;
    stage.held("the next client is greeted as if nothing had been");
    Ok(())
}

/// Connects so many clients, each of which has been greeted.
fn clients(stage: &Stage, count: usize) -> Result<Vec<TcpStream>> {
    let to = stage.net().client_to("office")?;
    let mut clients = Vec::new();
    for _ in 0..count {
        let client = TcpStream::connect_timeout(&to, REPLY)?;
        client.set_read_timeout(Some(REPLY))?;
        clients.push(client);
    }
    for client in &mut clients {
        let mut greeting = [0; 3];
        client.read_exact(&mut greeting).context("a client was not greeted")?;
        ensure!(&greeting == b"220", "greeted with {}", String::from_utf8_lossy(&greeting));
    }
    Ok(clients)
}

fn slow_clients(stage: &Stage) -> Result<()> {
    let mut slow = clients(stage, SLOW)?;
    stage.step(format!("{SLOW} clients are in, and send an octet a second"));
    let ended = AtomicBool::new(false);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            for octet in b"EHLO a-client-that-takes-its-time.example".iter().cycle() {
                // One whose session was ended gets nothing more across.
                slow.iter_mut().for_each(|client| drop(client.write(&[*octet])));
                std::thread::park_timeout(Duration::from_secs(1));
                if ended.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        let load = stage.steady(&["office"], OFFICE, 40.0).map(|load| Load { messages: 240, ..load });
        let report = load.map(|load| load.run(stage.ledger(), &AtomicBool::new(false)));
        ended.store(true, Ordering::Relaxed);
        report
    })?;
    ensure!(report.accepted == 240 && report.broken == 0, "{report:?}");
    let slowest = report.percentile(0.95);
    ensure!(slowest < Duration::from_secs(2), "one in twenty messages took over {slowest:?}");
    stage.held(format!("everybody else was served, 95 of 100 within {} ms", slowest.as_millis()));
    Ok(())
}

fn full_queue(stage: &Stage) -> Result<()> {
    let office = stage.server("office")?;
    let full = stage.strike(&FULL_QUEUE, &["office", FAR, &WAITING.to_string()])?;
    let flow = stage.flow(stage.steady(&["office"], OFFICE, 60.0)?);
    flow.wait_accepted(100, PATIENCE)?;
    let status = office.command(&["status"], b"")?.ok()?.text;
    stage.held(format!("status answers: {}", status.lines().next().unwrap_or_default()));
    let listed = office.queued()?.len();
    ensure!(listed >= WAITING, "mailq lists {listed} of {WAITING} messages");
    stage.held("mailq lists all that waits");
    flow.end()?;
    wait_until("the mail of the day delivered", PATIENCE, || office.queued().is_ok_and(|queued| queued.len() == WAITING))?;
    stage.held("other mail was accepted and delivered meanwhile");
    full.heal()
}

fn descriptors(stage: &Stage) -> Result<()> {
    let process = stage.server("office")?.service_process("smtp-in")?;
    // Room for those who send, and for the spool's 32 directories, which are kept open once used.
    let few = stage.strike(&DESCRIPTORS, &["office", "smtp-in", "60"])?;
    let to = stage.net().client_to("office")?;
    let crowd: Vec<TcpStream> = (0..CROWD).map(|_| Ok(TcpStream::connect_timeout(&to, REPLY)?)).collect::<Result<_>>()?;
    stage.step(format!("a crowd of {CROWD} takes every descriptor"));
    wait_until("a client that is not greeted", PATIENCE, || {
        crowd.iter().any(|client| client.set_nonblocking(true).is_ok() && client.peek(&mut [0; 3]).is_err())
    })?;
    let flow = stage.flow(stage.steady(&["office"], OFFICE, 60.0)?);
    drop(crowd);
    flow.wait_accepted(60, PATIENCE)?;
    stage.held("mail is taken once the crowd has gone, with as few descriptors as before");
    few.heal()?;
    flow.wait_accepted(60, PATIENCE)?;
    let (_, report) = flow.end()?;
    ensure!(report.refused == 0, "messages were refused for good: {:?}", report.refusals);
    ensure!(stage.server("office")?.service_process("smtp-in")? == process, "smtp-in died of it");
    Ok(())
}

fn memory(stage: &Stage) -> Result<()> {
    let office = stage.server("office")?;
    stage.outside(FAR, 10, &["PIPELINING"])?;
    let recipients: Vec<String> = OFFICE.iter().map(|to| format!("{to} somebody@{FAR}")).collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let load = Load { size: (2000, 200_000), ..stage.steady(&["office"], &recipients, 40.0)? };
    let flow = stage.flow(load);
    flow.wait_accepted(20, PATIENCE)?;
    for service in ["smtp-in", "deliver", "relay-out"] {
        let process = office.service_process(service)?;
        let none = stage.strike(&MEMORY, &["office", service])?;
        let accepted = stage.ledger().accepted() + 60;
        let died = || office.service_process(service).is_ok_and(|now| now != process);
        wait_until("60 messages accepted, or a death", PATIENCE, || stage.ledger().accepted() >= accepted || died())?;
        stage.step(format!("{service} {}", if died() { "died of it and was started again" } else { "lived with it" }));
        none.heal()?;
        flow.wait_accepted(20, PATIENCE)?;
    }
    let (_, report) = flow.end()?;
    ensure!(report.refused == 0, "messages were refused for good: {:?}", report.refusals);
    stage.allow_duplicates(
        42,
        "relay-out may have died before it wrote down what the peer had taken: 32 answers, and one for each connection",
    );
    Ok(())
}
