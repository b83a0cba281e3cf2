//! `queue export` and `queue import`: messages on their way to another node. The archive is described in docs/operating.md.

mod archive;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use lib_mail::QueueId;
use lib_net::wake::{Consumer, Wake, send_now};
use lib_record::What;
use lib_spool::Arrived;

use super::{chosen, mailq};
use crate::cli::{Export, Import};
use crate::commands::record::Record;
use crate::commands::settings;
use crate::commands::text::{Progress, count};
use crate::layout::Layout;
use archive::{Fate, Found, Leaving, Reader};

/// Above so many messages the consumers are told to look, and not each id.
const WAKES_MAX: usize = 1000;

/// Writes messages to an archive.
pub(super) fn export(layout: &Layout, export: &Export) -> Result<ExitCode> {
    let settings = settings(layout)?;
    let spool = mailq::open(layout, &settings)?;
    let messages = chosen(layout, &spool, &export.filter, export.all)?;
    if messages.is_empty() {
        eprintln!("bongsu: no message in the queue is meant");
    }
    let file = create(&export.file)?;
    if export.remove && !file.metadata()?.is_file() {
        bail!("--remove needs an archive on disk, so that nothing is removed before it is safe there; name a file");
    }
    let mut record = Record::new(layout, mailq::clock(layout, &settings)?);
    let mut progress = Progress::new("exporting", messages.len());
    let mut done = 0;
    let mut well = true;
    let mut tell = |id: &QueueId, fate: Fate| {
        match fate {
            Fate::Copied => done += 1,
            Fate::Moved => {
                done += 1;
                let what = What::Ordered { order: "export".into(), result: format!("moved to {}", export.file.display()) };
                record.add(*id, what);
            }
            Fate::Gone => {}
            Fate::Stays(why) => {
                eprintln!("bongsu: {id} stays: {why}");
                well = false;
            }
        }
        progress.at(done);
    };
    let written =
        archive::write(&spool, &messages, Leaving { file, host: settings.hostname.as_str(), remove: export.remove }, &mut tell);
    drop(progress);
    record.send();
    let moved = if export.remove { "moved to" } else { "copied to" };
    // Standard output may be the archive.
    eprintln!("bongsu: {} {moved} {}", count(done, "message file"), export.file.display());
    written.with_context(|| {
        format!("the archive {} is not whole; what is not in it is still in the queue", export.file.display())
    })?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn create(path: &Path) -> Result<File> {
    if path == Path::new("-") {
        return Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?));
    }
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let file = file.with_context(|| format!("cannot make {}, which must not exist yet", path.display()))?;
    // The name of the archive is as durable as what is in it, before anything is removed.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()?;
    Ok(file)
}

/// Takes messages in.
pub(super) fn import(layout: &Layout, import: &Import) -> Result<ExitCode> {
    let settings = settings(layout)?;
    let spool = mailq::open(layout, &settings)?;
    let input: Box<dyn io::Read> = if import.file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(&import.file).with_context(|| format!("cannot open {}", import.file.display()))?)
    };
    let mut record = Record::new(layout, mailq::clock(layout, &settings)?);
    let mut progress = Progress::new("importing", 0);
    let (mut taken, mut there, mut well) = (Vec::new(), 0, true);
    let read = archive::read(&spool, Reader::new(input), &mut |found: &Found, arrived: &Arrived| {
        match arrived {
            Arrived::Committed => {
                taken.push(found.id);
                record.add(found.id, What::Ordered { order: "import".into(), result: "taken into the queue".into() });
            }
            Arrived::There => {
                eprintln!("bongsu: {} ({}) is in this queue already; it stays as it is", found.id, found.queue);
                there += 1;
            }
            Arrived::Damaged(fault) => {
                eprintln!("bongsu: {} ({}) is damaged in the archive ({fault}) and was not taken", found.id, found.queue);
                well = false;
            }
            Arrived::Newer => {
                eprintln!(
                    "bongsu: {} ({}) has a newer format than this version knows and was not taken",
                    found.id, found.queue
                );
                well = false;
            }
        }
        progress.at(taken.len() + there);
    });
    drop(progress);
    record.send();
    wake(layout, &taken);
    println!("{} taken into the queue", count(taken.len(), "message file"));
    read.with_context(|| "the archive could not be read to its end; what was taken is safe here, and can stay when the whole archive is imported again".to_owned())?;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn wake(layout: &Layout, taken: &[QueueId]) {
    let wakes: Vec<Wake> =
        if taken.len() > WAKES_MAX { vec![Wake::Look] } else { taken.iter().map(|id| Wake::New(*id)).collect() };
    for wake in &wakes {
        [Consumer::Local, Consumer::Relay].into_iter().for_each(|consumer| send_now(&layout.run(), consumer, wake));
    }
}
