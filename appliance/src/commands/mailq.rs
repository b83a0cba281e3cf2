//! `mailq`: the queue in the shape that sendmail's administrators know, as JSON, or summed up (R3.5).

mod classic;
mod json;
mod meant;
mod said;
mod summary;

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lib_host::Clock;
use lib_mail::Timestamp;
use lib_settings::Settings;
use lib_spool::{Error, InWork, Options, Spool};

use super::select::Group;
use super::{settings, text};
use crate::cli::{Filter, List};
use crate::layout::Layout;
use crate::owner::act_as_owner;
pub(crate) use meant::Meant;
use said::Said;

/// The queue clock of a node.
pub(crate) fn clock(layout: &Layout, settings: &Settings) -> Result<Clock> {
    Ok(Clock::open(settings.testing.clock_file(layout.existing_config().as_deref(), layout.data()).as_deref())?)
}

/// Opens the spool for a command.
pub(crate) fn open(layout: &Layout, settings: &Settings) -> Result<Spool> {
    if !layout.spool().is_dir() {
        bail!("{} is no data directory of bongsu; name it with --data DIR", layout.data().display());
    }
    let open = Spool::open(&layout.spool(), Options::of(settings, clock(layout, settings)?));
    open.context("only the user that the server runs as, or root, may see the queue or act on it")
}

/// What the three shapes need.
struct Look<'a> {
    spool: &'a Spool,
    filter: &'a Filter,
    now: Timestamp,
    in_work: InWork,
    meant: Meant,
    times: Times,
    /// As the head lines name it.
    dir: String,
}

/// Shows the queue.
pub(crate) fn run(layout: &Layout, list: &List) -> Result<ExitCode> {
    if let Some(code) = act_as_owner(&layout.spool())? {
        return Ok(code);
    }
    let settings = settings(layout)?;
    let spool = open(layout, &settings)?;
    let look = Look {
        spool: &spool,
        filter: &list.filter,
        now: clock(layout, &settings)?.now(),
        in_work: spool.in_work(),
        meant: Meant::of(layout, &settings),
        times: Times { zone: settings.time_zone.rules(), said: Said::default() },
        dir: layout.spool().display().to_string(),
    };
    let groups = super::select::groups(&spool, &list.filter)?;
    let code = text::print(|out| {
        match list.summary {
            Some(by) => summary::write(out, &look, groups, by, list.json)?,
            None if list.json => json::write(out, &look, groups)?,
            None => classic::write(out, &look, groups)?,
        }
        Ok(ExitCode::SUCCESS)
    })?;
    for (queue, id) in spool.corrupt()? {
        eprintln!("bongsu: {id} ({queue}) is damaged and kept in {}/corrupt; see: bongsu queue show {id}", look.dir);
    }
    Ok(code)
}

/// Times as the listing shows them, to the minute.
struct Times {
    zone: jiff::tz::TimeZone,
    said: Said<i64, String>,
}

impl Times {
    fn of(&self, at: Timestamp) -> String {
        self.said.of(&at.0.div_euclid(60_000), || at.mailq(&self.zone))
    }
}

impl Look<'_> {
    /// The message, where it is still there and the filter lets it through. What is wrong with one is said and no reason to stop.
    fn at(&self, group: &Group, id: &lib_mail::QueueId) -> Option<lib_spool::Listing> {
        match self.spool.look(group.queue, group.place, id) {
            Ok(found) => found.filter(|listing| super::select::matches(self.filter, listing, self.now)),
            Err(error) => {
                tell(&error);
                None
            }
        }
    }
}

fn tell(error: &Error) {
    let _ = writeln!(std::io::stderr(), "bongsu: {error}");
}
