//! `bongsu queue …`: orders to messages and to the consumers of the queue.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use lib_mail::{Domain, QueueId};
use lib_net::wake::{Consumer, Wake, send_now};
use lib_spool::{Command, Done, Effect, Spool};

use super::{mailq, settings};
use crate::cli;
use crate::layout::Layout;
use crate::owner::act_as_owner;
use crate::tree;

/// How long a busy consumer may take to answer an order.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs one of the queue commands.
pub(crate) fn run(layout: &Layout, command: cli::Queue) -> Result<ExitCode> {
    if let Some(code) = act_as_owner(&layout.spool())? {
        return Ok(code);
    }
    match command {
        cli::Queue::List { json } => mailq::run(layout, json),
        cli::Queue::Run => wake(layout, &[Consumer::Local, Consumer::Relay], &Wake::Run),
        cli::Queue::Flush { domain } => {
            let domain: Domain = domain.parse().ok().with_context(|| format!("{domain:?} is no domain such as example.net"))?;
            wake(layout, &[Consumer::Relay], &Wake::Flush(domain))
        }
        cli::Queue::Retry(ids) => order(layout, &ids, Command::Retry),
        cli::Queue::Hold(ids) => order(layout, &ids, Command::Hold),
        cli::Queue::Release(ids) => order(layout, &ids, Command::Release),
        cli::Queue::Delete(ids) => order(layout, &ids, Command::Delete),
        cli::Queue::Bounce(ids) => order(layout, &ids, Command::Bounce),
    }
}

fn wake(layout: &Layout, consumers: &[Consumer], wake: &Wake) -> Result<ExitCode> {
    if !tree::is_held(layout) {
        bail!("no bongsu runs on {0}; start it with: bongsu up --data {0}", layout.data().display());
    }
    consumers.iter().for_each(|consumer| send_now(&layout.run(), *consumer, wake));
    println!("asked; see what comes of it with: bongsu mailq");
    Ok(ExitCode::SUCCESS)
}

fn order(layout: &Layout, ids: &cli::Ids, command: Command) -> Result<ExitCode> {
    let spool = mailq::open(layout, &settings(layout)?)?;
    let mut all = true;
    for text in &ids.ids {
        match one(&spool, text, command) {
            Ok(effects) => {
                for effect in &effects {
                    println!("{text} ({}): {}", effect.queue, words(effect.done));
                }
                all &= effects.iter().all(|effect| effect.done != Done::Unfit);
            }
            Err(error) => {
                eprintln!("bongsu: {error:#}");
                all = false;
            }
        }
        if let Ok(id) = text.parse::<QueueId>()
            && matches!(command, Command::Release | Command::Retry | Command::Bounce)
        {
            [Consumer::Local, Consumer::Relay]
                .into_iter()
                .for_each(|consumer| send_now(&layout.run(), consumer, &Wake::New(id)));
        }
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn one(spool: &Spool, text: &str, command: Command) -> Result<Vec<Effect>> {
    let id: QueueId = text.parse().ok().with_context(|| format!("{text:?} is no queue id; mailq shows them"))?;
    let effects = spool.command(&id, command, PATIENCE)?;
    if effects.is_empty() {
        bail!("there is no message {id} in the queue; see mailq, and the log for what became of it");
    }
    Ok(effects)
}

fn words(done: Done) -> &'static str {
    match done {
        Done::Deleted => "deleted",
        Done::Held => "held",
        Done::Released => "released and due now",
        Done::Due => "due now",
        Done::WillBounce => "will be returned to its sender",
        Done::Finished => "was finished before the order came",
        Done::Asked => "is being worked on; the order is obeyed after that",
        Done::Unfit => "not possible where the message is; see mailq",
    }
}
