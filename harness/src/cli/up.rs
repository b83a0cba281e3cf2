//! `up`, and what speaks to it: a topology that stays up, to be watched, loaded and broken by hand.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};

use super::control::{ask, default_socket, listen, serve};
use crate::Result;
use crate::driver::DriverKind;
use crate::faults;
use crate::load::{Flow, Load};
use crate::record::{Books, MomentKind, Played, Run, Verdict};
use crate::report;
use crate::server::Port;
use crate::stage::Stage;
use crate::topology::{SystemKind, Topology};

/// Between two looks whether somebody wants something.
const LOOK: Duration = Duration::from_millis(50);

/// What to keep up.
#[derive(Debug, Args)]
pub struct UpArguments {
    /// A topology that comes with the harness (single, pair, three-mx, lab, smart-host), or a file
    #[arg(default_value = "three-mx")]
    topology: String,
    /// Where the nodes run
    #[arg(long, value_enum, default_value_t = DriverKind::Processes)]
    driver: DriverKind,
    /// Where the report goes at the end
    #[arg(long, default_value = "harness-report")]
    report: PathBuf,
}

/// What can be asked of a running topology.
#[derive(Debug, Subcommand)]
pub enum Ask {
    /// Break something in the running topology; without words: what can be broken, and what is
    Fault {
        /// The fault and its arguments, as `kill primary`; or `heal`, `heal NUMBER`
        words: Vec<String>,
    },
    /// Send mail through the running topology, beside everything else
    Traffic {
        /// Messages a second
        #[arg(default_value_t = 20)]
        rate: u32,
        /// For so many seconds
        #[arg(default_value_t = 30)]
        seconds: u64,
    },
    /// Balance the books of the running topology as they stand
    Books,
    /// End the running topology: undo every fault, empty the queues, balance the books, write the report
    Down,
}

/// Keeps a topology up until `down`, Ctrl-C or SIGTERM.
pub fn up(arguments: &UpArguments, stop: &AtomicBool) -> Result<ExitCode> {
    let at = default_socket();
    let listener = listen(&at)?;
    listener.set_nonblocking(true)?;
    let live = report::live::Live::new(1);
    let scene = live.scenario(&arguments.topology, "A network to be broken by hand.");
    let stage = Stage::set(Topology::open(&arguments.topology)?, arguments.driver, Some(Arc::new(scene)))?;
    println!("{}", welcome(&stage)?);
    let mut open = Open { stage: &stage, flows: Vec::new(), down: false };
    while !open.down && !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            // A client that goes away before its answer has no use for it.
            Ok((stream, _)) => drop(serve(stream, |words| open.answer(words))),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => std::thread::park_timeout(LOOK),
            Err(error) => return Err(error.into()),
        }
    }
    // The socket is of no use to anybody now.
    let _ = std::fs::remove_file(&at);
    for flow in open.flows {
        flow.end()?;
    }
    let balanced = stage.settle(Duration::from_secs(60));
    println!("{}", shown(&stage.balance()?.0));
    let written = report::write(&told(&stage, &balanced), &arguments.report)?;
    println!("report: {}", written.html.display());
    balanced.map(|_| ExitCode::SUCCESS)
}

/// What happened while the topology was up, as a run of one.
fn told(stage: &Stage, balanced: &Result<Books>) -> Run {
    let took = stage.journal().start().elapsed();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let played = Played {
        name: stage.topology.name.clone(),
        shows: stage.topology.about.clone(),
        rows: Vec::new(),
        driver: stage.driver.name().into(),
        system: SystemKind::Bongsu.name().into(),
        verdict: balanced.as_ref().err().map_or(Verdict::Passed, |error| Verdict::Failed(format!("{error:#}"))),
        took,
        record: stage.record(),
    };
    Run { started: now.saturating_sub(took).as_secs(), took, about: Vec::new(), results: vec![played] }
}

/// A running topology and the loads that somebody began.
struct Open<'a> {
    stage: &'a Stage,
    flows: Vec<Flow>,
    down: bool,
}

impl Open<'_> {
    fn answer(&mut self, words: &[&str]) -> Result<String> {
        match words {
            ["fault"] => Ok(self.faults()),
            ["fault", "heal"] => self.stage.heal_all().map(|()| "everything is mended".into()),
            ["fault", "heal", number] => self.stage.heal(number.parse()?).map(|()| "mended".into()),
            ["fault", name, rest @ ..] => {
                self.stage.strike(faults::find(name)?, rest)?.keep();
                Ok(self.faults_in_force())
            }
            ["traffic", rate, seconds] => self.traffic(rate.parse()?, seconds.parse()?),
            ["books"] => Ok(shown(&self.stage.balance()?.0)),
            ["down"] => {
                self.down = true;
                Ok("faults are undone, queues are emptied, the books are balanced: see where `up` runs".into())
            }
            _ => anyhow::bail!("not understood: {}", words.join(" ")),
        }
    }

    fn faults(&self) -> String {
        let lines = faults::ALL.iter().map(|fault| format!("  {:14} {:28} {}\n", fault.name, fault.usage, fault.about));
        format!("What can be broken:\n{}{}", lines.collect::<String>(), self.faults_in_force())
    }

    fn faults_in_force(&self) -> String {
        let lines: String = self.stage.in_force().iter().map(|(number, words)| format!("  {number}: {words}\n")).collect();
        if lines.is_empty() {
            "Nothing is broken.\n".into()
        } else {
            format!("Broken now (`fault heal NUMBER` mends one):\n{lines}")
        }
    }

    fn traffic(&mut self, rate: u32, seconds: u64) -> Result<String> {
        let topology = &self.stage.topology;
        let zone = topology.zones.first().filter(|zone| !zone.mx.is_empty());
        let mut hosts = zone.map(|zone| zone.mx.clone()).unwrap_or_default();
        hosts.sort();
        let hosts: Vec<&str> =
            hosts.iter().map(|(_, host)| host.as_str()).filter(|host| topology.index(host).is_ok()).collect();
        let mailboxes: Vec<String> = topology.nodes.iter().flat_map(|node| topology.mailboxes(&node.name)).collect();
        let recipients: Vec<&str> = mailboxes.iter().map(String::as_str).collect();
        anyhow::ensure!(!hosts.is_empty() && !recipients.is_empty(), "this topology has no MX or no mailbox");
        let messages = usize::try_from(u64::from(rate) * seconds)?;
        let load = Load {
            messages,
            rate: Some(f64::from(rate)),
            timeout: Duration::from_secs(5),
            patience: Duration::from_secs(60),
            ..self.stage.load(&hosts, &recipients)?
        };
        self.flows.push(self.stage.flow(load));
        self.stage.note(MomentKind::Step, None, format!("{messages} messages begin, {rate} a second"));
        Ok(format!("{messages} messages are on their way, {rate} a second, to {}", hosts.join(", then ")))
    }
}

/// What a person needs to know of a topology that runs.
fn welcome(stage: &Stage) -> Result<String> {
    let mut text = format!("\n{}\n", stage.topology.about);
    for server in stage.servers() {
        let plan = server.plan();
        text.push_str(&format!("\n  {:10} {}\n", plan.name, plan.part));
        text.push_str(&format!(
            "  {:10} SMTP {}, submission {}, POP3 {}\n",
            "",
            stage.net().client_to(&plan.name)?,
            server.at(Port::Submission),
            server.at(Port::Pop3)
        ));
        for mailbox in stage.topology.mailboxes(&plan.name) {
            let user = mailbox.split('@').next().unwrap_or_default();
            text.push_str(&format!("  {:10} {mailbox}, password secret-{user}\n", ""));
        }
    }
    text.push_str(
        "\nIn another terminal:\n  bongsu-harness traffic            send mail through it\n  bongsu-harness fault              what can be broken, and what is\n\
         \x20 bongsu-harness fault kill primary bongsu-harness fault heal\n  bongsu-harness books              is anything lost?\n\
         \x20 bongsu-harness down               end it (or Ctrl-C here)\n",
    );
    Ok(text)
}

/// The books in a few lines.
pub fn shown(books: &Books) -> String {
    let mut text = format!(
        "accepted {} = delivered {} + handed over {} + bounced {} + queued {} + discarded {} + lost {}\n",
        books.accepted,
        books.delivered,
        books.handed_over,
        books.bounced,
        books.queued,
        books.discarded,
        books.lost.len()
    );
    text.push_str(&format!(
        "duplicated {}, damaged {}, in doubt {} ({} arrived), refused at the door {}\n",
        books.duplicated.len(),
        books.damaged.len(),
        books.in_doubt,
        books.in_doubt_found,
        books.refused
    ));
    text
}

/// Asks the running topology, and prints what it says.
pub fn tell(request: &Ask) -> Result<ExitCode> {
    let socket: &Path = &default_socket();
    let text = match request {
        Ask::Fault { words } => {
            let words: Vec<&str> = ["fault"].into_iter().chain(words.iter().map(String::as_str)).collect();
            ask(socket, &words)?
        }
        Ask::Traffic { rate, seconds } => ask(socket, &["traffic", &rate.to_string(), &seconds.to_string()])?,
        Ask::Books => ask(socket, &["books"])?,
        Ask::Down => ask(socket, &["down"])?,
    };
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}
