//! `bongsu queue …`: a look into messages, orders to them and to the consumers of the queue, and their way to another node.

mod order;
mod show;
mod transfer;

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lib_mail::{Domain, QueueId};
use lib_net::wake::{Consumer, Wake, send_now};
use lib_spool::{Command, Place, Queue, Spool};

use super::abreast::abreast;
use super::{mailq, select, settings};
use crate::cli::{self, Filter};
use crate::layout::Layout;
use crate::owner::act_as_owner;
use crate::tree;

/// Runs one of the queue commands.
pub(crate) fn run(layout: &Layout, command: cli::Queue) -> Result<ExitCode> {
    if let Some(code) = act_as_owner(&layout.spool())? {
        return Ok(code);
    }
    match command {
        cli::Queue::List(list) => mailq::run(layout, &list),
        cli::Queue::Show(show) => show::run(layout, &show),
        cli::Queue::Run => wake(layout, &[Consumer::Local, Consumer::Relay], &Wake::Run),
        cli::Queue::Flush { domain } => {
            let domain: Domain = domain.parse().ok().with_context(|| format!("{domain:?} is no domain such as example.net"))?;
            wake(layout, &[Consumer::Relay], &Wake::Flush(domain))
        }
        cli::Queue::Retry(order) => order::run(layout, &order, Command::Retry),
        cli::Queue::Hold(order) => order::run(layout, &order, Command::Hold),
        cli::Queue::Release(order) => order::run(layout, &order, Command::Release),
        cli::Queue::Requeue(order) => order::requeue(layout, &order),
        cli::Queue::Delete(order) => order::run(layout, &order, Command::Delete),
        cli::Queue::Bounce(order) => order::run(layout, &order, Command::Bounce),
        cli::Queue::Import(import) => transfer::import(layout, &import),
        cli::Queue::Export(export) => transfer::export(layout, &export),
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

/// A queue id as it is shown, perhaps with the mark of a message in work.
fn id(text: &str) -> Result<QueueId> {
    text.strip_suffix('*').unwrap_or(text).parse().ok().with_context(|| format!("{text:?} is no queue id; mailq shows them"))
}

/// The files that a filter leaves, by the ids as they lie there now.
fn chosen(layout: &Layout, spool: &Spool, filter: &Filter, all: bool) -> Result<Vec<(QueueId, Queue, Place)>> {
    if filter.is_open() && !all {
        bail!("say which messages: queue ids, --sender, --to, --older, --reason, --held …, or --all");
    }
    let now = mailq::clock(layout, &settings(layout)?)?.now();
    let mut chosen = Vec::new();
    for group in select::groups(spool, filter)? {
        let wanted = |id: &QueueId| {
            let found = || spool.look(group.queue, group.place, id);
            let wanted = filter.is_open()
                || found().is_ok_and(|found| found.is_some_and(|listing| select::matches(filter, &listing, now)));
            wanted.then_some(*id)
        };
        abreast(&group.ids, wanted, |id| -> Result<()> {
            chosen.extend(id.map(|id| (id, group.queue, group.place)));
            Ok(())
        })?;
    }
    Ok(chosen)
}
