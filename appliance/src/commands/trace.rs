//! `bongsu trace`: the life of messages in order, over this node and others, from the events that they kept (R6.4).

mod source;
mod story;

use std::collections::{HashMap, HashSet};
use std::process::ExitCode;

use anyhow::{Result, bail};
use lib_mail::{Address, QueueId, Timestamp};
use lib_record::{Event, Threads, What, from_json};
use lib_spool::Spool;

use super::mailq::{clock, open};
use super::select::Who;
use super::{settings, text};
use crate::cli;
use crate::layout::Layout;
use crate::owner::act_as_owner;
use source::Source;
use story::Stories;

/// What one looks for.
enum Query {
    Id(QueueId),
    /// Without angle brackets.
    MessageId(String),
    /// Sender or recipient; an address may be a Message-ID that was given without brackets, too.
    Who(Who, String),
}

impl Query {
    fn read(text: &str) -> Result<Query> {
        if let Ok(id) = text.strip_suffix('*').unwrap_or(text).parse() {
            return Ok(Query::Id(id));
        }
        let bare = bare(text);
        match text.parse::<Who>() {
            Ok(who) => Ok(Query::Who(who, bare.to_owned())),
            Err(_) if !bare.is_empty() && !bare.contains(char::is_whitespace) => Ok(Query::MessageId(bare.to_owned())),
            Err(_) => bail!("{text:?} is no queue id, no Message-ID, no address and no @domain"),
        }
    }

    /// Whether the event is about what is looked for.
    fn hits(&self, event: &Event) -> bool {
        let msgid = |wanted: &str| matches!(&event.what, What::Accepted { msgid, .. } if bare(msgid) == wanted);
        match self {
            Query::Id(id) => event.id == Some(*id),
            Query::MessageId(wanted) => msgid(wanted),
            Query::Who(who, text) => {
                let is = |address: &str| match address.parse::<Address>() {
                    Ok(address) => who.is(&address),
                    Err(_) => address.is_empty() && *who == Who::Nobody,
                };
                match &event.what {
                    What::Accepted { from, .. } => is(from) || msgid(text),
                    What::Attempt { to, .. } | What::Bounced { to, .. } => is(to),
                    What::Rejected { from, to, .. } => is(from) || !to.is_empty() && is(to),
                    _ => false,
                }
            }
        }
    }
}

/// A Message-ID without its angle brackets.
fn bare(text: &str) -> &str {
    let text = text.trim();
    text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(text)
}

pub(crate) fn run(layout: &Layout, trace: &cli::Trace) -> Result<ExitCode> {
    if let Some(code) = act_as_owner(&layout.events())? {
        return Ok(code);
    }
    let settings = settings(layout)?;
    let query = Query::read(&trace.what)?;
    super::log::check(layout)?;
    let now = clock(layout, &settings)?.now();
    let since = trace.since.map_or(Timestamp(i64::MIN), |since| super::log::before(now, since));
    // In the strict set-up the events are root's and the queue is not: then the events alone tell.
    let spool = open(layout, &settings).ok();
    let mut sources = vec![Source::own(layout, settings.hostname.as_str())];
    for with in &trace.with {
        sources.push(Source::named(with)?);
    }
    let (threads, seeds, refusals) = look_through(&mut sources, &query, since)?;
    let seeds = seeds.into_iter().chain(queued(spool.as_ref(), &query, since));
    let wanted = threads.around(seeds);
    let events = gather(&mut sources, &wanted)?;
    if events.is_empty() && refusals.is_empty() {
        bail!(
            "nothing is known of {}; events are kept as long as log.keep_time and log.keep_size say, and see --with for other nodes",
            trace.what
        );
    }
    let stories = Stories {
        nodes: sources.iter().map(|source| source.name.clone()).collect(),
        threads,
        events,
        refusals,
        spool,
        zone: settings.time_zone.rules(),
        now,
    };
    text::print(|out| {
        if trace.json {
            stories.json(out)?
        } else {
            stories.print(out)?
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// An event and the number of its node.
type Told = (usize, Event);

/// The first look: the links between messages, those that are meant, and refusals, which have no id.
fn look_through(sources: &mut [Source], query: &Query, since: Timestamp) -> Result<(Threads, HashSet<QueueId>, Vec<Told>)> {
    let (mut threads, mut seeds, mut refusals) = (Threads::default(), HashSet::new(), Vec::new());
    for (node, source) in sources.iter_mut().enumerate() {
        source.events(&mut |event| {
            threads.see(&event);
            if event.at >= since && query.hits(&event) {
                match event.id {
                    Some(id) => drop(seeds.insert(id)),
                    None => refusals.push((node, event)),
                }
            }
        })?;
    }
    Ok((threads, seeds, refusals))
}

/// Messages that wait here and are meant, whose events may be gone already.
fn queued(spool: Option<&Spool>, query: &Query, since: Timestamp) -> Vec<QueueId> {
    let (Some(spool), Query::Who(who, _)) = (spool, query) else { return Vec::new() };
    let listings = lib_spool::Queue::ALL.into_iter().flat_map(|queue| spool.list(queue)).filter_map(Result::ok);
    let meant = listings.filter(|listing| {
        let envelope = &listing.envelope;
        envelope.arrived >= since
            && (who.is_sender(&envelope.sender) || envelope.recipients.iter().any(|recipient| who.is(&recipient.address)))
    });
    meant.map(|listing| listing.id).collect()
}

/// The second look: the events of the wanted messages.
fn gather(sources: &mut [Source], wanted: &HashSet<QueueId>) -> Result<HashMap<QueueId, Vec<Told>>> {
    let mut events: HashMap<QueueId, Vec<Told>> = wanted.iter().map(|id| (*id, Vec::new())).collect();
    for (node, source) in sources.iter_mut().enumerate() {
        source.again();
        source.lines(&mut |line| {
            // Most lines are of other messages, and need not be understood.
            let id = id_of(line);
            if let Some(told) = id.and_then(|id| events.get_mut(&id))
                && let Some(event) = from_json(line)
            {
                told.push((node, event));
            }
            Ok(())
        })?;
    }
    events.values_mut().for_each(|told| told.sort_by_key(|(_, event)| event.at));
    Ok(events)
}

/// The id in a JSON line of ours, found without reading the rest.
fn id_of(line: &[u8]) -> Option<QueueId> {
    const MARK: &[u8] = b"\"id\":\"";
    let at = line.windows(MARK.len()).position(|part| part == MARK)? + MARK.len();
    std::str::from_utf8(line.get(at..at + 20)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_looks_for() {
        assert!(matches!(Query::read("1hw9zzzzzz0000000001*"), Ok(Query::Id(_))));
        assert!(
            matches!(Query::read("<1.2@client.example>"), Ok(Query::Who(Who::Address(_), text)) if text == "1.2@client.example")
        );
        assert!(matches!(Query::read("@kebi.net"), Ok(Query::Who(Who::Domain(_), _))));
        assert!(matches!(Query::read("<abc$def.ghi@[x]>"), Ok(Query::MessageId(text)) if text == "abc$def.ghi@[x]"));
        assert!(Query::read("two words").is_err());
    }

    #[test]
    fn the_id_of_a_line() {
        let line = br#"{"at":1,"role":"deliver","id":"1hw9zzzzzz0000000001","event":"done","delay":1}"#;
        assert_eq!(id_of(line).unwrap().as_str(), "1hw9zzzzzz0000000001");
        assert_eq!(id_of(br#"{"at":1,"id":"short"#), None);
    }
}
