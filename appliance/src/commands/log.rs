//! `bongsu log`: the kept events, as lines of the maillog or as JSON.

pub(crate) mod kept;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::tz::TimeZone;
use lib_mail::Timestamp;

use super::mailq::clock;
use super::{settings, text};
use crate::cli::Log;
use crate::layout::Layout;
use crate::owner::act_as_owner;
use kept::Kept;

/// How often new events are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How a line is printed.
struct Shape {
    zone: TimeZone,
    host: String,
    json: bool,
    since: Option<Timestamp>,
}

pub(crate) fn run(layout: &Layout, log: &Log) -> Result<ExitCode> {
    if let Some(code) = act_as_owner(&layout.events())? {
        return Ok(code);
    }
    let settings = settings(layout)?;
    check(layout)?;
    let clock = clock(layout, &settings)?;
    let since = log.since.map(|since| before(clock.now(), since));
    let shape = Shape { zone: settings.time_zone.rules(), host: settings.hostname.to_string(), json: log.json, since };
    text::print(|out| {
        let mut kept = Kept::of_dir(&layout.events());
        loop {
            let mut text = Vec::new();
            kept.lines(&mut |line| {
                shape.put(line, &mut text);
                if text.len() > 64 * 1024 {
                    out.write_all(&text)?;
                    text.clear();
                }
                Ok(())
            })?;
            out.write_all(&text)?;
            if !log.follow {
                return Ok(ExitCode::SUCCESS);
            }
            out.flush()?;
            std::thread::sleep(LOOK_EVERY);
            kept.look_again();
        }
    })
}

/// Whether there are events here, and for us.
pub(crate) fn check(layout: &Layout) -> Result<()> {
    if !layout.data().join("state").is_dir() {
        bail!("{} is no data directory of bongsu; name it with --data DIR", layout.data().display());
    }
    let readable = std::fs::read_dir(layout.events());
    readable.map(drop).context("only the user that the server runs as, or root, may read what is kept of the mail")
}

/// The moment that long before another.
pub(crate) fn before(now: Timestamp, time: Duration) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)))
}

impl Shape {
    /// A line that is no event is left out.
    fn put(&self, line: &[u8], out: &mut Vec<u8>) {
        let Some(event) = lib_record::from_json(line) else { return };
        if self.since.is_some_and(|since| event.at < since) {
            return;
        }
        if !self.json {
            let mut text = String::new();
            // The maillog names the host without its domain, as syslog does.
            lib_record::maillog_line(&event, &self.zone, self.host.split('.').next().unwrap_or_default(), &mut text);
            out.extend_from_slice(text.as_bytes());
            return;
        }
        // With the name of the node, so that a trace over several can tell them apart.
        let host = serde_json::Value::from(self.host.as_str());
        out.extend_from_slice(format!("{{\"host\":{host},").as_bytes());
        let object = out.len();
        lib_record::json_line(&event, Some(&self.zone), out);
        if out.get(object) == Some(&b'{') {
            out.remove(object);
        }
    }
}
